"""The workers that take part in one command: who joins is asked who it is and gets the course's files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from distributed.comm.core import CommClosedError

from .handshake import Member, meet, refusal
from .protocol import Run
from .scheduler import Scheduler
from .worker import close_run, open_run, receive

CHUNK = 4 * 2**20  # bytes of the course's files in one message


class Members:
    """The workers of `scheduler` at work on `run`, by address in `members`.

    `parcel` is the file with the course's files, `versions` are those here of what the pages depend on. `notice` hears
    of workers that are left out.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        run: Run,
        parcel: Path,
        versions: Mapping[str, str | None],
        exactness: Mapping[str, str],
        notice: Callable[[str], None],
    ) -> None:
        self.scheduler, self.run = scheduler, run
        self.members: dict[str, Member] = {}
        self._parcel, self._versions, self._exactness, self._notice = parcel, versions, exactness, notice
        self._left_out: set[str] = set()
        self._joining: dict[str, asyncio.Task[None]] = {}

    @property
    def grows(self) -> bool:
        """Whether somebody is about to join."""
        return bool(self._joining)

    async def begin(self, addresses: Collection[str]) -> None:
        """Make the workers at `addresses` join. Raises CourseError where one is not as this machine."""
        members, differing = await meet(self.scheduler, addresses, self._versions, self._exactness)
        if differing:
            raise refusal(self.scheduler.address, differing)
        await self._admit(members)

    async def muster(self) -> list[Member]:
        """Look who is there: gives those that have left, and has new ones join meanwhile.

        Raises SchedulerLost, and what kept a worker from joining that is no worker's fault.
        """
        for address in [address for address, joining in self._joining.items() if joining.done()]:
            self._joining.pop(address).result()
        present = await self.scheduler.workers()
        gone = [self.members.pop(address) for address in list(self.members) if address not in present]
        self._left_out &= {*present}
        for address in {*present} - self.members.keys() - self._joining.keys() - self._left_out:
            self._joining[address] = asyncio.create_task(self._join(address))
        return gone

    def dismiss(self, member: Member) -> None:
        """Make a worker join anew: it doesn't know the run any more."""
        self.members.pop(member.address, None)

    async def end(self) -> None:
        """Make the workers end what they still do for the run, and forget it."""
        for joining in self._joining.values():
            joining.cancel()
        if self.members:
            await self.scheduler.run(close_run, self.run.id, workers=self.members)

    async def _join(self, address: str) -> None:
        members, differing = await meet(self.scheduler, [address], self._versions, self._exactness)
        for name, found in differing.items():
            self._leave_out(address, f"{name} is left out: {', '.join(found)}")
        await self._admit(members)

    async def _admit(self, members: Collection[Member]) -> None:
        waiting = {member.address: member for member in members}
        answers = await self._open(waiting)
        if lacking := [address for address, answer in answers.items() if answer is False]:
            failed = await self._send(lacking)
            answers |= failed | await self._open([address for address in lacking if address not in failed])
        for address, answer in answers.items():
            if answer is True:
                self.members[address] = waiting[address]
            elif not isinstance(answer, CommClosedError):  # as of one that has left
                why = "the scheduler can't reach it" if isinstance(answer, OSError) else answer
                self._leave_out(address, f"worker {waiting[address]} is left out: {why}")

    async def _open(self, addresses: Collection[str]) -> dict[str, object]:
        return await self.scheduler.run(open_run, self.run, workers=addresses)

    async def _send(self, addresses: list[str]) -> dict[str, object]:
        """Send the course's files to several workers at once, piece by piece: none of them, nor the scheduler between
        us, must hold the whole in memory. Returns why some of them couldn't take it."""
        failed: dict[str, object] = {}
        with self._parcel.open("rb") as file:
            while chunk := file.read(CHUNK):
                left = [address for address in addresses if address not in failed]
                answers = await self.scheduler.run(receive, self.run.id, file.tell() - len(chunk), chunk, workers=left)
                failed |= {address: answer for address, answer in answers.items() if answer is not None}
        return failed

    def _leave_out(self, address: str, why: str) -> None:
        self._left_out.add(address)
        self._notice(why)
