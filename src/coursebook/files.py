"""What belongs to a course, of all that lies in its folder: one answer for pages, inputs and snapshots.

Not what a build makes (`_build` and `outputs`, at the top alone: a course may have folders of these names), nothing
hidden, and no installed packages.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

CONFIG, TOC = "_config.yml", "_toc.yml"
MADE = ("_build", "outputs")  # what commands write, at the top
INSTALLED = ("node_modules", "__pycache__")  # anywhere
# The same as patterns of Sphinx.
PATTERNS = (*MADE, *INSTALLED, *(f"**/{name}" for name in INSTALLED))


def relative(root: Path, path: str) -> str:
    """The path of what lies below `root`, relative to it and with slashes."""
    return path[len(str(root)) + 1 :].replace(os.sep, "/")


def can_be_input(name: str) -> bool:
    """Whether a file or folder, relative to the course's root and with slashes, may be an input of a page."""
    parts = PurePosixPath(name).parts
    return bool(parts) and parts[0] not in MADE and not any(part.startswith(".") for part in parts)


def names_in(folder: Path, *, is_root: bool) -> list[str]:
    """The names in a folder that a page which lists it depends on."""
    left_out = {"__pycache__", *(MADE if is_root else ())}
    return sorted(name for name in os.listdir(folder) if not name.startswith(".") and name not in left_out)  # noqa: PTH208


def walk(root: Path, left_out: Sequence[str] = MADE) -> Iterator[os.DirEntry[str]]:
    """Each file below `root`, in the same order each time, and each link to a folder, which isn't followed.

    `left_out` are names at the top that are passed over, beside what is hidden or installed. What disappears meanwhile
    isn't there, nor what nobody may look into.
    """
    top = str(root)
    stack = [top]
    while stack:
        folder = stack.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        if any(entry.name == "pyvenv.cfg" for entry in entries):  # an environment
            continue
        for entry in entries:
            if entry.name.startswith(".") or entry.name in INSTALLED or (folder == top and entry.name in left_out):
                continue
            if entry.is_dir(follow_symlinks=False):
                stack.append(entry.path)
            else:
                yield entry


# Seconds by which a file system's clock may be behind: it counts in ticks of the kernel.
TICK = 0.01


def look(found: os.stat_result) -> tuple[int, int, int, int]:
    """What tells a file from another that takes its place.

    The last is when it was changed as the system says (on Windows: made); the other time can be set, as `cp -p` does.
    """
    return found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns


def look_at(path: Path) -> tuple[int, int, int, int] | None:
    """The same of a file by its path, or None where there is none."""
    try:
        return look(path.stat())
    except OSError:
        return None


def is_changed_since(path: Path, seconds: float) -> bool:
    """Whether a file was changed after that time (since 1970), as the system says; not where there is none."""
    try:
        found = path.stat()
    except OSError:
        return False
    return (found.st_mtime if sys.platform == "win32" else found.st_ctime) > seconds - TICK
