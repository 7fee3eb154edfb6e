"""The course's files as one parcel, which travels to the workers of a cluster: what pages may read, and nothing else.

Named by the sha256 of its bytes; equal files are equal bytes. It holds plain files and empty folders under plain names:
whatever else an archive may have in it is refused where it is opened.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import unicodedata
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from sphinx.util.matching import Matcher

from .. import git
from ..course import Course
from ..errors import CourseError
from ..files import CONFIG, PATTERNS, TOC
from ..page import Page

LIMIT = 500 * 10**6  # bytes of all files together
_FORMAT: dict[str, Any] = {"format": tarfile.PAX_FORMAT, "encoding": "utf-8"}
_GENERATED = ("_build", "outputs")
# What no name may have in it where it is opened: on Windows these lead elsewhere, elsewhere they are letters.
_NEVER = frozenset("\\:\0" if os.name == "nt" else "\0")
# Private keys, as tools name them.
_KEYS = ("*.pem", "*.key", "*.p12", "*.pfx", "*.ppk", "id_rsa", "id_dsa", "id_ecdsa*", "id_ed25519*")


class Damaged(Exception):
    """What arrived is no parcel, or not the one that was sent."""


@dataclass(frozen=True)
class Parcel:
    """A parcel as the file `path`; `digest` is the sha256 of its bytes."""

    path: Path
    digest: str

    @classmethod
    def pack(cls, course: Course, pages: Iterable[Page], inputs: Iterable[str], folder: Path) -> Parcel:
        """Pack the files of `course` that `pages` may need into a file below `folder`.

        `inputs` are paths that earlier executions read, relative to the root, folders with a slash at their end. Raises
        CourseError when it is more than LIMIT, and where git can't tell what it ignores.
        """
        inputs = {*inputs}
        whole = {*_listed(course, [*pages]), *_named(course, pages, inputs)}
        names = sorted({*whole, *_seen(course.root, inputs)})
        sizes = {name: (course.root / name).stat().st_size for name in whole}
        if (total := sum(sizes.values())) > LIMIT:
            largest = max(sizes, key=lambda name: sizes[name])
            raise CourseError(
                largest,
                None,
                f"the largest ({sizes[largest] / 1e6:.0f} MB) of the course's files, {total / 1e6:.0f} MB in all; at "
                f"most {LIMIT / 1e6:.0f} MB travel to a cluster (what git ignores stays here unless a page reads it)",
            )
        path = folder / "parcel"
        with (
            path.open("wb") as file,
            gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as stream,
            tarfile.TarFile(fileobj=stream, mode="w", **_FORMAT) as archive,
        ):
            for name in names:
                _add(archive, name, course.root / name if name in whole else None)
        return cls(path, _digest(path))


def _add(archive: tarfile.TarFile, name: str, path: Path | None) -> None:
    """Add the file at `path` under that name; without a path an empty one, or a folder if the name has a slash."""
    header = tarfile.TarInfo(name)  # as it is made: of nobody, at no time
    if name.endswith("/"):
        header.type, header.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(header)
        return
    content = path.read_bytes() if path else b""
    header.size, header.mode = len(content), 0o755 if path and os.access(path, os.X_OK) else 0o644
    archive.addfile(header, io.BytesIO(content))


def open_parcel(path: Path, digest: str, folder: Path) -> None:
    """Put the files of a parcel into `folder`, which isn't there before: all of them, or the folder isn't there after.

    Raises Damaged for what isn't the parcel of that digest, or has anything in it but plain files under plain names.
    """
    if _digest(path) != digest:
        raise Damaged("the course's files arrived damaged")
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    passing = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))  # of mode 0700
    try:
        with gzip.open(path) as stream, tarfile.TarFile(fileobj=stream, mode="r", **_FORMAT) as archive:
            for member in archive:
                _put(archive, member, passing)
        passing.rename(folder)
    except (EOFError, gzip.BadGzipFile, tarfile.TarError, zlib.error) as error:
        raise Damaged(f"the course's files arrived damaged: {error}") from None
    finally:
        shutil.rmtree(passing, ignore_errors=True)


def _put(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    parts = member.name.split("/")
    if any(part in ("", ".", "..") or {*part} & _NEVER for part in parts):
        raise Damaged(f"{member.name!r} is no plain path below the course")
    path = folder.joinpath(*parts)
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    if not member.isreg() or path.exists():
        raise Damaged(f"{member.name!r} is not a plain file, or is there twice")
    path.parent.mkdir(parents=True, exist_ok=True)
    source = archive.extractfile(member)
    assert source  # which it isn't for a folder or a device
    with path.open("wb") as file:
        shutil.copyfileobj(source, file)
    path.chmod(0o755 if member.mode & 0o100 else 0o644)


def _listed(course: Course, pages: list[Page]) -> Iterator[str]:
    """What git knows or would take, without what is generated; a walk where there is no git."""
    yield from (page.path.as_posix() for page in pages)
    names = [*_tracked(course.root)]
    own = {CONFIG, TOC, *(page.path.as_posix() for page in course.pages)}
    # A checkout that ignores the course knows none of its files either; a page alone may be ignored.
    if not {*map(_spelling, names)} & {*map(_spelling, own)}:
        names = [*_walk(course.root, course.root, course.config.get("exclude_patterns") or ())]
    yield from (name for name in names if name.split("/")[0] not in _GENERATED)


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
            yield from (path / below for below in _walk(path, path))  # a submodule without its repository


def _asked(folder: Path, *options: str) -> list[str]:
    """The names that git lists. Raises CourseError where it can't tell: ignored files would travel."""
    try:
        done = git.run("ls-files", "-z", *options, cwd=folder)
    except CourseError:  # no git
        return []
    if done.returncode and git.Checkout(folder).top:
        raise CourseError("git", None, f"git ls-files failed: {git.reason(done.stderr)}")
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]


def _walk(folder: Path, root: Path, excluded: Iterable[str] = ()) -> Iterator[str]:
    is_excluded = Matcher([*PATTERNS, *excluded])
    for here, folders, files in os.walk(folder):
        place = Path(here).relative_to(root)
        folders[:] = [
            name
            for name in folders
            if not _is_private(name)
            and not is_excluded((place / name).as_posix())
            and not (Path(here) / name / "pyvenv.cfg").exists()
        ]
        for name in files:
            path = (place / name).as_posix()
            if not _is_private(name) and not is_excluded(path) and (root / path).is_file():
                yield path


def _is_private(name: str) -> bool:
    """Whether a file travels only when somebody says so: hidden ones and keys; and what tools make again."""
    parts = name.removesuffix("/").split("/")
    is_hidden = any(part.startswith(".") or part in ("__pycache__", "node_modules") for part in parts)
    return is_hidden or any(fnmatch(parts[-1].lower(), key) for key in _KEYS)


def _named(course: Course, pages: Iterable[Page], inputs: Iterable[str]) -> Iterator[str]:
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


def _seen(root: Path, inputs: Iterable[str]) -> Iterator[str]:
    """The names in folders that pages have listed: each counts, whatever is in the file."""
    for name in inputs:
        if not name.endswith("/") or not _is_plain(name.removesuffix("/")) or _is_private(name):
            continue
        for path in (root / name).iterdir() if (root / name).is_dir() else ():
            if not _is_private(path.name) and (path.is_dir() or path.is_file()):
                yield path.relative_to(root).as_posix() + ("/" if path.is_dir() else "")


def _is_plain(name: str) -> bool:
    return not {*name.split("/")} & {"", ".", ".."}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
