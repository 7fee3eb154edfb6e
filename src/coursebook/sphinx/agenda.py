"""The agenda directive: what happens when in a class.

    ```{agenda}
    - 10:20-10:25am: Arrive; questions about logistics.
    - 10:25-10:45am: **Debrief** of the homework.
    ```

Times stand in 12- or 24-hour form; with `:start: 10:20am` an item may give its length instead (`- 20 min: Debrief`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)

_CLOCK = r"\d{1,2}(?:[:.]\d{2})?"
_HALF = r"[ap]\.?m\.?"
RANGE = re.compile(
    rf"(?P<start>{_CLOCK})\s*(?P<start_half>{_HALF})?\s*(?:-|–|—|to)\s*(?P<end>{_CLOCK})\s*(?P<end_half>{_HALF})?", re.I
)
MOMENT = re.compile(rf"(?P<clock>{_CLOCK})\s*(?P<half>{_HALF})?", re.I)
DURATION = re.compile(
    r"(?:(?P<hours>\d+)\s*(?:hours|hour|hrs|hr|h))?\s*(?:(?P<minutes>\d+)\s*(?:minutes|minute|mins|min|m|′|'))?", re.I
)
ITEM = re.compile(r"^(?P<bullet>[-*+])\s+(?P<text>.*)$")
# The time ends at the first colon that isn't part of a clock; a dash or a bar reads as well.
WHEN = re.compile(r"^(?P<when>[^:|]*?(?:\d:\d{2}[^:|]*?)*)\s*(?::(?!\d)|\|)\s*(?P<what>.*)$", re.S)

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


class agenda(nodes.General, nodes.Element):
    """Holds a title (paragraph text in `title`), `start`, `end` and agenda_items."""


class agenda_item(nodes.Part, nodes.TextElement):
    """`start`, `end` (minutes after midnight), `twelve`; its children are the item's inline text."""


