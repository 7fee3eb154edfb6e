"""The course's files as one parcel, which travels to the workers of a cluster: what pages may read, and nothing else.

Named by the sha256 of its bytes; equal files are equal bytes. It holds plain files and empty folders under plain names:
whatever else an archive may have in it is refused where it is opened.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...course import Course, Page
from ...ground import BROKEN, CourseError, Refused, add_file, add_folder, extract_plain
from .travelers import listed_files, named_files, names_in_folders

LIMIT = 500 * 10**6  # bytes of all files together
_FORMAT: dict[str, Any] = {"format": tarfile.PAX_FORMAT, "encoding": "utf-8"}


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
        packed = folder / "parcel"
        with (
            packed.open("wb") as file,
            gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as stream,
            tarfile.TarFile(fileobj=stream, mode="w", **_FORMAT) as archive,
        ):
            for name in names:
                if name.endswith("/"):
                    add_folder(archive, name)
                    continue
                # Of a file that only lies in a folder which a page has listed the name travels alone.
                path = course.root / name
                content = path.read_bytes() if name in whole else b""
                add_file(archive, name, content, is_program=name in whole and os.access(path, os.X_OK))
        return cls(packed, _digest(packed))


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
            extract_plain(archive, passing)
        passing.rename(folder)
    except Refused as refused:
        raise Damaged(str(refused)) from None
    except BROKEN as error:
        raise Damaged(f"the course's files arrived damaged: {error}") from None
    finally:
        shutil.rmtree(passing, ignore_errors=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
