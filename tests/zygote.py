"""Processes that are forked instead of started: a zygote has imported what each of them would import again.

A build of a tiny course takes two seconds, half of them for importing Sphinx; a fork server takes one for ipykernel.
The tests start hundreds of both. What is forked is as what is started: its parent is whoever asked (`wait`, signals and
`die_with_parent` see no difference), and it has the streams, the environment and the folder that it was given. On other
systems than Linux, and where a variable that Python reads as it starts is another, a process is started as usual.

    python tests/zygote.py DESCRIPTOR MODULE     what Zygote starts; MODULE is what its children run
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from coursebook.execute.fork_client import ALWAYS

# The number of Linux's `clone`, of which Python has no function.
CLONE = {"x86_64": 56, "aarch64": 220}.get(platform.machine())
CLONE_PARENT = 0x8000
CAN_FORK = sys.platform == "linux" and CLONE is not None
RENDERER = "coursebook.site.sphinx.renderer"
FORK_SERVER = "coursebook.execute.forkserver"
ARGUMENTS: dict[str, tuple[Callable[[str], object], ...]] = {RENDERER: (Path, int), FORK_SERVER: (int, int)}
# These may differ: a child is told of them.
TOLD = ("PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE")


class Zygote:
    """A process that forks processes running `module`, for a Python started with `flags`; ends with this one.

    It is started when it is first asked for one, in the environment that there was when this object was made.
    """

    def __init__(self, module: str, flags: Sequence[str] = (), **variables: str) -> None:
        self.module, self._flags = module, flags
        self._environment = {**os.environ, **variables}
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def _start(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._process = subprocess.Popen(
            [sys.executable, *self._flags, __file__, str(theirs.fileno()), self.module],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=self._environment,
        )
        theirs.close()

    def suits(self, environment: Mapping[str, str]) -> bool:
        return CAN_FORK and _fixed(environment) == _fixed(self._environment)

    def fork(self, request: Mapping[str, Any], descriptors: Sequence[int]) -> int:
        """The number of a process that runs the module as `request` says, with these as its descriptors."""
        message = json.dumps(request).encode()
        with self._lock:
            if self._process is None:
                self._start()
            socket.send_fds(self._ours, [len(message).to_bytes(4, "big")], list(descriptors))
            self._ours.sendall(message)
            answer = self._ours.recv(4, socket.MSG_WAITALL)
        if not answer:
            raise OSError("the zygote has died")
        return int.from_bytes(answer, "big")

    def close(self) -> None:
        if self._process is not None:
            self._ours.close()
            self._process.wait()


def popen_of(zygote: Zygote, check: Callable[[], None]) -> type[subprocess.Popen[bytes]]:
    """A `Popen` whose processes are those of `zygote` where they can be, once `check` has nothing against them."""
    module = zygote.module

    class Forked(subprocess.Popen):  # type: ignore[type-arg]
        def _execute_child(self, args: Any, *others: Any) -> None:
            check()
            (executable, preexec_fn, _close_fds, pass_fds, cwd, env, _, _, shell) = others[:9]
            (p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite) = others[9:15]
            (_, gid, gids, uid, umask, start_new_session, process_group) = others[15:]
            environment = dict(os.environ if env is None else env)
            odd = executable or preexec_fn or cwd or shell or gid or gids or uid or umask != -1 or process_group != -1
            if odd or not isinstance(args, list) or module not in args or not zygote.suits(environment):
                return super()._execute_child(args, *others)  # type: ignore[misc,no-any-return]
            request = {
                "arguments": args[args.index(module) + 1 :],
                "environment": environment,
                "cwd": os.getcwd(),  # noqa: PTH109
                "session": bool(start_new_session),
                "numbers": [0, 1, 2, *pass_fds],
            }
            streams = [n if own == -1 else own for n, own in enumerate((p2cread, c2pwrite, errwrite))]
            self.pid = zygote.fork(request, [*streams, *pass_fds])
            self._child_created = True
            self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]
            return None

    return Forked


def _fixed(environment: Mapping[str, str]) -> dict[str, str]:
    """What Python reads as it starts and never again."""
    return {name: value for name, value in environment.items() if name.startswith("PYTHON") and name not in TOLD}


def _sphinx() -> Iterator[str]:
    """What the renderer imports while it waits for its order, and what any build has imported in the end."""
    from sphinx.application import builtin_extensions

    yield from ("jupyter_book.config", "jupyter_book.sphinx", "sphinx.builders.html", "sphinx.domains.cpp")
    yield from ("sphinx.domains.std", "myst_nb.sphinx_ext", "sphinx_book_theme", "pydata_sphinx_theme.toctree")
    yield from ("sphinx_comments", "sphinx_copybutton", "sphinx_design", "sphinx_external_toc", "sphinx_thebe")
    yield from ("sphinx_jupyterbook_latex", "sphinx_multitoc_numbering", "sphinx_togglebutton")
    yield from ("myst_parser.sphinx_ext.directives", "myst_parser.sphinx_ext.mathjax", "sphinx_external_toc.events")
    yield from builtin_extensions
    yield from ("docutils.writers.docutils_xml", "docutils.writers.latex2e", "docutils.writers.manpage")
    yield from ("alabaster", "bs4", "doctest", "filelock", "gzip", "icalendar", "jinja2.sandbox", "plistlib")
    folder = Path(sys.modules[RENDERER].__file__ or "").parent
    yield from (f"{RENDERER.rpartition('.')[0]}.{path.stem}" for path in folder.glob("[a-z]*.py"))


def _serve(control: socket.socket, module: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches the whole group
    importlib.import_module(module)
    for name in _sphinx() if module == RENDERER else ALWAYS:
        with contextlib.suppress(ImportError):  # another version's; the child imports what it needs
            importlib.import_module(name)
    if module == RENDERER:  # the selectors in there, which take as long as a tiny page, are compiled once
        importlib.import_module("coursebook.launch.from_html").parts_of("<p></p>", [], "", str, {})
    assert len(os.listdir("/proc/self/task")) == 1, "a process with threads can't be forked safely"  # noqa: PTH208
    while True:
        head, descriptors, _, _ = socket.recv_fds(control, 4, 16)
        if not head:
            return
        request = json.loads(control.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))
        pid = _fork()
        if pid == 0:
            _become(module, request, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        control.sendall(pid.to_bytes(4, "big"))


def _fork() -> int:
    """As `os.fork`, but the child is a child of this process's own parent."""
    libc = ctypes.PyDLL(None, use_errno=True)
    ctypes.pythonapi.PyOS_BeforeFork()
    pid: int = libc.syscall(CLONE, CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
    else:
        ctypes.pythonapi.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(ctypes.get_errno(), "can't be forked")
    return pid


def _become(module: str, request: dict[str, Any], descriptors: list[int]) -> NoReturn:
    import fcntl  # only where there is forking

    try:
        # Out of the way of the numbers that they are to have.
        high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 512) for descriptor in descriptors]
        os.closerange(3, 512)
        for descriptor, number in zip(high, request["numbers"], strict=True):
            os.dup2(descriptor, number)
        os.closerange(512, 512 + 2 * len(high))
        if request["session"]:
            os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["environment"])
        time.tzset()
        sys.pycache_prefix = os.environ.get(TOLD[0]) or None
        sys.dont_write_bytecode = bool(os.environ.get(TOLD[1]))
        sys.argv = [module, *request["arguments"]]
        main: Callable[..., object] = sys.modules[module].main  # type: ignore[attr-defined]
        main(*(read(given) for read, given in zip(ARGUMENTS[module], request["arguments"], strict=True)))
        sys.stdout.flush()
        os._exit(0)
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else bool(end.code))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # that of this file
    _serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
