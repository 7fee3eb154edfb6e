"""The code cells of pages as they were read the last time, so that a page that hasn't changed isn't parsed again.

A page of the usual length takes MyST-NB's reader a fortieth of a second: in a course of two hundred, five seconds to
find out that one has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple
from importlib.metadata import version
from pathlib import Path

from .. import __version__
from ..ground import STAGE, JsonFile
from .cell import Cell
from .page import Page, text_digest

FILE = "cells.json"


def recall(root: Path) -> Mapping[str, tuple[Cell, ...]]:
    """Cells by the digest of their page's text; none where another version remembered them, or the file is damaged."""
    try:
        kept = JsonFile(root / STAGE / FILE).read()
        if kept["readers"] != _readers():
            return {}
        return {
            digest: tuple(
                Cell(source, line, number, tuple(tags), tolerance) for source, line, number, tags, tolerance in cells
            )
            for digest, cells in kept["cells"].items()
        }
    except JsonFile.DAMAGED:
        return {}


def remember(root: Path, pages: Iterable[Page]) -> None:
    """Keep the cells of `pages` for the next time, if they aren't kept already."""
    markdown = [page for page in pages if page.cells and page.path.suffix == ".md"]
    cells = {text_digest(page.text): [astuple(cell) for cell in page.cells] for page in markdown}
    cells = {digest: cells[digest] for digest in sorted(cells)}  # another order of pages is no other content
    JsonFile(root / STAGE / FILE).write({"readers": _readers(), "cells": cells})


def _readers() -> list[str]:
    return [__version__, version("myst-nb"), version("markdown-it-py")]
