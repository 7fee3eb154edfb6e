"""The archive of a bundle: a manifest with each file's size and sha256, then the files. Equal content is equal bytes.

What is read may come from anywhere, so nothing in it is believed: neither names nor kinds nor sizes.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import tarfile
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from ..ground import BROKEN, CourseError, PlainFile, Refused, add_file, copy_out, replacing

MANIFEST, SCHEMA = "coursebook-outputs.json", 1
SUFFIX = ".ipynb"
LIMIT, MANIFEST_LIMIT = 2 * 10**9, 10**7  # bytes: all files together, the manifest
FORMAT: Mapping[str, Any] = {"format": tarfile.USTAR_FORMAT, "encoding": "utf-8"}
_END = 2 * tarfile.BLOCKSIZE  # the zeros with which a tar file ends, before it is filled up to a whole record


def is_compressed(path: Path) -> bool:
    """What the name of an archive says. Raises CourseError for one that ends neither in `.tar` nor in `.tar.gz`."""
    if not path.name.endswith((".tar", ".tar.gz")):
        raise CourseError(path, None, "the name of a bundle ends in .tar.gz or .tar")
    return path.suffix == ".gz"


def problem_with(names: Sequence[str]) -> str:
    """What makes `names` unfit for files below a store, on any system; empty where they fit."""
    seen = set()
    for name in names:
        parts = name.split("/")
        is_plain = name.isprintable() and all(part and part[0] != "." and not {*part} & {*"\\:"} for part in parts)
        if not is_plain or not name.endswith(SUFFIX):
            return f"{name!r} is no plain path of outputs below the store"
        if (folded := unicodedata.normalize("NFC", name).casefold()) in seen:
            return f"{name!r} is there twice, or differs from another name only in case"
        seen.add(folded)
        try:
            tarfile.TarInfo(name).tobuf(FORMAT["format"], FORMAT["encoding"])
        except ValueError:
            return f"{name!r} is too long a name for an archive"
    return ""


def write_bundle(path: Path, files: Mapping[str, bytes]) -> None:
    """Write an archive of `files`, given by their names, in place of `path`: whole or not at all."""
    with contextlib.ExitStack() as stack:
        file: Any = stack.enter_context(replacing(path))
        if is_compressed(path):
            file = stack.enter_context(gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0))
        archive = stack.enter_context(tarfile.TarFile(fileobj=file, mode="w", **FORMAT))
        for name, data in {MANIFEST: _manifest(files), **files}.items():
            add_file(archive, name, data)


def _manifest(files: Mapping[str, bytes]) -> bytes:
    listed = [
        {"path": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
    ]
    content = {"schema": SCHEMA, "coursebook": __version__, "files": listed}
    return (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def extract_bundle(path: Path, folder: Path) -> dict[str, Path]:
    """Copy the files of the archive `path` into `folder`, under numbers, and tell by their names where they are.

    Raises CourseError for an archive that isn't sound in every part, or has more in it than its manifest lists.
    """
    try:
        with contextlib.ExitStack() as stack:
            stream: Any = stack.enter_context(gzip.GzipFile(path) if is_compressed(path) else path.open("rb"))
            archive = stack.enter_context(tarfile.TarFile(fileobj=stream, tarinfo=PlainFile, **FORMAT))
            files = dict(_extract(archive, folder))
            # Whatever tarfile can't read it takes for the end.
            last = archive.getmembers()[-1]
            end = last.offset_data + last.size + -last.size % tarfile.BLOCKSIZE
            zeros = bytes(_END + -(end + _END) % tarfile.RECORDSIZE)
            stream.seek(end)
            if stream.read(len(zeros) + 1) != zeros:
                raise Refused("cut off, or something follows after the end")
            return files
    except Refused as refused:
        raise CourseError(path, None, f"{refused}; nothing was taken") from None
    except BROKEN as error:
        raise CourseError(path, None, f"cut off, damaged or no archive ({error}); nothing was taken") from None


def _extract(archive: tarfile.TarFile, folder: Path) -> Iterator[tuple[str, Path]]:
    members = iter(archive)
    first = next(members, None)
    if first is None or first.name != MANIFEST:
        raise Refused(f"no bundle of outputs, which begins with {MANIFEST}")
    manifest = io.BytesIO()
    copy_out(archive, first, manifest, MANIFEST_LIMIT)
    listed = _listed(manifest.getvalue())
    left = LIMIT
    for number, member in enumerate(members):
        if member.name not in listed:
            raise Refused(f"{member.name!r} is not in the manifest, or twice in the archive")
        path = folder / f"{number}{SUFFIX}"
        with path.open("wb") as file:
            size, sha256 = copy_out(archive, member, file, left)
        left -= size
        if (size, sha256) != listed.pop(member.name):
            raise Refused(f"{member.name!r} has another size or digest than the manifest says")
        yield member.name, path
    if listed:
        raise Refused(f"{min(listed)!r} is in the manifest only")


def _listed(manifest: bytes) -> dict[str, tuple[int, str]]:
    """Size and sha256 of the files that a manifest lists, by their names."""
    try:
        content = json.loads(manifest)
        if (schema := content["schema"]) > SCHEMA:
            raise Refused(
                f"written by a newer Coursebook (schema {schema}, this one knows {SCHEMA}); update Coursebook"
            )
        files = [(str(file["path"]), (file["size"], file["sha256"])) for file in content["files"]]
    except (KeyError, RecursionError, TypeError, ValueError):
        raise Refused(f"{MANIFEST} in it can't be read") from None
    if problem := problem_with([name for name, _ in files]):
        raise Refused(problem)
    return dict(files)
