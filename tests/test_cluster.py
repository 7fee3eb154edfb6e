"""Clusters: a Dask scheduler and workers as processes of their own, on this machine, and what can happen to them."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import shlex
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from conftest import HEAD, ROOT, Built, Tiny, until
from coursebook.cli import main
from coursebook.course import Course
from coursebook.errors import CellFailed, CellTimedOut, CourseError, KernelDied, TooMuchOutput
from coursebook.page import Cell
from coursebook.store import Store
from test_devices import CPU_SAYS, GPU_HEAD, LISTED, TORCH, USES

distributed = pytest.importorskip("distributed")
from coursebook.execute import cluster, dispatch, parcel, roster  # noqa: E402
from coursebook.execute.parcel import Damaged, Parcel, open_parcel  # noqa: E402

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
KILLS_ITS_WORKER = WORKER + "os.kill(worker, signal.SIGKILL)\ntime.sleep(60)"
# Tells each time which worker executes it; the first time, the page `a` never ends.
TELLS = (
    WORKER + "path = pathlib.Path('PATH')\nwith path.open('a') as file:\n    print(worker, file=file)\n"
    "if path.name == 'a' and len(path.read_text().split()) == 1:\n    time.sleep(600)\ntime.sleep(1)\nprint('done')"
)


class Dask:
    """A scheduler and workers, which keep what they write below `folder`; `course` marks their processes."""

    def __init__(self, folder: Path, course: Path) -> None:
        self.folder, self._course, self.bytecode = folder, course, folder.parent / "bytecode"
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        file = folder / "scheduler.json"
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)
        )
        assert until(file.exists), self.log("scheduler")
        assert until(lambda: "address" in file.read_text())
        self.address = json.loads(file.read_text())["address"]

    def add(self, *names: str, threads: int = 1, options: Sequence[str] = ("--no-nanny",), **environment: str) -> None:
        for name in names:
            self.workers[name] = self._start(
                "worker", self.address, "--name", name, "--nthreads", str(threads), "--no-dashboard",
                "--local-directory", str(self.folder / "scratch"), *options, log=name, **environment,
            )  # fmt: skip
        for name in names:
            assert until(lambda name=name: "Registered to" in self.log(name), 60), self.log(name)

    def remove(self, *names: str) -> None:
        for name in names:
            self.workers[name].terminate()
        for name in names:
            self.workers.pop(name).wait(20)  # in good order, whatever it had to do for us

    def kill(self, name: str) -> None:
        worker = self.workers.pop(name)
        worker.kill()
        worker.wait()

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def close(self) -> None:
        self.remove(*self.workers)
        self.scheduler.terminate()
        self.scheduler.wait(20)

    def _start(self, what: str, *arguments: str, log: str = "scheduler", **environment: str) -> subprocess.Popen[bytes]:
        variables = {**os.environ, "COURSE_UNDER_TEST": str(self._course), **environment}
        # Where packages are installed without, every worker would compile them.
        variables |= {"PYTHONPYCACHEPREFIX": str(self.bytecode), "PYTHONDONTWRITEBYTECODE": ""}
        with (self.folder / f"{log}.log").open("wb") as file:
            command = [sys.executable, "-P", "-m", f"distributed.cli.dask_{what}", *arguments]
            return subprocess.Popen(command, stdout=file, stderr=file, env=variables, cwd=self.folder)


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
        git = ["git", "-C", str(tiny.root), "-c", "user.name=x", "-c", "user.email=x@example.org"]
        tiny.cells(
            "import helper, numpy, pathlib\nprint(helper.double(21), pathlib.Path('../data/set.csv').read_text())\n"
            "print(pathlib.Path('../data/ignored.bin').read_text(), [p.name for p in pathlib.Path('..').iterdir()])",
            head=HEAD.replace("---\n", "---\ncoursebook: {inputs: [data/*.bin]}\n", 1),
        )
        tiny.write(
            {
                "days/helper.py": "def double(x):\n    return 2 * x\n",
                "data/set.csv": "1,2,3",
                "data/ignored.bin": "named",
                "secret/key": "stays",
                ".gitignore": "*.bin\nsecret\n_build\n",
            }
        )
        subprocess.run([*git, "init", "--quiet"], check=True)
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "--quiet", "-m", "x"], check=True)
        done = execute(tiny, shared)
        assert done.code == 0, done.err
        assert "days/one: executing 1 cell" in done.out
        said = text(tiny, "one")
        assert said.startswith("42 1,2,3\nnamed ")
        assert "secret" not in said
        made = provenance(tiny)
        assert {*made.inputs} >= {"days/helper.py", "data/set.csv", "data/ignored.bin"}
        assert made.packages == {"numpy": roster.installed_version("numpy")}
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

    def test_as_many_at_a_time_as_there_are_threads_the_longest_first(self, tiny: Tiny, shared: Dask) -> None:
        nap = "import time\nstart = time.time()\ntime.sleep(0.4)\nprint(start, time.time())"
        pages(tiny, **{f"p{number}": nap for number in range(5)})
        done = execute(tiny, shared, "--cold")
        assert done.code == 0, done.err
        spans = [tuple(map(float, text(tiny, f"p{number}").split())) for number in range(5)]
        assert 2 <= max(sum(start <= moment < end for start, end in spans) for moment, _ in spans) <= 3
        store = Store(tiny.root)
        for number in range(5):
            stored = store.read(f"days/p{number}")
            assert stored
            store.write(stored.docname, stored.notebook, replace(stored.provenance, seconds=100.0 * number))
        done = execute(tiny, shared, "--force", "--jobs", "1")
        assert done.code == 0, done.err
        assert re.findall(r"days/(p\d): executing", done.out) == ["p4", "p3", "p2", "p1", "p0"]
        spans = sorted(tuple(map(float, text(tiny, f"p{number}").split())) for number in range(5))
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
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            block = block.replace("8786", str(free.getsockname()[1]))
        *servers, command = (shlex.split(row) for row in block.splitlines())
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tiny.root.parent}
        running: list[subprocess.Popen[bytes]] = []
        try:
            for row in servers:
                assert row[0] == ".venv/bin/dask"
                running.append(subprocess.Popen([sys.executable, "-m", "dask", *row[1:]], **quiet))  # type: ignore[call-overload]
            assert command[0] == "coursebook"
            tiny.cells("print('on a worker')")
            assert main([*command[1:], "--root", str(tiny.root)]) == 0, tiny.capture()
            assert text(tiny, "one") == "on a worker\n"
        finally:
            for process in reversed(running):
                process.terminate()
                process.wait(20)

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
        started = time.monotonic()
        os.killpg(process.pid, number)
        _, err = process.communicate(timeout=20)
        assert time.monotonic() - started < 8
        if number == signal.SIGINT:
            assert (process.returncode, err) == (130, "interrupted; what was executed before is kept\n")
            assert until(lambda: not kernels(shared, tiny), 5), kernels(shared, tiny)
        else:
            # The fork server stays for a while, in case that it is wanted.
            assert until(lambda: sum("forkserver" in line for line in kernels(shared, tiny)) <= 2, 10)
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
        assert until(lambda: not kernels(fragile, tiny), 10), "no kernel outlives its worker"

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
        _, err = process.communicate(timeout=30)
        assert process.returncode == 1
        said = "the scheduler was lost; what was executed before is stored, and the next time only the rest is"
        assert err == f"error {fragile.address}: {said}\n"
        assert store.docnames() == ["days/quick"]
        assert until(lambda: not kernels(fragile, tiny), 30), kernels(fragile, tiny)

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
        said = "no worker came within 1 s; 1 page could not be executed (days/deadly), the others are stored"
        assert f"error {fragile.address}: {said}\n" in done.err
        assert Store(tiny.root).docnames() == ["days/b"]


def status(tiny: Tiny) -> str:
    tiny.capture()
    main(["status", "--json", "--root", str(tiny.root)])
    return tiny.capture()[0]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        pytest.param("tcp://127.0.0.1:9", "no scheduler can be reached there within 1 s", id="nobody there"),
        pytest.param("nowhere", "not an address (missing port number", id="no port"),
        pytest.param("http://localhost:80", "not an address (unknown address scheme 'http'", id="another protocol"),
        pytest.param("tls://127.0.0.1:9", "no scheduler can be reached there within 1 s (TLS expects", id="tls unset"),
    ],
)
def test_an_address_without_a_scheduler(tiny: Tiny, address: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "REACH", 1.0)
    tiny.cells("print(1)")
    started = time.monotonic()
    done = execute(tiny, address)
    assert done.code == 1
    assert done.err.startswith(f"error {address}: {said}")
    assert done.err.count("\n") == 1
    assert time.monotonic() - started < 10


def test_without_dask_the_extra_is_named(tiny: Tiny) -> None:
    code = (
        "import sys; sys.modules['distributed'] = None; from coursebook.cli import main; "
        f"sys.exit(main(['execute', '--root', {str(tiny.root)!r}, '--cluster', 'tcp://x:1']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    said = "needs dask.distributed; `pip install 'coursebook[cluster]'` brings it"
    assert done.stderr == f"error coursebook execute --cluster: {said}\n"


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
    assert roster._basic({**here, **there}, here) == [row.format(**{**here, "python": python}) for row in said]


def test_workers_that_differ_alike_stand_together() -> None:
    error = roster.refusal("tcp://x", {f"w{number}": ["numpy 1 (here 2)"] for number in range(5)} | {"v": ["a", "b"]})
    assert "w0, w1, w2 and 2 more: numpy 1 (here 2); v: a, b; nothing was executed" in str(error)


def test_what_a_page_and_its_helpers_import_is_compared(tiny: Tiny) -> None:
    tiny.write({"days/helper.py": "import deeper", "days/deeper/__init__.py": "import yaml"})
    course = Course.load(tiny.cells("import helper, numpy").root)
    found = roster.needed(course, course.executed_pages(), ["gone"])
    assert {"numpy", "PyYAML", "ipykernel", "gone"} <= {*found}
    assert found["gone"] is None
    assert "torch" not in found


def packed(tiny: Tiny, folder: Path, inputs: Sequence[str] = ()) -> tuple[Parcel, list[str]]:
    course = Course.load(tiny.root)
    folder.mkdir()
    made = Parcel.pack(course, course.executed_pages(), inputs, folder)
    with tarfile.open(made.path) as archive:
        return made, [member.name + "/" * member.isdir() for member in archive]


def test_a_parcel_without_git(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("parcel")
    tiny.cells("print(1)").write(
        {
            "data/a.csv": "a",
            ".hidden/b": "",
            ".env": "secret",
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


def test_a_parcel_has_a_limit(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parcel, "LIMIT", 10**6)
    tiny.cells("print(1)").write({"data/big.bin": bytes(2 * 10**6)})
    with pytest.raises(CourseError, match=r"^data/big.bin: the largest \(2 MB\) .* 2 MB in all; at most 1 MB travel"):
        packed(tiny, tmp_path.parent / "too big")


@pytest.mark.parametrize(
    "names",
    [["../x"], ["/x"], ["a/../../x"], ["a\\x"], ["c:x"], ["x", "x"], ["./x"]],
    ids=lambda names: " ".join(names),
)
def test_a_hostile_parcel_is_refused(tmp_path: Path, names: list[str]) -> None:
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
