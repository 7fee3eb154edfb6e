"""Times of day and lengths, as people write them in an agenda."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CLOCK = r"\d{1,2}(?:[:.]\d{2})?"
_HALF = r"[ap]\.?m\.?"
RANGE = re.compile(
    rf"(?P<start>{_CLOCK})\s*(?P<start_half>{_HALF})?\s*(?:-|–|—|to)\s*(?P<end>{_CLOCK})\s*(?P<end_half>{_HALF})?", re.I
)
MOMENT = re.compile(rf"(?P<clock>{_CLOCK})\s*(?P<half>{_HALF})?", re.I)
DURATION = re.compile(
    r"(?:(?P<hours>\d+)\s*(?:hours|hour|hrs|hr|h))?\s*(?:(?P<minutes>\d+)\s*(?:minutes|minute|mins|min|m|′|'))?", re.I
)
ALLOWED = "a range (10:20-10:25am, 13:00–13:20) or, with a `:start:`, a length (20 min, 1 h 10 min)"


class AgendaError(ValueError):
    """A time or an item that can't be read; the message says what is allowed."""


@dataclass(frozen=True)
class Slot:
    """When an item happens: minutes after midnight, and whether it was written in 12-hour form."""

    start: int
    end: int
    twelve: bool

    def __post_init__(self) -> None:
        if self.end == self.start:
            raise AgendaError(f"'{self}' lasts no time")
        if self.end < self.start:
            hint = "" if self.twelve else " (write 13:00 or 1:00pm for an hour after noon)"
            raise AgendaError(f"'{self}' ends before it starts{hint}")

    def __str__(self) -> str:
        start, end = clock(self.start, self.twelve), clock(self.end, self.twelve)
        if self.twelve and start[-2:] == end[-2:]:
            start = start[:-3]
        return f"{start}–{end}"


def read_slot(text: str, start: int | None, twelve: bool) -> Slot:
    """The slot that `text` means: a range, or a length from `start` (minutes; None: no start is known).

    Raises AgendaError if it is neither or ends before it starts.
    """
    text = text.strip().strip("*_").strip()
    if match := RANGE.fullmatch(text):
        return _range(match)
    match = DURATION.fullmatch(text)
    if match and (match["hours"] or match["minutes"]):
        if start is None:
            raise AgendaError(f"'{text}' is a length, but the agenda has no `:start:` (like `:start: 10:20am`)")
        return Slot(start, start + int(match["hours"] or 0) * 60 + int(match["minutes"] or 0), twelve)
    raise AgendaError(f"the time '{text}' can't be read; allowed: {ALLOWED}")


def read_moment(text: str) -> tuple[int, bool]:
    """Minutes after midnight, and whether `text` is in 12-hour form. Raises AgendaError."""
    match = MOMENT.fullmatch(text.strip())
    if not match:
        raise AgendaError(f"the time '{text}' can't be read; allowed: 10:20am, 13:00")
    return _minutes(match["clock"], match["half"]), bool(match["half"])


def _range(match: re.Match[str]) -> Slot:
    end_half, start_half = match["end_half"], match["start_half"]
    end = _minutes(match["end"], end_half)
    if start_half or not end_half:
        # '11:30am-12:30': the half of the day that puts the end after the start.
        start = _minutes(match["start"], start_half)
        if start_half and not end_half:
            end = _minutes(match["end"], "am")
            if end <= start:
                end = _minutes(match["end"], "pm")
        return Slot(start, end, bool(start_half))
    # '10:20-10:25am' is all in the morning; '11:05-12:00pm' begins in the half that comes before.
    start = _minutes(match["start"], end_half)
    if start >= end:
        start = _minutes(match["start"], "am")
    return Slot(start, end, True)


def _minutes(clock: str, half: str | None) -> int:
    hours, _, minutes = clock.replace(".", ":").partition(":")
    hour, minute = int(hours), int(minutes or 0)
    if minute > 59 or hour > 24 or (hour == 24 and minute) or (half and not 1 <= hour <= 12):
        raise AgendaError(f"'{clock}{half or ''}' is not a time of day")
    if half:
        hour = hour % 12 + (12 if half[0].lower() == "p" else 0)
    return hour * 60 + minute


def clock(minutes: int, twelve: bool) -> str:
    """Minutes after midnight as `10:20 am` or `10:20`."""
    hour, minute = divmod(minutes, 60)
    if not twelve:
        return f"{hour:02}:{minute:02}"
    return f"{(hour - 1) % 12 + 1}:{minute:02} {'am' if hour % 24 < 12 else 'pm'}"


def length(minutes: int) -> str:
    """A number of minutes in words: `5 min`, `1 h`, `1 h 40 min`."""
    hours, minutes = divmod(minutes, 60)
    return " ".join(([f"{hours} h"] if hours else []) + ([f"{minutes} min"] if minutes else []))
