"""The code cells of pages as they were read the last time, so that a page that hasn't changed isn't parsed again.

A page of the usual length takes MyST-NB's reader a fortieth of a second: in a course of two hundred, five seconds to
find out that one has changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import astuple
from importlib.metadata import version
from pathlib import Path

from .. import __version__
from ..ground import STAGE, replacing
from .cell import Cell
from .page import Page, text_digest

FILE = "cells.json"


def recall(root: Path) -> Mapping[str, tuple[Cell, ...]]:
    """Cells by the digest of their page's text; none where another version remembered them, or the file is damaged."""
    try:
        kept = json.loads((root / STAGE / FILE).read_text(encoding="utf-8"))
        if kept["readers"] != _readers():
            return {}
        return {
            digest: tuple(
                Cell(source, line, number, tuple(tags), tolerance) for source, line, number, tags, tolerance in cells
            )
            for digest, cells in kept["cells"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def remember(root: Path, pages: Iterable[Page]) -> None:
    """Keep the cells of `pages` for the next time, if they aren't kept already."""
    markdown = [page for page in pages if page.cells and page.path.suffix == ".md"]
    cells = {text_digest(page.text): [astuple(cell) for cell in page.cells] for page in markdown}
    text = json.dumps({"readers": _readers(), "cells": cells}, ensure_ascii=False, sort_keys=True)
    path = root / STAGE / FILE
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(text.encode())


def _readers() -> list[str]:
    return [__version__, version("myst-nb"), version("markdown-it-py")]
