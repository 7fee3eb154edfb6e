"""Ctrl-C and SIGKILL at every stage of a command: it ends soon, in one sentence, and leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from conftest import CONFIG, Tiny, until
from coursebook.snapshot import STAGE

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")]

# Each says that it has begun, and takes longer than any test.
SLOW = "import pathlib, time\npathlib.Path({begun!r}).touch()\ntime.sleep(600)"
BUSY = "import subprocess\nsubprocess.Popen(['sleep', '600'])\n" + SLOW
STUBBORN = (
    "import pathlib, time\npathlib.Path({begun!r}).touch()\n"
    "while True:\n    try:\n        time.sleep(600)\n    except BaseException:\n        pass"
)
EXTENDED = CONFIG.replace("[coursebook]", "[coursebook, slow_to_begin]")


def while_sphinx_is_imported(course: Tiny, slow: Path, begun: str) -> None:
    slow.write_text(SLOW.format(begun=begun))
    course.write({"_config.yml": EXTENDED})


def while_the_fork_server_imports(course: Tiny, slow: Path, begun: str) -> None:
    slow.write_text(SLOW.format(begun=begun))
    course.cells("import slow_to_begin")


def while_a_cell_runs(course: Tiny, slow: Path, begun: str) -> None:
    course.cells(BUSY.format(begun=begun))


def while_a_stubborn_cell_runs(course: Tiny, slow: Path, begun: str) -> None:
    course.cells(STUBBORN.format(begun=begun))


def while_sphinx_renders(course: Tiny, slow: Path, begun: str) -> None:
    source = SLOW.format(begun=begun).replace("\n", "\n    ")
    slow.write_text(f"def setup(app):\n    {source}\n")
    course.write({"_config.yml": EXTENDED})


STAGES = [
    pytest.param(stage, id=stage.__name__.replace("_", " "))
    for stage in (
        while_sphinx_is_imported,
        while_the_fork_server_imports,
        while_a_cell_runs,
        while_a_stubborn_cell_runs,
        while_sphinx_renders,
    )
]
Stage = Callable[[Tiny, Path, str], None]


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that modules are imported from."""
    folder = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]))
    return folder


def interrupt(process: subprocess.Popen[str], pauses: list[float]) -> None:
    """Ctrl-C, as a terminal sends it, and again after each pause."""
    for pause in [0.0, *pauses]:
        time.sleep(pause)
        os.killpg(process.pid, signal.SIGINT)


@pytest.mark.parametrize("pauses", [[], [0.02] * 10], ids=["once", "again and again"])
@pytest.mark.parametrize("stage", STAGES)
def test_an_interrupted_command_ends_at_once(tiny: Tiny, elsewhere: Path, stage: Stage, pauses: list[float]) -> None:
    begun = elsewhere / "begun"
    stage(tiny, elsewhere / "slow_to_begin.py", str(begun))
    process = tiny.start()
    assert until(begun.exists)
    time.sleep(0.1)  # so that a cell has begun to sleep
    started = time.monotonic()
    interrupt(process, pauses)
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - started < 5
    assert (process.returncode, err) == (130, "interrupted; what was executed before is kept\n")
    assert until(lambda: not tiny.processes(), seconds=2), tiny.processes()


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_command_takes_its_processes_along(tiny: Tiny, elsewhere: Path, stage: Stage) -> None:
    begun = elsewhere / "begun"
    stage(tiny, elsewhere / "slow_to_begin.py", str(begun))
    process = tiny.start()
    assert until(begun.exists)
    assert len(tiny.processes()) > 1, "there is something to be left over"
    process.kill()
    process.wait()
    assert until(lambda: not tiny.processes(), seconds=10), tiny.processes()
    process.communicate()


@pytest.mark.parametrize("pauses", [[], [0.02] * 10], ids=["once", "again and again"])
@pytest.mark.parametrize("command", ["build", "execute"])
def test_a_command_that_waits_can_be_interrupted(tiny: Tiny, command: str, pauses: list[float]) -> None:
    tiny.write({f"{STAGE}/lock": ""})
    with FileLock(tiny.root / STAGE / "lock"):
        process = tiny.start(command)
        assert process.stdout is not None
        assert "waiting for it" in process.stdout.readline()
        interrupt(process, pauses)
        _, err = process.communicate(timeout=5)
    assert (process.returncode, err) == (130, "interrupted; what was executed before is kept\n")
    assert not tiny.processes()
