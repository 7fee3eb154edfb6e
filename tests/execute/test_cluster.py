"""Clusters: a Dask scheduler and workers as processes of their own, on this machine, and what can happen to them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import io
import json
import os
import pickle
import random
import re
import shlex
import signal
import socket
import socketserver
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from test_devices import CPU_SAYS, GPU_HEAD, LISTED, TORCH, USES

from conftest import CONFIG, HEAD, ROOT, Built, Tiny, until
from coursebook.cli import main
from coursebook.course.cell import Cell
from coursebook.course.course import Course
from coursebook.execute.cell_errors import CellFailed, CellTimedOut, KernelDied, TooMuchOutput
from coursebook.ground import tar
from coursebook.ground.errors import CourseError
from coursebook.outputs.store import Store

distributed = pytest.importorskip("distributed")
from distributed.client import ClosedClientError, FutureCancelledError  # noqa: E402
from distributed.comm.core import CommClosedError  # noqa: E402

from coursebook.execute.cluster import dispatch, handshake, parcel, scheduler, worker  # noqa: E402
from coursebook.execute.cluster.client import Cluster  # noqa: E402
from coursebook.execute.cluster.members import Members  # noqa: E402
from coursebook.execute.cluster.parcel import Damaged, Parcel, open_parcel  # noqa: E402
from coursebook.execute.cluster.protocol import Run, Traits  # noqa: E402
from coursebook.execute.cluster.scheduler import Scheduler, SchedulerLost  # noqa: E402
from coursebook.execute.cluster.worker import Unable  # noqa: E402
from coursebook.execute.executor import ExecutionOptions  # noqa: E402

real = [
    pytest.mark.kernel,
    pytest.mark.cluster,
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc"),
]
BEGUN = "import pathlib, time\nfile = pathlib.Path({folder!r}) / '{name}'\nfile.write_text(file.name)\n"
# A kernel is forked by a process that the worker started.
WORKER = (
    "import os, pathlib, signal, time\nstatus = pathlib.Path(f'/proc/{os.getppid()}/stat').read_text()\n"
    "worker = int(status.rpartition(')')[2].split()[1])\n"
)
LOST = "the scheduler was lost; what came of other pages before is kept"
UNREACHED = "no scheduler can be reached there within 1 s; nothing was executed"
KILLS_ITS_WORKER = WORKER + "os.kill(worker, signal.SIGKILL)\ntime.sleep(60)"
# Tells each time which worker executes it; the first time, the page `a` never ends.
TELLS = (
    WORKER + "path = pathlib.Path('PATH')\nwith path.open('a') as file:\n    print(worker, file=file)\n"
    "if path.name == 'a' and len(path.read_text().split()) == 1:\n    time.sleep(600)\ntime.sleep(1)\nprint('done')"
)


# Ends when three pages have begun, and prints from when to when it ran, and how many did when it saw the third.
MEETS = """\
import pathlib, time
folder, start, begun = pathlib.Path({folder!r}), time.time(), []
(folder / '{name}.begun').touch()
while len(begun) < 3:
    names = [path.suffix for path in folder.iterdir()]
    begun = [name for name in names if name == '.begun']
