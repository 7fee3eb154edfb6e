"""Two commands at once: on one course the second waits and finds the work done, on two courses neither waits."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

from conftest import FILES, Tiny, until
from coursebook.outputs.store import Store

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(sys.platform != "linux", reason="ends processes by signals")]
WAITS = "another command is working on this course; waiting for it\n"


@dataclass
class Held:
    """A course whose cell notes each of its executions, and goes on when it may."""

    course: Tiny
    notes: Path
    may: Path

    def executions(self) -> int:
        return len(self.notes.read_text().splitlines()) if self.notes.exists() else 0


@pytest.fixture
def held(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Held:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    held = Held(tiny, elsewhere / "notes", elsewhere / "may")
    tiny.cells(
        f"import pathlib, time\nwith open({str(held.notes)!r}, 'a') as notes:\n    notes.write('executed\\n')\n"
        f"while not pathlib.Path({str(held.may)!r}).exists():\n    time.sleep(0.02)\nprint('done')"
    )
    return held


def waiting(course: Tiny, command: str) -> subprocess.Popen[str]:
    """A command that has said that it waits."""
    process = course.start(command)
    assert process.stdout is not None
    assert process.stdout.readline() == WAITS
    return process


@pytest.mark.parametrize(
    ("commands", "said"),
    [
        pytest.param(("build", "build"), "nothing has changed: 2 pages", id="build and build"),
        pytest.param(("build", "execute"), "executed 0 pages", id="build and execute"),
        pytest.param(("execute", "build"), "0 of them executed", id="execute and build"),
    ],
)
def test_the_second_command_waits_and_has_nothing_to_do(held: Held, commands: tuple[str, str], said: str) -> None:
    first = held.course.start(commands[0])
    assert until(held.executions)
    second = waiting(held.course, commands[1])
    held.may.touch()
    out, err = second.communicate(timeout=60)
    assert (second.returncode, err) == (0, ""), out
    assert said in out
    out, err = first.communicate(timeout=60)
    assert (first.returncode, err) == (0, ""), out
    assert WAITS not in out
    assert held.executions() == 1, "nothing is executed twice"
    store = Store(held.course.root)
    stored = store.read("days/one")
    assert stored is not None
    assert stored.is_intact
    nbformat.validate(nbformat.read(store.path("days/one"), as_version=4))


def test_the_second_goes_on_when_the_first_is_killed(held: Held) -> None:
    first = held.course.start()
    assert until(held.executions)
    second = waiting(held.course, "build")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert until(lambda: held.executions() == 2), "the lock went with its holder"
    held.may.touch()
    out, err = second.communicate(timeout=60)
    assert (second.returncode, err) == (0, ""), out
    assert "1 of them executed" in out
    assert "done" in held.course.html()


def test_courses_do_not_wait_for_each_other(held: Held, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = Tiny(tmp_path_factory.mktemp("other"), held.course.capture).write(dict(FILES))
    first = held.course.start()
    assert until(held.executions)
    built = other.cells("print('meanwhile')").build()
    assert built.code == 0, built.err
    assert WAITS not in built.out
    assert first.poll() is None
    held.may.touch()
    out, err = first.communicate(timeout=60)
    assert (first.returncode, err) == (0, ""), out
