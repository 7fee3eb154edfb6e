"""Which of a course's files travel to a cluster: what pages may read, and nothing that is private."""

from __future__ import annotations

import os
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

from sphinx.util.matching import Matcher

from ...course import INSTALLED, Course, Page, relative_name, walk_course
from ...ground import CONFIG, MADE, TOC, CourseError, git

# Private keys, as tools name them.
_KEYS = ("*.pem", "*.key", "*.p12", "*.pfx", "*.ppk", "id_rsa", "id_dsa", "id_ecdsa*", "id_ed25519*")


def listed_files(course: Course, pages: list[Page]) -> Iterator[str]:
    """What git knows or would take, without what is generated; a walk where there is no git."""
    yield from (page.path.as_posix() for page in pages)
    names = [*_tracked(course.root)]
    own = {CONFIG, TOC, *(page.path.as_posix() for page in course.pages)}
    # A checkout that ignores the course knows none of its files either; a page alone may be ignored.
    if not {*map(_spelling, names)} & {*map(_spelling, own)}:
        names = [*_walk(course.root, course.config.get("exclude_patterns") or ())]
    yield from (name for name in names if name.split("/")[0] not in MADE)


def _spelling(name: str) -> str:
    """What is the same for all spellings of a name that a system takes for one: git's may be another than the toc's."""
    return unicodedata.normalize("NFC", name).casefold()


def _tracked(root: Path) -> Iterator[str]:
    """The files below `root` that git knows, and those behind links that it knows where they are.

    What is outside of the checkout nobody has shown to git, and what it ignores it ignores behind links as well.
    """
    known = {path.relative_to(root) for path in _known(root)}
    base = _real(root)
    real = {name: _real(base / name) for name in known}
    files = {base / name for name in known if real[name] == base / name}
    yield from (path.relative_to(base).as_posix() for path in files)
    if len(files) == len(known):
        return
    top = _real(git.Checkout(root).top or base)
    files |= {path for path in _known(top) if _real(path) == path}
    in_order = sorted(map(str, files))
    for name in known:
        if real[name] == base / name:
            continue
        if real[name] in files:
            yield name.as_posix()
            continue
        folder = f"{real[name]}{os.sep}"
        for path in in_order[bisect_left(in_order, folder) :]:
            if not path.startswith(folder):
                break
            yield (name / path.removeprefix(folder)).as_posix()


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # which, unlike `resolve`, takes links that lead in a circle


def _known(folder: Path) -> Iterator[Path]:
    """The files below `folder` that git knows, as they are now, and those that it doesn't ignore and nobody hides."""
    names = _asked(folder, "--cached")
    new = _asked(folder, "--others", "--exclude-standard")
    environments = tuple(name.removesuffix("pyvenv.cfg") for name in new if name.endswith("/pyvenv.cfg"))
    names += [name for name in new if not _is_private(name) and not name.startswith(environments)]
    for name in names:
        path = folder / name
        if path.is_file() or (path.is_symlink() and path.is_dir()):
            yield path
        elif (path / ".git").exists():
            yield from _known(path)  # a submodule, or another checkout: it knows what it ignores
        elif path.is_dir():
            yield from (path / below for below in _walk(path))  # a submodule without its repository


def _asked(folder: Path, *options: str) -> list[str]:
    """The names that git lists. Raises CourseError where it can't tell: ignored files would travel."""
    try:
        done = git.run_git("ls-files", "-z", *options, cwd=folder)
    except CourseError:  # no git
        return []
    if done.returncode and git.Checkout(folder).top:
        raise CourseError("git", None, f"git ls-files failed: {git.reason_of_git(done.stderr)}")
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]


def _walk(folder: Path, excluded: Iterable[str] = ()) -> Iterator[str]:
    matches = Matcher([*excluded])
    for entry in walk_course(folder, is_excluded=lambda name: matches(name) or _is_private(name)):
        if Path(entry.path).is_file():
            yield relative_name(folder, entry.path)


def _is_private(name: str) -> bool:
    """Whether a file travels only when somebody says so: hidden ones and keys; and what tools make again."""
    parts = name.removesuffix("/").split("/")
    is_hidden = any(part.startswith(".") or part in INSTALLED for part in parts)
    return is_hidden or any(fnmatch(parts[-1].lower(), key) for key in _KEYS)


def named_files(course: Course, pages: Iterable[Page], inputs: Iterable[str]) -> Iterator[str]:
    """The files that pages have read or say that they read, be they ignored by git or not.

    Outputs may come from somebody else: what they say was read is sent only from below the root.
    """
    root = course.root
    for name in inputs:
        if _is_plain(name) and not _is_private(name) and (root / name).is_file():
            yield name
    for page in pages:
        for pattern in page.options.inputs:
            found = (path.relative_to(root).as_posix() for path in root.glob(pattern) if path.is_file())
            yield from (name for name in found if _is_plain(name) and (name == pattern or not _is_private(name)))


def names_in_folders(root: Path, inputs: Iterable[str]) -> Iterator[str]:
    """The names in folders that pages have listed: each counts, whatever is in the file."""
    for name in inputs:
        if not name.endswith("/") or not _is_plain(name.removesuffix("/")) or _is_private(name):
            continue
        for path in (root / name).iterdir() if (root / name).is_dir() else ():
            if not _is_private(path.name) and (path.is_dir() or path.is_file()):
                yield path.relative_to(root).as_posix() + ("/" if path.is_dir() else "")


def _is_plain(name: str) -> bool:
    return not {*name.split("/")} & {"", ".", ".."}
