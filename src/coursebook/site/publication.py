"""The site takes the place of the earlier one: each changed file replaced whole, the pages last."""

from __future__ import annotations

import filecmp
import shutil
from pathlib import Path


def publish_site(source: Path, target: Path) -> None:
    """Make `target` the same as `source`, each changed file replaced whole; the pages come last.

    All of them are copied before the first takes its place: a full disk leaves the earlier site as it was.
    """
    wanted = [p.relative_to(source) for p in source.rglob("*") if p.is_file()]
    passing: dict[Path, Path] = {}  # by the file whose place it takes
    try:
        for path in sorted(wanted, key=lambda p: (p.suffix == ".html", p)):
            new, old = source / path, target / path
            if old.is_file() and filecmp.cmp(new, old, shallow=False):
                continue
            # Where a folder is to be there may be a file, which stays until all is copied.
            if not any(parent.is_file() for parent in old.parents):
                old.parent.mkdir(parents=True, exist_ok=True)
            folder = next(parent for parent in old.parents if parent.is_dir())
            passing[old] = folder / f".{'-'.join(old.relative_to(folder).parts)}.new"
            shutil.copyfile(new, passing[old])
        for old, copy in passing.items():
            _make_way(old)
            copy.replace(old)
    finally:
        for copy in passing.values():
            copy.unlink(missing_ok=True)
    keep = set(wanted)
    for path in sorted((p for p in target.rglob("*")), reverse=True):
        if path.is_file() and path.relative_to(target) not in keep:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _make_way(path: Path) -> None:
    """Remove the folder that stands where a file is to be, or the file where one of its folders is."""
    if path.is_dir():
        shutil.rmtree(path)
    for parent in path.parents:
        if parent.is_file():
            parent.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
