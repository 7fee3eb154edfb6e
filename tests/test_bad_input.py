"""Every folder below bad/ is a good course with some files replaced by bad ones, and the message it must give."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from conftest import FILES, Tiny
from coursebook.cli import main

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
    for attempt in ("at first", "again, when nothing has changed"):
        built = tiny.write(files if attempt == "at first" else {}).build()
        assert built.code == 1, attempt
        assert f"error {(case / 'message.txt').read_text().strip()}" in built.err, attempt
        if "raises" not in case.name and "claim" not in case.name and "syntax" not in case.name:
            assert len(built.err.splitlines()) <= 3, "one sentence for each error"
        assert "Traceback" not in built.err or case.name in ("cell-raises", "claim-fails", "cell-syntax")
        if case.name in EXECUTED:
            assert "The last execution of this page failed." in tiny.html(), "the page says so"
            assert "Welcome." in tiny.html("index"), "the others are there"
        else:
            assert tiny.site() == site, "the earlier site stays"
    if case.name not in {*EXECUTED, "missing-link", "option-value", "toc-yaml"}:
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


def test_all_errors_are_told_at_once(tiny: Tiny) -> None:
    built = tiny.write({"days/one.md": "", "days/two.md": "# Two\n"}).build()
    assert built.code == 1
    assert "error days/one.md: the page is empty" in built.err
    assert "error days/two.md: the page is not in _toc.yml" in built.err
    assert built.err.endswith("2 errors\n")
