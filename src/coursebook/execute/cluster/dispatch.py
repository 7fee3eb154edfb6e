"""Which page is executed on which worker: the longest first, again where a worker was lost, and never twice at once.

A page is a task for one worker, which Dask may not give to another. So it is known which pages a lost worker takes with
it, and a page that took one with it is tried again alone on the next, where it can't be blamed for another's doing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any

from distributed import Future
from distributed.scheduler import KilledWorker

from ...course import Page
from ...ground import CourseError
from .. import CellStarted, Event, PageDone, PageFailed, PageStarted
from .handshake import Member
from .members import Members
from .protocol import GPU, NAME, Answer, NotHere
from .scheduler import SchedulerLost
from .task import execute_page

PATIENCE = 120.0  # s to wait for a worker when there is none that could execute a page
TICK = 0.5  # s between two looks at who is there
KILLS = 3  # workers that a page may take with it


@dataclass(eq=False)
class _Attempt:
    """A page that a worker has to execute; `has_begun` when the worker said so. `seconds` counts from here."""

    page: Page
    member: Member
    number: int
    on_gpu: bool
    future: Future[Answer]
    submitted: float
    has_begun: bool = False


class Dispatch:
    """Pages on their way through the workers of `crew`, in their order; `most` of them at a time.

    Those that ask for a GPU get one if `on_gpu`. `notice` hears what whoever waits should know.
    """

    def __init__(
        self, crew: Members, pages: Sequence[Page], *, on_gpu: bool, most: int | None, notice: Callable[[str], None]
    ) -> None:
        def wants(page: Page) -> bool:
            return on_gpu and page.options.device == "gpu"

        self._crew, self._scheduler, self._notice = crew, crew.scheduler, notice
        self._most = most or len(pages)
        self._for_gpu = [page for page in pages if wants(page)]
        self._for_cpu = [page for page in pages if not wants(page)]
        self._running: dict[asyncio.Future[Answer], _Attempt] = {}
        self._attempts: dict[str, int] = {}  # by docname, as the next two
        self._lost: dict[str, list[str]] = {}  # the workers that were lost under a page
        self._furthest: dict[str, int] = {}  # the cell that was told of last, 0 for none yet
        self.errors: list[CourseError] = []
        self._alone_since: float | None = None

    @property
    def slots(self) -> int:
        """How many pages can be executed at a time, as things are."""
        threads = sum(member.threads for member in self._crew.members.values())
        return max(1, min(threads, self._most, len(self._for_gpu) + len(self._for_cpu)))

    async def execute(self, tell: Callable[[Event], None]) -> list[CourseError]:
        """Execute every page, whatever workers come and go meanwhile. Returns what failed.

        Raises SchedulerLost.
        """
        self._tell = tell
        self._scheduler.hear(NAME, self._hear)
        while self._for_gpu or self._for_cpu or self._running:
            self._place()
            if not self._is_worth_waiting():
                break
            done = await self._some()
            for task in sorted(done, key=_is_lost):  # what has arrived is stored before the loss ends it all
                self._take(task, self._running.pop(task))
            for member in await self._crew.muster():
                await self._lose(member)
        return self.errors

    async def cancel(self) -> None:
        """Take the pages that are under way back from the cluster."""
        futures = [attempt.future for attempt in self._running.values()]
        for task in self._running:
            task.cancel()
        self._running.clear()
        if futures:
            await self._scheduler.cancel(futures)

    async def _some(self) -> set[asyncio.Future[Answer]]:
        """Pages that have ended, as soon as there is one; none after a TICK."""
        if not self._running:
            await asyncio.sleep(TICK)
            return set()
        done, _ = await asyncio.wait(self._running, timeout=TICK, return_when=asyncio.FIRST_COMPLETED)
        return done

    def _place(self) -> None:
        """Give pages to workers that have room; those with a GPU come last, so that it stays free for who wants it."""
        while len(self._running) < self._most:
            members = self._crew.members.values()
            for member in sorted(members, key=lambda m: (m.gpus > 0, len(m.pages) / m.threads)):
                if len(member.pages) < member.threads and self._start_next(member):
                    break
            else:
                return

    def _start_next(self, member: Member) -> bool:
        """Start the next page that may run on `member`, if there is one."""
        if self._lost.keys() & member.pages:
            return False  # which is to be alone there
        for queue, on_gpu in ((self._for_gpu, True), (self._for_cpu, False)):
            if on_gpu and len(member.on_gpu) >= member.gpus:
                continue
            for index, page in enumerate(queue):
                if page.docname not in self._lost or not member.pages:
                    self._start(queue.pop(index), member, on_gpu)
                    return True
        return False

    def _start(self, page: Page, member: Member, on_gpu: bool) -> None:
        run = self._crew.run
        number = self._attempts[page.docname] = self._attempts.get(page.docname, 0) + 1
        future = self._scheduler.submit(
            execute_page, run.id, page.path.as_posix(), number, on_gpu,
            key=(f"{NAME}-{run.id}", page.docname, number), pure=False, retries=0,
            workers=[member.address], allow_other_workers=False, resources={GPU: 1} if on_gpu else None,
        )  # fmt: skip
        attempt = _Attempt(page, member, number, on_gpu, future, time.perf_counter())
        self._running[asyncio.create_task(self._scheduler.result(future))] = attempt
        member.pages.add(page.docname)
        if on_gpu:
            member.on_gpu.add(page.docname)

    def _hear(self, event: tuple[float, Any]) -> None:
        """Hear from the workers, of other commands' pages as well."""
        told = event[1]
        if told["run"] != self._crew.run.id:
            return
        for attempt in self._running.values():
            page = attempt.page
            if (page.path.as_posix(), attempt.number) == (told["path"], told["attempt"]):
                attempt.has_begun = True
                self._begun(page)
                # When a page is executed again, its first cells have been told of.
                if self._furthest[page.docname] < told["cell"] <= len(page.cells):
                    self._furthest[page.docname] = told["cell"]
                    self._tell(CellStarted(page, page.cells[told["cell"] - 1]))

    def _begun(self, page: Page) -> None:
        if page.docname not in self._furthest:
            self._furthest[page.docname] = 0
            self._tell(PageStarted(page))

    def _take(self, task: asyncio.Future[Answer], attempt: _Attempt) -> None:
        """Take what a worker answered. Raises CourseError for what is no page's fault, like a full disk there."""
        page = attempt.page
        self._leaves(attempt)
        if task.cancelled() or isinstance(error := task.exception(), CancelledError):
            self._again(attempt)  # somebody took it away
        elif isinstance(error, SchedulerLost):
            raise error
        elif isinstance(error, KilledWorker):
            self._blame(attempt)
        elif isinstance(error, NotHere):
            # A new process at an old address: if the page had begun, the other has ended under it.
            self._crew.dismiss(attempt.member)
            self._blame(attempt)
        elif error is not None:
            what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise CourseError(f"worker {attempt.member}", None, f"{what} (while it had to execute {page.docname})")
        else:
            self._begun(page)
            answer = task.result()
            if answer.error:
                self._fail(attempt, answer.error, answer.seconds)
            else:
                assert answer.notebook is not None
                assert answer.provenance is not None
                self._tell(PageDone(page, answer.notebook, answer.provenance, answer.deprecations))

    async def _lose(self, member: Member) -> None:
        """`member` is gone: its pages are executed elsewhere."""
        for task, attempt in list(self._running.items()):
            if attempt.member is member and not task.done():
                del self._running[task]
                task.cancel()
                await self._scheduler.cancel([attempt.future])
                self._leaves(attempt)
                self._blame(attempt)

    def _blame(self, attempt: _Attempt) -> None:
        """A worker was lost while it had this page; that may be the page's doing if it had begun."""
        page = attempt.page
        if not attempt.has_begun:
            return self._again(attempt)
        lost = self._lost.setdefault(page.docname, [])
        lost.append(attempt.member.name)
        if len(lost) < KILLS:
            self._notice(f"worker {attempt.member} was lost; {page.docname} is executed again on another")
            return self._again(attempt)
        problem = (
            f"the page has killed three workers ({', '.join(lost)}): each was lost while executing it, the last ones "
            "with no other page on them; they may have too little memory for it"
        )
        return self._fail(attempt, CourseError(page.path, None, problem), time.perf_counter() - attempt.submitted)

    def _again(self, attempt: _Attempt) -> None:
        (self._for_gpu if attempt.on_gpu else self._for_cpu).insert(0, attempt.page)

    def _fail(self, attempt: _Attempt, error: CourseError, seconds: float) -> None:
        self.errors.append(error)
        self._tell(PageFailed(attempt.page, error, seconds))

    @staticmethod
    def _leaves(attempt: _Attempt) -> None:
        attempt.member.pages.discard(attempt.page.docname)
        attempt.member.on_gpu.discard(attempt.page.docname)

    def _is_worth_waiting(self) -> bool:
        """False when no worker has come for long that could execute one of the pages that are left."""
        if self._running or self._crew.grows:
            self._alone_since = None
            return True
        pages = [*self._for_gpu, *self._for_cpu]
        kind = "worker" if self._for_cpu else "worker with a GPU"
        left = f"{len(pages)} page{'s' if len(pages) > 1 else ''}"
        if self._alone_since is None:
            self._alone_since = time.monotonic()
            self._notice(f"no {kind} is left; waiting {PATIENCE:.0f} s for one to execute {left}")
        if time.monotonic() - self._alone_since < PATIENCE:
            return True
        names = ", ".join(page.docname for page in pages[:5]) + (", …" if len(pages) > 5 else "")
        problem = (
            f"no {kind} came within {PATIENCE:.0f} s; {left} could not be executed ({names}); what came of the others "
            "is kept"
        )
        self.errors.append(CourseError(self._scheduler.address, None, problem))
        return False


def _is_lost(task: asyncio.Future[Answer]) -> bool:
    return not task.cancelled() and isinstance(task.exception(), SchedulerLost)
