"""What belongs to a course, of all that lies in its folder: one answer for pages, inputs and snapshots.

Not what a build makes (`_build` and `outputs`, at the top alone: a course may have folders of these names), nothing
hidden, and no installed packages.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from ..ground import MADE

INSTALLED = ("node_modules", "site-packages", "__pycache__")  # anywhere
# The same as patterns of Sphinx.
PATTERNS = (*MADE, *INSTALLED, *(f"**/{name}" for name in INSTALLED))


def relative_name(root: Path, path: str) -> str:
    """The path of what lies below `root`, relative to it and with slashes."""
    return path[len(str(root).rstrip(os.sep)) + 1 :].replace(os.sep, "/")


def can_be_input(name: str) -> bool:
    """Whether a file or folder, relative to the course's root and with slashes, may be an input of a page."""
    parts = PurePosixPath(name).parts
    return bool(parts) and parts[0] not in MADE and not any(part.startswith(".") for part in parts)


def names_in(folder: Path, *, is_root: bool) -> list[str]:
    """The names in a folder that a page which lists it depends on."""
    left_out = {"__pycache__", *(MADE if is_root else ())}
    return sorted(name for name in os.listdir(folder) if not name.startswith(".") and name not in left_out)  # noqa: PTH208


def walk_course(
    root: Path, left_out: Sequence[str] = MADE, is_excluded: Callable[[str], object] | None = None
) -> Iterator[os.DirEntry[str]]:
    """Each file below `root`, and each link to a folder, which isn't followed; in order, a folder's own files first.

    `left_out` are names at the top that are passed over, beside what is hidden or installed, and what `is_excluded`
    (relative to the root, with slashes). What disappears meanwhile isn't there, nor what nobody may look into.
    """
    top = str(root)
    stack = [top]
    while stack:
        folder = stack.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        if folder != top and any(entry.name == "pyvenv.cfg" for entry in entries):  # an environment
            continue
        folders = []
        for entry in entries:
            if entry.name.startswith(".") or entry.name in INSTALLED or (folder == top and entry.name in left_out):
                continue
            if is_excluded and is_excluded(relative_name(root, entry.path)):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            else:
                yield entry
        stack += reversed(folders)
