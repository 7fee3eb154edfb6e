"""Every folder below bad/ is a good course with some files replaced by bad ones, and the message it must give."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import coursebook
from conftest import FILES, Tiny
from coursebook.build.snapshot import Snapshot
from coursebook.cli import main

SOURCES = Path(coursebook.__file__).parent
BAD = Path(__file__).parent / "bad"
ASIDE = {"message.txt", "removed.txt"}
# Found out when the page is executed, not when it is read: the other pages go on.
EXECUTED = {
    "cell-kills-its-kernel",
    "cell-never-ends",
    "cell-prints-50-mb",
    "cell-raises",
    "cell-syntax",
    "claim-fails",
    "kernel-unknown",
}
# What the kernel says of a cell that fails is shown.
TRACED = {"cell-raises", "cell-syntax", "claim-fails"}
# A way to fail each: these are built again, and then mended.
WAYS = {*EXECUTED, "missing-link", "option-value", "toc-yaml"} - {"cell-syntax", "claim-fails"}


def _cases() -> list[object]:
    return [
        pytest.param(case, id=case.name, marks=pytest.mark.kernel if case.name in EXECUTED else ())
        for case in sorted(BAD.iterdir())
    ]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The course of all cases while it is good, built."""
    root = tmp_path_factory.mktemp("good")
    Tiny(root, lambda: ("", "")).write(dict(FILES))
    assert main(["build", "--root", str(root)]) == 0
    return root


@pytest.mark.sphinx
@pytest.mark.parametrize("case", _cases())
def test_bad_input(case: Path, tiny: Tiny, good: Path) -> None:
    shutil.copytree(good, tiny.root, dirs_exist_ok=True)
    site = tiny.site()
    assert site
    files: dict[str, str | bytes | None] = {
        p.relative_to(case).as_posix(): p.read_bytes() for p in case.rglob("*") if p.is_file() and p.name not in ASIDE
    }
    if (case / "removed.txt").exists():
        files[(case / "removed.txt").read_text().strip()] = None
    for attempt in ("at first", "again, when nothing has changed") if case.name in WAYS else ("at first",):
        built = tiny.write(files if attempt == "at first" else {}).build()
        assert built.code == 1, attempt
        assert f"error {(case / 'message.txt').read_text().strip()}" in built.err, attempt
        if case.name in TRACED:
            assert "Cell In[1]" in built.err, "the kernel's own words"
            assert str(SOURCES) not in built.err, "and none of ours"
        else:
            assert len(built.err.splitlines()) <= 3, "one sentence for each error"
            assert "Traceback" not in built.err
        if case.name in EXECUTED:
            assert "The last execution of this page failed." in tiny.html(), "the page says so"
            assert "Welcome." in tiny.html("index"), "the others are there"
        else:
            assert tiny.site() == site, "the earlier site stays"
        assert Snapshot(tiny.root).matches() is None, "the next build doesn't take it for done"
    if case.name not in WAYS:
        return
    # Mended, it builds again; told for each way to fail.
    tiny.write({name: None for name in files if (tiny.root / name).exists()})
    assert tiny.write(dict(FILES)).build().code == 0


def test_missing_files(tiny: Tiny) -> None:
    for name in ("_config.yml", "_toc.yml"):
        text = (tiny.root / name).read_text()
        built = tiny.write({name: None}).build()
        assert built.code == 1
        assert built.err.startswith(f"error {name}: the file does not exist in {tiny.root}")
        tiny.write({name: text})


@pytest.mark.sphinx
def test_all_errors_are_told_at_once(tiny: Tiny) -> None:
    built = tiny.write({"days/one.md": "", "days/two.md": "# Two\n"}).build()
    assert built.code == 1
    assert "error days/one.md: the page is empty" in built.err
    assert "error days/two.md: the page is not in _toc.yml" in built.err
    assert built.err.endswith("2 errors\n")
