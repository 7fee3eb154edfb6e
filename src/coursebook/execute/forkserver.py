"""The fork server: a process that has imported what the pages import, and forks a kernel on request.

Started by `fork_client.py` with the number of a socket's descriptor and that of its process. It reads one JSON object a
line: first `{"kernel": [...], "modules": [...]}`, what kernels are made of and what pages import, and answers
`{"loaded": [...]}`, what the latter brought along; then `{"number": ..., "arguments": [...], "cwd": ..., "environment":
{...}}` for each kernel, which it answers with `{"number": ..., "pid": ...}` (null: it can't fork), and `{"end":
number}` when nobody wants that kernel any more. It never starts a thread or a parallel region of its own and never
touches CUDA, because a process that did can't be forked safely. When the socket closes it kills its kernels and ends.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys
import traceback
import warnings
from collections.abc import Iterator
from typing import Any, NoReturn

from ..ground import die_with_parent


def main(descriptor: int, parent: int) -> None:
    # Ctrl-C in the terminal reaches the whole group; who ends and when is the client's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(parent)
    control = socket.socket(fileno=descriptor)
    lines = control.makefile("r", encoding="utf-8")
    kernels = _Kernels()
    try:
        for line in lines:
            request = json.loads(line)
            if "end" in request:
                kernels.end(request["end"])
                continue
            if "modules" in request:
                answer: dict[str, Any] = {"loaded": _import(request["kernel"], request["modules"])}
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # whatever a module made of it
                die_with_parent(None)  # from here on it hears of that by itself, and has kernels to kill before
            else:
                answer = {"number": request["number"], "pid": kernels.start(request, control)}
            control.sendall(json.dumps(answer).encode() + b"\n")
    finally:
        kernels.end_all()
        os._exit(0)  # taking torch down in good order takes most of a second


class _Kernels:
    """The kernels that were forked, by the number of their request.

    One that has ended is waited for only when the client has no more use for it: until then its number, which is its
    group's as well, can't become a stranger's, and whoever signals the group meets what the kernel has left of it.
    """

    def __init__(self) -> None:
        self._pids: dict[int, int] = {}
        self._ending: set[int] = set()

    def start(self, request: dict[str, Any], control: socket.socket) -> int | None:
        self._forget()
        try:
            pid = _fork(request, control)
        except OSError:  # too many processes, or too little memory
            return None
        self._pids[request["number"]] = pid
        return pid

    def end(self, number: int) -> None:
        pid = self._pids.pop(number, None)
        if pid is not None:
            _kill_group(pid)
            self._ending.add(pid)
        self._forget()

    def end_all(self) -> None:
        for pid in self._pids.values():
            _kill_group(pid)
        for pid in {*self._pids.values(), *self._ending}:
            _is_gone(pid, 0)

    def _forget(self) -> None:
        self._ending = {pid for pid in self._ending if not _is_gone(pid, os.WNOHANG)}


def _is_gone(pid: int, options: int) -> bool:
    """Wait for a kernel, as `options` say; whether it has ended."""
    try:
        return os.waitpid(pid, options)[0] == pid
    except ChildProcessError:
        return True


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)  # it may not lead its group yet
        os.killpg(pid, signal.SIGKILL)


def _import(kernel: list[str], modules: list[str]) -> list[str]:
    """Import what can be imported; what can't will say so in the page that needs it. Returns what `modules` brought
    along, by the names at the top."""
    # While modules are made nothing becomes garbage, and a collector that looks for it takes a sixth of the time. What
    # they leave is then put out of its sight for good: in a kernel it would touch, and so copy, every shared page.
    gc.disable()
    with _silence():
        _try(kernel)
        before = set(sys.modules)
        with _streams_of_the_kernel():
            _try(modules)
    gc.freeze()
    return sorted({name.partition(".")[0] for name in sys.modules.keys() - before})


def _try(modules: list[str]) -> None:
    for name in modules:
        with contextlib.suppress(BaseException):
            importlib.import_module(name)


class _Stream:
    """What a module takes for `sys.stdout` or `sys.stderr` when it is imported here: the one that there is then.

    A logger keeps the stream that it finds. The server's would lead to a file descriptor, which ipykernel reads in a
    thread: what is written there may come when the cell has ended, and is then in no outputs.
    """

    def __init__(self, name: str) -> None:
        self._name, self._own = name, getattr(sys, name)

    def __getattr__(self, name: str) -> Any:
        now = getattr(sys, self._name)
        return getattr(self._own if now is self else now, name)


@contextlib.contextmanager
def _streams_of_the_kernel() -> Iterator[None]:
    own = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Stream("stdout"), _Stream("stderr")
    try:
        yield
    finally:
        sys.stdout, sys.stderr = own


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Nothing that is printed meanwhile is seen."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, descriptor in enumerate(kept, 1):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.close(nowhere)


def _fork(request: dict[str, Any], control: socket.socket) -> int:
    with warnings.catch_warnings():
        # BLAS keeps threads, and puts them to sleep around a fork by itself; Python 3.12 warns all the same.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        _become_kernel(request, control)
    return pid


def _become_kernel(request: dict[str, Any], control: socket.socket) -> NoReturn:
    server = os.getppid()
    try:
        gc.enable()
        os.setsid()
        die_with_parent(server)
        os.close(control.detach())  # close() would wait for the file that reads from it
        with open(os.devnull) as nothing:  # noqa: PTH123
            os.dup2(nothing.fileno(), 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["environment"], JPY_PARENT_PID=str(server))
        # These seed their global generators when they are imported; every kernel would draw the same "random" numbers.
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed()
        if "torch" in sys.modules:
            sys.modules["torch"].seed()
        # ipykernel watches this process and ends with it; the variable alone comes too late, it was read at import.
        arguments = [*request["arguments"], f"--IPKernelApp.parent_handle={server}"]
        sys.argv = ["ipykernel_launcher.py", *arguments]
        from ipykernel.kernelapp import IPKernelApp

        IPKernelApp.launch_instance(arguments)
    except SystemExit:
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(0)
