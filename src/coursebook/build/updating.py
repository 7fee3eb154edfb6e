"""Outputs are brought up to date: what is not current is executed, and each page stored when it is done."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence

from ..course import Course, remember
from ..execute import (
    Before,
    Event,
    ExecutionOptions,
    Executor,
    PageDone,
    PageFailed,
    Reporter,
    environment_of,
    execute_with,
    executor_for,
    settled,
)
from ..ground import CourseError
from ..outputs import Decision, Failure, Failures, PlanOptions, Store, code_digest, plan


def bring_up_to_date(
    course: Course, reporter: Reporter, how: ExecutionOptions, docnames: Collection[str] | None = None
) -> tuple[int, list[CourseError]]:
    """Execute the pages of `course` that are not current (of `docnames`, if given) and store their outputs.

    Each page is stored when it has executed. Returns how many were, and what failed. Raises CourseError at once when a
    GPU is asked for and there is none, or for a cluster that can't be reached or is not as this machine.
    """
    with executor_for(how, reporter.notice) as executor:
        return _bring_up_to_date(course, reporter, how, docnames, executor)


def _bring_up_to_date(
    course: Course, reporter: Reporter, how: ExecutionOptions, docnames: Collection[str] | None, executor: Executor
) -> tuple[int, list[CourseError]]:
    remember(course.root, course.pages)
    store, environment = Store(course.root), environment_of(executor, how.device)
    wish = PlanOptions(force=how.force or course.mode == "force", provisional=how.provisional)
    decisions = [
        decision
        for decision in plan(course, store, environment, wish)
        if docnames is None or decision.page.docname in docnames
    ]
    errors = [_unreadable(store, decision) for decision in decisions if decision.state == "unreadable"]
    for decision in decisions:
        _follow_a_move(store, decision)
        if decision.waits:
            reporter.waits(decision)
    wanted = [decision for decision in decisions if decision.executes]
    if not wanted:
        return 0, errors
    keeper = _Keeper(course, store, wanted)

    def tell(event: Event) -> None:
        keeper.take(event)
        reporter.tell(event)

    pages = [decision.page for decision in wanted]
    errors += execute_with(executor, environment, course, pages, keeper.made, reporter, tell)
    return keeper.done, errors


class _Keeper:
    """Keeps what comes of the executions of `wanted`, page by page: outputs in `store`, or how it failed."""

    def __init__(self, course: Course, store: Store, wanted: Sequence[Decision]) -> None:
        self._store, self._failures, self._there = store, Failures(course.root), Before(course.root)
        self.made = {decision.page.docname: decision.stored.provenance for decision in wanted if decision.stored}
        self.done = 0

    def take(self, event: Event) -> None:
        match event:
            case PageDone(page, notebook, provenance):
                answered = settled(provenance, self._there, self.made.get(page.docname))
                self._store.write(page.docname, notebook, answered)
                self._failures.note(page.docname, None)
                self.done += 1
            case PageFailed(page, error, _):
                now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
                self._failures.note(page.docname, Failure(code_digest(page), str(error).partition("\n")[0], now))


def _unreadable(store: Store, decision: Decision) -> CourseError:
    path = store.path(decision.page.docname).relative_to(store.root)
    return CourseError(path, None, str(decision.reasons[0]))


def _follow_a_move(store: Store, decision: Decision) -> None:
    """Outputs of a page that was renamed get its new name."""
    stored = decision.stored
    if stored and stored.docname != decision.page.docname and stored.is_intact:
        store.write(decision.page.docname, stored.notebook, stored.provenance)
        store.remove(stored.docname)
