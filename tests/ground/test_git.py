"""Git is asked about the course, whatever repository a hook that runs us is of."""

from __future__ import annotations

import datetime
import os
import subprocess
from pathlib import Path

import pytest

from coursebook.ground.git import Checkout, commit_of
from coursebook.site.history import history_of


def _repository(folder: Path, year: int) -> str:
    """A repository with one commit of that year; its commit."""
    when = f"{year}-02-01T12:00:00+00:00"
    names = {f"GIT_{who}_{what}": "somebody" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **names, "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()

    folder.mkdir()
    (folder / "one.md").write_text(f"# {year}\n")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    return git("rev-parse", "HEAD")


def _dates(root: Path) -> list[datetime.datetime | None]:
    return [span.last for span in history_of(root, root / "_build/history.json").values()]


@pytest.mark.processes
def test_in_a_hook_of_another_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = {name: _repository(tmp_path / name, year) for name, year in (("course", 2024), ("other", 2020))}
    course, other = tmp_path / "course", tmp_path / "other"
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    assert commit_of(course) == commits["course"][:12]
    assert Checkout(course).commit == commits["course"]
    assert _dates(course) == [datetime.datetime(2024, 2, 1, 12, tzinfo=datetime.UTC)]
    (course / "one.md").write_text("# Changed\n")
    assert commit_of(course) == f"{commits['course'][:12]}-dirty"
    assert _dates(course) == [None]


@pytest.mark.processes
def test_without_a_repository_or_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit_of(tmp_path) == ""
    assert _dates(tmp_path) == []
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit_of(tmp_path) == ""
    assert _dates(tmp_path) == []
