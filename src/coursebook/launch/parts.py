"""What a notebook is made of, and which of a page's cells are in one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from ..course import Page, is_in_notebook

NOTEBOOKS_FOLDER = "notebooks"  # of the site


@dataclass(frozen=True)
class Text:
    """Markdown."""

    source: str


@dataclass(frozen=True)
class Code:
    """A code cell of the page, by its number; `folded` is the title under which its source is hidden at first."""

    number: int
    folded: str = ""


@dataclass(frozen=True)
class Blank:
    """An empty code cell for a reader's own work; `purpose` stands in it."""

    purpose: str


Part = Text | Code | Blank


@dataclass(frozen=True)
class Site:
    """Where the site is, for links back to it: its title and its address with a slash at the end, or ''."""

    title: str
    address: str

    def of(self, docname: str) -> str:
        return f"{self.address}{quote(docname)}.html" if self.address else ""

    def file(self, path: str) -> str:
        """The address of a file that is published with the notebooks."""
        return f"{self.address}{NOTEBOOKS_FOLDER}/{quote(path)}" if self.address else ""


def numbers_of(page: Page, parts: Iterable[Part]) -> set[int]:
    """The numbers of the page's code cells that a notebook of these parts has."""
    return {
        part.number for part in parts if isinstance(part, Code) and is_in_notebook(page.cells[part.number - 1].tags)
    }


def numbers_in(made: bytes) -> set[int]:
    """The numbers of the page's code cells that a notebook has."""
    names = (re.fullmatch(r"cell-(\d+)", cell["id"]) for cell in json.loads(made)["cells"])
    return {int(name[1]) for name in names if name}
