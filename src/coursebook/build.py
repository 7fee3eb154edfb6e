"""The whole way: read the course, execute what has changed, render the site."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .course import Course
from .errors import CourseError, CourseErrors
from .execute.local import Event, PageDone, execute, slots_for
from .plan import Decision, Environment, plan
from .render import Problem, render
from .snapshot import SITE, Snapshot
from .store import Store


class Reporter(Protocol):
    """Hears how a build goes on."""

    def to_execute(self, pages: Sequence[tuple[str, int, float | None]], slots: int) -> None: ...
    def tell(self, event: Event) -> None: ...
    def rendering(self, pages: int) -> None: ...
    def log(self, line: str) -> None: ...


@dataclass(frozen=True)
class Result:
    """`site` is the path of the built home page; `warnings` are those a lenient build passed over."""

    site: Path
    pages: int
    executed: int
    warnings: Sequence[Problem]


@dataclass(frozen=True)
class How:
    """How to execute: every page (`force`), `jobs` at a time (None: the number of cores), each kernel anew (`cold`)."""

    force: bool = False
    jobs: int | None = None
    cold: bool = False


def build(root: Path, reporter: Reporter, how: How, snapshot: Snapshot, *, lenient: bool = False) -> Result:
    """Build the course at `root`; `snapshot` was made of it before, and is saved when all is well.

    Raises CourseErrors; outputs of pages that did execute are kept, and the earlier site stays as it is.
    """
    snapshot.forget()
    course = Course.load(root)
    done, errors = bring_up_to_date(course, reporter, how)
    if errors:
        raise CourseErrors("some pages could not be executed", errors)
    reporter.rendering(len(course.pages))
    warnings = render(course, lenient=lenient, log=reporter.log)
    if not warnings and course.mode != "force":
        snapshot.save(len(course.pages), _due(course))
    home = course.root / SITE / "index.html"
    return Result(home, len(course.pages), done, warnings)


def _due(course: Course) -> float | None:
    """When the oldest outputs become too old, in seconds since 1970."""
    if course.max_age is None:
        return None
    decisions = plan(course, Store(course.root), Environment())
    made = [datetime.datetime.fromisoformat(d.stored.provenance.executed) for d in decisions if d.stored]
    return (min(made) + course.max_age).timestamp() if made else None


def bring_up_to_date(
    course: Course, reporter: Reporter, how: How, docnames: Collection[str] | None = None
) -> tuple[int, list[CourseError]]:
    """Execute the pages of `course` that are not current (of `docnames`, if given) and store their outputs.

    Each page is stored when it has executed. Returns how many were, and what failed.
    """
    store = Store(course.root)
    decisions = plan(course, store, Environment(), force=how.force or course.mode == "force")
    if docnames is not None:
        decisions = [decision for decision in decisions if decision.page.docname in docnames]
    errors = [
        CourseError(store.path(d.page.docname).relative_to(course.root), None, d.reasons[0])
        for d in decisions
        if d.state == "unreadable"
    ]
    for decision in decisions:
        _follow_a_move(store, decision)
    # The longest first: what is short fills the end.
    wanted = sorted((d for d in decisions if d.executes), key=lambda d: -(d.seconds or 0.0))
    slots = slots_for(len(wanted), how.jobs)
    reporter.to_execute([(d.page.docname, len(d.page.cells), d.seconds) for d in wanted], slots)
    done = 0

    def tell(event: Event) -> None:
        nonlocal done
        if isinstance(event, PageDone):
            store.write(event.page.docname, event.notebook, event.provenance)
            done += 1
        reporter.tell(event)

    if wanted:
        peaks = {d.page.docname: d.stored.provenance.peak_memory for d in wanted if d.stored}
        pages = [decision.page for decision in wanted]
        errors += execute(course, pages, tell, slots=slots, cold=how.cold, memory=peaks)
    return done, errors


def _follow_a_move(store: Store, decision: Decision) -> None:
    """Outputs of a page that was renamed get its new name."""
    stored = decision.stored
    if stored and stored.docname != decision.page.docname and stored.is_intact:
        store.write(decision.page.docname, stored.notebook, stored.provenance)
        store.remove(stored.docname)
