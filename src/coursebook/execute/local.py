"""Executes pages on this machine, several at a time, a fresh kernel for each, and reports what happens as events."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..course import Course, Page, full_names_in
from ..ground import CourseError, commit_of, cores, free_memory, with_bytecode
from .events import Event, PageFailed, PageStarted
from .fork_client import ForkServer
from .kernel_client import raise_if_cancelled
from .kernels import can_fork
from .session import RunContext, Session

MARGIN = 1.2  # by which a page may need more memory than the last time
PAUSE = 0.5  # s between two looks at the memory, since nobody tells when some becomes free


@dataclass(frozen=True)
class Slots:
    """How many pages are executed at a time: `cores` of those for the CPU, and one on each of `gpus`."""

    cores: int
    gpus: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.cores + len(self.gpus)

    @classmethod
    def here(cls, pages: Sequence[Page], jobs: int | None, gpus: tuple[str, ...]) -> Slots:
        """For `pages` on this machine: as many as there are cores, or `jobs`; a GPU for each page that asks for one."""
        wanting = sum(page.options.device == "gpu" for page in pages) if gpus else 0
        most = jobs or cores()
        used = gpus[: min(wanting, most)]
        return cls(max(int(not used), min(most - len(used), len(pages) - wanting)), used)


def execute_pages(
    course: Course,
    pages: Sequence[Page],
    tell: Callable[[Event], None],
    *,
    slots: Slots = Slots(1),
    cold: bool = False,
    memory: Mapping[str, int] | None = None,
    keeps_going: bool = False,
) -> list[CourseError]:
    """Execute `pages` in the order given; a failure ends its page, not the others.

    `tell` is called with each event as it happens, `PageDone` with the outputs. `cold` starts every kernel anew; else
    kernels are forked, where that is possible, from a process that has imported what the pages import. `memory` holds
    the bytes that pages (by docname) took at their peak: a page waits until as much is free beside what those under way
    are still going to take, unless nothing else runs. Pages that ask for a GPU are executed on those of `slots`, or on
    the CPU where it has none. With `keeps_going` a cell that raises leaves its error among its outputs, and the page
    goes on. Returns what failed. Raises KeyboardInterrupt after Ctrl-C, when all kernels have ended.
    """
    modules, commit = modules_ahead(course, pages), commit_of(course.root)
    with run_context(
        course, modules, tell, slots=len(slots), cold=cold, commit=commit, keeps_going=keeps_going
    ) as made:
        run = _Run(made, pages, slots, memory or {})
        try:
            return asyncio.run(run.execute())
        except ExceptionGroup as group:
            # Something that is no page's fault, like a full disk, ends them all; the first of it says what.
            raise group.exceptions[0] from None
        finally:
            if run.is_interrupted:  # whatever else has happened since, or if all was done at the same moment
                raise KeyboardInterrupt


@contextlib.contextmanager
def run_context(
    course: Course,
    modules: Iterable[str],
    tell: Callable[[Event], None],
    *,
    slots: int,
    cold: bool,
    commit: str,
    bytecode: Path | None = None,
    keeps_going: bool = False,
) -> Iterator[RunContext]:
    """What pages share that are executed `slots` at a time in this process, with a fork server that lives as long.

    The server imports `modules`; there is none where kernels start `cold`, or can't be forked. Its process must be
    started by a thread that outlives it: Linux takes the end of that thread for the end of this process. `bytecode` is
    the folder below which kernels keep it, if not the course's.
    """
    environment = _kernel_environment(bytecode or course.root, slots)
    server = ForkServer(modules, environment) if not cold and can_fork() else None
    try:
        yield RunContext(course, tell, environment, server, commit, keeps_going)
    finally:
        if server:
            server.close()


async def execute_session(
    session: Session, starting: asyncio.Task[None], tell: Callable[[Event], None]
) -> CourseError | None:
    """Execute the page of `session`, which is `starting`, to its end, telling of it. Returns what failed."""
    page = session.page
    started = time.perf_counter()
    try:
        tell(PageStarted(page))
        await starting
        tell(await session.run())
    except CourseError as error:
        raise_if_cancelled()
        tell(PageFailed(page, error, time.perf_counter() - started))
        return error
    finally:
        await _end(session, starting)
    return None


class _Run:
    """Pages on their way through the slots. While one is executed, the kernel of the next is started beside it."""

    def __init__(self, setting: RunContext, pages: Sequence[Page], slots: Slots, memory: Mapping[str, int]) -> None:
        self._setting, self._slots, self._memory = setting, slots, memory
        on_gpu = {page.docname for page in pages if slots.gpus and page.options.device == "gpu"}
        self._for_gpu = [page for page in pages if page.docname in on_gpu]
        self._for_cpu = [page for page in pages if page.docname not in on_gpu]
        self._prepared: dict[str, asyncio.Task[None]] = {}  # by docname, those that nobody executes yet
        self._sessions: dict[str, Session] = {}  # by docname, of pages that are executed or prepared
        self._running = 0
        self._errors: list[CourseError] = []
        self.is_interrupted = False

    async def execute(self) -> list[CourseError]:
        loop, work = asyncio.get_running_loop(), asyncio.create_task(self._work())

        def interrupt(*_: object) -> None:
            # Another one would disturb the end of the kernels, which takes a moment.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            self.is_interrupted = True
            loop.call_soon_threadsafe(work.cancel)

        with _on_ctrl_c(interrupt):
            await asyncio.wait([work])
        work.result()
        return self._errors

    async def _work(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._slots.cores):
                    group.create_task(self._work_on_cpu())
                for gpu in self._slots.gpus:
                    group.create_task(self._work_on_gpu(gpu))
        finally:
            for docname, starting in self._prepared.items():
                await _end(self._sessions[docname], starting)

    async def _work_on_cpu(self) -> None:
        while self._for_cpu:
            raise_if_cancelled()
            page = self._for_cpu.pop(0)
            while self._running and not self._has_memory_for(page):
                await asyncio.sleep(PAUSE)
            starting = self._prepared.pop(page.docname, None) or self._begin(page)
            self._prepare_next()
            await self._execute(page, starting)

    async def _work_on_gpu(self, gpu: str) -> None:
        while self._for_gpu:
            raise_if_cancelled()
            page = self._for_gpu.pop(0)
            await self._execute(page, self._begin(page, gpu))
        await self._work_on_cpu()  # or nobody might: as many as the GPUs may be all that run at a time

    def _begin(self, page: Page, gpu: str = "") -> asyncio.Task[None]:
        self._sessions[page.docname] = session = Session(self._setting, page, gpu)
        return asyncio.create_task(session.start())

    def _prepare_next(self) -> None:
        if self._for_cpu and self._has_memory_for(self._for_cpu[0]):
            page = self._for_cpu[0]
            if page.docname not in self._prepared:
                self._prepared[page.docname] = self._begin(page)

    async def _execute(self, page: Page, starting: asyncio.Task[None]) -> None:
        self._running += 1
        try:
            if error := await execute_session(self._sessions[page.docname], starting, self._setting.tell):
                self._errors.append(error)
        finally:
            del self._sessions[page.docname]
            self._running -= 1

    def _has_memory_for(self, page: Page) -> bool:
        """Whether there is as much as this page and those under way are still going to take."""
        return free_memory() >= sum(self._memory_to_come(docname) for docname in {*self._sessions, page.docname})

    def _memory_to_come(self, docname: str) -> float:
        session = self._sessions.get(docname)
        return max(0.0, MARGIN * self._memory.get(docname, 0) - (session.memory if session else 0))


@contextlib.contextmanager
def _on_ctrl_c(handle: Callable[..., None]) -> Iterator[None]:
    """Call `handle` at Ctrl-C, instead of asyncio's own way: to raise KeyboardInterrupt wherever the second is.

    Where nobody would hear it, as in a job in the background or another thread, that stays so.
    """
    if threading.current_thread() is not threading.main_thread() or not callable(signal.getsignal(signal.SIGINT)):
        yield
        return
    earlier = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is handle:
            signal.signal(signal.SIGINT, earlier)


async def _end(session: Session, starting: asyncio.Task[None]) -> None:
    starting.cancel()
    await asyncio.wait([starting])
    if not starting.cancelled():
        starting.exception()  # was told before, or is of a page that nobody waits for any more
    await session.stop()


def modules_ahead(course: Course, pages: Iterable[Page]) -> list[str]:
    """What a fork server imports: the installed modules that the pages name, and none of the course's own."""
    names = [name for page in pages for cell in page.cells for name in full_names_in(cell.source)]
    tops = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)
    folders = {course.root, *(course.root / page.path.parent for page in pages)}
    own = {top for top in tops for folder in folders if (folder / f"{top}.py").exists() or (folder / top).is_dir()}
    return [name for name in dict.fromkeys(names) if name.partition(".")[0] in tops - own]


def _kernel_environment(root: Path, slots: int) -> dict[str, str]:
    """The environment of every kernel, warm or cold: the same figures' backend and as many threads, whoever builds."""
    threads = str(max(1, cores() // slots))
    return {
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads),
        # MKL's last digits otherwise depend on where in memory an array happens to lie.
        "MKL_CBWR": "AUTO,STRICT",
        **with_bytecode(root),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # no debugger's warning about frozen modules
    }
