"""Outputs are brought up to date: what is not current is executed, and each page stored when it is done."""

from __future__ import annotations

import datetime
from collections.abc import Collection
from typing import TYPE_CHECKING

from ..course import Course, remember
from ..execute import Before, Event, ExecutionOptions, PageDone, PageFailed, Reporter, settled
from ..ground import CourseError
from ..outputs import OWN, Decision, Environment, Failure, Failures, PlanOptions, Store, code_digest, plan

if TYPE_CHECKING:
    from ..execute.cluster import Cluster

NO_WORKER = (
    "no worker of the cluster offers a GPU (`dask worker ADDRESS --nthreads 1 --resources GPU=1` starts one that does)"
)


def bring_up_to_date(
    course: Course, reporter: Reporter, how: ExecutionOptions, docnames: Collection[str] | None = None
) -> tuple[int, list[CourseError]]:
    """Execute the pages of `course` that are not current (of `docnames`, if given) and store their outputs.

    Each page is stored when it has executed. Returns how many were, and what failed. Raises CourseError at once when a
    GPU is asked for and there is none, or for a cluster that can't be reached or is not as this machine.
    """
    if not how.cluster:
        return _bring_up_to_date(course, reporter, how, docnames, None)
    from ..execute.cluster import Cluster

    with Cluster(how.cluster, reporter.notice) as cluster:
        return _bring_up_to_date(course, reporter, how, docnames, cluster)


def _bring_up_to_date(
    course: Course, reporter: Reporter, how: ExecutionOptions, docnames: Collection[str] | None, cluster: Cluster | None
) -> tuple[int, list[CourseError]]:
    remember(course.root, course.pages)
    store, failures = Store(course.root), Failures(course.root)
    environment = Environment(device=how.device)
    if cluster:
        environment = Environment(find_gpus=cluster.gpus, device=how.device, without=NO_WORKER)
    if how.device == "gpu":
        _ = environment.gpus
    wish = PlanOptions(force=how.force or course.mode == "force", provisional=how.provisional)
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
        from ..execute import Slots, execute_pages

        here = Slots.here(pages, how.jobs, gpus)
        reporter.to_execute(told, len(here))
        peaks = {docname: provenance.peak_memory for docname, provenance in made.items()}
        errors += execute_pages(course, pages, tell, slots=here, cold=how.cold, memory=peaks)
    return done, errors


def _follow_a_move(store: Store, decision: Decision) -> None:
    """Outputs of a page that was renamed get its new name."""
    stored = decision.stored
    if stored and stored.docname != decision.page.docname and stored.is_intact:
        store.write(decision.page.docname, stored.notebook, stored.provenance)
        store.remove(stored.docname)