class AgendaDirective(SphinxDirective):
    has_content = True
    option_spec: ClassVar[dict[str, Callable[[str], Any]]] = {
        "start": directives.unchanged_required,
        "title": directives.unchanged_required,
        "name": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        node = agenda(title=self.options.get("title", "Agenda"))
        self.set_source_info(node)
        at, twelve = None, False
        if "start" in self.options:
            try:
                at, twelve = read_moment(self.options["start"])
            except AgendaError as error:
                self._report(f":start: {error}", self.lineno)
                return []
        before: Slot | None = None
        for text, line in self._items():
            try:
                when, what = _split(text)
                slot = read_slot(when, at, twelve)
            except AgendaError as error:
                self._report(str(error), line)
                continue
            if before and slot.start < before.end:
                self._report(f"'{slot}' overlaps '{before}'", line)
            elif before and slot.start > before.end:
                gap = Slot(before.end, slot.start, slot.twelve)
                self._report(
                    f"nothing happens at '{gap}' ({length(slot.start - before.end)}); add a break", line, gap=True
                )
            at, twelve, before = slot.end, slot.twelve, slot
            item = agenda_item(start=slot.start, end=slot.end, twelve=slot.twelve)
            item.source, item.line = self.get_source_info()[0], line
            children, messages = self.state.inline_text(what, line)
            item += [*children, *messages]
            node += item
        if not node.children:
            if before is None and not self.content:
                self._report("the agenda is empty; it takes items like `- 10:20-10:25am: Arrive`", self.lineno)
            return []
        self.add_name(node)
        return [node]

    def _items(self) -> Iterator[tuple[str, int]]:
        """The items' text, continuation lines joined, each with its line in the page."""
        text, line = "", 0
        for number, row in enumerate(self.content, self._first_line()):
            match = ITEM.match(row)
            if match:
                if text:
                    yield text, line
                text, line = match["text"].strip(), number
            elif row.strip() and text:
                text += " " + row.strip()
            elif row.strip():
                self._report(f"'{row.strip()}' is not an item; items begin with '- ' or '* '", number)
        if text:
            yield text, line

    def _first_line(self) -> int:
        """The line in the page of the first line of content.

        MyST counts `content_offset` from the fence and gives the content alone as `block_text`; docutils counts from
        the top of the page.
        """
        is_myst = self.block_text == "\n".join(self.content)
        return int(self.content_offset) + 1 + (int(self.lineno) if is_myst else 0)

    def _report(self, problem: str, line: int, *, gap: bool = False) -> None:
        report = logger.warning if gap else logger.error
        report(f"agenda: {problem}", location=(self.env.docname, line), type="coursebook", subtype="agenda")


def span_of(text: str) -> tuple[int, int] | None:
    """When the first agenda in a page's Markdown begins and ends, in minutes after midnight; None without one."""
    block = re.search(r"^(`{3,}|:{3,})\{agenda\}[^\n]*\n(.*?)^\1", text, re.MULTILINE | re.DOTALL)
    if not block:
        return None
    start = re.search(r"^:start:\s*(.+)$", block[2], re.MULTILINE)
    try:
        at, twelve = read_moment(start[1]) if start else (None, False)
        slots: list[Slot] = []
        for item in re.findall(r"^[-*+]\s+(.*)$", block[2], re.MULTILINE):
            slots.append(read_slot(_split(item)[0], at, twelve))
            at, twelve = slots[-1].end, slots[-1].twelve
    except AgendaError:  # the directive says what is wrong
        return None
    return (slots[0].start, slots[-1].end) if slots else None


def _split(text: str) -> tuple[str, str]:
    match = WHEN.match(text)
    if not match:
        raise AgendaError(f"'{text[:40]}' does not begin with a time and a colon; allowed: {ALLOWED}")
    return match["when"], match["what"]


def _visit_agenda(self: Any, node: agenda) -> None:
    items = [child for child in node.children if isinstance(child, agenda_item)]
    first, last = items[0], items[-1]
    whole = Slot(first["start"], last["end"], first["twelve"])
    ids = "".join(f' id="{escape(i)}"' for i in node["ids"][:1])
    self.body.append(
        f'<div class="agenda"{ids}>\n<p class="agenda-head"><span class="agenda-title">{escape(node["title"])}</span> '
        f'<span class="agenda-total">{whole} · {_duration(whole.end - whole.start)}</span></p>\n<ol>\n'
    )


def _depart_agenda(self: Any, node: agenda) -> None:
    self.body.append("</ol>\n</div>\n")


def _visit_item(self: Any, node: agenda_item) -> None:
    slot = Slot(node["start"], node["end"], node["twelve"])
    start, end = str(slot).split("–")
    self.body.append(
        f'<li><span class="agenda-when">{_time(slot.start, start)}–<wbr>{_time(slot.end, end)}</span> '
        '<span class="agenda-what">'
    )


def _depart_item(self: Any, node: agenda_item) -> None:
    self.body.append(f'</span> <span class="agenda-length">{_duration(node["end"] - node["start"])}</span></li>\n')


def _time(minutes: int, text: str) -> str:
    return f'<time datetime="{clock(minutes % 1440, False)}">{text}</time>'


def _duration(minutes: int) -> str:
    return f'<time datetime="PT{minutes}M">{length(minutes)}</time>'


class AgendaToList(SphinxPostTransform):
    """A plain list for the builders that don't write HTML (text, LaTeX, man pages)."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        if self.app.builder.format == "html":
            return
        for node in list(self.document.findall(agenda)):
            rows = nodes.bullet_list(bullet="-")
            for item in node.findall(agenda_item):
                slot = Slot(item["start"], item["end"], item["twelve"])
                lead = f"{slot} ({length(slot.end - slot.start)}): "
                rows += nodes.list_item("", nodes.paragraph("", "", nodes.Text(lead), *item.children))
            title = nodes.paragraph("", "", nodes.strong("", node["title"]))
            node.replace_self([title, rows])


def setup_agenda(app: Sphinx) -> None:
    app.add_node(agenda, html=(_visit_agenda, _depart_agenda))
    app.add_node(agenda_item, html=(_visit_item, _depart_item))
    app.add_directive("agenda", AgendaDirective)
    app.add_post_transform(AgendaToList)
