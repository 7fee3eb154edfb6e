"""Executes pages afresh and compares what they say with what is published. The store is read, and never written."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from ..course import Course, Page
from ..execute import (
    Event,
    ExecutionOptions,
    PageDone,
    PageFailed,
    Reporter,
    environment_of,
    execute_with,
    executor_for,
)
from ..ground import CourseError
from ..outputs import Store, StoredPage, code_digest
from .judging import PageDrift, judge
from .records import Checks, PageCheck
from .words import Heading


def verify(
    course: Course, reporter: Reporter, how: ExecutionOptions, docnames: Collection[str] | None = None
) -> tuple[list[PageDrift], list[CourseError]]:
    """What became of the published outputs of `course` (of `docnames`, if given), in the order of the pages; and what
    kept pages from being executed that was none of their doing, the loss of a cluster, say: these are left out.

    A page is executed to its end though cells of it fail. `reporter` hears of the executions. Raises CourseError at
    once when a GPU is asked for and there is none, or for a cluster that can't be reached or is not as this machine.
    """
    errors: list[CourseError] = []
    with executor_for(how, reporter.notice) as executor:
        environment = environment_of(executor, how.device)
        pages = [page for page in course.executed_pages() if docnames is None or page.docname in docnames]
        has_gpu = any(page.options.device == "gpu" for page in pages) and bool(environment.gpus)
        found, published = _published(Store(course.root), pages, has_gpu=has_gpu)
        judged = _Judge(course, published, found)

        def tell(event: Event) -> None:
            judged.hear(event)
            reporter.tell(event)

        if published:
            wanted = [page for page in pages if page.docname in published]
            made = {docname: stored.provenance for docname, stored in published.items()}
            errors = execute_with(executor, environment, course, wanted, made, reporter, tell, keeps_going=True)
    drifts = [found[page.docname] for page in pages if page.docname in found]
    return drifts, [error for error in errors if error not in judged.failures]


def _published(
    store: Store, pages: Iterable[Page], *, has_gpu: bool
) -> tuple[dict[str, PageDrift], dict[str, StoredPage]]:
    """By docname: what is known of pages without executing them, and the outputs of those that are to be."""
    found: dict[str, PageDrift] = {}
    published: dict[str, StoredPage] = {}
    for page in pages:
        try:
            stored = store.read(page.docname)
        except CourseError as error:
            found[page.docname] = PageDrift(page, failure=str(error))
            continue
        if reason := _reason_to_skip(page, stored, has_gpu=has_gpu):
            found[page.docname] = PageDrift(page, skipped=reason, was=stored.provenance if stored else None)
        elif stored:
            published[page.docname] = stored
    return found, published


class _Judge:
    """Judges each page as soon as it has been executed, and puts what it comes to into `found`."""

    def __init__(self, course: Course, published: Mapping[str, StoredPage], found: dict[str, PageDrift]) -> None:
        self._course, self._published, self._found = course, published, found
        self._checks, _ = Checks(course.root).read()
        self.failures: list[CourseError] = []

    def hear(self, event: Event) -> None:
        match event:
            case PageDone(page, notebook, provenance, deprecations):
                stored = self._published[page.docname]
                drift = judge(
                    page,
                    stored.notebook,
                    notebook,
                    self._course.pages,
                    was=stored.provenance,
                    now=provenance,
                    deprecations=deprecations,
                )
                check = self._checks.get(page.docname)
                known = check.deprecations if check and check.outputs == stored.digest else ()
                self._found[page.docname] = replace(drift, digest=stored.digest, known=known)
            case PageFailed(page, error, _):
                self.failures.append(error)
                stored = self._published[page.docname]
                self._found[page.docname] = PageDrift(
                    page, failure=str(error), was=stored.provenance, digest=stored.digest
                )


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
