"""Tar files: what is written is the same for the same content, and of what is read nothing is believed.

A header may name any place and any kind of file, and say any size: only plain files under plain names come out.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import IO, Self

# What reading raises where an archive is cut off, damaged or none.
BROKEN = (EOFError, gzip.BadGzipFile, tarfile.TarError, zlib.error)
# What no name may have in it where it is opened: on Windows these lead elsewhere, elsewhere they are letters.
_NEVER = frozenset("\\:\0" if os.name == "nt" else "\0")


class Refused(Exception):
    """There is something in the archive that has no place there; says what."""


class PlainFile(tarfile.TarInfo):
    """A header in an archive that has nothing but plain files, for `TarFile(tarinfo=…)`.

    Others are refused here, before tarfile reads what belongs to them: a long name, say, which can fill the memory.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        if header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or header.size < 0:
            raise Refused(f"{header.name!r} is not a plain file")
        return header


def add_file(archive: tarfile.TarFile, name: str, content: bytes, *, is_program: bool = False) -> None:
    """Add a file of nobody's, made at no time."""
    header = tarfile.TarInfo(name)
    header.size, header.mode = len(content), 0o755 if is_program else 0o644
    archive.addfile(header, io.BytesIO(content))


def add_folder(archive: tarfile.TarFile, name: str) -> None:
    header = tarfile.TarInfo(name)
    header.type, header.mode = tarfile.DIRTYPE, 0o755
    archive.addfile(header)


def copy_out(
    archive: tarfile.TarFile, member: tarfile.TarInfo, target: IO[bytes], limit: float = float("inf")
) -> tuple[int, str]:
    """Copy a file out of an archive; gives the size and the sha256 of what came, whatever its header says.

    Raises Refused when it is more than `limit` bytes.
    """
    source = _content(archive, member)
    size, digest = 0, hashlib.sha256()
    while chunk := source.read(1 << 20):
        size += len(chunk)
        if size > limit:
            raise Refused("it unpacks to more than a bundle may hold")
        digest.update(chunk)
        target.write(chunk)
    return size, digest.hexdigest()


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    source = archive.extractfile(member)
    assert source  # which it isn't for a folder or a device
    return source


def extract_plain(archive: tarfile.TarFile, folder: Path, *, is_ours: bool = True) -> None:
    """Put the files and folders of an archive into `folder`.

    Raises Refused for a name that leads elsewhere or is there twice, and, in an archive that `is_ours`, for anything
    that is neither a file nor a folder; git's have links as well, which are passed over.
    """
    for member in archive:
        parts = member.name.split("/")
        if any(part in ("", ".", "..") or {*part} & _NEVER for part in parts):
            raise Refused(f"{member.name!r} is no plain path below the course")
        path = folder.joinpath(*parts)
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
        elif member.isreg() and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                shutil.copyfileobj(_content(archive, member), file)
            path.chmod(0o755 if member.mode & 0o100 else 0o644)
        elif is_ours:
            raise Refused(f"{member.name!r} is not a plain file, or is there twice")
