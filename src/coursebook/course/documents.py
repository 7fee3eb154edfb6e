"""The files below a course's root that can be pages."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from sphinx.util.matching import Matcher

from ..ground import CourseError
from .page import SUFFIXES


def find_documents(root: Path, excluded: list[str]) -> dict[str, list[Path]]:
    """Every docname below `root` with the files that bear it."""
    is_excluded = Matcher(excluded)
    found: dict[str, list[Path]] = {}
    for folder, folders, files in os.walk(root):
        here = Path(folder).relative_to(root)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and not is_excluded((here / name).as_posix())
            and not (Path(folder) / name / "pyvenv.cfg").exists()
        )
        for name in sorted(files):
            path = here / name
            if path.suffix in SUFFIXES and not is_excluded(path.as_posix()):
                found.setdefault(path.with_suffix("").as_posix(), []).append(path)
    return found


def why_missing(root: Path, docname: str, found: list[str]) -> str:
    near = difflib.get_close_matches(docname, found, 1)
    if near:
        return f"the page {docname!r} does not exist; did you mean {near[0]!r}?"
    other = [p.name for p in (root / docname).parent.glob(Path(docname).name + ".*")]
    if other:
        return f"the page {docname!r} is {other[0]!r}; pages are {' or '.join(SUFFIXES)} files that are not excluded"
    names = " or ".join(docname + suffix for suffix in SUFFIXES)
    return f"the page {docname!r} does not exist ({names} below the course's root)"


def two_pages(docname: str, paths: list[Path]) -> CourseError:
    names = " and ".join(path.as_posix() for path in paths)
    return CourseError(paths[0], None, f"{names} are two pages of one name, {docname!r}; rename or remove one")
