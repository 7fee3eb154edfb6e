"""What can go wrong with a cell while it is executed."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING

from ..course import CellError
from ..ground import plain

if TYPE_CHECKING:
    from ..course import Cell


class CellFailed(CellError):
    """A cell that raised an exception; `line` is the one in the page at which the traceback begins."""

    def __init__(self, path: Path, cell: Cell, line_in_cell: int, ename: str, evalue: str, traceback: str) -> None:
        first = plain(evalue).strip().splitlines()
        problem = f"raised {plain(ename)}" + (f": {first[0]}" if first else "")
        super().__init__(path, cell, problem, cell.line + line_in_cell - 1 if cell.line else None)
        self.traceback = plain(traceback)

    def __str__(self) -> str:
        return f"{super().__str__()}\n{indent(self.cell.source, '    ')}\n\n{indent(self.traceback, '    ')}"


class CellTimedOut(CellError):
    """A cell that ran longer than its page allows; `line_in_cell` is where it was interrupted (0: it did not stop)."""

    def __init__(self, path: Path, cell: Cell, seconds: float, line_in_cell: int = 0) -> None:
        allowed = "a page's front matter may say `coursebook: {timeout: SECONDS}`"
        line = cell.line + line_in_cell - 1 if cell.line and line_in_cell else None
        super().__init__(path, cell, f"ran longer than the {seconds:g} s allowed ({allowed})", line)


class KernelDied(CellError):
    """A cell whose kernel ended under it."""

    def __init__(self, path: Path, cell: Cell) -> None:
        super().__init__(path, cell, "killed its kernel (out of memory, os._exit or a crash in compiled code)")


class TooMuchOutput(CellError):
    """A cell that printed or drew more than a page can carry."""

    def __init__(self, path: Path, cell: Cell, megabytes: float) -> None:
        allowed = "print less, or let the page's front matter say `coursebook: {max_output: MEGABYTES}`"
        super().__init__(path, cell, f"put out more than the {megabytes:g} MB allowed ({allowed})")
