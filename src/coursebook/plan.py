"""What is current, what isn't and why, and what a build would execute. It reads and decides, and changes nothing."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from .course import Course
from .errors import CourseError
from .fingerprint import cell_digests, changed_inputs, code_digest, installed_version, same_version
from .page import Page
from .store import Provenance, Store, StoredPage

State = Literal["current", "stale", "missing", "altered", "due", "unreadable"]

# How exactly a version must be the recorded one, for each distribution; the rest: `major`.
EXACTNESS = {"torch": "minor", "torchvision": "minor"}


@dataclass(frozen=True)
class Environment:
    """Where a build would execute: how to look up the version of an installed distribution."""

    installed: Callable[[str], str | None] = installed_version


@dataclass(frozen=True)
class Decision:
    """About one page: its state, the reasons in words, whether a build executes it, and how long it took last time."""

    page: Page
    state: State
    reasons: tuple[str, ...]
    executes: bool
    seconds: float | None
    stored: StoredPage | None

    def __str__(self) -> str:
        return self.state + (f": {'; '.join(self.reasons)}" if self.reasons else "")


def plan(
    course: Course, store: Store, environment: Environment, *, now: datetime.datetime | None = None, force: bool = False
) -> list[Decision]:
    """A decision about each page with code, in the order of the table of contents."""
    now = now or datetime.datetime.now(datetime.UTC)
    left_over = _left_over(course, store)
    decisions = []
    for page in course.executed_pages():
        try:
            stored = store.read(page.docname) or _moved(page, left_over)
        except CourseError as error:
            decisions.append(Decision(page, "unreadable", (error.problem,), False, None, None))
            continue
        decisions.append(_decide(course, page, stored, environment, now, force))
    return decisions


def _decide(
    course: Course,
    page: Page,
    stored: StoredPage | None,
    environment: Environment,
    now: datetime.datetime,
    force: bool,
) -> Decision:
    if stored is None:
        return Decision(page, "missing", ("never executed",), True, None, None)
    provenance = stored.provenance
    reasons = [
        *_code_reasons(page, provenance),
        *(f"{name} {what}" for name, what in changed_inputs(course.root, provenance.inputs)),
        *_package_reasons(page, provenance, environment, course.exactness),
    ]
    state: State = "stale" if reasons else "current"
    if not stored.is_intact:
        state = "altered"
        reasons.insert(0, "outputs altered since they were executed")
    elif not reasons and course.max_age and _age(provenance, now) > course.max_age:
        state = "due"
        reasons.append(f"executed {_age(provenance, now).days} days ago, at most {course.max_age.days} allowed")
    return Decision(page, state, tuple(reasons), force or state != "current", provenance.seconds, stored)


def _code_reasons(page: Page, provenance: Provenance) -> list[str]:
    if code_digest(page) == provenance.code:
        return []
    now, then = cell_digests(page), provenance.cells
    if len(now) != len(then):
        difference = abs(len(now) - len(then))
        what = "added" if len(now) > len(then) else "removed"
        return [f"{difference} cell{'' if difference == 1 else 's'} {what}"]
    changed = [number for number, (a, b) in enumerate(zip(now, then, strict=True), 1) if a != b]
    if not changed:
        return ["the kernel's language changed"]
    if len(changed) == 1:
        return [f"cell {changed[0]} changed"]
    return [f"cells {', '.join(map(str, changed[:-1]))} and {changed[-1]} changed"]


def _package_reasons(
    page: Page, provenance: Provenance, environment: Environment, exactness: Mapping[str, str]
) -> list[str]:
    reasons = []
    for name, recorded in provenance.packages.items():
        installed = environment.installed(name)
        exact = exactness.get(name) or EXACTNESS.get(name, "major")
        if installed is None:
            reasons.append(f"{name} {recorded} is not installed")
        elif not same_version(recorded, installed, exact):
            reasons.append(f"{name} {_short(recorded)} -> {_short(installed)}")
    return reasons


def _short(version: str) -> str:
    return ".".join(version.partition("+")[0].split(".")[:2])


def _age(provenance: Provenance, now: datetime.datetime) -> datetime.timedelta:
    return now - datetime.datetime.fromisoformat(provenance.executed)


def _left_over(course: Course, store: Store) -> dict[str, StoredPage]:
    """Stored outputs that no page bears the name of, by the digest of their code: pages that were moved or renamed."""
    names = {page.docname for page in course.pages}
    found = {}
    for docname in store.docnames():
        if docname not in names:
            try:
                stored = store.read(docname)
            except CourseError:
                continue
            if stored:
                found[stored.provenance.code] = stored
    return found


def _moved(page: Page, left_over: Mapping[str, StoredPage]) -> StoredPage | None:
    return left_over.get(code_digest(page))
