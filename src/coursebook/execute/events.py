"""What happens while pages are executed, told to whoever wants to know."""

from __future__ import annotations

from dataclasses import dataclass

import nbformat

from ..course import Cell, Page
from ..ground import CourseError
from ..outputs import Provenance


@dataclass(frozen=True)
class PageStarted:
    page: Page


@dataclass(frozen=True)
class CellStarted:
    page: Page
    cell: Cell


@dataclass(frozen=True)
class Deprecation:
    """What a library said will change: `where` in it (nothing: in a cell), as which category of warning."""

    where: str
    category: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.category}: {self.message}" if self.where else f"{self.category}: {self.message}"


@dataclass(frozen=True)
class PageDone:
    """A page whose cells all ran; `notebook` holds their outputs, `deprecations` what was listened for."""

    page: Page
    notebook: nbformat.NotebookNode
    provenance: Provenance
    deprecations: tuple[Deprecation, ...] = ()

    @property
    def seconds(self) -> float:
        return self.provenance.seconds


@dataclass(frozen=True)
class PageFailed:
    page: Page
    error: CourseError
    seconds: float


Event = PageStarted | CellStarted | PageDone | PageFailed
