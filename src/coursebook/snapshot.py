"""What the course, its environment and its site looked like when they last fitted together.

Nothing changed, nothing to do. Compared by name, size and time of change, as `make` does, without reading a page or
importing Sphinx. Whatever differs, be it a file that has nothing to do with the site, leads to the ordinary build,
which looks at contents.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

from .devices import gpus

SITE, STAGE, OUTPUTS = "_build/html", "_build/.coursebook", "outputs"
CHECKS = f"{STAGE}/checks.json"  # what the site says of jobs and of drift
_LEFT_OUT = {"_build", "node_modules", "__pycache__", OUTPUTS}


class Snapshot:
    """Of the course at `root`; made before a build looks at anything, saved when it has succeeded."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._file = self.root / STAGE / "snapshot.json"
        self._commits = _commits(self.root)
        self._sources = _digest([*_tree(self.root), *_tree(Path(__file__).parent), *_distributions()])

    def matches(self) -> int | None:
        """The number of pages of the site if nothing has changed since it was built, else None."""
        try:
            saved = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if saved.get("sources") != self._sources or time.time() > (saved.get("due") or float("inf")):
            return None
        if saved.get("results") != self._results() or (saved.get("waits") and gpus()):
            return None
        if saved.get("commits", self._commits) != self._commits:
            return None
        return int(saved["pages"])

    def save(self, pages: int, due: float | None, *, waits: bool = False, tells_dates: bool = False) -> None:
        """Remember that all fits together, as far as it can here.

        `due` is the time (seconds since 1970) from which outputs are too old; `waits` that pages wait for a GPU,
        `tells_dates` that the site says when its pages were last committed.
        """
        from .store import replacing  # which imports nbformat: nothing that a course without changes waits for

        content = {"sources": self._sources, "results": self._results(), "pages": pages, "due": due, "waits": waits}
        if tells_dates:
            content["commits"] = self._commits
        with replacing(self._file) as file:
            file.write(json.dumps(content).encode())

    def forget(self) -> None:
        self._file.unlink(missing_ok=True)

    def _results(self) -> str:
        """The stored outputs and the site, which a build writes itself, and what checks have found."""
        return _digest([*_tree(self.root / OUTPUTS), *_tree(self.root / SITE), *_content(self.root / CHECKS)])


def _tree(folder: Path) -> Iterator[str]:
    """A line for each file below `folder`, in the same order each time, without what is hidden, cached or installed."""
    stack = [str(folder)]
    while stack:
        try:
            entries = sorted(os.scandir(stack.pop()), key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if any(entry.name == "pyvenv.cfg" for entry in entries):
            continue
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _LEFT_OUT:
                continue
            if entry.is_dir(follow_symlinks=False):
                stack.append(entry.path)
            elif entry.is_dir():
                yield f"{entry.path} leads elsewhere: {time.time_ns()}"  # not followed, so never known to be the same
            else:
                found = entry.stat(follow_symlinks=entry.is_file())
                yield f"{entry.path} {found.st_size} {found.st_mtime_ns}"


def _content(path: Path) -> Iterator[str]:
    """What a small file says: a check that finds the same again writes the file, and changes nothing."""
    with contextlib.suppress(FileNotFoundError):
        yield f"{path} {hashlib.sha256(path.read_bytes()).hexdigest()}"


def _commits(root: Path) -> str:
    """What is another with each commit: size and time of git's log of where HEAD was. Nothing without git."""
    for folder in (root, *root.parents):
        git = folder / ".git"
        try:
            if git.is_file():  # which a worktree has in place of the folder
                git = folder / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
            found = (git / "logs/HEAD").stat()
        except (OSError, ValueError):
            continue
        return f"{found.st_size} {found.st_mtime_ns}"
    return ""


def _distributions() -> Iterator[str]:
    """What is installed: the names of the distributions' folders carry their versions."""
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        yield from sorted(entry.name for entry in os.scandir(place) if entry.name.endswith((".dist-info", ".egg-link")))


def _digest(rows: list[str]) -> str:
    return hashlib.sha256("\n".join(rows).encode("utf-8", "surrogateescape")).hexdigest()
