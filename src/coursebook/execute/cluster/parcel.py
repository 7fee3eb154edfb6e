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
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...course import Course, Page
from ...ground import CourseError
from .travelers import listed_files, named_files, names_in_folders

LIMIT = 500 * 10**6  # bytes of all files together
_FORMAT: dict[str, Any] = {"format": tarfile.PAX_FORMAT, "encoding": "utf-8"}
# What no name may have in it where it is opened: on Windows these lead elsewhere, elsewhere they are letters.
_NEVER = frozenset("\\:\0" if os.name == "nt" else "\0")


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
        whole = {*listed_files(course, [*pages]), *named_files(course, pages, inputs)}
        names = sorted({*whole, *names_in_folders(course.root, inputs)})
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


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
