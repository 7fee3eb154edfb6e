"""The worker's side of a cluster: runs inside Dask workers, and executes one page at a time in each of their threads.

What belongs to one command is a *run*: the course's files, opened anew for each run in the worker's own folder so that
no run sees what another wrote, and a fork server that stays warm between its pages. A run ends when the command says
so, when the worker closes, or when it had nothing to do for a while because its command is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from distributed import Worker, WorkerPlugin

from ...ground import gpus_here
from ...outputs import installed_version
from .bench import WorkerRun
from .parcel import open_parcel
from .protocol import GPU, NAME, Answer, NotHere, Run, Traits

IDLE = 600.0  # s; a run that had nothing to do for so long is ended


class Unable(Exception):
    """What a worker can't do for a reason of its own, like a full disk."""


async def describe(distributions: Sequence[str], dask_worker: Worker) -> Traits:
    """What this worker is, with the versions of `distributions`; for Client.run, as are the next three."""
    offered = int(dask_worker.state.total_resources.get(GPU, 0))
    found = await asyncio.to_thread(gpus_here) if offered else ()
    installed_version.cache_clear()  # a worker lives long
    versions = {name: installed_version(name) for name in distributions}
    return Traits(str(dask_worker.name), dask_worker.state.nthreads, found[:offered], offered, versions)


async def receive(run: str, offset: int, chunk: bytes, dask_worker: Worker) -> None:
    """Take a piece of the parcel of a run."""
    with _own_errors():
        await (await _plugin_of(dask_worker)).receive(run, offset, chunk)


async def open_run(run: Run, dask_worker: Worker) -> bool:
    """Make ready for the pages of `run`. False: its parcel isn't here and must be sent before."""
    with _own_errors():
        return await (await _plugin_of(dask_worker)).open(run)


async def close_run(run: str, dask_worker: Worker) -> None:
    """End what is left of a run, pages that are being executed as well."""
    await (await _plugin_of(dask_worker)).close(run)


@contextlib.contextmanager
def _own_errors() -> Iterator[None]:
    """The errors of this machine under another name: an OSError that the command hears of is the connection's."""
    try:
        yield
    except OSError as error:
        raise Unable(f"{error.strerror or type(error).__name__} there") from error


async def _plugin_of(worker: Worker) -> CoursebookPlugin:
    if NAME not in worker.plugins:
        await worker.plugin_add(plugin=CoursebookPlugin(), name=NAME, catch_errors=False)
    workplace = worker.plugins[NAME]
    assert isinstance(workplace, CoursebookPlugin)
    return workplace


class CoursebookPlugin(WorkerPlugin):
    """What a worker keeps for Coursebook: parcels, benches for the runs under way, and which GPU is in use."""

    def setup(self, worker: Worker) -> None:
        self._worker = worker
        self._folder = Path(worker.local_directory) / NAME  # which Dask removes with the worker's own
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._benches: dict[str, WorkerRun] = {}
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
            self._benches[run.id] = await asyncio.to_thread(WorkerRun, self._worker, run, root)
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
        found = gpus_here()
        with self._choosing:
            free = [gpu for gpu in found if gpu not in self._used]
            if not free:
                raise RuntimeError(f"{len(found)} GPUs are to be seen here, and each is in use")
            self._used.add(free[0])
            return free[0]


def _write(path: Path, offset: int, chunk: bytes) -> None:
    with path.open("r+b" if offset else "wb") as file:
        file.seek(offset)
        file.write(chunk)
