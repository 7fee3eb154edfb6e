"""A full disk, for real: a small one is mounted and filled up, and what was there before stays as it was."""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import CONFIG, FILES, Tiny
from coursebook.ground.layout import STAGE

pytestmark = pytest.mark.kernel
SAID = "No space left on device"
# Who isn't root is in a namespace of one's own, where the system allows it.
AS_ROOT = ("unshare", "--map-root-user", "--mount")
Mount = Callable[[Path, str], None]


def fill(path: str, free: int) -> None:
    """Fill up the disk by a file, and leave so many bytes of it free."""
    with open(path, "wb", buffering=0) as file:  # noqa: PTH123  cells have this function too, and no imports
        try:
            while file.write(bytes(4096)) == 4096:
                pass
        except OSError:
            pass
        file.truncate(max(0, file.tell() - free))


FILL = inspect.getsource(fill)


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mounts a disk of the size given on a folder."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root mounts a small disk, and only on Linux as here; others do so in the last test")
    mounted = []

    def mount(folder: Path, size: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
        mounted.append(folder)

    yield mount
    for folder in reversed(mounted):
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def course(tiny: Tiny, mount: Mount) -> Tiny:
    """A course on a disk of its own, built."""
    mount(tiny.root / "disk", "80m")
    course = Tiny(tiny.root / "disk", tiny.capture).write(dict(FILES))
    course.write({"assets/big.bin": os.urandom(2_000_000)})
    course.write({"_config.yml": CONFIG.replace("config: {", "config: {html_static_path: [assets], ")})
    built = course.cells("print('before')").build()
    assert built.code == 0, built.err
    return course


def outputs(course: Tiny) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (course.root / "outputs").rglob("*") if path.is_file()}


def fails(course: Tiny, place: str, *arguments: str) -> None:
    """A build says in a line that the disk is full, and leaves all as it was."""
    before, site = outputs(course), course.site()
    built = course.build(*arguments)
    assert built.code == 1
    assert built.err.startswith(f"error {place}: {SAID}"), built.err
    assert built.err.count("\n") == 1, built.err
    assert outputs(course) == before
    assert course.site() == site
    assert not list(course.root.rglob("*.new"))


@pytest.mark.parametrize("whose", ["the course's", "the outputs'"])
def test_full_while_outputs_are_stored(tiny: Tiny, mount: Mount, request: pytest.FixtureRequest, whose: str) -> None:
    course = tiny
    if whose == "the course's":
        course = request.getfixturevalue("course")
    else:
        mount(course.root / "outputs", "400k")
        assert course.cells("print('before')").build().code == 0
    filler, room = course.root / "outputs/days/.filler", tiny.root / "room"
    filler.touch()
    full = f"if not os.path.exists({str(room)!r}):\n    fill({str(filler)!r}, 4096)"
    course.cells(f"import os\n{FILL}\n{full}\nprint('after', 'x' * 50_000)")
    before, site = outputs(course), course.site()
    built = course.build()
    assert built.code == 1
    assert built.err == f"error {course.root}/outputs/days/one.ipynb: {SAID}\n"
    assert filler.stat().st_size > 0
    filler.write_bytes(b"")
    assert outputs(course) == before
    assert course.site() == site
    assert not list(course.root.rglob("*.new"))
    room.touch()
    built = course.build()
    assert built.code == 0, built.err
    assert "after" in course.html()


def test_full_while_the_site_is_made(course: Tiny) -> None:
    filler, html = course.root / ".filler", course.root / STAGE / "html"
    needed = sum(path.stat().st_size for path in html.rglob("*") if path.is_file())
    for share, arguments in ((0.0, []), (0.5, []), (0.9, ["--lenient"]), (0.995, [])):
        for folder in (html, course.root / STAGE / "doctrees"):  # all is to be written again
            shutil.rmtree(folder, ignore_errors=True)
        course.write({"index.md": f"# Home\n\nWelcome, {share}.\n"})
        fill(str(filler), int(share * needed))
        fails(course, "_build", *arguments)
        filler.unlink()
    # What Sphinx writes takes the place of as many bytes; the copy that is published doesn't.
    assert course.build().code == 0
    course.write({"index.md": "# Home\n\nWelcome again.\n", "assets/big.bin": os.urandom(2_000_000)})
    fill(str(filler), 1_000_000)
    fails(course, f"{course.root}/_build/html/_static/.big.bin.new")
    filler.unlink()
    built = course.build()
    assert built.code == 0, built.err
    assert "Welcome again" in course.html("index")
    assert course.site()["_static/big.bin"] == (course.root / "assets/big.bin").read_bytes()


def test_full_when_a_failure_is_to_be_noted(course: Tiny) -> None:
    filler = course.root / ".filler"
    course.cells(f"{FILL}\nfill({str(filler)!r}, 0)\nraise ValueError('x' * 100_000)")
    site = course.site()
    built = course.build()
    assert built.code == 1
    assert built.err == f"error {course.root / STAGE}/failures.json: {SAID}\n"
    assert course.site() == site
    assert not list((course.root / STAGE).glob(".*.new"))


@pytest.mark.skipif(sys.platform == "linux" and os.geteuid() == 0, reason="root runs the tests above as they are")
def test_all_of_this_without_being_root(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounts = [*AS_ROOT, "mount", "-t", "tmpfs", "tmpfs", str(disk)]
    if not shutil.which("unshare") or subprocess.run(mounts, check=False).returncode:
        pytest.skip("no disk can be mounted here, not even in a namespace of one's own")
    command = [*AS_ROOT, sys.executable, "-m", "pytest", "-q", "-k", "test_full", f"--basetemp={tmp_path / 'tests'}"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", __file__], env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert re.search(r"^4 passed, 1 deselected in ", done.stdout, re.MULTILINE), "none is skipped"
