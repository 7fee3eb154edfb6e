"""Warm kernels: a jupyter_client provisioner that has a fork server fork a kernel instead of starting Python anew.

A kernel that imports torch, torchvision, matplotlib and scikit-learn takes seconds to be ready; forked from a process
that has imported them, a fraction of one. Only on Linux, where forking such a process is safe; elsewhere, for other
kernels, and when the server can't be had, a kernel is started in the ordinary way.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
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
    return sys.platform == "linux" and bool(entry_points(group="jupyter_client.kernel_provisioners", name=PROVISIONER))


class ForkServer:
    """A fork server process, which imports `modules` once; `fork` gives a kernel's process. Close it when done."""

    def __init__(self, modules: Iterable[str], environment: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        self._control, self._heard = ours, b""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "coursebook.execute.forkserver", str(theirs.fileno()), str(os.getpid())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=dict(environment),
            start_new_session=True,
        )
        theirs.close()
        self._lock = asyncio.Lock()
        self._is_warm = False
        with contextlib.suppress(OSError):  # it has died; whoever wants a kernel of it will hear
            ours.sendall(_line({"modules": list(dict.fromkeys([*ALWAYS, *_ahead(modules)]))}))
        ours.setblocking(False)

    async def fork(self, arguments: list[str], cwd: str, environment: Mapping[str, str]) -> Forked:
        """Have a kernel forked. Raises ConnectionError when the server has died."""
        async with self._lock:
            if not self._is_warm:
                await self._answer()
                self._is_warm = True
            request = {"arguments": arguments, "cwd": cwd, "environment": dict(environment)}
            try:
                await asyncio.get_running_loop().sock_sendall(self._control, _line(request))
            except OSError as error:
                raise ConnectionError("the fork server has died") from error
            return Forked(int((await self._answer())["pid"]))

    async def _answer(self) -> dict[str, Any]:
        # Not in a thread: after Ctrl-C it would wait on until the server has imported everything.
        while b"\n" not in self._heard:
            try:
                heard = await asyncio.get_running_loop().sock_recv(self._control, 65536)
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
        if not self._is_warm:
            self._process.kill()  # it has no kernels yet, and would import to the end before it listens
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _line(request: Mapping[str, Any]) -> bytes:
    return json.dumps(request).encode() + b"\n"


def _ahead(modules: Iterable[str]) -> Iterable[str]:
    for name in modules:
        if not name.startswith(NEVER):
            yield from INSTEAD.get(name, (name,))


class Forked:
    """A kernel's process, with as much of subprocess.Popen as a provisioner needs.

    It is not our child: whether it has ended is known from its descriptor, how it ended is not.
    """

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        try:
            self._descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            self._descriptor, self.returncode = -1, 1

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._descriptor], [], [], 0)[0]:
            os.close(self._descriptor)
            self.returncode = 1
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._descriptor], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("kernel", timeout or 0.0)
            self.poll()
        return self.returncode or 0

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class ForkProvisioner(LocalProvisioner):
    """Starts a Python kernel through the fork server that `warm` gave its manager; the rest is LocalProvisioner's."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        server = SERVERS.get(id(self.parent))
        if server is not None and cmd[0] == sys.executable and "ipykernel_launcher" in cmd:
            arguments = cmd[cmd.index("ipykernel_launcher") + 1 :]
            cwd = str(kwargs.get("cwd") or Path.cwd())
            with contextlib.suppress(ConnectionError):  # the server is gone: start the kernel in the ordinary way
                self.process: Any = await server.fork(arguments, cwd, kwargs.get("env") or os.environ)
                self.pid = self.pgid = self.process.pid
                self.cwd: Any = cwd
                return self.connection_info
        return await super().launch_kernel(cmd, **kwargs)


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
