"""Executes pages afresh and compares what they say with what is published. The store is read, and never written."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from ..course import Course, Page
from ..execute import Event, ExecutionOptions, PageDone, PageFailed, Reporter
from ..ground import CourseError
from ..outputs import Environment, Store, StoredPage, code_digest
from .judging import PageDrift, judge
from .records import Checks, PageCheck
from .words import Heading


def verify(
    course: Course, reporter: Reporter, how: ExecutionOptions, docnames: Collection[str] | None = None
) -> list[PageDrift]:
    """What became of the published outputs of `course` (of `docnames`, if given), in the order of the pages.

    A page is executed to its end though cells of it fail. `reporter` hears of the executions. Raises CourseError at
    once when a GPU is asked for and there is none.
    """
    from ..execute import Slots, execute_pages

    store, environment = Store(course.root), Environment(device=how.device)
    checks, _ = Checks(course.root).read()
    pages = [page for page in course.executed_pages() if docnames is None or page.docname in docnames]
    gpus = environment.gpus if how.device == "gpu" or any(page.options.device == "gpu" for page in pages) else ()
    found: dict[str, PageDrift] = {}
    published: dict[str, StoredPage] = {}
    for page in pages:
        try:
            stored = store.read(page.docname)
        except CourseError as error:
            found[page.docname] = PageDrift(page, failure=str(error))
            continue
        if reason := _reason_to_skip(page, stored, has_gpu=bool(gpus)):
            found[page.docname] = PageDrift(page, skipped=reason, was=stored.provenance if stored else None)
        elif stored:
            published[page.docname] = stored

    def tell(event: Event) -> None:
        match event:
            case PageDone(page, notebook, provenance, deprecations):
                stored = published[page.docname]
                drift = judge(
                    page,
                    stored.notebook,
                    notebook,
                    course.pages,
                    was=stored.provenance,
                    now=provenance,
                    deprecations=deprecations,
                )
                check = checks.get(page.docname)
                known = check.deprecations if check and check.outputs == stored.digest else ()
                found[page.docname] = replace(drift, digest=stored.digest, known=known)
            case PageFailed(page, error, _):
                stored = published[page.docname]
                found[page.docname] = PageDrift(page, failure=str(error), was=stored.provenance, digest=stored.digest)
        reporter.tell(event)

    # The longest first: what is short fills the end.
    wanted = sorted(published, key=lambda docname: -published[docname].provenance.seconds)
    if wanted:
        by_name = {page.docname: page for page in pages}
        to_execute = [by_name[docname] for docname in wanted]
        slots = Slots.here(to_execute, how.jobs, gpus)
        made = {docname: stored.provenance for docname, stored in published.items()}
        reporter.to_execute([(p.docname, len(p.cells), made[p.docname].seconds) for p in to_execute], len(slots))
        peaks = {docname: provenance.peak_memory for docname, provenance in made.items()}
        execute_pages(course, to_execute, tell, slots=slots, cold=how.cold, memory=peaks, keeps_going=True)
    return [found[page.docname] for page in pages]


def page_checks(drifts: Iterable[PageDrift]) -> dict[str, PageCheck]:
    """What is kept of a verification for the site, by docname; nothing of pages that were skipped."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    found = {}
    for drift in drifts:
        if drift.verdict == "skipped" or not drift.digest:
            continue
        packages = drift.now.packages if drift.now else {}
        said = sorted({*drift.deprecations, *drift.known})
        found[drift.page.docname] = PageCheck(
            drift.digest, now, drift.verdict, len(drift.changed), packages, tuple(said)
        )
    return found


def heading_of_verification(drifts: Iterable[PageDrift], canary: Sequence[str] = ()) -> Heading:
    """What stands above the report of a verification; `canary` holds the requirements of its environment."""
    now = datetime.datetime.now(datetime.UTC).isoformat(" ", timespec="minutes").removesuffix("+00:00")
    fresh = [drift.now for drift in drifts if drift.now]
    packages = {name: version for provenance in fresh for name, version in provenance.packages.items()}
    facts = {"When": f"{now} UTC", "Python": platform.python_version()}
    if canary:
        facts["Asked for"] = ", ".join(canary)
    if packages:
        facts["Packages"] = ", ".join(f"{name} {version}" for name, version in sorted(packages.items()))
    devices = sorted({provenance.device_name or "CPU" for provenance in fresh})
    if devices:
        facts["Executed on"] = ", ".join(devices)
    return Heading("Drift with other packages" if canary else "Drift", "published", "executed now", facts)


def _reason_to_skip(page: Page, stored: StoredPage | None, *, has_gpu: bool) -> str:
    """Why a page can't be compared with what is published of it; empty where it can."""
    if stored is None:
        return "never executed, so there is nothing to compare with"
    if not stored.is_intact:
        return "its outputs were altered since they were executed"
    if stored.provenance.code != code_digest(page):
        return "its code has changed since it was executed; execute it first"
    device = stored.provenance.device
    if page.options.device == "gpu" and device == "gpu" and not has_gpu:
        return "its outputs come from a GPU, and there is none here"
    if page.options.device == "gpu" and device == "cpu" and has_gpu and not stored.provenance.offered:
        return "its outputs come from a CPU, which a GPU is not compared with; `--device cpu` does compare"
    return ""
