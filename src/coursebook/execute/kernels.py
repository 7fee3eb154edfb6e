"""Warm kernels: a jupyter_client provisioner that has a fork server fork a kernel instead of starting Python anew.

A kernel that imports torch, torchvision, matplotlib and scikit-learn takes seconds to be ready; forked from a process
that has imported them, a fraction of one. Only on Linux, where forking such a process is safe; elsewhere, for other
kernels, and when the server can't be had, a kernel is started in the ordinary way.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from .fork_client import ForkServer

PROVISIONER = "coursebook-fork"


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
    """Make `manager` start its kernel through `server`, if there is one."""
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
