"""Executes pages on this machine, several at a time, a fresh kernel for each, and reports what happens as events."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..bytecode import with_bytecode
from ..course import Course
from ..errors import CourseError
from ..fingerprint import full_names_in
from ..machine import cores, free_memory
from ..page import Page
from .events import Event, PageFailed, PageStarted
from .kernels import ForkServer, can_fork
from .session import Session, Setting, commit_of


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


def execute(
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
    the bytes that pages (by docname) took at their peak: a page waits until as much is free, unless nothing else runs.
    Pages that ask for a GPU are executed on those of `slots`, or on the CPU where it has none. With `keeps_going` a
    cell that raises leaves its error among its outputs, and the page goes on. Returns what failed.
    """
    modules, commit = modules_ahead(course, pages), commit_of(course.root)
    with setting(course, modules, tell, slots=len(slots), cold=cold, commit=commit, keeps_going=keeps_going) as made:
        try:
            return asyncio.run(_Run(made, pages, slots, memory or {}).execute())
        except ExceptionGroup as group:
            # Something that is no page's fault, like a full disk, ends them all; the first of it says what.
            raise group.exceptions[0] from None


@contextlib.contextmanager
def setting(
    course: Course,
    modules: Iterable[str],
    tell: Callable[[Event], None],
    *,
    slots: int,
    cold: bool,
    commit: str,
    bytecode: Path | None = None,
    keeps_going: bool = False,
) -> Iterator[Setting]:
    """What pages share that are executed `slots` at a time in this process, with a fork server that lives as long.

    The server imports `modules`; there is none where kernels start `cold`, or can't be forked. Its process must be
    started by a thread that outlives it: Linux takes the end of that thread for the end of this process. `bytecode` is
    the folder below which kernels keep it, if not the course's.
    """
    environment = _kernel_environment(bytecode or course.root, slots)
    server = ForkServer(modules, environment) if not cold and can_fork() else None
    try:
        yield Setting(course, tell, environment, server, commit, keeps_going)
    finally:
        if server:
            server.close()


async def carry_out(
    session: Session, starting: asyncio.Task[None], tell: Callable[[Event], None]
) -> CourseError | None:
    """Execute the page of `session`, which is `starting`, to its end, telling of it. Returns what failed."""
    page = session.page
    tell(PageStarted(page))
    started = time.perf_counter()
    try:
        await starting
        tell(await session.run())
    except CourseError as error:
        tell(PageFailed(page, error, time.perf_counter() - started))
        return error
    finally:
        await _end(session, starting)
    return None


class _Run:
    """Pages on their way through the slots. While one is executed, the kernel of the next is started beside it."""

    def __init__(self, setting: Setting, pages: Sequence[Page], slots: Slots, memory: Mapping[str, int]) -> None:
        self._setting, self._slots, self._memory = setting, slots, memory
        on_gpu = {page.docname for page in pages if slots.gpus and page.options.device == "gpu"}
        self._for_gpu = [page for page in pages if page.docname in on_gpu]
        self._for_cpu = [page for page in pages if page.docname not in on_gpu]
        self._prepared: dict[str, tuple[Session, asyncio.Task[None]]] = {}  # by docname
        self._running = 0
        self._errors: list[CourseError] = []

    async def execute(self) -> list[CourseError]:
        work = asyncio.create_task(self._work())
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError:
            # Ctrl-C. Another one would disturb the end of the kernels, which takes a moment.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            work.cancel()
            await asyncio.wait([work])
            raise
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
            for session, starting in self._prepared.values():
                await _end(session, starting)

    async def _work_on_cpu(self) -> None:
        while self._for_cpu:
            page = self._for_cpu.pop(0)
            await self._memory_for(page)
            is_prepared = page.docname in self._prepared
            session, starting = self._prepared.pop(page.docname) if is_prepared else self._begin(page)
            self._running += 1
            try:
                if self._for_cpu and self._has_memory_for(self._for_cpu[0]):
                    following = self._for_cpu[0]
                    if following.docname not in self._prepared:
                        self._prepared[following.docname] = self._begin(following)
                await self._execute(session, starting)
            finally:
                self._running -= 1

    async def _work_on_gpu(self, gpu: str) -> None:
        while self._for_gpu:
            page = self._for_gpu.pop(0)
            self._running += 1
            try:
                await self._execute(*self._begin(page, gpu))
            finally:
                self._running -= 1

    def _begin(self, page: Page, gpu: str = "") -> tuple[Session, asyncio.Task[None]]:
        session = Session(self._setting, page, gpu)
        return session, asyncio.create_task(session.start())

    async def _execute(self, session: Session, starting: asyncio.Task[None]) -> None:
        if error := await carry_out(session, starting, self._setting.tell):
            self._errors.append(error)

    async def _memory_for(self, page: Page) -> None:
        while self._running and not self._has_memory_for(page):
            await asyncio.sleep(0.5)

    def _has_memory_for(self, page: Page) -> bool:
        return free_memory() >= 1.2 * self._memory.get(page.docname, 0)


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
