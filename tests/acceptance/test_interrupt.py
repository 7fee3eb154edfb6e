"""Ctrl-C and SIGKILL at every stage of a command: it ends soon, in one sentence, and leaves no process behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from conftest import CONFIG, TOC, Tiny, until
from coursebook.ground.layout import STAGE

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")]

# Each says that it has begun, and takes longer than any test.
SLOW = "import pathlib, time\npathlib.Path({begun!r}).touch()\ntime.sleep(600)"
BUSY = "import subprocess\nsubprocess.Popen(['sleep', '600'])\n" + SLOW
STUBBORN = (
    "import pathlib, time\nwhile True:\n    try:\n        pathlib.Path({begun!r}).touch()\n"
    "        time.sleep(600)\n    except BaseException:\n        pass"
)
# Each takes all that a page may put out, doesn't hear of an interrupt, or leaves the group that is killed.
UNRULY = {
    # It is interrupted when that is too much, 10 MB, and given up some seconds later: the others come first. Where the
    # interruption hits it can't be known, it may be passed over.
    "prints": (
        "while len([*pathlib.Path(folder).iterdir()]) < 3:\n    time.sleep(0.01)\n"
        "printed = 0\nwhile True:\n    try:\n        while True:\n            print('x' * 10**6)\n"
        "            printed += 1\n            if printed == 12:\n                begun()\n"
        "    except BaseException:\n        begun()"
    ),
    "ignores": "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nbegun()\ntime.sleep(600)",
    "starts": "import subprocess\nsubprocess.Popen(['sleep', '600'], start_new_session=True)\nbegun()\ntime.sleep(600)",
    "blocks": "import ctypes\nbegun()\nctypes.PyDLL(None).sleep(600)",
}
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


def undisturbed() -> float:
    """Seconds, from some moment on, in which no process had to wait for a core: 5 s are meant on an idle machine."""
    try:
        told = re.search(r"some .*total=(\d+)", Path("/proc/pressure/cpu").read_text())
    except OSError:
        told = None
    return time.monotonic() - (int(told[1]) / 1e6 if told else 0.0)


def assert_ends_at_once(course: Tiny, process: subprocess.Popen[str], pauses: list[float]) -> None:
    started = undisturbed()
    interrupt(process, pauses)
    try:
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert until(lambda: not course.processes()), course.processes()
    assert undisturbed() - started < 5
    assert (process.returncode, err) == (130, "interrupted; what was executed before is kept\n")


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
    assert until(begun.exists, seconds=120)
    assert_ends_at_once(tiny, process, pauses)


def test_an_interruption_that_python_would_pass_over_comes_again() -> None:
    code = (
        "import sys, time, coursebook.cli\nfrom coursebook.__main__ import main\n"
        "class Goes:\n    def __del__(self):\n        raise KeyboardInterrupt\n"
        "def wait():\n    Goes()\n    time.sleep(60)\n"
        "coursebook.cli.main = wait\nsys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


@pytest.mark.parametrize(
    ("pauses", "how"), [([], []), ([0.02] * 10, ["--cold"])], ids=["once, warm", "again and again, cold"]
)
def test_no_cell_keeps_a_command_from_ending(tiny: Tiny, elsewhere: Path, pauses: list[float], how: list[str]) -> None:
    last = "never"
    tiny.write({"_toc.yml": TOC + "".join(f"  - file: days/{name}\n" for name in (*UNRULY, last))})
    for name, source in {**UNRULY, last: "begun()\ntime.sleep(600)"}.items():
        begun = f"folder = {str(elsewhere)!r}\ndef begun():\n    pathlib.Path(folder, {name!r}).touch()\n"
        tiny.cells(f"import pathlib, time\n{begun}\n{source}", name=f"days/{name}.md")
    process = tiny.start("execute", "--jobs", str(len(UNRULY)), *how)
    assert until(lambda: all((elsewhere / name).exists() for name in UNRULY), seconds=120)
    assert_ends_at_once(tiny, process, pauses)
    assert not (elsewhere / last).exists(), "no other page has begun"


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_command_takes_its_processes_along(tiny: Tiny, elsewhere: Path, stage: Stage) -> None:
    begun = elsewhere / "begun"
    stage(tiny, elsewhere / "slow_to_begin.py", str(begun))
    process = tiny.start()
    assert until(begun.exists, seconds=120)
    assert len(tiny.processes()) > 1, "there is something to be left over"
    process.kill()
    process.wait()
    assert until(lambda: not tiny.processes()), tiny.processes()
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
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "interrupted; what was executed before is kept\n")
    assert not tiny.processes()
