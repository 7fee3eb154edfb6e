"""A code cell of a page, and errors that tell of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat

from ..ground import CourseError
from .tolerance import Tolerance


@dataclass(frozen=True)
class Cell:
    """A code cell. `line` is where its code begins in the page, from 1 (0 in notebooks: they have no lines).

    `number` counts the page's code cells from 1. `tolerance` is what the cell says of its own, `{}` for nothing.
    """

    source: str
    line: int
    number: int
    tags: tuple[str, ...]
    tolerance: Mapping[str, Any] = field(default_factory=dict)


def cell_of(path: Path, cell: nbformat.NotebookNode, line: int, number: int) -> Cell:
    """A code cell of a notebook. Raises CourseError for options that it can't have."""
    given = cell.metadata.get("coursebook") or {}
    place = CellError(path, Cell(cell.source, line, number, ()), "")
    if not isinstance(given, Mapping) or given.keys() - {"tolerance"}:
        raise CourseError(place.place, None, f"a cell's `coursebook` takes {{tolerance: ...}}, not {given!r}")
    tolerance = given.get("tolerance", {})
    try:
        Tolerance.read(tolerance)
    except ValueError as error:
        raise CourseError(place.place, None, f"`tolerance`: {error}") from None
    return Cell(cell.source, line, number, tuple(cell.metadata.get("tags", ())), dict(tolerance))


class CellError(CourseError):
    """A cell that did not end well. In a notebook, which has no lines, the cell's number tells the place."""

    def __init__(self, path: Path, cell: Cell, problem: str, line: int | None = None) -> None:
        super().__init__(path, line or cell.line or None, f"the cell {problem}")
        self.cell = cell

    @property
    def place(self) -> str:
        return super().place if self.line else f"{super().place}: cell {self.cell.number}"
