"""The schedule: a table of the class days, made from the front matter of their pages, and a calendar to subscribe to.

    ```{schedule}
    ```

A page is a class day when its front matter says `coursebook: {date: 2027-02-18}`; `topic`, `before`, `labs` and `due`
fill the other columns.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from docutils import nodes
from icalendar import Calendar, Event
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from ...course import Page, in_words
from .agenda import span_of
from .current import Current, current_of
from .order import connect
from .withheld import title_of

CALENDAR = "calendar.ics"
COLUMNS = ("Day", "What it is about", "Before", "Labs", "Due")


class ScheduleDirective(SphinxDirective):
    has_content = False

    def run(self) -> list[nodes.Node]:
        current = current_of(self.env.app)
        self.env.coursebook_schedules = {*_schedules(self.env), self.env.docname}  # type: ignore[attr-defined]
        days = _days(current)
        if not days:
            message = "schedule: no page has a date (`coursebook: {date: 2027-02-18}` in its front matter)"
            return [self.state.document.reporter.warning(message, line=self.lineno)]
        rows = [(page, self._cells(page)) for page in days]
        # A column that no day fills is left out.
        shown = [n for n in range(len(COLUMNS)) if any(cells[n] for _, cells in rows)]
        table = nodes.table(classes=["schedule"])
        group = nodes.tgroup(cols=len(shown))
        table += group
        group += [nodes.colspec(colwidth=1) for _ in shown]
        group += nodes.thead("", nodes.row("", *(_entry([nodes.Text(COLUMNS[n])]) for n in shown)))
        following = next((page for page, _ in rows if _is_ahead(current, page)), None)
        body = nodes.tbody()
        for page, cells in rows:
            marked = ["next-class"] if page is following else []
            body += nodes.row("", *(_entry(cells[n]) for n in shown), classes=marked)
        group += body
        up = "../" * self.env.docname.count("/")
        link = nodes.reference("", "Subscribe to the dates", refuri=up + CALENDAR)
        return [table, nodes.paragraph("", "", link, nodes.Text(" in your calendar."), classes=["schedule-calendar"])]

    def _cells(self, page: Page) -> list[list[nodes.Node]]:
        current = current_of(self.env.app)
        options, here = page.options, self.env.docname
        assert options.date is not None
        name = title_of(page).partition(":")[0]
        day = nodes.raw("", f' <time datetime="{options.date}">{in_words(options.date)}</time>', format="html")
        name_and_day = [_link(page.docname, name, here), day]
        if page.docname in current.withheld:  # more of it isn't told yet
            return [name_and_day, [], [], [], []]
        labs: list[nodes.Node] = []
        for docname in options.labs:
            labs += [nodes.Text(", "), _link(docname, "", here)] if labs else [_link(docname, "", here)]
        due = "; ".join(f"{what}: {in_words(when)}" for what, when in options.due)
        return [
            name_and_day,
            self._inline(options.topic),
            self._inline(options.before),
            labs,
            [nodes.Text(due)] if due else [],
        ]

    def _inline(self, text: str) -> list[nodes.Node]:
        children, messages = self.state.inline_text(text, self.lineno) if text else ([], [])
        return [*children, *messages]


def _entry(children: list[nodes.Node]) -> nodes.entry:
    return nodes.entry("", nodes.paragraph("", "", *children))


def _link(docname: str, text: str, here: str) -> nodes.Node:
    """A link to a page, by its title where no text is given."""
    reference = addnodes.pending_xref(
        "", refdomain="std", reftype="doc", reftarget=f"/{docname}", refexplicit=bool(text), refwarn=True, refdoc=here
    )
    reference += nodes.inline("", text, classes=["std", "std-doc"])
    return reference


def _days(current: Current) -> list[Page]:
    """The pages with a date that readers may know of, in the order of their dates."""
    if current.course is None or current.moment is None:
        return []
    moment = current.moment
    known = [p for p in current.course.pages if p.options.date and (moment.shows(p) or moment.announces(p))]
    return sorted(known, key=lambda page: (page.options.date or datetime.date.min, page.docname))


def _is_ahead(current: Current, page: Page) -> bool:
    day = page.options.date
    return day is not None and current.moment is not None and day >= current.moment.day


def _schedules(env: BuildEnvironment) -> set[str]:
    return getattr(env, "coursebook_schedules", set())


def _forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """A page that is read anew may have no schedule any more."""
    env.coursebook_schedules = _schedules(env) - {docname}  # type: ignore[attr-defined]


def _merge(app: Sphinx, env: BuildEnvironment, docnames: set[str], other: BuildEnvironment) -> None:
    env.coursebook_schedules = _schedules(env) | (_schedules(other) & docnames)  # type: ignore[attr-defined]


def _outdated(app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    """Pages with a schedule, when a date or a title that stands in it has changed."""
    current = current_of(app)
    now = repr([(page.docname, title_of(page), page.options, _is_ahead(current, page)) for page in _days(current)])
    then = getattr(env, "coursebook_scheduled", "")
    env.coursebook_scheduled = now  # type: ignore[attr-defined]
    return sorted(_schedules(env) & env.all_docs.keys()) if now != then else []


def _write_calendar(app: Sphinx, exception: Exception | None) -> None:
    current = current_of(app)
    days = [page for page in _days(current) if current.moment is not None and current.moment.shows(page)]
    if exception or app.builder.format != "html" or not days or current.course is None:
        return
    base = app.config.html_baseurl
    host = urlsplit(base).hostname or "coursebook.invalid"
    calendar = Calendar()
    calendar.add("prodid", "-//Coursebook//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", app.config.html_title or current.course.config.get("title", "Course"))
    for page in days:
        calendar.add_component(_event(page, current.course.timezone, base, host))
        for what, day in page.options.due:
            event = Event()
            event.add("uid", f"due-{page.docname}-{what}@{host}".replace(" ", "-"))
            event.add("dtstamp", _stamp(day))
            event.add("summary", f"Due: {what}")
            event.add("dtstart", day)
            calendar.add_component(event)
    dates = [page.options.date for page in days if page.options.date]
    calendar.add_missing_timezones(min(dates), max(dates) + datetime.timedelta(days=366))
    (Path(app.outdir) / CALENDAR).write_bytes(calendar.to_ical())


def _event(page: Page, zone: datetime.tzinfo | None, base: str, host: str) -> Event:
    options, day = page.options, page.options.date
    assert day is not None
    event = Event()
    event.add("uid", f"{page.docname}@{host}")
    event.add("dtstamp", _stamp(day))
    event.add("summary", title_of(page))
    if span := span_of(page.prose):
        midnight = datetime.datetime.combine(day, datetime.time(), zone)
        event.add("dtstart", midnight + datetime.timedelta(minutes=span[0]))
        event.add("dtend", midnight + datetime.timedelta(minutes=span[1]))
    else:
        event.add("dtstart", day)
    told = [options.topic, f"Before: {options.before}" if options.before else ""]
    if any(told):
        event.add("description", "\n".join(text for text in told if text))
    if base:
        event.add("url", urljoin(base, f"{page.docname}.html"))
    return event


def _stamp(day: datetime.date) -> datetime.datetime:
    """Not the time of writing: equal schedules are equal bytes."""
    return datetime.datetime.combine(day, datetime.time(), datetime.UTC)


def _add_script(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    if pagename in _schedules(app.env):
        app.add_js_file("schedule.js", loading_method="defer")


def setup(app: Sphinx) -> None:
    app.add_directive("schedule", ScheduleDirective)
    connect(app, "env-purge-doc", _forget)
    connect(app, "env-merge-info", _merge)
    connect(app, "env-get-outdated", _outdated)
    connect(app, "build-finished", _write_calendar)
    connect(app, "html-page-context", _add_script)
