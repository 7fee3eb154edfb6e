"""The scheduler of a Dask cluster, which everything here reaches by one class: it answers, or it is lost.

However a scheduler or the way to it gets lost, and whatever Dask raises of it, comes out as SchedulerLost. No error of
this machine does, like that of a full disk: what reads or writes files stands outside.
"""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import Any, TypeVar, cast

from distributed import Client, Future
from distributed.client import ClosedClientError, FutureCancelledError
from distributed.comm.addressing import get_address_host_port
from distributed.versions import VersionMismatchWarning

from ...ground import CourseError

REACH = 10.0  # s to reach the scheduler in, and to take leave of it
SILENCE = 30.0  # s without an answer, after which it is asked whether it is there; to that, it has as long again
ALLOWED = "HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT"
_T = TypeVar("_T")


class SchedulerLost(CourseError):
    """The scheduler at `address` is gone, or silent, or the way to it is."""

    def __init__(self, address: str) -> None:
        problem = "the scheduler was lost; what came of other pages before is kept"
        super().__init__(address, None, problem)


class Scheduler:
    """The one at `address`, to be connected before anything else. Every method raises SchedulerLost."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._client: Client | None = None
        self._is_lost = False

    async def connect(self) -> None:
        """Connect, unless that is done. Raises CourseError for what is no address, or one without a scheduler."""
        if self._client:
            return
        try:
            get_address_host_port(self.address)
        except ValueError as error:
            raise CourseError(self.address, None, f"not an address ({error}); allowed: {ALLOWED}") from None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VersionMismatchWarning)  # such workers are refused, with their names
            try:
                self._client = await _connected(self.address)
            except Exception as error:  # which may be any, where what answers is no scheduler
                reason = _reason(error)
                problem = f"no scheduler can be reached there within {REACH:.0f} s{reason and f' ({reason})'}"
                raise CourseError(self.address, None, f"{problem}; nothing was executed") from None

    async def workers(self) -> Collection[str]:
        """The addresses of the workers that are there."""
        threads: dict[str, int] = await self._ask(lambda client: client.nthreads())
        return threads.keys()

    async def versions(self, package: str) -> Any:
        """The versions of Python, of what Dask needs and of `package`, as Client.get_versions has them."""
        return await self._ask(lambda client: cast(Any, client.get_versions(packages=[package])))

    async def run(
        self, function: Callable[..., object], *arguments: object, workers: Collection[str]
    ) -> dict[str, Any]:
        """What `function` returns on each worker, or the exception that it raises there.

        An OSError among these means that the scheduler can't reach the worker, CommClosedError that it lost it.
        """
        if not workers:
            return {}
        there = list(workers)
        return await self._ask(lambda client: client.run(function, *arguments, workers=there, on_error="return"))

    def submit(self, function: Callable[..., _T], *arguments: object, **how: Any) -> Future[_T]:
        """Client.submit."""
        with self._reaching() as client:
            future: Future[_T] = client.submit(function, *arguments, **how)
            return future

    async def result(self, future: Future[_T]) -> _T:
        """What a task returned. Raises what it raised, and CancelledError if somebody took it away."""
        await future.exception()  # waits as long as the task takes, without a word to the scheduler
        if future.status == "error":
            return cast(_T, await future)
        return await self._ask(lambda client: future)

    async def cancel(self, futures: list[Future[Any]]) -> None:
        """Take tasks back, those that are under way as well."""
        with self._reaching() as client:
            await client.cancel(futures, force=True)

    def hear(self, topic: str, handler: Callable[[tuple[float, Any]], None]) -> None:
        """Let `handler` hear what workers tell under `topic`."""
        with self._reaching() as client:
            client.subscribe_topic(topic, handler)

    async def leave(self) -> None:
        """Close the connection, whatever has become of it."""
        if self._client:
            failed = SchedulerLost if self._is_lost else None  # then Dask doesn't wait for what won't come
            with contextlib.suppress(Exception):  # any would hide why the command ends
                async with asyncio.timeout(REACH):
                    await self._client.__aexit__(failed, None, None)

    async def _ask(self, question: Callable[[Client], Awaitable[_T]]) -> _T:
        """The answer, however long it takes: a worker may be slow as long as the scheduler itself isn't silent."""
        with self._reaching() as client:
            answer = asyncio.ensure_future(question(client))
            try:
                while not (await asyncio.wait({answer}, timeout=SILENCE))[0]:
                    async with asyncio.timeout(SILENCE):
                        await client.nthreads()
                return answer.result()
            finally:
                answer.cancel()

    @contextlib.contextmanager
    def _reaching(self) -> Iterator[Client]:
        """The client, around whatever is asked of it and nothing else: its OSErrors are the connection's."""
        client = self._client
        assert client, "connect comes first"
        try:
            if self._is_lost or client.status != "running":
                raise ClosedClientError  # asking would mean to wait until Dask gives up connecting again
            yield client
        except Exception as error:
            # While it connects again or is closed, it stumbles over what it no longer has.
            self._is_lost = self._is_lost or _is_lost(error) or client.status != "running"
            if self._is_lost:
                raise SchedulerLost(self.address) from error
            raise


def _is_lost(error: Exception) -> bool:
    if isinstance(error, FutureCancelledError):
        return error.reason == "scheduler-connection-lost"  # by now it may be connected again, without our tasks
    return isinstance(error, (OSError, ClosedClientError))


def _reason(error: BaseException | None) -> str:
    """What the system or Dask says about a connection that wasn't made; nothing, rather than Dask's inner objects."""
    if isinstance(error, (ImportError, RuntimeError, TypeError)):  # of versions, or of how TLS is set up
        return str(error)
    if not isinstance(error, OSError):
        return "what answers there is something else"
    while error and not getattr(error, "strerror", None):
        error = error.__cause__
    return str(getattr(error, "strerror", ""))


async def _connected(address: str) -> Client:
    """A client of the scheduler at `address`."""
    client = Client(address, asynchronous=True, timeout=REACH, set_as_default=False)
    try:
        async with asyncio.timeout(2 * REACH):
            await client
            return client
    except BaseException:
        with contextlib.suppress(Exception):
            await client.close(timeout=1)
        raise
