"""Warm kernels: a jupyter_client provisioner that has a fork server fork a kernel instead of starting Python anew.

A kernel that imports torch, torchvision, matplotlib and scikit-learn takes seconds to be ready; forked from a process
that has imported them, a fraction of one. Only on Linux, where forking such a process is safe; elsewhere, for other
kernels, and when the server can't be had, a kernel is started in the ordinary way.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

PROVISIONER = "coursebook-fork"
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


def can_fork() -> bool:
    """Whether warm kernels can be had here."""
    is_possible = sys.platform == "linux" and _has_pidfds()
    return is_possible and bool(entry_points(group="jupyter_client.kernel_provisioners", name=PROVISIONER))


def _has_pidfds() -> bool:
    """Whether processes can be held by a descriptor: not before Linux 5.3, nor where a sandbox forbids it."""
    try:
        descriptor = os.pidfd_open(os.getpid())
    except (AttributeError, OSError):  # AttributeError: a Python that was built on an older system
        return False
    try:
        signal.pidfd_send_signal(descriptor, 0)
    except (AttributeError, OSError):
        return False
    finally:
        os.close(descriptor)
    return True


class ForkServer:
    """A fork server process, which imports `modules` once; `fork` gives a kernel's process. Close it when done."""

    def __init__(self, modules: Iterable[str], environment: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        self._control, self._heard, self._unsent = ours, b"", b""
        self._numbers = itertools.count(1)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "coursebook.execute.forkserver", str(theirs.fileno()), str(os.getpid())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
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
        """Have a kernel forked. Raises ConnectionError when the server has died, or can't fork.

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
        """Have the kernel of this number killed with its whole group, if it is alive, and forgotten."""
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
        except subprocess.TimeoutExpired:
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


class Forked:
    """A kernel's process, with as much of subprocess.Popen as a provisioner needs.

    It is not our child: whether it has ended is known from its descriptor, how it ended is not. `number` is the
    server's for it; until `ForkServer.end` no other process or group gets its `pid`.
    """

    stdin = stdout = stderr = None

    def __init__(self, pid: int, number: int) -> None:
        self.pid, self.number = pid, number
        self.returncode: int | None = None
        try:
            self._descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            self._descriptor, self.returncode = -1, 1

    def poll(self) -> int | None:
        if self.returncode is None and self._has_ended(0):
            os.close(self._descriptor)
            self.returncode = 1
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not self._has_ended(timeout):
                raise subprocess.TimeoutExpired("kernel", timeout or 0.0)
            self.poll()
        return self.returncode or 0

    def _has_ended(self, timeout: float | None) -> bool:
        asked = select.poll()  # and not select(), which knows no descriptor above 1023
        asked.register(self._descriptor, select.POLLIN)
        return bool(asked.poll(None if timeout is None else timeout * 1000))

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it ends this moment
                signal.pidfd_send_signal(self._descriptor, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class ForkProvisioner(LocalProvisioner):
    """Starts a Python kernel through the fork server that `warm` gave its manager; the rest is LocalProvisioner's."""

    _forget: Callable[[], None] | None = None

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        server = SERVERS.get(id(self.parent))
        if server is not None and cmd[0] == sys.executable and "ipykernel_launcher" in cmd:
            arguments = cmd[cmd.index("ipykernel_launcher") + 1 :]
            cwd = str(kwargs.get("cwd") or Path.cwd())
            with contextlib.suppress(ConnectionError):  # the server is gone: start the kernel in the ordinary way
                forked = await server.fork(arguments, cwd, kwargs.get("env") or os.environ)
                self.process: Any = forked
                self.pid = self.pgid = forked.pid
                self._forget = functools.partial(server.end, forked.number)
                self.cwd: Any = cwd
                return self.connection_info
        return await super().launch_kernel(cmd, **kwargs)

    async def cleanup(self, restart: bool = False) -> None:
        await super().cleanup(restart)
        if self._forget:
            self._forget()
            self._forget = None


# By the manager's id: a provisioner is made by jupyter_client, from a name, and finds its server through its parent.
SERVERS: dict[int, ForkServer] = {}


@contextlib.contextmanager
def warm(manager: AsyncKernelManager, server: ForkServer | None) -> Iterator[None]:
    """Have `manager` start its kernel through `server`, if there is one."""
    if server is None:
        yield
        return
    spec: Any = manager.kernel_spec
    spec.metadata = {**spec.metadata, "kernel_provisioner": {"provisioner_name": PROVISIONER, "config": {}}}
    SERVERS[id(manager)] = server
    try:
        yield
    finally:
        SERVERS.pop(id(manager), None)
