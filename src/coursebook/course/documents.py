"""The files below a course's root that can be pages."""

from __future__ import annotations

from pathlib import Path

from sphinx.util.matching import Matcher

from ..ground import CourseError, did_you_mean
from .files import relative_name, walk_course
from .page import SUFFIXES


def find_documents(root: Path, excluded: list[str]) -> dict[str, list[Path]]:
    """Every docname below `root` with the files that bear it, without what the patterns `excluded` match."""
    found: dict[str, list[Path]] = {}
    for entry in walk_course(root, is_excluded=Matcher(excluded)):
        path = Path(relative_name(root, entry.path))
        if path.suffix in SUFFIXES and entry.is_file():
            found.setdefault(path.with_suffix("").as_posix(), []).append(path)
    return found


def why_missing(root: Path, docname: str, found: list[str]) -> str:
    if hint := did_you_mean(docname, found):
        return f"the page {docname!r} does not exist{hint}"
    other = [p.name for p in (root / docname).parent.glob(Path(docname).name + ".*")]
    if other:
        return f"the page {docname!r} is {other[0]!r}; pages are {' or '.join(SUFFIXES)} files that are not excluded"
    names = " or ".join(docname + suffix for suffix in SUFFIXES)
    return f"the page {docname!r} does not exist ({names} below the course's root)"


def two_pages(docname: str, paths: list[Path]) -> CourseError:
    names = " and ".join(path.as_posix() for path in paths)
    return CourseError(paths[0], None, f"{names} are two pages of one name, {docname!r}; rename or remove one")
