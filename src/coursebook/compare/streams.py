"""What a cell wrote to standard output and standard error, and the warnings among it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..course import Tolerance
from .difference import Difference, short
from .screen import shown
from .text import Context, compare_text
from .tokens import tokenize

_WARNING = re.compile(r"^(?P<path>\S.*?):(?P<line>\d+): (?P<category>[A-Za-z_][\w.]*Warning): (?P<text>.*)$")
_NATIVE = re.compile(r"^\[W\d{3,4} [^\]]*\] (?:Warning: )?(?P<text>.*)$")  # torch's own
_LONGEST = 12  # lines of one warning
_LATER = {
    "DeprecationWarning": "it will stop working",
    "PendingDeprecationWarning": "it will stop working",
    "FutureWarning": "it will behave differently",
}


class Stream(NamedTuple):
    """A stream's text, all pieces joined, and the index of the output that holds the first."""

    text: str
    output: int


def joined(value: Any) -> str:
    """A text as notebooks hold it, which is one string or a list of them."""
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return "".join(piece for piece in value if isinstance(piece, str))
    return "" if value is None else str(value)


def streams(outputs: Sequence[Mapping[str, Any]]) -> dict[str, Stream]:
    """Each stream of a cell. Which of them wrote first can't be relied on, so they are kept apart."""
    found: dict[str, Stream] = {}
    for index, output in enumerate(outputs):
        if output.get("output_type") == "stream":
            name = joined(output.get("name")) or "stdout"
            text = joined(output.get("text"))
            before = found.get(name, Stream("", index))
            found[name] = Stream(before.text + text, before.output)
    return found


def compare_errors(old: str, new: str, tolerance: Tolerance) -> Iterator[Difference]:
    """Two texts of standard error: warnings by category and words, whatever their numbers and paths; then the rest."""
    if old == new:
        return
    (before, old_rest), (after, new_rest) = _split(shown(old)), _split(shown(new))
    then = {_key(category, text): (category, text) for category, text in before}
    now = {_key(category, text): (category, text) for category, text in after}
    for key, (category, text) in now.items():
        if key not in then:
            later = f" ({_LATER[category]})" if category in _LATER else ""
            why = f"a new {category}{later}: {short(text)}"
            yield Difference("warning", "", f"{category}: {short(text)}", why, False)
    for key, (category, text) in then.items():
        if key not in now:
            why = f"the {category} is gone: {short(text)}"
            yield Difference("warning", f"{category}: {short(text)}", "", why, False)
    yield from compare_text(old_rest, new_rest, Context(tolerance, place="standard error: "))


def _key(category: str, text: str) -> tuple[str, ...]:
    return (category, *(part for line in tokenize(text) for part in line.shape))


def _split(text: str) -> tuple[list[tuple[str, str]], str]:
    """The warnings of a text, and what is left of it."""
    found: list[tuple[str, str]] = []
    rest: list[str] = []
    rows = text.split("\n")
    index = 0
    while index < len(rows):
        match = _WARNING.match(rows[index]) or _NATIVE.match(rows[index])
        if match is None:
            rest.append(rows[index])
            index += 1
            continue
        category = match.groupdict().get("category") or "Warning"
        end = _end(rows, index)
        # The line of source that a warning ends with is where it was caused, not what it says.
        said = [match["text"], *(row for row in rows[index + 1 : end] if not row.startswith("  "))]
        found.append((category, "\n".join(said).strip()))
        index = end
    return found, "\n".join(rest)


def _end(rows: Sequence[str], first: int) -> int:
    """The line behind a warning that begins at `first`: the indented source closes it, where it is near."""
    for index in range(first + 1, min(len(rows), first + _LONGEST)):
        if _WARNING.match(rows[index]) or not rows[index].strip():
            break
        if rows[index].startswith("  "):
            return index + 1
    return first + 1
