"""What Sphinx warns of, as it is logged: where it is, what kind it is of, and whether it is an error.

Heard where Sphinx prints it, behind all that it leaves out (`suppress_warnings`) and adds: from processes that write
pages, too, whose records Sphinx hands on.
"""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

from sphinx.util.logging import NAMESPACE, WarningStreamHandler

from ...ground import plain
from .. import Problem

_LOCATION = re.compile(r"(?P<place>.*?)(?::(?P<line>\d+))?", re.DOTALL)
# What is said of a full disk, or of a full share of it.
_FULL = (*(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT)), "database or disk is full")


class Listener(logging.Filter):
    """Hears warnings and errors on their way out, as a filter that lets all of them pass."""

    def __init__(self) -> None:
        super().__init__()
        self._records: list[logging.LogRecord] = []

    def listen(self) -> None:
        """Take its place, as soon as Sphinx has set its logging up: it does that when it is made, and then speaks.

        No event comes as early: what is wrong with an extension is told before ours is loaded. An extension that makes
        an application of its own sets it up again.
        """
        for handler in logging.getLogger(NAMESPACE).handlers:
            if isinstance(handler, WarningStreamHandler):
                handler.addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            self._records.append(record)
        return True

    def problems(self, root: Path) -> list[Problem]:
        """All that was heard, each once, with places relative to `root` where they lie below."""
        # Only now, as filters behind this one may have put something before a message.
        return list({str(problem): problem for problem in self._problems(root)}.values())

    def _problems(self, root: Path) -> Iterator[Problem]:
        for record in self._records:
            match = _LOCATION.fullmatch(plain(str(getattr(record, "location", None) or "")))
            place, line = (match["place"], match["line"]) if match else ("", None)
            if place and (path := Path(place)).is_absolute() and path.is_relative_to(root):
                place = path.relative_to(root).as_posix()
            place = place.removesuffix(":<autodoc>")
            text = plain(_text(record))
            body = " ".join(text.split()).replace(f"{root}{os.sep}", "")
            kinds = [str(kind) for name in ("type", "subtype") if (kind := getattr(record, name, None))]
            is_error = record.levelno > logging.WARNING
            yield Problem(f"{place}:{line}" if line else place, body, is_error, ".".join(kinds))


def _text(record: logging.LogRecord) -> str:
    try:
        return logging.LogRecord.getMessage(record)
    except Exception:  # arguments that aren't what the text asks for, or that can't be written
        return str(record.msg)


def in_one(problems: list[Problem]) -> list[Problem]:
    """A full disk is told of for each file that Sphinx could not write, often as a mere warning: one error says it."""
    full = [text for text in _FULL if any(text in problem.text for problem in problems)]
    return [Problem("_build", f"{full[0]}: the site could not be written", is_error=True)] if full else problems
