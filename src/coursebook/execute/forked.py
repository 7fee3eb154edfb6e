"""A forked kernel's process, as jupyter_client handles one."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess


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
