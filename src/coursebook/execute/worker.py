"""The worker's side of a cluster: runs inside Dask workers, and executes one page at a time in each of their threads.

What belongs to one command is a *run*: the course's files, opened anew for each run in the worker's own folder so that
no run sees what another wrote, and a fork server that stays warm between its pages. A run ends when the command says
so, when the worker closes, or when it had nothing to do for a while because its command is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import threading
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import nbformat
from distributed import Worker, WorkerPlugin

from ..course import Course
from ..devices import gpus
from ..errors import CourseError
from ..fingerprint import installed_version
from ..page import Page
from ..store import Provenance
from .events import CellStarted, Event, PageDone, PageFailed, PageStarted
from .local import carry_out, setting
from .parcel import open_parcel
from .session import Session
from .task import NAME, NotHere

GPU = "GPU"  # the resource that workers offer
IDLE = 600.0  # s; a run that had nothing to do for so long is ended


@dataclass(frozen=True)
class Run:
    """One command's: `digest` names its parcel, `modules` are imported ahead, the rest is as the command has it."""

    id: str
    digest: str
    config: Mapping[str, Any]
    modules: tuple[str, ...]
    commit: str
    cold: bool


@dataclass(frozen=True)
class Traits:
    """What a worker is: its name, how many pages it executes at a time, the GPUs that it offers, and versions."""

    name: str
    threads: int
    gpus: tuple[str, ...]
    offered: int
    versions: Mapping[str, str | None]


@dataclass(frozen=True)
class Answer:
    """An executed page: its notebook and provenance, or what failed; `seconds` are those that it took."""

    notebook: nbformat.NotebookNode | None
    provenance: Provenance | None
    error: CourseError | None
    seconds: float


class Unable(Exception):
    """What a worker can't do for a reason of its own, like a full disk."""


async def describe(distributions: Sequence[str], dask_worker: Worker) -> Traits:
    """What this worker is, with the versions of `distributions`; for Client.run, as are the next three."""
    offered = int(dask_worker.state.total_resources.get(GPU, 0))
    found = await asyncio.to_thread(gpus) if offered else ()
    installed_version.cache_clear()  # a worker lives long
    versions = {name: installed_version(name) for name in distributions}
    return Traits(str(dask_worker.name), dask_worker.state.nthreads, found[:offered], offered, versions)


async def receive(run: str, offset: int, chunk: bytes, dask_worker: Worker) -> None:
    """Take a piece of the parcel of a run."""
    with _own_errors():
        await (await _workplace(dask_worker)).receive(run, offset, chunk)


async def open_run(run: Run, dask_worker: Worker) -> bool:
    """Make ready for the pages of `run`. False: its parcel isn't here and must be sent before."""
    with _own_errors():
        return await (await _workplace(dask_worker)).open(run)


async def close_run(run: str, dask_worker: Worker) -> None:
    """End what is left of a run, pages that are being executed as well."""
    await (await _workplace(dask_worker)).close(run)


@contextlib.contextmanager
def _own_errors() -> Iterator[None]:
    """The errors of this machine under another name: an OSError that the command hears of is the connection's."""
    try:
        yield
    except OSError as error:
        raise Unable(f"{error.strerror or type(error).__name__} there") from error


async def _workplace(worker: Worker) -> Workplace:
    if NAME not in worker.plugins:
        await worker.plugin_add(plugin=Workplace(), name=NAME, catch_errors=False)
    workplace = worker.plugins[NAME]
    assert isinstance(workplace, Workplace)
    return workplace


class Workplace(WorkerPlugin):
    """What a worker keeps for Coursebook: parcels, benches for the runs under way, and which GPU is in use."""

    def setup(self, worker: Worker) -> None:
        self._worker = worker
        self._folder = Path(worker.local_directory) / NAME  # which Dask removes with the worker's own
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._benches: dict[str, Bench] = {}
        self._lock = asyncio.Lock()
        self._used: set[str] = set()
        self._choosing = threading.Lock()
        self._tidying = asyncio.create_task(self._tidy())

    async def teardown(self, worker: Worker) -> None:
        """The worker closes: end what runs on it."""
        self._tidying.cancel()
        await asyncio.gather(*(self.close(run) for run in list(self._benches)))

    def transition(self, key: Any, start: str, finish: str, **kwargs: Any) -> None:
        """Hear of every task. Dask lets one that was cancelled run on; its page ends here."""
        if finish == "released":
            for bench in list(self._benches.values()):
                bench.cancel(key)

    async def receive(self, run: str, offset: int, chunk: bytes) -> None:
        await asyncio.to_thread(_write, self._folder / f"{run}.part", offset, chunk)

    async def open(self, run: Run) -> bool:
        """Open the parcel and a bench for `run`, unless they are; False where the parcel is missing."""
        async with self._lock:
            if run.id in self._benches:
                return True
            parcel, arrived = self._folder / run.digest, self._folder / f"{run.id}.part"
            if arrived.exists():
                self._remove_parcels()
                arrived.replace(parcel)
            if not parcel.exists():
                return False
            root = self._folder / run.id / "course"
            try:
                await asyncio.to_thread(open_parcel, parcel, run.digest, root)
            except BaseException:
                parcel.unlink(missing_ok=True)
                raise
            self._benches[run.id] = await asyncio.to_thread(Bench, self._worker, run, root)
            return True

    async def close(self, run: str) -> None:
        bench = self._benches.pop(run, None)
        (self._folder / f"{run}.part").unlink(missing_ok=True)
        if bench is not None:
            await asyncio.to_thread(bench.close)

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(IDLE / 10)
            for run, bench in list(self._benches.items()):
                if bench.idle() > IDLE:
                    await self.close(run)

    def _remove_parcels(self) -> None:
        """Another one has come: the earlier ones go. What was opened from them stays until its run ends."""
        for path in self._folder.iterdir():
            if path.is_file() and path.suffix != ".part":
                path.unlink()

    def execute(self, run: str, path: str, attempt: int, on_gpu: bool, key: Any) -> Answer:
        bench = self._benches.get(run)
        if bench is None:
            raise NotHere(run)
        gpu = self._take_gpu() if on_gpu else ""
        try:
            return bench.execute(key, path, attempt, gpu)
        finally:
            with self._choosing:
                self._used.discard(gpu)

    def _take_gpu(self) -> str:
        """One that no other page uses: Dask hands out as many tasks as the worker offers GPUs."""
        found = gpus()
        with self._choosing:
            free = [gpu for gpu in found if gpu not in self._used]
            if not free:
                raise RuntimeError(f"{len(found)} GPUs are to be seen here, and each is in use")
            self._used.add(free[0])
            return free[0]


