"""Rows of Markdown: which are text, which frame directives, and which are code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

_FENCE = re.compile(r"^\s*(?P<marker>`{3,}|~{3,}|:{3,})(?P<info>.*)$")


def rows_of(text: str) -> Iterator[tuple[int, str, Literal["text", "frame", "opening", "code"]]]:
    """Each row of Markdown with its number from 1, and what it is.

    A `frame` opens or closes a directive whose content is read as Markdown, `opening` opens code, and all up to the end
    of that is `code`, be it what would be a fence elsewhere.
    """
    opened: list[tuple[str, bool]] = []  # each fence that is open, and whether it holds code
    for number, row in enumerate(text.splitlines(), 1):
        match = _FENCE.match(row)
        marker, info = (match["marker"], match["info"].strip()) if match else ("", "")
        closes = bool(opened) and not info and marker.startswith(opened[-1][0])
        if opened and opened[-1][1]:
            yield number, row, "code"
        elif not match:
            yield number, row, "text"
        elif closes:
            yield number, row, "frame"
        else:
            holds_code = (marker[0] != ":" and not info.startswith("{")) or info.startswith("{code")
            opened.append((marker, holds_code))
            yield number, row, "opening" if holds_code else "frame"
        if closes:
            opened.pop()


def first_line_of(rows: list[str], fence: int, source: str) -> int:
    """The line (from 1) at which a cell's code begins; `fence` is the line (from 1) of its opening fence."""
    code = [row.strip() for row in source.splitlines()]
    # Options stand between the fence and the code: skip until the code itself is found.
    for index in range(fence, len(rows)):
        if [row.strip() for row in rows[index : index + len(code)]] == code:
            return index + 1
    return fence + 1
