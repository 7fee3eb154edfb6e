"""SIGKILL while pages are executed, written and published: the store stays readable and valid, finished pages stay, the
next build does the rest.

With `-m long` there are fifty of them (or as many as COURSEBOOK_KILLS says), at random moments after the first.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from conftest import Tiny
from coursebook.ground.layout import STAGE
from coursebook.outputs.store import Store

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")]
KILLS = int(os.environ.get("COURSEBOOK_KILLS", "50"))
PAGES = 6
MOMENTS = ("publishes", "writes", "executes")  # the last leaves something for the next build to do


@pytest.mark.timeout(60 * max(KILLS, 10))
@pytest.mark.parametrize("kills", [len(MOMENTS), pytest.param(KILLS, marks=pytest.mark.long)], ids=["few", "many"])
def test_killed_builds(tiny: Tiny, kills: int) -> None:
    names = [f"days/p{number}" for number in range(PAGES)]
    toc = "format: jb-book\nroot: index\nchapters:\n" + "".join(f"  - file: {name}\n" for name in names)
    tiny.write({"_toc.yml": toc, "days/one.md": None})
    for name in names:
        tiny.cells(f"import time\ntime.sleep(0.3)\nprint('{name}', 'said')", name=f"{name}.md")
    store = Store(tiny.root)
    assert tiny.build().code == 0
    site, chance = tiny.site(), random.Random(8)
    for number in range(kills):
        moment = MOMENTS[number % len(MOMENTS)]
        later = 0.0 if number < len(MOMENTS) else chance.uniform(0, 0.5)
        seen = killed(tiny, moment, f"Home {number}", later)
        now = set(store.docnames())
        assert seen <= now, "finished pages stay"
        for name in now:
            page = store.read(name)  # raises for a file that isn't whole
            assert page is not None
            assert page.is_intact
            nbformat.validate(nbformat.read(store.path(name), as_version=4))
        assert_whole(tiny.site(), site)
    built = tiny.build()
    assert built.code == 0, built.err
    assert f"{PAGES - len(now)} of them executed" in built.out, "the next build does only the rest"
    assert "said" in tiny.html("days/p0")
    left = [path for path in tiny.root.rglob(".*.new") if path.is_file()]
    assert not left, "what killed commands left half-written is removed"
    assert [*store.docnames()] == names


def killed(tiny: Tiny, moment: str, title: str, later: float) -> set[str]:
    """Kill a build so many seconds after a moment that it waits for; returns the pages that were stored until then."""
    store, command = Store(tiny.root), [sys.executable, "-m", "coursebook", "build", "--root", str(tiny.root)]
    stage, html = tiny.root / STAGE / "html", tiny.root / "_build/html"

    def has_come() -> bool:
        if moment == "executes":
            return bool([*store.docnames()])
        if moment == "writes":
            return is_titled(stage / "index.html", title)
        return any(html.glob(".*.new")) or is_titled(html / "index.html", title)

    for attempt in range(5):
        # A new title stands in every page's sidebar: all of them are written and published again.
        title = f"{title}, {attempt}"
        tiny.write({"index.md": f"# {title}\n\nWelcome.\n"})
        if moment == "executes":
            tiny.write({f"outputs/{name}.ipynb": None for name in store.docnames()})
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while process.poll() is None and not has_come():
                time.sleep(0.001)  # some of it is over in a hundredth of a second
            time.sleep(later)
            seen = set(store.docnames())
        finally:
            process.kill()
        if process.wait() == -signal.SIGKILL:
            return seen
    raise AssertionError(f"no build could be killed while it {moment}")


def is_titled(page: Path, title: str) -> bool:
    try:
        return title in page.read_text(encoding="utf-8", errors="ignore")
    except FileNotFoundError:  # not there yet, or being replaced
        return False


def assert_whole(site: dict[str, bytes], earlier: dict[str, bytes]) -> None:
    """Each file of a site is the earlier one or has been replaced as a whole; only hidden ones may be half-written."""
    shown = {name: data for name, data in site.items() if not name.rpartition("/")[2].startswith(".")}
    assert earlier.keys() <= site.keys(), "nothing is gone"
    for name, data in shown.items():
        if name.startswith("_static/"):
            assert data == earlier[name], name
        elif name.endswith(".html"):
            assert data.rstrip().endswith(b"</html>"), name
        elif name.endswith(".js"):
            assert data.endswith(b")"), name


def test_a_full_disk(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tiny.cells("print(1)").build().code == 0
    path = tiny.root / "outputs/days/one.ipynb"
    before, site = path.read_bytes(), tiny.site()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    built = tiny.cells("print(2)").build()
    assert built.code == 1
    assert "No space left on device" in built.err
    assert "Traceback" not in built.err
    assert path.read_bytes() == before
    assert tiny.site() == site
    monkeypatch.undo()
    assert tiny.build().code == 0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_read_only_outputs(tiny: Tiny) -> None:
    assert tiny.cells("print(1)").build().code == 0
    folder = tiny.root / "outputs/days"
    folder.chmod(0o500)
    try:
        built = tiny.cells("print(2)").build()
        assert built.code == 1
        assert "Permission denied" in built.err
        assert "Traceback" not in built.err
    finally:
        folder.chmod(0o700)


def test_hostile_outputs(tiny: Tiny) -> None:
    hostile = (
        "import os\n"
        "print('<script>alert(1)</script>', '\\x1b[31mred\\x1b[0m \\x1b]0;title\\x07', chr(0), 'x' * 100_000)\n"
        "os.write(1, b'\\xff\\xfe not UTF-8');"
    )
    built = tiny.cells(hostile).build()
    assert built.code == 0, built.err
    html = tiny.html()
    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert Store(tiny.root).read("days/one") is not None
    failing = tiny.cells("raise ValueError('\\x1b]0;title\\x07 [bold]<b>' + chr(0))").build()
    assert failing.code == 1
    assert failing.err.startswith("error days/one.md:8: the cell raised ValueError: ]0;title [bold]<b>\n")
    assert not set("\x1b\x07\0") & set(failing.err), "nothing that a terminal obeys"


def test_what_a_killed_command_left_is_removed(tiny: Tiny) -> None:
    assert tiny.cells("print(1)").build().code == 0
    left = ["outputs/days/.one.ipynb.123.new", "_build/html/days/.one.html.new", f"{STAGE}/.snapshot.json.123.new"]
    tiny.write(dict.fromkeys(left, "half")).cells("print(2)")
    built = tiny.build()
    assert built.code == 0, built.err
    assert [name for name in left if (tiny.root / name).exists()] == []
