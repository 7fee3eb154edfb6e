"""The whole way: read the course, execute what has changed, render the site."""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..course import Course, Moment
from ..execute import ExecutionOptions, Reporter
from ..ground import SITE, CourseError, CourseErrors
from ..live import Live
from ..outputs import Decision, Environment, Store, interpreter, plan
from ..site import Problem, RenderingProcess, render
from .site_options import SiteOptions
from .snapshot import Snapshot
from .updating import bring_up_to_date

RETRY = 600.0  # s; npm isn't asked again before that by builds in which nothing has changed


@dataclass(frozen=True)
class Result:
    """`site` is the path of the built home page; `warnings` are those a lenient build passed over."""

    site: Path
    pages: int
    executed: int
    warnings: Sequence[Problem]


def build(
    reporter: Reporter, how: ExecutionOptions, wanted: SiteOptions, snapshot: Snapshot, process: RenderingProcess
) -> Result:
    """Build the course that `snapshot` was taken of, the site in `process`; the snapshot is saved when all is well.

    A page that fails keeps its last good outputs on the site, with a notice, and doesn't hold back the others. Raises
    CourseErrors after that, or when the site can't be rendered: then the earlier site stays as it is.
    """
    snapshot.forget()
    course = Course.load(snapshot.root)
    done, errors = bring_up_to_date(course, reporter, how)
    snapshot.take_outputs()
    since, moment = time.time(), course.today
    decisions = plan(course, Store(course.root), Environment(device=how.device))
    if any(decision.state == "unreadable" for decision in decisions):
        # What the site shows of that page is all there is.
        raise CourseErrors("the course has errors", errors)
    if wanted.as_of or wanted.drafts:
        moment = Moment(wanted.as_of or moment.day, drafts=wanted.drafts, is_preview=True)
    is_whole = _fetch_live_code(course, reporter)
    reporter.rendering(len(course.pages))
    try:
        warnings = render(process, course, moment, decisions, lenient=wanted.lenient, log=reporter.log)
    except CourseErrors as group:
        errors += [error for error in group.exceptions if isinstance(error, CourseError)]
    if errors:
        raise CourseErrors("the course has errors", errors)
    is_done = not any(decision.executes for decision in decisions)
    if not warnings and course.mode != "force" and is_done and not moment.is_preview:
        waits = any(decision.waits for decision in decisions)
        due, tells_dates = _until(course, decisions, moment, since), bool(course.address)
        if not is_whole:
            due = min(due or math.inf, time.time() + RETRY)
        made = [decision.stored.provenance for decision in decisions if decision.stored]
        kernels = [interpreter(name) for name in {provenance.kernel for provenance in made} - {""}]
        snapshot.save(
            len(course.pages),
            due,
            inputs={name for provenance in made for name in provenance.inputs},
            places={place for kernel in kernels if kernel for place in kernel.path},
            waits=waits,
            tells_dates=tells_dates,
        )
    return Result(course.root / SITE / "index.html", len(course.pages), done, warnings)


def _fetch_live_code(course: Course, reporter: Reporter) -> bool:
    """Get what live code is made of, if the course wants it. False where it can't be had: the site does without."""
    if Live.of(course) is None or not any(page.cells for page in course.pages):
        return True
    from ..live import Unavailable, made_bundle, make_bundle

    if made_bundle() is None:
        reporter.notice("fetching the JavaScript of live code from npm; later builds have it")
    try:
        make_bundle()
    except Unavailable as reason:
        reporter.notice(f"live code is left out: its JavaScript can't be had ({reason})")
        return False
    return True


def _until(course: Course, decisions: Sequence[Decision], moment: Moment, since: float) -> float | None:
    """When outputs become too old, a job overdue or something is released, in seconds since 1970; None for never.

    That counts from `since` and from the day that the site is of: what happens while it is made isn't on it.
    """
    moments = []
    made = [datetime.datetime.fromisoformat(d.stored.provenance.executed) for d in decisions if d.stored]
    if course.max_age is not None and made:
        moments.append(min(made).timestamp() + course.max_age.total_seconds())
    if course.jobs:
        from ..drift import Checks, watched

        _, runs = Checks(course.root).read()
        due = [job.due.timestamp() for job in watched(course.jobs, runs) if job.due]
        moments += [end for end in due if end > since]
    if day := moment.next_change(course.pages):
        moments.append(datetime.datetime.combine(day, datetime.time(), course.timezone).timestamp())
    return min(moments, default=None)
