"""The same pages on the workers of a Dask cluster: connects, makes the workers ready, and leaves them as they were.

`scheduler` is the way there, `handshake` asks workers who they are, `parcel` packs the course's files for them,
`members` has them join, `dispatch` says which page goes where, and `worker` is what runs there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import tempfile
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

from ...course import Course, Page, names_in
from ...ground import CourseError, commit_of
from ...outputs import FOLDER_NAMES, OWN
from .. import Event, ExecutionOptions, Made, PageDone, modules_ahead
from . import dispatch, scheduler
from .dispatch import Dispatch
from .handshake import meet, needed, refusal
from .members import Members
from .parcel import Parcel
from .protocol import Run
from .scheduler import Scheduler, SchedulerLost


class Cluster:
    """An executor: the cluster whose scheduler is at the address in `options`.

    It is connected when it is first asked for something, and left at the end.

    `notice` hears what whoever waits should know. Every method raises CourseError where there is no scheduler.
    """

    without = (
        "no worker of the cluster offers a GPU "
        "(`dask worker ADDRESS --nthreads 1 --resources GPU=1` starts one that does)"
    )

    def __init__(self, options: ExecutionOptions, notice: Callable[[str], None]) -> None:
        self.address, self._options, self._notice = options.cluster, options, notice
        self._runner = asyncio.Runner()
        self._folder = tempfile.TemporaryDirectory(prefix="coursebook-")
        self._scheduler = Scheduler(self.address)
        self._members: Members | None = None
        self._dispatch: Dispatch | None = None
        self._course: Course | None = None

    def __enter__(self) -> Cluster:
        # What Dask would log about a lost connection is said in a sentence. Each of its loggers has a level of its own.
        self._logged = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        # What failed and nobody asked for, ours or Dask's, asyncio would tell of with a traceback when it is collected,
        # be it after the end.
        self._runner.get_loop().set_exception_handler(lambda loop, context: None)
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is KeyboardInterrupt:
            # Another one would disturb the end of the kernels, which takes a moment.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        with self._folder, self._runner:
            self._runner.run(self._leave())
        logging.disable(self._logged)

    def gpus(self) -> tuple[str, ...]:
        """The addresses of the workers that offer a GPU. Raises CourseError where one is not as this machine."""
        return self._runner.run(self._gpus())

    def prepare(
        self, course: Course, pages: Sequence[Page], made: Made, *, gpus: tuple[str, ...], keeps_going: bool
    ) -> int:
        """Make the workers ready for `pages`, to be executed in this order, and return how many are at a time.

        What earlier executions saw travels as well. Raises CourseError where a worker is not as this machine.
        """
        self._course = course
        seen = {name for before in made.values() for name, digest in before.inputs.items() if digest != OWN}
        parcel = Parcel.pack(course, pages, seen, Path(self._folder.name))
        run = Run(
            uuid.uuid4().hex,
            parcel.digest,
            course.config,
            tuple(modules_ahead(course, pages)),
            commit_of(course.root),
            cold=self._options.cold,
            keeps_going=keeps_going,
        )
        versions = needed(course, pages, {name for before in made.values() for name in before.packages})

        async def prepare() -> int:
            await self._scheduler.connect()
            self._members = members = Members(
                self._scheduler, run, parcel.path, versions, course.exactness, self._notice
            )
            await members.begin(await self._present())
            self._dispatch = Dispatch(members, pages, on_gpu=bool(gpus), most=self._options.jobs, notice=self._notice)
            return self._dispatch.slots

        return self._runner.run(prepare())

    def execute(self, tell: Callable[[Event], None]) -> list[CourseError]:
        """Execute the pages that were prepared, telling of each event as it happens. Returns what failed.

        What ends the whole before its time, like the loss of the scheduler, is the last of it.
        """
        assert self._dispatch, "prepare comes first"
        try:
            return self._runner.run(self._dispatch.execute(lambda event: tell(self._as_here(event))))
        except CourseError as error:
            return [*self._dispatch.errors, error]

    def _as_here(self, event: Event) -> Event:
        """What a worker tells, with the folders that pages have listed as they are here: there is only what travels."""
        assert self._course, "prepare comes first"
        if not isinstance(event, PageDone):
            return event
        inputs = dict(event.provenance.inputs)
        for name, digest in inputs.items():
            if digest.startswith(FOLDER_NAMES):
                _, new = json.loads(digest.removeprefix(FOLDER_NAMES))
                with contextlib.suppress(OSError):
                    names = names_in(self._course.root / name, is_root=name == "./")
                    inputs[name] = FOLDER_NAMES + json.dumps([names, new])
        return replace(event, provenance=replace(event.provenance, inputs=inputs))

    async def _gpus(self) -> tuple[str, ...]:
        await self._scheduler.connect()
        members, differing = await meet(self._scheduler, await self._present(), {}, {})
        if differing:
            raise refusal(self.address, differing)
        return tuple(member.address for member in members if member.gpus)

    async def _present(self) -> Collection[str]:
        """The addresses of the workers that are there, or come within PATIENCE."""
        patience = dispatch.PATIENCE
        present = await self._scheduler.workers()
        if not present:
            self._notice(f"the scheduler has no workers; waiting {patience:.0f} s for one")
        until = time.monotonic() + patience
        while not present:
            if time.monotonic() > until:
                raise CourseError(self.address, None, f"no worker came within {patience:.0f} s; nothing was executed")
            await asyncio.sleep(dispatch.TICK)
            present = await self._scheduler.workers()
        return present

    async def _leave(self) -> None:
        # Where the cluster is gone or too busy to listen, its workers end the pages when they hear no more of us.
        with contextlib.suppress(SchedulerLost, TimeoutError):
            async with asyncio.timeout(scheduler.REACH):
                if self._dispatch:
                    await self._dispatch.cancel()
                if self._members:
                    await self._members.end()
        await self._scheduler.leave()