(folder / '{name}.ended').touch()
print(start, time.time(), 2 * len(begun) - len(names))"""


class Dask:
    """A scheduler and workers, which keep what they write below `folder`; `course` marks their processes."""

    def __init__(self, folder: Path, course: Path) -> None:
        self.folder, self._course, self.bytecode = folder, course, folder.parent / "bytecode"
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        file = folder / "scheduler.json"
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)
        )
        assert until(lambda: file.exists() and "address" in file.read_text(), 120), self.log("scheduler")
        self.address = json.loads(file.read_text())["address"]

    def add(self, *names: str, threads: int = 1, options: Sequence[str] = ("--no-nanny",), **environment: str) -> None:
        for name in names:
            self.workers[name] = self._start(
                "worker", self.address, "--name", name, "--nthreads", str(threads), "--no-dashboard",
                "--local-directory", str(self.folder / "scratch"), *options, log=name, **environment,
            )  # fmt: skip
        for name in names:
            assert until(lambda name=name: "Registered to" in self.log(name), 120), self.log(name)

    def remove(self, *names: str) -> None:
        for name in names:
            self.workers[name].terminate()
        for name in names:
            self.workers.pop(name).wait(60)  # in good order, whatever it had to do for us

    def kill(self, name: str) -> None:
        worker = self.workers.pop(name)
        worker.kill()
        worker.wait()

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def close(self) -> None:
        self.remove(*self.workers)
        self.scheduler.terminate()
        self.scheduler.wait(60)

    def _start(self, what: str, *arguments: str, log: str = "scheduler", **environment: str) -> subprocess.Popen[bytes]:
        variables = {**os.environ, "COURSE_UNDER_TEST": str(self._course), **environment}
        # Where packages are installed without, every worker would compile them.
        variables |= {"PYTHONPYCACHEPREFIX": str(self.bytecode), "PYTHONDONTWRITEBYTECODE": ""}
        with (self.folder / f"{log}.log").open("wb") as file:
            command = [sys.executable, "-P", "-m", f"distributed.cli.dask_{what}", *arguments]
            return subprocess.Popen(command, stdout=file, stderr=file, env=variables, cwd=self.folder)


class Between:
    """A way to the scheduler that breaks for good when a command sends `word` for the nth time, and calls `then`.

    It is `cut`, as when the scheduler is killed, or `silent`, as when that is stopped or the network is down.
    """

    def __init__(self, scheduler: str, word: str, nth: int, how: str, then: Callable[[], None]) -> None:
        self._there = ("127.0.0.1", int(scheduler.rpartition(":")[2]))
        self._word, self._left, self._how, self._then = word.encode(), nth, how, then
        self._sockets: list[socket.socket] = []
        self.broken = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Between:
        return self

    def __exit__(self, *exception: object) -> None:
        for one in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here = self._listener.accept()[0]
                there = socket.create_connection(self._there)
                self._sockets += [here, there]
                threading.Thread(target=self._pass, args=(here, there, True), daemon=True).start()
                threading.Thread(target=self._pass, args=(there, here, False), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket, watched: bool) -> None:
        last = b""
        with contextlib.suppress(OSError):
            while (data := one.recv(2**16)) and not self.broken.is_set():
                seen = last + data
                if watched and self._word in seen:
                    self._left -= 1
                    if not self._left:
                        self._break()
                last = seen.rpartition(self._word)[2][-len(self._word) + 1 :]
                if not self.broken.is_set():
                    other.sendall(data)
            if not self.broken.is_set():
                other.shutdown(socket.SHUT_WR)

    def _break(self) -> None:
        self.broken.set()
        self._then()
        if self._how == "cut":
            self.__exit__()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    """One that is as it was after each test: a worker of one thread, and one of two."""
    folder = tmp_path_factory.mktemp("dask")
    dask = Dask(folder, folder)
    try:
        dask.add("single")
        dask.add("double", threads=2)
        yield dask
    finally:
        dask.close()


@pytest.fixture(scope="module")
def deserted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    """One with a worker, for commands that leave without a farewell: what they opened stays on it."""
    folder = tmp_path_factory.mktemp("dask")
    dask = Dask(folder, folder)
    try:
        dask.add("only", threads=2)
        yield dask
    finally:
        dask.close()


@pytest.fixture
def fragile(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    """A scheduler for a test that adds its own workers, and harms them."""
    dask = Dask(tmp_path_factory.mktemp("dask"), tiny.root)
    try:
        yield dask
    finally:
        dask.close()


def execute(tiny: Tiny, dask: Dask | str, *arguments: str) -> Built:
    tiny.capture()
    address = dask if isinstance(dask, str) else dask.address
    code = main(["execute", "--root", str(tiny.root), "--cluster", address, *arguments])
    return Built(code, *tiny.capture())


def start(tiny: Tiny, dask: Dask) -> subprocess.Popen[str]:
    """The command in a process of its own, which leads a group, as a terminal has it."""
    command = [sys.executable, "-m", "coursebook", "execute", "--root", str(tiny.root), "--cluster", dask.address]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )  # fmt: skip


def pages(tiny: Tiny, **sources: str) -> None:
    """A course of these pages, below days/, each with one cell."""
    chapters = "".join(f"  - file: days/{name}\n" for name in sources)
    tiny.write({"_toc.yml": f"format: jb-book\nroot: index\nchapters:\n{chapters}", "days/one.md": None})
    for name, source in sources.items():
        tiny.cells(source, name=f"days/{name}.md")


def shadow(folder: Path, name: str) -> Path:
    """A folder from which a worker takes `name` for version 1.0.0."""
    data = folder / f"{name}-1.0.0.dist-info/METADATA"
    data.parent.mkdir()
    data.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n")
    return folder


def earlier() -> list[str]:
    return [path for path in [os.environ.get("PYTHONPATH")] if path]


def text(tiny: Tiny, name: str) -> str:
    notebook = json.loads((tiny.root / f"outputs/days/{name}.ipynb").read_text())
    return str(notebook["cells"][1]["outputs"][0]["text"])


def provenance(tiny: Tiny, docname: str = "days/one") -> Any:
    stored = Store(tiny.root).read(docname)
    assert stored
    return stored.provenance


def unused_port() -> int:
    """A port below those that systems hand out by themselves, so that nobody else gets it meanwhile."""
    while is_served(port := random.randrange(20000, 30000)):
        pass
    return port


def is_served(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def kernels(dask: Dask, tiny: Tiny) -> list[str]:
    """The processes that workers have started and that are still there, for whichever course."""
    marks = {f"COURSE_UNDER_TEST={folder}".encode() for folder in (dask.folder, tiny.root)}
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if marks & {*(process / "environ").read_bytes().split(b"\0")}:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return [line for line in found if "forkserver" in line or "ipykernel" in line]


class Real:
    pytestmark = real


class TestPages(Real):
    def test_a_page_travels_with_what_it_needs_and_comes_back_current(self, tiny: Tiny, shared: Dask) -> None:
        tiny.cells(
            "import helper, numpy, pathlib\nprint(helper.double(21), pathlib.Path('../data/set.csv').read_text())\n"
            "print(pathlib.Path('../data/ignored.bin').read_text(), [p.name for p in pathlib.Path('..').iterdir()])",
            head=HEAD.replace("---\n", "---\ncoursebook: {inputs: [data/*.bin]}\n", 1),
        )
        tiny.write(
            {
                "data/set.csv": "1,2,3",
                "data/ignored.bin": "named",
                "secret/key": "stays",
                ".gitignore": "*.bin\nsecret\n_build\n",
            }
        )
        checkout(tiny.root)
        tiny.write({"days/helper.py": "def double(x):\n    return 2 * x\n", ".env": "TOKEN=x", "server.pem": "x"})
        done = execute(tiny, shared)
        assert done.code == 0, done.err
        assert "days/one: executing 1 cell" in done.out
        said = text(tiny, "one")
        assert said.startswith("42 1,2,3\nnamed ")
        assert not re.search(r"secret|\.env|\.pem", said)
        made = provenance(tiny)
        assert {*made.inputs} >= {"days/helper.py", "data/set.csv", "data/ignored.bin"}
        assert made.packages == {"numpy": handshake.installed_version("numpy")}
        assert (made.device, made.platform.partition(" ")[0], len(made.cell_seconds)) == ("cpu", "Linux", 1)
        assert re.fullmatch(r"[0-9a-f]{12}", made.commit), "the client's: a worker has no checkout"
        assert main(["status", "--check", "--root", str(tiny.root)]) == 0, tiny.capture()
        assert "executed 0 pages" in execute(tiny, shared).out
        tiny.write({"data/set.csv": "4,5,6", "days/helper.py": "def double(x):\n    return 3 * x\n"})
        assert execute(tiny, shared).code == 0
        assert text(tiny, "one").startswith("63 4,5,6\n"), "what changed travels anew"
        left = [path for folder in (shared.folder, shared.bytecode) for path in folder.rglob("helper.*")]
        assert not left, "what was opened for a command goes with it"
        assert not kernels(shared, tiny)

    def test_an_error_is_the_same_as_here(self, tiny: Tiny, shared: Dask) -> None:
        pages(tiny, good="print('good')", bad="x = 1\n\n\ndef f():\n    raise ValueError('so [bold]bad')\n\nf()")
        there = execute(tiny, shared)
        assert there.code == 1
        assert "days/bad.md:14: the cell raised ValueError: so [bold]bad" in there.err
        assert "def f():" in there.err
        assert "----> 7 f()" in there.err
        assert "failed: raised" not in there.out
        assert main(["execute", "--root", str(tiny.root)]) == 1
        assert tiny.capture()[1] == there.err
        assert [*Store(tiny.root).docnames()] == ["days/good"], "the other page went on"
        rows = json.loads(status(tiny))
        assert [row["state"] for row in rows] == ["current", "failed"]

    def test_published_outputs_are_verified_there(self, tiny: Tiny, shared: Dask) -> None:
        told = "import warnings\nwarnings.warn_explicit('f goes', DeprecationWarning, 'lib.py', 1)\nprint(2)"
        raises = (
            "import pathlib\nprint('good')\nassert pathlib.Path('../data/n.txt').read_text() == '1', 'n isn\u2019t 1'"
        )
        pages(tiny, same=told, claim=raises)
        tiny.write({"data/n.txt": "1"})
        assert execute(tiny, shared).code == 0
        before = {path: path.read_bytes() for path in (tiny.root / "outputs").rglob("*.ipynb")}
        tiny.write({"data/n.txt": "2"})
        tiny.capture()
        code = main(["verify", "--root", str(tiny.root), "--cluster", shared.address])
        out, err = tiny.capture()
        assert (code, err) == (1, "")
        assert "same days/same" in out
        assert "changed days/claim: 1 of 1 cell\n" in out, "a page goes on to its end though a cell of it fails"
        assert "will change in a later version: lib.py" in out or "DeprecationWarning: f goes (days/same)" in out
        assert {path: path.read_bytes() for path in before} == before
        assert not kernels(shared, tiny)

    def test_as_many_at_a_time_as_there_are_threads_the_longest_first(
        self, tiny: Tiny, shared: Dask, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        folder = tmp_path_factory.mktemp("met")
        pages(tiny, **{f"p{number}": MEETS.format(folder=str(folder), name=f"p{number}") for number in range(5)})
        done = execute(tiny, shared, "--cold")
        assert done.code == 0, done.err
        assert max(int(text(tiny, f"p{number}").split()[2]) for number in range(5)) == 3
        store = Store(tiny.root)
        for number in range(5):
            stored = store.read(f"days/p{number}")
            assert stored
            store.write(stored.docname, stored.notebook, replace(stored.provenance, seconds=100.0 * number))
        done = execute(tiny, shared, "--force", "--jobs", "1")
        assert done.code == 0, done.err
        assert re.findall(r"days/(p\d): executing", done.out) == ["p4", "p3", "p2", "p1", "p0"]
        spans = sorted(tuple(map(float, text(tiny, f"p{number}").split()[:2])) for number in range(5))
        assert all(a[1] <= b[0] for a, b in pairwise(spans)), "one after another"

    def test_gpu_pages_wait_for_a_worker_that_offers_one(self, tiny: Tiny, shared: Dask, tmp_path_factory: Any) -> None:
        pages(tiny, gpu=USES, other="pass", cpu=CPU_SAYS)
        tiny.write({"days/torch.py": TORCH}).cells(USES, name="days/gpu.md", head=GPU_HEAD)
        tiny.cells(USES.replace("21", "4"), name="days/other.md", head=GPU_HEAD)
        done = execute(tiny, shared)
        assert done.code == 0, done.err
        assert "kept days/gpu: missing: never executed; it asks for a GPU, and there is none" in done.out
        assert text(tiny, "cpu") == "on ''\n"
        failed = execute(tiny, shared, "--device", "gpu")
        assert failed.code == 1
        assert "error --device gpu: no worker of the cluster offers a GPU (`dask worker ADDRESS" in failed.err
        tool = tmp_path_factory.mktemp("bin") / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\ncat <<'LISTED'\n{LISTED}LISTED\n")
        tool.chmod(0o755)
        path = f"{tool.parent}{os.pathsep}{os.environ['PATH']}"
        shared.add("gpu", options=["--no-nanny", "--resources", "GPU=1"], PATH=path, CUDA_VISIBLE_DEVICES="1")
        try:
            done = execute(tiny, shared, "--force")
            assert done.code == 0, done.err
            for name, said in (("gpu", "42"), ("other", "8")):
                assert text(tiny, name) == f"computed {said}\n"
                made = provenance(tiny, f"days/{name}")
                assert (made.device, made.device_name) == (
                    "gpu",
                    "NVIDIA Test GPU-bbbb2222-0000-0000-0000-000000000000",
                )
            assert text(tiny, "cpu") == "on ''\n", "a page that asks for none sees none"
            tool.write_text("#!/bin/sh\nexit 9\n")
            refused = execute(tiny, shared, "--force")
            assert refused.code == 1
            assert "it offers GPU=1, and `nvidia-smi -L` lists 0 there" in refused.err
        finally:
            shared.remove("gpu")

    def test_workers_that_are_not_as_this_machine_are_refused(
        self, tiny: Tiny, shared: Dask, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        old, broken = tmp_path_factory.mktemp("old"), tmp_path_factory.mktemp("broken")
        (broken / "coursebook.py").write_text("raise ImportError('no coursebook here')\n")
        tiny.cells("import numpy\nprint(1)")
        shared.add("old", PYTHONPATH=os.pathsep.join([str(shadow(old, "numpy")), *earlier()]))
        shared.add("broken", PYTHONPATH=os.pathsep.join([str(broken), *earlier()]))
        try:
            refused = execute(tiny, shared)
        finally:
            shared.remove("old", "broken")
        assert refused.code == 1
        assert re.search(
            r"^error tcp://\S+: the cluster is not as this machine, so what it makes would not be current here: .*"
            r"worker old \(tcp://\S+\): numpy 1\.0\.0 \(here 2\.[\d.]+\)",
            refused.err,
        ), refused.err
        assert re.search(r"worker tcp://\S+: coursebook can't be used there \(.*no coursebook here", refused.err), (
            refused.err
        )
        assert "single" not in refused.err
        assert "executing" not in refused.out
        assert not (tiny.root / "outputs").exists()

    def test_the_guide_s_own_commands(self, tiny: Tiny) -> None:
        guide = (ROOT / "guide/cluster.md").read_text()
        blocks = re.findall(r"^```sh\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
        (block,) = (block for block in blocks if "dask scheduler" in block)
        port = unused_port()
        block = block.replace("8786", str(port))
        *servers, command = (shlex.split(row) for row in block.splitlines())
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tiny.root.parent}
        running: list[subprocess.Popen[bytes]] = []
        try:
            for row in servers:
                assert row[0] == ".venv/bin/dask"
                running.append(subprocess.Popen([sys.executable, "-m", "dask", *row[1:]], **quiet))  # type: ignore[call-overload]
            assert until(lambda: is_served(port), 120)
            assert command[0] == "coursebook"
            tiny.cells("print('on a worker')")
            assert main([*command[1:], "--root", str(tiny.root)]) == 0, tiny.capture()
            assert text(tiny, "one") == "on a worker\n"
        finally:
            for process in reversed(running):
                process.terminate()
                process.wait(60)

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
    def test_pages_end_with_their_command(
        self, tiny: Tiny, shared: Dask, tmp_path_factory: pytest.TempPathFactory, number: signal.Signals
    ) -> None:
        begun = tmp_path_factory.mktemp("begun")
        slow = BEGUN.format(folder=str(begun), name="slow") + "time.sleep(600)"
        pages(tiny, quick="print('quick')", slow=slow)
        process = start(tiny, shared)
        store = Store(tiny.root)
        assert until(lambda: (begun / "slow").exists() and store.path("days/quick").exists())
        assert kernels(shared, tiny)
        os.killpg(process.pid, number)
        _, err = process.communicate(timeout=60)
        if number == signal.SIGINT:
            assert (process.returncode, err) == (130, "interrupted; what was executed before is kept\n")
            assert until(lambda: not kernels(shared, tiny)), kernels(shared, tiny)
        else:
            # The fork server stays for a while, in case that it is wanted.
            assert until(lambda: sum("forkserver" in line for line in kernels(shared, tiny)) <= 2)
        assert store.docnames() == ["days/quick"]
        pages_again = execute(tiny.cells("print('slow')", name="days/slow.md"), shared)
        assert pages_again.code == 0, pages_again.err
        assert "executed 1 page" in pages_again.out


class TestLosses(Real):
    def test_the_page_of_a_lost_worker_is_executed_on_another(
        self, tiny: Tiny, fragile: Dask, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        begun = tmp_path_factory.mktemp("begun")
        fragile.add("one", "two")
        pages(tiny, **{name: TELLS.replace("PATH", str(begun / name)) for name in "abcd"})
        process = start(tiny, fragile)
        assert until((begun / "a").exists)
        assert until((begun / "b").exists)
        fragile.add("other", PYTHONPATH=os.pathsep.join([str(shadow(begun, "ipykernel")), *earlier()]))
        worker = int((begun / "a").read_text())
        victim = next(name for name, one in fragile.workers.items() if one.pid == worker)
        fragile.kill(victim)
        out, err = process.communicate(timeout=60)
        lines = out.splitlines()
        assert process.returncode == 0, err
        assert re.search(
            rf"^notice worker {victim} \(tcp://\S+\) was lost; days/a is executed again on another", out, re.M
        )
        assert re.search(r"^notice worker other \(tcp://\S+\) is left out: ipykernel 1\.0\.0 \(here ", out, re.M)
        for name in "abcd":
            assert sum(f"days/{name}: 1 cell in" in line for line in lines) == 1
            assert sum(f"days/{name}: executing" in line for line in lines) == 1
            times = len((begun / name).read_text().split())
            assert times == (2 if name == "a" else 1), "nothing else is executed twice"
            assert text(tiny, name) == "done\n"
        assert until(lambda: not kernels(fragile, tiny)), "no kernel outlives its worker"

    def test_a_page_that_kills_its_workers_is_given_up_after_three(self, tiny: Tiny, fragile: Dask) -> None:
        fragile.add("one", "two", options=["--nanny"])
        pages(tiny, deadly=KILLS_ITS_WORKER, b="print('b')", c="print('c')")
        done = execute(tiny, fragile)
        assert done.code == 1
        assert re.search(
            r"^error days/deadly\.md: the page has killed three workers \((?:(?:one|two)(?:, |\)))+: ", done.err
        ), done.err
        assert done.out.count("is executed again on another") == 2
        assert "days/deadly: failed after" in done.out
        assert Store(tiny.root).docnames() == ["days/b", "days/c"]
        assert [row["state"] for row in json.loads(status(tiny))] == ["failed", "current", "current"]

    def test_a_lost_scheduler_ends_the_command_and_nothing_else(
        self, tiny: Tiny, fragile: Dask, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        begun = tmp_path_factory.mktemp("begun")
        fragile.add("one", "two")
        pages(tiny, quick="print('quick')", slow=BEGUN.format(folder=str(begun), name="slow") + "time.sleep(600)")
        process = start(tiny, fragile)
        store = Store(tiny.root)
        assert until(lambda: (begun / "slow").exists() and store.path("days/quick").exists())
        fragile.scheduler.kill()
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert err == f"error {fragile.address}: {LOST}\n"
        assert store.docnames() == ["days/quick"]
        assert until(lambda: not kernels(fragile, tiny), 30), kernels(fragile, tiny)

    @pytest.mark.parametrize(
        ("word", "nth", "how", "seconds", "said"),
        [
            pytest.param("identity", 1, "cut", 0, UNREACHED, id="connecting, cut"),
            pytest.param("register-client", 1, "silent", 0, UNREACHED, id="connecting, silent"),
            pytest.param("ncores", 1, "cut", 0, LOST, id="looking for workers, cut"),
            pytest.param("describe", 1, "silent", 0, LOST, id="asking who they are, silent"),
            pytest.param("open_run", 1, "cut", 0, LOST, id="preparing, cut"),
            pytest.param("receive", 1, "cut", 0, LOST, id="sending files, cut"),
            pytest.param("update-graph", 1, "cut", 0, LOST, id="handing out a page, cut"),
            pytest.param("ncores", 2, "cut", 60, LOST, id="a page runs, cut"),
            pytest.param("ncores", 2, "silent", 60, LOST, id="a page runs, silent"),
            pytest.param("gather", 1, "cut", 0, LOST, id="fetching a result, cut"),
            pytest.param("gather", 1, "silent", 0, LOST, id="fetching a result, silent"),
            pytest.param("close_run", 1, "cut", 0, "", id="leaving, cut"),
            pytest.param("close_run", 1, "silent", 0, "", id="leaving, silent"),
        ],
    )
    def test_a_scheduler_is_lost_in_one_sentence_at_any_time(
        self,
        tiny: Tiny,
        deserted: Dask,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        word: str,
        nth: int,
        how: str,
        seconds: int,
        said: str,
    ) -> None:
        def hurry() -> None:
            monkeypatch.setattr(scheduler, "SILENCE", 0.1)
            monkeypatch.setattr(scheduler, "REACH", 1.0)

        monkeypatch.setattr(scheduler, "SILENCE", 3.0)
        monkeypatch.setattr(scheduler, "REACH", 3.0)
        pages(tiny, **dict.fromkeys(["one", "two"], f"import time\ntime.sleep({seconds})"))
        with Between(deserted.address, word, nth, how, hurry) as between:
            done = execute(tiny, between.address)
        gc.collect()  # tasks that failed unread are told of when they are collected
        assert between.broken.is_set()
        err = re.sub(r" \(Connection [a-z ]+\)", "", done.err)
        assert (done.code, err) == ((1, f"error {between.address}: {said}\n") if said else (0, ""))
        assert not caplog.records

    def test_no_worker_comes(self, tiny: Tiny, fragile: Dask, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dispatch, "PATIENCE", 1.0)
        tiny.cells("print(1)")
        done = execute(tiny, fragile)
        assert done.code == 1
        assert "notice the scheduler has no workers; waiting 1 s for one" in done.out
        assert done.err == f"error {fragile.address}: no worker came within 1 s; nothing was executed\n"
        fragile.add("only")
        pages(tiny, b="print('b')", deadly=KILLS_ITS_WORKER)
        done = execute(tiny, fragile)
        assert done.code == 1
        assert "notice no worker is left; waiting 1 s for one to execute 1 page" in done.out
        said = "no worker came within 1 s; 1 page could not be executed (days/deadly); what came of the others is kept"
        assert f"error {fragile.address}: {said}\n" in done.err
        assert Store(tiny.root).docnames() == ["days/b"]


def status(tiny: Tiny) -> str:
    tiny.capture()
    main(["status", "--json", "--root", str(tiny.root)])
    return tiny.capture()[0]


@pytest.mark.processes
@pytest.mark.parametrize(
    ("address", "said"),
    [
        pytest.param("tcp://127.0.0.1:PORT", "no scheduler can be reached there within 1 s", id="nobody there"),
        pytest.param("nowhere", "not an address (missing port number", id="no port"),
        pytest.param("http://localhost:80", "not an address (unknown address scheme 'http'", id="another protocol"),
        pytest.param(
            "tls://127.0.0.1:PORT", "no scheduler can be reached there within 1 s (TLS expects", id="tls unset"
        ),
    ],
)
def test_an_address_without_a_scheduler(tiny: Tiny, address: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "REACH", 1.0)
    tiny.cells("print(1)")
    with socket.socket() as taken:  # and nobody listens
        taken.bind(("127.0.0.1", 0))
        address = address.replace("PORT", str(taken.getsockname()[1]))
        done = execute(tiny, address)
    assert done.code == 1
    assert done.err.startswith(f"error {address}: {said}")
    assert done.err.count("\n") == 1


@pytest.mark.processes
def test_an_address_with_something_else(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refuses(socketserver.BaseRequestHandler):
        def handle(self) -> None:  # like a server of web pages, as Dask's own dashboard is one
            self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    monkeypatch.setattr(scheduler, "REACH", 1.0)
    tiny.cells("print(1)")
    with socketserver.TCPServer(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"tcp://127.0.0.1:{server.server_address[1]}"
        done = execute(tiny, address)
        server.shutdown()
    said = "no scheduler can be reached there within 1 s (what answers there is something else); nothing was executed"
    assert (done.code, done.err) == (1, f"error {address}: {said}\n")


@pytest.mark.processes
def test_without_dask_the_extra_is_named(tiny: Tiny) -> None:
    code = (
        "import sys; sys.modules['distributed'] = None; from coursebook.cli import main; "
        f"sys.exit(main(['execute', '--root', {str(tiny.root)!r}, '--cluster', 'tcp://x:1']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    said = "needs dask.distributed; `pip install 'coursebook[cluster]'` brings it"
    assert done.stderr == f"error coursebook execute --cluster: {said}\n"


class Client:
    """A client that raises `error` at each question, and has `status` by then."""

    def __init__(self, error: Exception, status: str) -> None:
        self.status, self._error, self._then = "running", error, status

    async def nthreads(self) -> object:
        self.status = self._then
        raise self._error


@pytest.mark.parametrize(
    ("error", "status", "is_lost"),
    [
        (CommClosedError("in <TCP (closed) ConnectionPool.gather>: ConnectionResetError"), "running", True),
        (OSError("Timed out trying to connect to tcp://127.0.0.1:8786 after 30 s"), "running", True),
        (TimeoutError(), "running", True),
        (ClosedClientError("Client is closed. Can't send cancel-keys message."), "closed", True),
        (RuntimeError("ConnectionPool is closed"), "closing", True),
        (AttributeError("'NoneType' object has no attribute 'ncores'"), "connecting", True),
        (FutureCancelledError("key", "scheduler-connection-lost"), "running", True),
        (FutureCancelledError("key", "somebody else's doing"), "running", False),
        (RuntimeError("a mistake of ours"), "running", False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_whatever_dask_says_of_a_lost_scheduler_is_one_error(error: Exception, status: str, is_lost: bool) -> None:
    async def ask_twice() -> None:
        one = Scheduler("tcp://x:1")
        one._client = Client(error, status)  # type: ignore[assignment]
        with pytest.raises(SchedulerLost if is_lost else type(error)) as caught:
            await one.workers()
        assert not is_lost or str(caught.value) == f"tcp://x:1: {LOST}"
        if is_lost:
            one._client.status = "running"
            with pytest.raises(SchedulerLost):  # connected again, Dask knows no more of our tasks
                one.hear("topic", print)

    asyncio.run(ask_twice())


def test_a_task_that_fails_unread_is_not_told_of(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise SchedulerLost("tcp://x:1")

    async def leave_it() -> None:
        unread.append(asyncio.create_task(fail()))
        await asyncio.wait(unread)

    unread: list[asyncio.Task[None]] = []
    with Cluster(ExecutionOptions(cluster="tcp://x:1"), print) as cluster:
        cluster._runner.run(leave_it())
    unread.clear()
    gc.collect()
    assert not caplog.records


class Listed:
    """A scheduler that has one worker, which answers with `answers`."""

    address = "tcp://x:1"

    def __init__(self, **answers: object) -> None:
        self._answers = answers

    async def workers(self) -> list[str]:
        return ["tcp://x:2"]

    async def versions(self, package: str) -> Any:
        there = {"packages": {"python": sys.version, package: "1"}}
        return {"scheduler": there, "client": there, "workers": {"tcp://x:2": there}}

    async def run(
        self, function: Callable[..., object], *arguments: object, workers: Sequence[str]
    ) -> dict[str, object]:
        return dict.fromkeys(workers, self._answers[function.__name__])


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"open_run": True}, ""),
        ({"open_run": CommClosedError("in <TCP>")}, ""),
        ({"open_run": OSError("Timed out trying to connect")}, "the scheduler can't reach it"),
        ({"open_run": Damaged("the course's files arrived damaged")}, "the course's files arrived damaged"),
        ({"open_run": False, "receive": Unable("No space left on device there")}, "No space left on device there"),
    ],
    ids=["joins", "has left", "unreachable", "damaged", "its disk is full"],
)
def test_why_a_worker_is_left_out(tmp_path: Path, answers: dict[str, object], said: str) -> None:
    notices, crew = gathered(tmp_path, Listed(describe=Traits("w", 1, (), 0, {}), **answers))
    asyncio.run(crew.begin(["tcp://x:2"]))
    assert notices == ([f"worker w (tcp://x:2) is left out: {said}"] if said else [])
    assert [*crew.members] == (["tcp://x:2"] if answers["open_run"] is True else [])


def test_what_keeps_a_worker_from_joining_is_told(tmp_path: Path) -> None:
    async def muster_twice() -> None:
        _, crew = gathered(tmp_path, Listed(describe=Traits("w", 1, (), 0, {}), open_run=False))
        crew._parcel.unlink()
        await crew.muster()
        assert crew.grows
        await asyncio.wait(crew._joining.values())
        with pytest.raises(FileNotFoundError):  # an error of this machine, not the scheduler's
            await crew.muster()

    asyncio.run(muster_twice())


def gathered(folder: Path, listed: Listed) -> tuple[list[str], Members]:
    notices: list[str] = []
    (folder / "parcel").write_bytes(b"files")
    run = Run("1", "digest", {}, (), "", cold=False)
    return notices, Members(listed, run, folder / "parcel", {}, {}, notices.append)  # type: ignore[arg-type]


def test_an_oserror_of_a_worker_has_another_name() -> None:
    with pytest.raises(Unable, match=r"^No space left on device there$"), worker._own_errors():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


CELL = Cell("1 / 0", 12, 3, ("tag",))
PATH = Path("days/one.md")


@pytest.mark.parametrize(
    "error",
    [
        CourseError(PATH, 3, "a problem"),
        CellFailed(PATH, CELL, 2, "ValueError", "so bad", "Traceback\n  bad"),
        CellTimedOut(PATH, CELL, 5.0, 1),
        KernelDied(PATH, CELL),
        TooMuchOutput(PATH, CELL, 10),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_comes_whole_from_another_process(error: CourseError) -> None:
    made = pickle.loads(pickle.dumps(error))
    assert type(made) is type(error)
    assert str(made) == str(error)
    assert vars(made) == vars(error)


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ({"python": "3.9.1.final.0"}, ["Python 3.9 (here {python})"]),
        ({"coursebook": None}, ["coursebook is not installed (here {coursebook})"]),
        ({"distributed": "2020.1"}, ["distributed 2020.1 (here {distributed})"]),
        ({}, []),
    ],
    ids=["python", "coursebook", "distributed", "same"],
)
def test_what_is_other_on_a_worker(there: dict[str, str | None], said: list[str]) -> None:
    here: dict[str, str | None] = {
        "python": ".".join(map(str, sys.version_info)), "coursebook": "1", "distributed": "2", "dask": "3",
    }  # fmt: skip
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert handshake._basic({**here, **there}, here) == [row.format(**{**here, "python": python}) for row in said]


def test_workers_that_differ_alike_stand_together() -> None:
    error = handshake.refusal(
        "tcp://x", {f"w{number}": ["numpy 1 (here 2)"] for number in range(5)} | {"v": ["a", "b"]}
    )
    assert "w0, w1, w2 and 2 more: numpy 1 (here 2); v: a, b; nothing was executed" in str(error)


def test_what_a_page_and_its_helpers_import_is_compared(tiny: Tiny) -> None:
    tiny.write({"days/helper.py": "import deeper", "days/deeper/__init__.py": "import yaml"})
    course = Course.load(tiny.cells("import helper, PIL").root)
    found = handshake.needed(course, course.executed_pages(), ["gone"])
    assert {"pillow", "PyYAML", "ipykernel", "gone"} <= {*found}
    assert found["gone"] is None
    assert "torch" not in found


def packed(tiny: Tiny, folder: Path, inputs: Sequence[str] = ()) -> tuple[Parcel, list[str]]:
    course = Course.load(tiny.root)
    folder.mkdir()
    made = Parcel.pack(course, course.executed_pages(), inputs, folder)
    with tarfile.open(made.path) as archive:
        return made, [member.name + "/" * member.isdir() for member in archive]


@pytest.mark.processes
def test_a_parcel_without_git(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("parcel")
    tiny.cells("print(1)").write(
        {
            "data/a.csv": "a",
            ".hidden/b": "",
            ".env": "secret",
            "server.pem": "",
            "env/pyvenv.cfg": "",
            "outputs/x.ipynb": "",
            "_build/html/x": "",
            "__pycache__/x.pyc": "",
            "listed/sub/x": "",
            "listed/y": "",
        }
    )
    first, names = packed(tiny, folder / "1")
    assert names == ["_config.yml", "_toc.yml", "data/a.csv", "days/one.md", "index.md", "listed/sub/x", "listed/y"]
    os.utime(tiny.root / "data/a.csv", (1, 1))
    assert packed(tiny, folder / "2")[0].digest == first.digest, "the same files, the same bytes"
    tiny.write({"data/a.csv": "b"})
    assert packed(tiny, folder / "3")[0].digest != first.digest
    assert packed(tiny, folder / "4", ["listed/", "env/pyvenv.cfg", "gone"])[1] == sorted(
        [*names, "listed/sub/", "env/pyvenv.cfg"]
    )
    open_parcel(folder / "4/parcel", packed(tiny, folder / "5", ["listed/", "env/pyvenv.cfg"])[0].digest, folder / "x")
    assert (folder / "x/data/a.csv").read_text() == "b"


@pytest.mark.processes
def test_a_parcel_holds_what_git_knows_and_what_pages_read(
    tiny: Tiny, tmp_path_factory: pytest.TempPathFactory
) -> None:
    inputs = "data/named/*, data/.named/token"
    tiny.cells("print(1)", head=HEAD.replace("---\n", f"---\ncoursebook: {{inputs: [{inputs}]}}\n", 1))
    tiny.write(
        {
            ".gitignore": "*.bin\nsecret\n/data/.named\n",
            ".known": "", "known.pem": "", "data/set.csv": "1", "data/gone.csv": "", "env.py": "",
        }
    )  # fmt: skip
    checkout(tiny.root)
    travels = {
        "new.txt": "", "days/helper.py": "", "data/set.csv": "2", "data/read.bin": "", "data/named/x.bin": "",
        "data/.named/token": "", "within/a.csv": "",
    }  # fmt: skip
    stays = {
        ".env": "", ".git-credentials": "", "data/.env": "", ".config/token": "", "server.pem": "", "days/id_rsa": "",
        "data/unread.bin": "", "env/pyvenv.cfg": "", "env/lib/x.py": "", "outputs/x.json": "",
        "node_modules/x.js": "", "data/named/.env": "", "data/named/x.key": "", "within/b.bin": "", "within/.env": "",
        "../outside": "", "secret/answers.csv": "42", "secret/private.key": "", "secret/.token": "",
    }  # fmt: skip
    tiny.write({**travels, **stays, "data/gone.csv": None, "within/.gitignore": "*.bin"})
    subprocess.run(["git", "init", "--quiet", tiny.root / "within"], check=True)
    recorded = ["data/read.bin", "data/.env", "server.pem", "../outside", str(tiny.root / "secret/answers.csv"), "gone"]
    recorded += ["secret/", "data/named/", "../", ".config/"]  # whose names pages have listed
    made, names = packed(tiny, tmp_path_factory.mktemp("parcel") / "1", recorded)
    known = {".gitignore", ".known", "known.pem", "env.py", "_config.yml", "_toc.yml", "index.md", "days/one.md"}
    assert {*names} == known | {*travels, "secret/answers.csv"}
    open_parcel(made.path, made.digest, made.path.parent / "x")
    assert (made.path.parent / "x/data/set.csv").read_text() == "2", "as it is in the working tree"
    assert not (made.path.parent / "x/secret/answers.csv").read_text(), "of what was only listed the name alone"


@pytest.mark.processes
def test_without_git_what_lies_there_travels_but_what_is_private(
    tiny: Tiny, tmp_path_factory: pytest.TempPathFactory
) -> None:
    travels = {"data/a.csv": "", "pyvenv.cfg": ""}
    tiny.cells("print(1)").write({**travels, "slides.key/notes.txt": "", "days/id_rsa/x": "", "env/pyvenv.cfg": ""})
    known = ["_config.yml", "_toc.yml", "days/one.md", "index.md"]
    assert packed(tiny, tmp_path_factory.mktemp("parcel") / "1")[1] == sorted([*known, *travels])


@pytest.mark.processes
def test_an_ignored_page_takes_nothing_else_along(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> None:
    tiny.cells("print(1)").write({".gitignore": "/days/\nsecrets.json\n", "secrets.json": "", "days/answers.csv": ""})
    checkout(tiny.root)
    folder, known = tmp_path_factory.mktemp("parcel"), [".gitignore", "_config.yml", "_toc.yml", "index.md"]
    assert packed(tiny, folder / "1")[1] == sorted([*known, "days/one.md"])


@pytest.mark.processes
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere both names are one file's")
def test_git_may_spell_otherwise_what_it_knows(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> None:
    toc, git = "e\u0301.md", "\u00e9.md"
    tiny.cells("print(1)", name=toc).write(
        {
            "_config.yml": f"{CONFIG}exclude_patterns: ['{git}']\n",
            "_toc.yml": f"format: jb-book\nroot: index\nchapters:\n  - file: {toc}\n",
            ".gitignore": f"*.yml\nindex.md\n{toc}\nsecrets.json\n",
            git: "", "days/one.md": None, "secrets.json": "",
        }
    )  # fmt: skip
    checkout(tiny.root)
    assert packed(tiny, tmp_path_factory.mktemp("parcel") / "1")[1] == [".gitignore", toc, git]


@pytest.mark.processes
def test_a_course_that_a_checkout_ignores_travels_as_without_git(
    tiny: Tiny, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outer = tiny.root
    outer.joinpath(".gitignore").write_text("/course/*\n!/course/kept.txt\n")
    tiny.root = outer / "course"
    tiny.cells("print(1)").write({name: outer.joinpath(name).read_text() for name in ("_config.yml", "_toc.yml")})
    tiny.write({"index.md": "# Home\n", "kept.txt": "", "data.csv": ""})
    checkout(outer)
    names = packed(tiny, tmp_path_factory.mktemp("parcel") / "1")[1]
    assert {*names} == {"_config.yml", "_toc.yml", "index.md", "days/one.md", "data.csv", "kept.txt"}


@pytest.mark.processes
def test_of_ignored_files_in_a_folder_that_a_page_listed_only_the_names_travel(
    tiny: Tiny, tmp_path_factory: pytest.TempPathFactory
) -> None:
    head = HEAD.replace("---\n", "---\ncoursebook: {inputs: [data/named.bin]}\n", 1)
    names = ("data/seen.bin", "data/read.bin", "data/named.bin", "data/known.csv", "data/sub/x.bin")
    tiny.cells("print(1)", head=head).write({".gitignore": "*.bin\n", **dict.fromkeys(names, "content")})
    checkout(tiny.root)
    folder = tmp_path_factory.mktemp("parcel")
    made, _ = packed(tiny, folder / "1", ["data/", "data/read.bin"])
    open_parcel(made.path, made.digest, folder / "x")
    found = {path.name: path.read_text() if path.is_file() else "/" for path in (folder / "x/data").iterdir()}
    assert found == {"seen.bin": "", "read.bin": "content", "named.bin": "content", "known.csv": "content", "sub": "/"}
    assert not [*(folder / "x/data/sub").iterdir()]


@pytest.mark.processes
@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
@pytest.mark.parametrize("is_tracked", [False, True], ids=["new", "tracked"])
def test_behind_a_link_git_ignores_what_it_ignores_elsewhere(
    tiny: Tiny, tmp_path_factory: pytest.TempPathFactory, is_tracked: bool
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    outside.joinpath("large.csv").write_text("")
    outside.joinpath("other.csv").write_text("")
    top = tiny.root
    tiny.root = top / "course"
    for name in ("_config.yml", "_toc.yml", "index.md", "days/one.md"):
        tiny.write({name: (top / name).read_text()})
    tiny.cells("print(1)", head=HEAD.replace("---\n", "---\ncoursebook: {inputs: [disk/large.csv]}\n", 1))
    tiny.write({"../.gitignore": "private\n*.bin\nwas/\n", "private/x": "", "../data/a.csv": "", "../data/b.bin": ""})
    tiny.write({".env": "", "was/a.csv": "", "data/a.csv": ""})
    subprocess.run(["git", "init", "--quiet", top], check=True)
    subprocess.run(["git", "-C", top, "add", "--force", "course/was"], check=True)
    tiny.write({"was/a.csv": None})
    (tiny.root / "was").rmdir()
    targets = {
        "folder": "private", "file": "private/x", "beside": "../data", "one": "../data/a.csv", "disk": str(outside),
        "far.csv": str(outside / "other.csv"), "env": ".env", "round": "round", "gone": "nowhere", "was": "private",
    }  # fmt: skip
    for name, target in targets.items():
        (tiny.root / name).symlink_to(target)
    (tiny.root / "private/a.csv").write_text("")
    if is_tracked:
        checkout(top)
    names = packed(tiny, tmp_path_factory.mktemp("parcel") / "1")[1]
    own = {"_config.yml", "_toc.yml", "index.md", "days/one.md", "data/a.csv"}
    own |= {".env", "env"} if is_tracked else set()
    assert {*names} == own | {"beside/a.csv", "one", "disk/large.csv"}


@pytest.mark.processes
def test_no_parcel_of_a_checkout_that_git_does_not_trust(
    tiny: Tiny, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout(tiny.cells("print(1)").root)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(CourseError, match="dubious ownership"):
        packed(tiny, tmp_path_factory.mktemp("parcel") / "1")


@pytest.mark.processes
def test_no_parcel_where_git_can_not_tell(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> None:
    checkout(tiny.cells("print(1)").root)
    (tiny.root / ".git/index").write_text("damaged")
    with pytest.raises(CourseError, match="git ls-files failed: "):
        packed(tiny, tmp_path_factory.mktemp("parcel") / "1")


def checkout(root: Path) -> None:
    git = ["git", "-C", str(root), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "x"]):
        subprocess.run([*git, *arguments], check=True)


@pytest.mark.processes
def test_a_parcel_has_a_limit(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parcel, "LIMIT", 10**6)
    tiny.cells("print(1)").write({"data/big.bin": bytes(2 * 10**6)})
    with pytest.raises(CourseError, match=r"^data/big.bin: the largest \(2 MB\) .* 2 MB in all; at most 1 MB travel"):
        packed(tiny, tmp_path.parent / "too big")


@pytest.mark.processes
@pytest.mark.skipif(sys.platform != "linux", reason="makes files of names that other systems don't have")
@pytest.mark.parametrize("has_git", [True, False], ids=["git", "no git"])
def test_a_parcel_carries_every_name(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory, has_git: bool) -> None:
    folder = tmp_path_factory.mktemp("parcel")
    foreign = {os.fsdecode(b"\xe9"), os.fsdecode(b"\xe9t\xe9/x")}
    names = {"a:b", "a\\b", "c:/x", "two\nlines", "e\u0301", "\u00e9", *foreign}
    tiny.cells("print(1)").write(dict.fromkeys(names, ""))
    if has_git:
        checkout(tiny.root)
    made, packed_names = packed(tiny, folder / "1")
    assert names <= {*packed_names}
    open_parcel(made.path, made.digest, folder / "x")
    assert all((folder / "x" / name).is_file() for name in names)


@pytest.mark.parametrize(
    "names",
    [["../x"], ["/x"], ["a/../../x"], ["a\\x"], ["c:x"], ["x", "x"], ["./x"]],
    ids=lambda names: " ".join(names),
)
def test_a_hostile_parcel_is_refused(tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar, "_NEVER", {*"\\:\0"})  # as on Windows

    def make(archive: tarfile.TarFile) -> None:
        for name in names:
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())

    refused(tmp_path, make, "is no plain path|is there twice")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE], ids=["link", "hard link", "fifo"]
)
def test_a_parcel_holds_plain_files(tmp_path: Path, kind: bytes) -> None:
    def make(archive: tarfile.TarFile) -> None:
        header = tarfile.TarInfo("x")
        header.type, header.linkname = kind, "/etc/passwd"
        archive.addfile(header)

    refused(tmp_path, make, "'x' is not a plain file")


def refused(folder: Path, make: Callable[[tarfile.TarFile], None], said: str) -> None:
    path = folder / "parcel.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        make(archive)
    before = {*folder.rglob("*")}
    with pytest.raises(Damaged, match=said):
        open_parcel(path, parcel._digest(path), folder / "course")
    assert {*folder.rglob("*")} == before, "nothing is left"
    with pytest.raises(Damaged, match="arrived damaged"):
        open_parcel(path, "0" * 64, folder / "course")
