"""The workers that take part in one command: who joins is asked who it is and gets the course's files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from distributed import Client
from distributed.comm.core import CommClosedError

from .roster import Member, meet, refusal
from .worker import Run, close_run, open_run, receive

CHUNK = 4 * 2**20  # bytes of the course's files in one message


class Crew:
    """The workers at work on `run`, by address in `members`; `address` is their scheduler's.

    `parcel` is the file with the course's files, `versions` are those here of what the pages depend on. `notice` hears
    of workers that are left out.
    """

    def __init__(
        self,
        address: str,
        client: Client,
        run: Run,
        parcel: Path,
        versions: Mapping[str, str | None],
        exactness: Mapping[str, str],
        notice: Callable[[str], None],
    ) -> None:
        self.address, self.client, self.run = address, client, run
        self.members: dict[str, Member] = {}
        self._parcel, self._versions, self._exactness, self._notice = parcel, versions, exactness, notice
        self._left_out: set[str] = set()
        self._joining: dict[str, asyncio.Task[None]] = {}

    @property
    def grows(self) -> bool:
        """Whether somebody is about to join."""
        return bool(self._joining)

    async def begin(self, addresses: Collection[str]) -> None:
        """Have the workers at `addresses` join. Raises CourseError where one is not as this machine."""
        members, differing = await meet(self.client, addresses, self._versions, self._exactness)
        if differing:
            raise refusal(self.address, differing)
        await self._admit(members)

    async def muster(self) -> list[Member]:
        """Look who is there: gives those that have left, and has new ones join meanwhile.

        Raises CommClosedError, which is an OSError, when the scheduler is lost.
        """
        if self.client.status != "running":
            raise CommClosedError("the scheduler is lost")  # asking it would mean to wait for it
        present = await self.client.nthreads()
        gone = [self.members.pop(address) for address in list(self.members) if address not in present]
        self._left_out &= present.keys()
        for address in present.keys() - self.members.keys() - self._joining.keys() - self._left_out:
            self._joining[address] = asyncio.create_task(self._join(address))
        return gone

    def dismiss(self, member: Member) -> None:
        """Have a worker join anew: it doesn't know the run any more."""
        self.members.pop(member.address, None)

    async def end(self) -> None:
        """Have the workers end what they still do for the run, and forget it."""
        for joining in self._joining.values():
            joining.cancel()
        if self.members:
            await self.client.run(close_run, self.run.id, workers=list(self.members), on_error="ignore")

    async def _join(self, address: str) -> None:
        try:
            members, differing = await meet(self.client, [address], self._versions, self._exactness)
            for name, found in differing.items():
                self._leave_out(address, f"{name} is left out: {', '.join(found)}")
            await self._admit(members)
        except OSError:
            pass  # it has left again, or the scheduler has: the next muster tells
        finally:
            del self._joining[address]

    async def _admit(self, members: Collection[Member]) -> None:
        waiting = {member.address: member for member in members}
        answers = await self._open(waiting)
        if lacking := [address for address, answer in answers.items() if answer is False]:
            await self._send(lacking)
            answers |= await self._open(lacking)
        for address, answer in answers.items():
            if answer is True:
                self.members[address] = waiting[address]
            elif not isinstance(answer, CommClosedError):  # as of one that has left
                self._leave_out(address, f"worker {waiting[address]} is left out: {answer}")

    async def _open(self, addresses: Collection[str]) -> dict[str, object]:
        if not addresses:
            return {}
        answers: dict[str, object] = await self.client.run(
            open_run, self.run, workers=list(addresses), on_error="return"
        )
        return answers

    async def _send(self, addresses: list[str]) -> None:
        """Send the course's files to several workers at once, piece by piece: none of them, nor the scheduler between
        us, must hold the whole in memory."""
        with self._parcel.open("rb") as file:
            while chunk := file.read(CHUNK):
                offset = file.tell() - len(chunk)
                await self.client.run(receive, self.run.id, offset, chunk, workers=addresses, on_error="ignore")

    def _leave_out(self, address: str, why: str) -> None:
        self._left_out.add(address)
        self._notice(why)
