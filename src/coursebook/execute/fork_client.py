"""The client of the fork server: starts it, asks it for kernels, and ends it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from subprocess import DEVNULL, Popen, TimeoutExpired  # by name: the tests have another, which forks instead
from typing import Any

from .forked import Forked

# pyplot chooses its backend when it is imported, and inline figures need the kernel's shell for that: what it
# stands on is imported ahead, pyplot itself by the page.
INSTEAD = {"matplotlib.pyplot": ("matplotlib.figure", "matplotlib.axes", "matplotlib.backends.backend_agg",
                                 "matplotlib.backends.backend_svg", "matplotlib.font_manager")}  # fmt: skip
ALWAYS = (
    "ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.zmqshell", "ipykernel.debugger",
    "IPython.core.interactiveshell",
    "IPython.core.completerlib", "IPython.core.oinspect", "IPython.core.pylabtools", "IPython.extensions.storemagic",
    "tornado.platform.asyncio", "sqlite3",
)  # fmt: skip
NEVER = ("matplotlib_inline",)
MODULE = "coursebook.execute.forkserver"
# As in ipykernel's launcher the folder that we are started from is no place to import from: a module of the course
# could stand in for one of Python's. `-P` would say so, too, and to every Python that a page starts.
COMMAND = [
    sys.executable,
    "-c",
    f"import sys\nif not sys.path[0]: del sys.path[0]\nfrom {MODULE} import main\nmain(*map(int, sys.argv[2:]))",
    MODULE,
]


class ForkServer:
    """A fork server process, which imports `modules` once; `fork` gives a kernel's process. Close it when done."""

    def __init__(self, modules: Iterable[str], environment: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        self._control, self._heard, self._unsent = ours, b"", b""
        self._numbers = itertools.count(1)
        self._process = Popen(
            [*COMMAND, str(theirs.fileno()), str(os.getpid())],
            pass_fds=[theirs.fileno()],
            stdin=DEVNULL,
            env=dict(environment),
            start_new_session=True,
        )
        theirs.close()
        self._lock = asyncio.Lock()
        self._loaded: frozenset[str] | None = None  # known when it is warm
        with contextlib.suppress(OSError):  # it has died; whoever wants a kernel of it will hear
            ours.sendall(_line({"kernel": list(ALWAYS), "modules": list(dict.fromkeys(_ahead(modules)))}))
        ours.setblocking(False)

    async def fork(self, arguments: list[str], cwd: str, environment: Mapping[str, str]) -> Forked:
        """Ask for a forked kernel. Raises ConnectionError when the server has died, or can't fork.

        A kernel whose caller was cancelled meanwhile is ended.
        """
        await self.loaded()
        async with self._lock:
            number = next(self._numbers)
            request = {"number": number, "arguments": arguments, "cwd": cwd, "environment": dict(environment)}
            try:
                return await self._forked(request)
            except BaseException as error:
                self.end(number)
                if isinstance(error, OSError) and not isinstance(error, ConnectionError):
                    raise ConnectionError(f"a forked kernel can't be held: {error}") from error
                raise

    async def loaded(self) -> frozenset[str]:
        """The modules, by the names at the top, that its kernels have from it and wouldn't have by themselves. Waits
        until it has imported them. Raises ConnectionError when it has died."""
        async with self._lock:
            if self._loaded is None:
                self._loaded = frozenset((await self._answer())["loaded"])
            return self._loaded

    async def _forked(self, request: Mapping[str, Any]) -> Forked:
        await self._send(request)
        # Before this answer may come those to requests that were given up.
        while (answer := await self._answer())["number"] != request["number"]:
            pass
        if answer["pid"] is None:
            raise ConnectionError("the fork server can't fork")
        return Forked(int(answer["pid"]), request["number"])

    def end(self, number: int) -> None:
        """Tell the server to kill the kernel of this number with its whole group, if it is alive, and to forget it."""
        self._unsent += _line({"end": number})
        with contextlib.suppress(OSError):  # full, so it goes with the next request; or the server has died
            self._send_some()

    # Neither in a thread, which would wait on after Ctrl-C until the server has imported everything, nor by the loop's
    # sock_recv and sock_sendall: where these are cancelled, what was read or how much was sent is lost.

    async def _send(self, request: Mapping[str, Any]) -> None:
        self._unsent += _line(request)
        while self._unsent:
            try:
                self._send_some()
            except BlockingIOError:
                loop = asyncio.get_running_loop()
                await _ready(loop.add_writer, loop.remove_writer, self._control)
            except OSError as error:
                raise ConnectionError("the fork server has died") from error

    def _send_some(self) -> None:
        while self._unsent:
            self._unsent = self._unsent[self._control.send(self._unsent) :]

    async def _answer(self) -> dict[str, Any]:
        while b"\n" not in self._heard:
            try:
                heard = self._control.recv(65536)
            except BlockingIOError:
                loop = asyncio.get_running_loop()
                await _ready(loop.add_reader, loop.remove_reader, self._control)
                continue
            except OSError as error:
                raise ConnectionError("the fork server has died") from error
            if not heard:
                raise ConnectionError("the fork server has died")
            self._heard += heard
        answer, _, self._heard = self._heard.partition(b"\n")
        told: dict[str, Any] = json.loads(answer)
        return told

    def close(self) -> None:
        """End the server and the kernels that are left."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        self._control.close()
        if self._loaded is None:
            self._process.kill()  # it has no kernels yet, and would import to the end before it listens
        try:
            self._process.wait(timeout=5)
        except TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _line(request: Mapping[str, Any]) -> bytes:
    return json.dumps(request).encode() + b"\n"


async def _ready(add: Callable[..., Any], remove: Callable[..., Any], control: socket.socket) -> None:
    """Wait until the socket can be read or written, as `add` and `remove` say."""
    happened = asyncio.Event()
    add(control, happened.set)
    try:
        await happened.wait()
    finally:
        remove(control)


def _ahead(modules: Iterable[str]) -> Iterable[str]:
    for name in modules:
        if not name.startswith(NEVER):
            yield from INSTEAD.get(name, (name,))
