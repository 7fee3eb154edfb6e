"""Execution: warm kernels against cold ones, pages at the same time, and what a page can do to its kernel."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from conftest import HEAD, Tiny, until
from coursebook.cli import main
from coursebook.course.amounts import MOST_AMOUNT
from coursebook.course.course import Course
from coursebook.execute import fork_client, local
from coursebook.execute.events import CellStarted, Event, PageDone
from coursebook.execute.fork_client import ForkServer
from coursebook.execute.forked import Forked
from coursebook.execute.forkserver import _streams_of_the_kernel
from coursebook.execute.kernels import can_fork
from coursebook.execute.local import Slots, _kernel_environment
from coursebook.execute.session import RunContext, Session
from coursebook.ground.machine import descendants, resident_memory
from coursebook.outputs.store import Store

pytestmark = pytest.mark.kernel
needs_fork = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")

GB = 10**9
# As when the system takes back what it has not: in the middle of an allocation, from outside the cell's own thread.
OUT_OF_MEMORY = (
    "import os, signal, threading\nthreading.Timer(0.3, os.kill, (os.getpid(), signal.SIGKILL)).start()\n"
    "heap = []\nwhile len(heap) < 10**9:\n    heap = [bytes(10**6)] * 1000"
)
CLEAN = "import numpy as np\nimport random, torch\nprint(np.random.rand(), random.random(), torch.initial_seed())"


def outputs(tiny: Tiny, docname: str) -> Any:
    notebook = json.loads((tiny.root / f"outputs/{docname}.ipynb").read_text())
    return [cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"]


def two_pages(tiny: Tiny, first: list[str], second: list[str]) -> None:
    tiny.write({"_toc.yml": (tiny.root / "_toc.yml").read_text() + "  - file: labs/two\n"})
    tiny.cells(*first)
    tiny.cells(*second, name="labs/two.md")


def execute(tiny: Tiny, *arguments: str) -> tuple[int, str, str]:
    tiny.capture()
    return main(["execute", "--root", str(tiny.root), "--force", *arguments]), *tiny.capture()


@needs_fork
def test_a_page_of_traps_says_the_same_warm_and_cold(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_TRAP", "sprung")
    two_pages(tiny, [], [])
    traps = (Path(__file__).parent / "traps.md").read_text()
    tiny.write({"days/one.md": traps, "labs/two.md": traps})
    assert can_fork()
    code, _, err = execute(tiny)
    assert code == 0, err
    warm = outputs(tiny, "days/one")
    code, _, err = execute(tiny, "--cold")
    assert code == 0, err
    cold = outputs(tiny, "days/one")
    assert len(warm) == len(cold) == traps.count("{code-cell}")
    for number, (a, b) in enumerate(zip(warm, cold, strict=True), 1):
        assert a == b, f"cell {number} of traps.md"
    assert [o["output_type"] for o in warm[0]] == ["display_data"], "a figure appears"
    assert outputs(tiny, "labs/two")[1] == warm[1]


@needs_fork
def test_unseeded_generators_differ_between_warm_kernels(tiny: Tiny) -> None:
    two_pages(tiny, [CLEAN], [CLEAN])
    assert execute(tiny)[0] == 0
    first, second = (outputs(tiny, name)[0][0]["text"].split() for name in ("days/one", "labs/two"))
    assert all(a != b for a, b in zip(first, second, strict=True)), (first, second)


def test_pages_run_at_the_same_time(tiny: Tiny) -> None:
    def meets(mine: str, other: str) -> str:
        begin = f"import pathlib, time\nroot = pathlib.Path({str(tiny.root)!r})\n(root / {mine!r}).touch()\n"
        return f"{begin}while not (root / {other!r}).exists():\n    time.sleep(0.01)"

    two_pages(tiny, [meets("here", "there")], [meets("there", "here")])
    code, _, err = execute(tiny, "--jobs", "2")
    assert code == 0, err  # each waits for the other, as long as a cell may run


def test_one_at_a_time_leaves_no_page_out_beside_those_for_a_gpu(tiny: Tiny) -> None:
    two_pages(tiny, ["1"], ["1"])
    tiny.cells("1", head=f"---\n{LIMITED.replace('timeout: 1', 'device: gpu')}")
    course, events = Course.load(tiny.root), list[Event]()
    pages = course.executed_pages()
    slots = Slots.here(pages, 1, ("0",))
    assert len(slots) == 1
    assert local.execute_pages(course, pages, events.append, slots=slots) == []
    assert [event.page.docname for event in events if isinstance(event, PageDone)] == ["days/one", "labs/two"]


SPAN = "import time\nstart = time.time()\ntime.sleep(0.5)\nprint(start, time.time())"


def overlap(tiny: Tiny) -> bool:
    (a, b), (c, d) = (map(float, outputs(tiny, n)[0][0]["text"].split()) for n in ("days/one", "labs/two"))
    return a < d and c < b


def test_pages_run_one_after_another(tiny: Tiny) -> None:
    two_pages(tiny, [SPAN], [SPAN])
    assert execute(tiny, "--jobs", "1")[0] == 0
    assert not overlap(tiny)


def written(events: list[Event], tiny: Tiny) -> None:
    for event in events:
        if isinstance(event, PageDone):
            Store(tiny.root).write(event.page.docname, event.notebook, event.provenance)


@pytest.mark.parametrize("memory", [{"days/one": 8 * GB, "labs/two": 8 * GB}, {"days/one": 20 * GB}])
def test_pages_that_do_not_fit_into_the_memory_together_wait(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, memory: dict[str, int]
) -> None:
    monkeypatch.setattr(local, "free_memory", lambda: 10 * GB)  # which the kernels here hardly change
    two_pages(tiny, [SPAN], [SPAN])
    course, events = Course.load(tiny.root), list[Event]()
    assert local.execute_pages(course, course.executed_pages(), events.append, slots=Slots(2), memory=memory) == []
    written(events, tiny)
    assert not overlap(tiny)


@pytest.mark.parametrize(
    ("under_way", "free", "fits"),
    [
        ({}, 12, True),
        ({}, 11, False),
        ({"days/one": 0}, 23, False),
        ({"days/one": 0}, 24, True),
        ({"days/one": 7}, 17, True),
        ({"days/one": 7}, 16, False),
        ({"days/one": 15}, 12, True),
        ({"days/one": 0, "labs/two": 2}, 22, True),
        ({"days/one": 0, "labs/two": 2}, 21, False),
    ],
    ids=["alone", "too much alone", "beside one that begins", "room for both", "beside one that has its memory",
         "beside one that lacks some", "beside one that took more", "itself prepared", "itself prepared, too much"],
)  # fmt: skip
def test_memory_is_kept_for_pages_under_way(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, under_way: dict[str, int], free: int, fits: bool
) -> None:
    """Two pages that took 10 GB at their peak, and may take a fifth more; free memory and what kernels have in GB."""
    two_pages(tiny, ["1"], ["1"])
    pages = {page.docname: page for page in Course.load(tiny.root).executed_pages()}
    run = local._Run(cast(RunContext, None), [], Slots(2), dict.fromkeys(pages, 10 * GB))
    run._sessions = {name: cast(Session, SimpleNamespace(memory=taken * GB)) for name, taken in under_way.items()}
    monkeypatch.setattr(local, "free_memory", lambda: free * GB)
    assert run._has_memory_for(pages["labs/two"]) == fits


def test_the_longest_page_begins_first(tiny: Tiny) -> None:
    two_pages(tiny, ["1"], ["import time\ntime.sleep(1)"])
    assert execute(tiny, "--jobs", "1")[0] == 0
    _, out, _ = execute(tiny, "--jobs", "1")
    assert out.index("labs/two: executing") < out.index("days/one: executing")
    assert "s last time)" in out


@pytest.mark.parametrize("how", [[], ["--cold"]], ids=["warm", "cold"])
@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import os\nos._exit(3)", "the cell killed its kernel"),
        ("import ctypes\nctypes.string_at(0)", "the cell killed its kernel"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "the cell killed its kernel"),
        (OUT_OF_MEMORY, "the cell killed its kernel"),
        ("raise SystemExit(1)", "the cell raised SystemExit: 1"),
        ("input('name? ')", "the cell raised StdinNotImplementedError"),
    ],
    ids=["os._exit", "segmentation fault", "killed", "killed while it allocates", "SystemExit", "input"],
)
def test_a_page_that_kills_its_kernel_hurts_no_other(tiny: Tiny, code: str, problem: str, how: list[str]) -> None:
    two_pages(tiny, [code], ["import time\ntime.sleep(1)\nprint('fine')"])
    status, _, err = execute(tiny, *how)
    assert status == 1
    assert f"error days/one.md:8: {problem}" in err
    assert outputs(tiny, "labs/two")[0][0]["text"] == "fine\n"
    assert not (tiny.root / "outputs/days/one.ipynb").exists()


@needs_fork
@pytest.mark.parametrize("how", [[], ["--cold"]], ids=["warm", "cold"])
def test_a_page_without_memory_fails_and_no_other(tiny: Tiny, how: list[str]) -> None:
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))\nx = bytearray(2**34)"
    two_pages(tiny, [limit], ["import time\ntime.sleep(1)\nprint(len(bytearray(2**24)))"])
    status, _, err = execute(tiny, *how)
    assert status == 1
    assert "error days/one.md:10: the cell raised MemoryError" in err
    assert outputs(tiny, "labs/two")[0][0]["text"] == f"{2**24}\n"


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("x = 1\nwith open('file', 'w'):\n    1 / 0", 3),
        ("try:\n    1 / 0\nfinally:\n    x = 1\n    y = 2", 2),
        ("def f():\n    return 1 / 0\n\nf()", 4),
        ("x = 1\n1 +", 2),
    ],
    ids=["with", "finally", "function", "syntax"],
)
def test_the_line_is_the_one_that_failed(tiny: Tiny, code: str, line: int) -> None:
    tiny.cells("x = 0", code)
    status, _, err = execute(tiny)
    assert status == 1
    assert f"error days/one.md:{11 + line}: the cell raised " in err


LIMITED = HEAD.replace("---\n", "", 1).replace("---\n", "coursebook: {timeout: 1}\n---\n")


def test_a_cell_may_tidy_up_when_its_time_is_over(tiny: Tiny) -> None:
    two_pages(tiny, [], ["print('fine')"])
    tidying = (
        "import pathlib, time\ntry:\n    time.sleep(600)\nfinally:\n    time.sleep(0.5)\n"
        "    pathlib.Path('tidied').write_text('up')"
    )
    tiny.cells("1", tidying, head=f"---\n{LIMITED}")
    status, _, err = execute(tiny)
    assert status == 1
    line = (tiny.root / "days/one.md").read_text().splitlines().index("    time.sleep(600)") + 1
    assert f"error days/one.md:{line}: the cell ran longer than the 1 s allowed" in err
    assert (tiny.root / "days/tidied").read_text() == "up"
    assert outputs(tiny, "labs/two")[0][0]["text"] == "fine\n"


@pytest.mark.parametrize("how", [[], ["--cold"]], ids=["warm", "cold"])
def test_a_cell_that_does_not_end_when_its_time_is_over_is_killed(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, how: list[str]
) -> None:
    monkeypatch.setattr("coursebook.execute.kernel_client.GRACE", 0.5)
    two_pages(tiny, [], ["import time\ntime.sleep(2)\nprint('fine')"])
    stubborn = (
        "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\n"
        "while True:\n    try:\n        time.sleep(600)\n    except KeyboardInterrupt:\n        pass"
    )
    tiny.cells(stubborn, "print('never')", head=f"---\n{LIMITED}")
    started = time.monotonic()
    status, _, err = execute(tiny, *how)
    assert time.monotonic() - started < 20
    assert status == 1
    assert "error days/one.md:9: the cell ran longer than the 1 s allowed" in err
    pid = int((tiny.root / "days/pid").read_text())
    assert until(lambda: not _is_alive(pid), seconds=5)
    assert outputs(tiny, "labs/two")[0][0]["text"] == "fine\n"
    assert not (tiny.root / "outputs/days/one.ipynb").exists()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@needs_fork
def test_without_its_server_a_kernel_is_started_anew(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    started = ForkServer.__init__

    def start_and_die(self: ForkServer, *arguments: Any) -> None:
        started(self, *arguments)
        self._process.kill()
        self._process.wait()

    monkeypatch.setattr(ForkServer, "__init__", start_and_die)
    two_pages(tiny, ["print('one')"], ["print('two')"])
    code, _, err = execute(tiny)
    assert code == 0, err
    assert outputs(tiny, "labs/two")[0][0]["text"] == "two\n"


@needs_fork
def test_a_module_that_cannot_be_imported_ahead_is_the_pages_business(tiny: Tiny) -> None:
    tiny.write({"days/local_helper.py": "import os\nmade_in = os.getpid()\n"})
    two_pages(
        tiny, ["import os\nimport local_helper\nprint(local_helper.made_in == os.getpid())"], ["import no_such_module"]
    )
    code, _, err = execute(tiny)
    assert code == 1
    assert "error labs/two.md:8: the cell raised ModuleNotFoundError: No module named 'no_such_module'" in err
    assert outputs(tiny, "days/one")[0][0]["text"] == "True\n", "the course's own modules are not imported ahead"


def kernel(server: ForkServer, folder: Path) -> Coroutine[Any, Any, Forked]:
    """One that runs in `folder`."""
    folder.mkdir(exist_ok=True)
    return server.fork(["-f", str(folder / "kernel.json"), "--quiet"], str(folder), dict(os.environ))


def living(server: ForkServer) -> set[int]:
    """Its kernels without those that have ended and are not yet forgotten, which have no memory."""
    return {pid for pid in descendants(server._process.pid) if resident_memory(pid)}


def runs_in(pid: int) -> str:
    return Path(f"/proc/{pid}/cwd").resolve().name


@needs_fork
def test_no_module_beside_the_command_stands_in_for_one_of_pythons(tmp_path: Path) -> None:
    names = ["contextlib", "coursebook", "ctypes", "json", "pathlib", "socket", "typing", "urllib"]
    for name in names:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} of the course')")
    # It ends at once: what it is told of as its parent isn't.
    done = subprocess.run([*fork_client.COMMAND, "0", "1"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")


@needs_fork
def test_the_server_ends_with_its_socket(tmp_path: Path) -> None:
    async def fork() -> tuple[ForkServer, int]:
        server = ForkServer(["json"], _kernel_environment(tmp_path, 1))
        forked = await kernel(server, tmp_path / "one")
        assert until(lambda: runs_in(forked.pid) == "one")
        assert forked.poll() is None
        return server, forked.pid

    server, pid = asyncio.run(fork())
    server.close()
    assert not Path(f"/proc/{pid}").exists()
    assert server._process.returncode is not None


@needs_fork
def test_a_kernel_that_nobody_waits_for_is_ended_and_is_no_other_page_s(tmp_path: Path) -> None:
    async def fork() -> None:
        server = ForkServer(["json"], _kernel_environment(tmp_path, 1))
        try:
            first = await kernel(server, tmp_path / "one")
            os.kill(server._process.pid, signal.SIGSTOP)
            assert until(lambda: "(stopped)" in Path(f"/proc/{server._process.pid}/status").read_text())
            given_up = asyncio.create_task(kernel(server, tmp_path / "two"))
            await asyncio.sleep(0)  # it asks, and waits for the answer
            given_up.cancel()
            os.kill(server._process.pid, signal.SIGCONT)
            third = await kernel(server, tmp_path / "three")
            assert given_up.cancelled()
            assert until(lambda: runs_in(third.pid) == "three")
            assert until(lambda: living(server) == {first.pid, third.pid})
        finally:
            server.close()

    asyncio.run(fork())


@needs_fork
def test_the_number_of_a_kernel_that_has_ended_is_kept_until_it_is_given_back(tmp_path: Path) -> None:
    """Or the signal that ends what a kernel has left of its group would reach whoever has got the number since."""

    async def fork() -> None:
        server = ForkServer(["json"], _kernel_environment(tmp_path, 1))
        try:
            forked = await kernel(server, tmp_path / "one")
            forked.kill()
            assert forked.wait(timeout=30) == 1
            assert Path(f"/proc/{forked.pid}").exists()
            server.end(forked.number)
            assert until(lambda: not Path(f"/proc/{forked.pid}").exists())
            server.end(forked.number)  # once more does no harm
            await kernel(server, tmp_path / "two")
        finally:
            server.close()

    asyncio.run(fork())


@needs_fork
def test_a_kernel_is_watched_beyond_a_thousand_open_files() -> None:
    import resource  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < 2048:
        pytest.skip("so many files can't be opened here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2048, hard))
    opened: list[int] = []
    try:
        while not opened or opened[-1] < 1024:
            opened.append(os.dup(0))
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
            forked = Forked(process.pid, 1)
            assert forked.poll() is None
            forked.kill()
            assert forked.wait(timeout=30) == 1
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@needs_fork
def test_where_processes_cannot_be_held_kernels_start_cold(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(pid: int, flags: int = 0) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "pidfd_open", forbidden)
    assert not can_fork()
    tiny.cells("print('cold')")
    code, _, err = execute(tiny)
    assert (code, err) == (0, "")
    assert outputs(tiny, "days/one")[0][0]["text"] == "cold\n"
    monkeypatch.delattr(os, "pidfd_open")  # as in a Python that was built on an older system
    assert not can_fork()


@needs_fork
def test_sockets_have_short_paths_wherever_temporary_files_go(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    tiny.cells("print('fine')")
    code, _, err = execute(tiny)
    assert (code, err) == (0, "")
    assert outputs(tiny, "days/one")[0][0]["text"] == "fine\n"


def test_a_cell_may_run_for_as_long_as_an_option_can_say(tiny: Tiny) -> None:
    tiny.cells("1", head=f"---\n{LIMITED.replace('timeout: 1', f'timeout: {MOST_AMOUNT}')}")
    code, _, err = execute(tiny)
    assert (code, err) == (0, "")


def test_an_error_of_who_listens_is_not_the_kernel_s(tiny: Tiny) -> None:
    def listen(event: Event) -> None:
        if isinstance(event, CellStarted):
            raise RuntimeError("no more room on the screen")

    course = Course.load(tiny.cells("1").root)
    with pytest.raises(RuntimeError, match="no more room"):
        local.execute_pages(course, course.executed_pages(), listen)


@pytest.mark.timeout(120)
def test_a_cell_that_puts_out_too_much_and_does_not_stop_is_ended(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coursebook.execute.kernel_client.GRACE", 0.5)
    head = f"---\n{LIMITED.replace('timeout: 1', 'timeout: 600, max_output: 0.1')}"
    tiny.cells("while True:\n    try:\n        print('x' * 1000)\n    except BaseException:\n        pass", head=head)
    code, _, err = execute(tiny)
    assert code == 1
    assert "the cell put out more than the 0.1 MB allowed" in err


def test_a_kernel_that_does_not_start_hurts_no_other_page(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {"argv": [sys.executable, "-c", "raise SystemExit(1)"], "display_name": "Broken", "language": "python"}
    tiny.write({"jupyter/kernels/broken/kernel.json": json.dumps(spec)})
    monkeypatch.setenv("JUPYTER_PATH", str(tiny.root / "jupyter"))
    two_pages(tiny, ["1"], ["print('fine')"])
    page = (tiny.root / "days/one.md").read_text()
    tiny.write({"days/one.md": page.replace("name: python3,", "name: broken,")})
    code, _, err = execute(tiny)
    assert code == 1
    assert "error days/one.md: the kernel 'broken' could not be started: " in err
    assert "Traceback" not in err
    assert outputs(tiny, "labs/two")[0][0]["text"] == "fine\n"


@pytest.mark.parametrize("jobs", ["0", "-1", "many"])
def test_jobs_is_a_number_above_0(jobs: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["execute", f"--jobs={jobs}"])
    assert stop.value.code == 2


def test_a_stream_that_is_taken_when_a_module_is_imported_ahead_is_the_kernel_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, kernel = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", server)
    with _streams_of_the_kernel():
        handler = logging.StreamHandler()
        print("while it is imported", file=sys.stderr)
    assert sys.stderr is server
    monkeypatch.setattr(sys, "stderr", kernel)
    handler.emit(logging.makeLogRecord({"msg": "in a cell"}))
    assert (server.getvalue(), kernel.getvalue()) == ("while it is imported\n", "in a cell\n")


@needs_fork
def test_a_logger_of_a_module_imported_ahead_still_speaks(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its handler holds the stream that it found when it was imported, in the server."""
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # under which ipykernel leaves file descriptors alone
    code = "import logging\nimport torch\nlogging.getLogger('torch._dynamo').warning('said by torch')"
    two_pages(tiny, [code], [code])
    for how in ([], ["--cold"]):
        assert execute(tiny, *how)[0] == 0
        said = json.dumps(outputs(tiny, "days/one"))
        assert "said by torch" in said
        assert "Logging error" not in said
