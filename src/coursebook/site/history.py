"""When the course's files were changed: what git knows, and nothing where it doesn't.

A wrong date is worse than none. A shallow clone seems to have made all its files in its oldest commit, and a file that
was changed since the last commit has no date yet. The main line counts: a change is dated when it was merged.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path

from ..ground import JsonFile, ask_git

_HEAD = re.compile(r"[0-9a-f]{40,64} \d+")


@dataclass(frozen=True)
class Span:
    """When a file was first and last committed, in UTC; None for what isn't known."""

    first: datetime.datetime | None
    last: datetime.datetime | None


def history_of(root: Path, memory: Path) -> dict[str, Span]:
    """The files below `root` that git has, by their path from there, with slashes; empty without git.

    `memory` is a file that keeps the answer until there is another commit.
    """
    told = _git(root, "rev-parse", "HEAD", "--is-shallow-repository", "--git-path", "shallow")
    if told is None:
        return {}
    head, is_shallow, shallow = told.splitlines()
    cut: list[str] = []
    if is_shallow == "true":
        with contextlib.suppress(OSError):
            cut = (root / shallow).read_text().split()
    key = hashlib.sha256(" ".join([__name__, str(root), head, *cut]).encode("utf-8", "surrogateescape")).hexdigest()
    try:
        remembered = JsonFile(memory).read()
        known = remembered["files"] if remembered["key"] == key else None
    except JsonFile.DAMAGED:
        known = None
    if known is None:
        log = _git(
            root, "log", "--first-parent", "-m", "--name-status", "-M", "-z", "--relative",
            "--no-show-signature", "--no-color", "--format=%x01%H %ct", "HEAD",
        )  # fmt: skip
        if log is None:
            return {}
        known = _read(log, frozenset(cut))
        with contextlib.suppress(OSError):
            JsonFile(memory).write({"key": key, "files": known})
    changed = _git(root, "diff", "--name-only", "--no-renames", "-z", "--relative", "HEAD")
    spans = {path: Span(_time(first), _time(last)) for path, (first, last) in known.items()}
    for path in changed.split("\0") if changed is not None else spans:
        if path in spans:
            spans[path] = replace(spans[path], last=None)
    return spans


def _read(log: str, cut: frozenset[str]) -> dict[str, tuple[int | None, int | None]]:
    """First and last commit (seconds since 1970) of each file, from a log that goes from new to old.

    What the commits in `cut` did isn't known: their parents are missing.
    """
    first: dict[str, int] = {}
    last: dict[str, int | None] = {}
    names: dict[str, str] = {}  # by the name that a file had: the one it has now
    for entry in log.split("\x01"):
        head, *rows = [part for part in entry.split("\0") if part] or [""]
        if not _HEAD.fullmatch(head):
            continue
        commit, seconds = head.split()
        if commit in cut:
            continue
        parts = iter(rows)
        for status in (part.lstrip("\n") for part in parts):
            old = next(parts, "")
            path = next(parts, "") if status[0] in "RC" else old
            now = names.get(path, path)
            if now in first:  # an earlier file of the same name
                continue
            # What was deleted has no date, also where there is a file of that name which git doesn't know of.
            last.setdefault(now, None if status == "D" else int(seconds))
            if status[0] == "R":
                names.pop(path, None)
                names[old] = now
            elif status[0] in "AC":
                names.pop(path, None)
                first[now] = int(seconds)
    return {path: (first.get(path), seconds) for path, seconds in last.items() if seconds is not None}


def _time(seconds: int | None) -> datetime.datetime | None:
    return None if seconds is None else datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _git(root: Path, *arguments: str) -> str | None:
    """What git says, or None where it isn't there, this is no repository, or it has no commit."""
    told = ask_git(root, "-c", "core.quotePath=false", *arguments)
    return None if told is None else told.decode("utf-8", "surrogateescape")
