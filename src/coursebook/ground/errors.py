"""What can be wrong with a course: each error carries where and what, and says it in one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

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


def plain(text: str) -> str:
    """Text as it may go to a terminal or a log: no color codes, no control characters but newline and tab."""
    text = ANSI.sub("", text)
    return "".join(c for c in text if c in "\n\t" or c.isprintable())
