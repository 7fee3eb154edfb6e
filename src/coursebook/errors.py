"""What can be wrong with a course: each error carries where and what, and says it in one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePath
from textwrap import indent
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .page import Cell

ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


class CourseError(Exception):
    """Something that the author of the course can put right.

    `path` is relative to the course's root, `line` counts from 1 (None: the file as a whole).
    """

    def __init__(self, path: PurePath | str, line: int | None, problem: str) -> None:
        super().__init__(path, line, problem)
        self.path, self.line, self.problem = path, line, problem

    def __reduce__(self) -> tuple[Any, ...]:
        # The kinds of errors are made from other things than the sentence is, so they can't be made again by a call.
        return _made_again, (type(self), self.args, self.__dict__)

    @property
    def place(self) -> str:
        path = self.path.as_posix() if isinstance(self.path, PurePath) else self.path
        return f"{path}:{self.line}" if self.line else path

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}"


def _made_again(kind: type[CourseError], args: tuple[Any, ...], state: dict[str, Any]) -> CourseError:
    """An error that comes from another process, with all that it carries."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class CourseErrors(ExceptionGroup[CourseError]):
    """Several errors, found in one pass, so that an author mends them in one go."""

    def derive(self, excs: Iterable[CourseError]) -> CourseErrors:  # type: ignore[override]
        return CourseErrors(self.message, list(excs))


class CellError(CourseError):
    """A cell that did not end well. In a notebook, which has no lines, the cell's number tells the place."""

    def __init__(self, path: Path, cell: Cell, problem: str, line: int | None = None) -> None:
        super().__init__(path, line or cell.line or None, f"the cell {problem}")
        self.cell = cell

    @property
    def place(self) -> str:
        return super().place if self.line else f"{super().place}: cell {self.cell.number}"


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


def plain(text: str) -> str:
    """Text as it may go to a terminal or a log: no color codes, no control characters but newline and tab."""
    text = ANSI.sub("", text)
    return "".join(c for c in text if c in "\n\t" or c.isprintable())
