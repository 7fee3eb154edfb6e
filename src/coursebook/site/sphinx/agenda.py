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
from html import escape
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from .clock import ALLOWED, AgendaError, Slot, clock, length, read_moment, read_slot

logger = logging.getLogger(__name__)
ITEM = re.compile(r"^(?P<bullet>[-*+])\s+(?P<text>.*)$")
# The time ends at the first colon that isn't part of a clock; a dash or a bar reads as well.
WHEN = re.compile(r"^(?P<when>[^:|]*?(?:\d:\d{2}[^:|]*?)*)\s*(?::(?!\d)|\|)\s*(?P<what>.*)$", re.S)


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


def setup(app: Sphinx) -> None:
    app.add_node(agenda, html=(_visit_agenda, _depart_agenda))
    app.add_node(agenda_item, html=(_visit_item, _depart_item))
    app.add_directive("agenda", AgendaDirective)
    app.add_post_transform(AgendaToList)