class Bench:
    """Where the pages of one run are executed on a worker, with a loop in a thread of its own.

    The pages of all the worker's threads share the loop, and with it the fork server, which is heard by one loop alone.
    The thread lives as long as the server, which Linux would end with it.
    """

    def __init__(self, worker: Worker, run: Run, root: Path) -> None:
        self._worker, self._run = worker, run
        self._course = Course(root, run.config, ())
        self._pages: dict[Any, asyncio.Task[Answer]] = {}  # by the task's key; of the loop's own
        self._last = time.monotonic()
        self._loop = asyncio.new_event_loop()
        self._kept = contextlib.ExitStack()
        threading.Thread(target=self._live, name=f"{NAME}-{run.id}", daemon=True).start()
        made = setting(
            self._course, run.modules, lambda event: None,
            slots=worker.state.nthreads, cold=run.cold, commit=run.commit, bytecode=root.parent.parent,
        )  # fmt: skip
        self._setting = asyncio.run_coroutine_threadsafe(_entered(self._kept, made), self._loop).result()

    def execute(self, key: Any, path: str, attempt: int, gpu: str) -> Answer:
        """Execute a page to its end, whatever that is; called by the worker's threads."""
        ended: Future[Answer] = Future()
        self._loop.call_soon_threadsafe(self._begin, key, self._execute(path, attempt, gpu), ended)
        return ended.result()

    def cancel(self, key: Any) -> None:
        """End the page of this task, if it is here."""
        self._loop.call_soon_threadsafe(self._cancel, key)

    def idle(self) -> float:
        """Seconds without a page."""
        return 0.0 if self._pages else time.monotonic() - self._last

    def close(self) -> None:
        """End the pages, the fork server and the loop, and remove the files."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        root, bytecode = self._course.root, self._setting.environment.get("PYTHONPYCACHEPREFIX")
        if bytecode:
            shutil.rmtree(Path(bytecode) / root.parent.relative_to(root.anchor), ignore_errors=True)
        shutil.rmtree(root.parent, ignore_errors=True)

    def _live(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    def _begin(self, key: Any, execution: Coroutine[Any, Any, Answer], ended: Future[Answer]) -> None:
        def end(task: asyncio.Task[Answer]) -> None:
            del self._pages[key]
            self._last = time.monotonic()
            if task.cancelled():
                ended.cancel()
            elif error := task.exception():
                ended.set_exception(error)
            else:
                ended.set_result(task.result())

        self._pages[key] = self._loop.create_task(execution)
        self._pages[key].add_done_callback(end)

    def _cancel(self, key: Any) -> None:
        page = self._pages.get(key)
        if page and not page.cancelling():  # once: a second time would disturb the end of its kernel
            page.cancel()

    async def _execute(self, path: str, attempt: int, gpu: str) -> Answer:
        answers: list[Answer] = []

        def tell(event: Event) -> None:
            match event:
                case PageStarted():
                    self._tell(path, attempt, 0)
                case CellStarted(_, cell):
                    self._tell(path, attempt, cell.number)
                case PageDone(_, notebook, provenance):
                    answers.append(Answer(notebook, provenance, None, provenance.seconds))
                case PageFailed(_, error, seconds):
                    if isinstance(error.path, PurePath):  # one of this system's may be none on the other's
                        error.path = error.path.as_posix()
                    answers.append(Answer(None, None, error, seconds))

        page = Page.read(self._course.root, Path(path))
        session = Session(replace(self._setting, tell=tell), page, gpu)
        await carry_out(session, asyncio.create_task(session.start()), tell)
        return answers[0]

    def _tell(self, path: str, attempt: int, cell: int) -> None:
        self._worker.log_event(NAME, {"run": self._run.id, "path": path, "attempt": attempt, "cell": cell})

    async def _close(self) -> None:
        for key in list(self._pages):
            self._cancel(key)
        if pages := list(self._pages.values()):
            await asyncio.wait(pages)
        self._kept.close()


async def _entered(stack: contextlib.ExitStack, entered: contextlib.AbstractContextManager[Any]) -> Any:
    return stack.enter_context(entered)


def _write(path: Path, offset: int, chunk: bytes) -> None:
    with path.open("r+b" if offset else "wb") as file:
        file.seek(offset)
        file.write(chunk)
