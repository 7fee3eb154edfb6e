"""The whole way: read the course, execute what has changed, render the site."""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .course import Course
from .errors import CourseError, CourseErrors
from .execute.events import Event, PageDone, PageFailed
from .execute.provenance import Before, settled
from .failures import Failure, Failures
from .fingerprint import OWN, code_digest
from .kernelspecs import interpreter
from .live import Live
from .memory import remember
from .plan import Decision, Device, Environment, Wish, plan
from .process import Problem, RenderingProcess
from .release import Moment
from .render import render
from .snapshot import SITE, Snapshot
from .store import Store

if TYPE_CHECKING:
    from .execute.cluster import Cluster

RETRY = 600.0  # s; npm isn't asked again before that by builds in which nothing has changed

NO_WORKER = (
    "no worker of the cluster offers a GPU (`dask worker ADDRESS --nthreads 1 --resources GPU=1` starts one that does)"
)


class Reporter(Protocol):
    """Hears how a build goes on."""

    def to_execute(self, pages: Sequence[tuple[str, int, float | None]], slots: int) -> None: ...
    def waits(self, docname: str, reason: str) -> None: ...
    def tell(self, event: Event) -> None: ...
    def rendering(self, pages: int) -> None: ...
    def notice(self, text: str) -> None: ...
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
    """How to execute: every page (`force`), `jobs` at a time (None: the number of cores), each kernel anew (`cold`), on
    which `device`, and GPU pages without outputs on a CPU (`provisional`). `cluster` is the address of the scheduler
    whose workers execute them; empty for this machine."""

    force: bool = False
    jobs: int | None = None
    cold: bool = False
    device: Device = "auto"
    provisional: bool = False
    cluster: str = ""


def build(
    root: Path,
    reporter: Reporter,
    how: How,
    snapshot: Snapshot,
    process: RenderingProcess,
    *,
    lenient: bool = False,
    as_of: datetime.date | None = None,
    drafts: bool = False,
) -> Result:
    """Build the course at `root`, the site in `process`; `snapshot` was made before, and is saved when all is well.

    The site is that of the day `as_of`, or of today where the course is taught; with `drafts`, of all that there is.

    A page that fails keeps its last good outputs on the site, with a notice, and doesn't hold back the others. Raises
    CourseErrors after that, or when the site can't be rendered: then the earlier site stays as it is.
    """
    snapshot.forget()
    course = Course.load(root)
    done, errors = bring_up_to_date(course, reporter, how)
    snapshot.take_outputs()
    since, moment = time.time(), course.today
    decisions = plan(course, Store(course.root), Environment(device=how.device))
    if any(decision.state == "unreadable" for decision in decisions):
        # What the site shows of that page is all there is.
        raise CourseErrors("the course has errors", errors)
    if as_of or drafts:
        moment = Moment(as_of or moment.day, drafts=drafts, is_preview=True)
    is_whole = _fetch_live_code(course, reporter)
    reporter.rendering(len(course.pages))
    try:
        warnings = render(process, course, moment, decisions, lenient=lenient, log=reporter.log)
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
    """Have what live code is made of, if the course wants it. False where it can't be had: the site does without."""
    if Live.of(course) is None or not any(page.cells for page in course.pages):
        return True
    from .javascript import Unavailable, bundle, make_bundle

    if bundle() is None:
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
        from .checks import Checks, watched

        _, runs = Checks(course.root).read()
        due = [job.due.timestamp() for job in watched(course.jobs, runs) if job.due]
        moments += [end for end in due if end > since]
    if day := moment.next_change(course.pages):
        moments.append(datetime.datetime.combine(day, datetime.time(), course.timezone).timestamp())
    return min(moments, default=None)


def bring_up_to_date(
    course: Course, reporter: Reporter, how: How, docnames: Collection[str] | None = None
) -> tuple[int, list[CourseError]]:
    """Execute the pages of `course` that are not current (of `docnames`, if given) and store their outputs.

    Each page is stored when it has executed. Returns how many were, and what failed. Raises CourseError at once when a
    GPU is asked for and there is none, or for a cluster that can't be reached or is not as this machine.
    """
    if not how.cluster:
        return _bring_up_to_date(course, reporter, how, docnames, None)
    from .execute.cluster import Cluster

    with Cluster(how.cluster, reporter.notice) as cluster:
        return _bring_up_to_date(course, reporter, how, docnames, cluster)


def _bring_up_to_date(
    course: Course, reporter: Reporter, how: How, docnames: Collection[str] | None, cluster: Cluster | None
) -> tuple[int, list[CourseError]]:
    remember(course.root, course.pages)
    store, failures = Store(course.root), Failures(course.root)
    environment = Environment(device=how.device)
    if cluster:
        environment = Environment(find_gpus=cluster.gpus, device=how.device, without=NO_WORKER)
    if how.device == "gpu":
        _ = environment.gpus
    wish = Wish(force=how.force or course.mode == "force", provisional=how.provisional)
    decisions = plan(course, store, environment, wish)
    if docnames is not None:
        decisions = [decision for decision in decisions if decision.page.docname in docnames]
    errors = [
        CourseError(store.path(d.page.docname).relative_to(course.root), None, d.reasons[0])
        for d in decisions
        if d.state == "unreadable"
    ]
    for decision in decisions:
        _follow_a_move(store, decision)
        if decision.waits:
            reporter.waits(decision.page.docname, str(decision))
    # The longest first: what is short fills the end.
    wanted = sorted((d for d in decisions if d.executes), key=lambda d: -(d.seconds or 0.0))
    done = 0

    def tell(event: Event) -> None:
        nonlocal done
        match event:
            case PageDone(page, notebook, provenance):
                store.write(page.docname, notebook, settled(provenance, there, made.get(page.docname)))
                failures.note(page.docname, None)
                done += 1
            case PageFailed(page, error, _):
                now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
                failures.note(page.docname, Failure(code_digest(page), str(error).partition("\n")[0], now))
        reporter.tell(event)

    if not wanted:
        return done, errors
    there = Before(course.root)
    pages = [decision.page for decision in wanted]
    gpus = environment.gpus if any(page.options.device == "gpu" for page in pages) else ()
    told = [(d.page.docname, len(d.page.cells), d.seconds) for d in wanted]
    made = {d.page.docname: d.stored.provenance for d in wanted if d.stored}
    if cluster:
        slots = cluster.prepare(
            course,
            pages,
            packages={name for provenance in made.values() for name in provenance.packages},
            inputs={
                name for provenance in made.values() for name, digest in provenance.inputs.items() if digest != OWN
            },
            on_gpu=bool(gpus),
            jobs=how.jobs,
            cold=how.cold,
        )
        reporter.to_execute(told, slots)
        errors += cluster.execute(tell)
    else:
        # Imported here: what is current needs no kernel, and the machinery for one takes a while to import.
        from .execute.local import Slots, execute

        here = Slots.here(pages, how.jobs, gpus)
        reporter.to_execute(told, len(here))
        peaks = {docname: provenance.peak_memory for docname, provenance in made.items()}
        errors += execute(course, pages, tell, slots=here, cold=how.cold, memory=peaks)
    return done, errors


def _follow_a_move(store: Store, decision: Decision) -> None:
    """Outputs of a page that was renamed get its new name."""
    stored = decision.stored
    if stored and stored.docname != decision.page.docname and stored.is_intact:
        store.write(decision.page.docname, stored.notebook, stored.provenance)
        store.remove(stored.docname)
