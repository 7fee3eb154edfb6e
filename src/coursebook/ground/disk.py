"""Files on the disk: replaced whole, and told from others by what they look like."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def replacing(path: Path, *, is_lasting: bool = True) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of `path` at the end; where something fails, `path` stays as it was.

    What `is_lasting` outlives a power cut as well, which takes the disk a while.
    """
    passing = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with passing.open("wb") as file:
            yield file
            if is_lasting:
                file.flush()
                os.fsync(file.fileno())
        passing.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk is noticed by a write, which doesn't tell of what
        raise
    finally:
        with contextlib.suppress(OSError):
            passing.unlink(missing_ok=True)


# Seconds by which a file system's clock may be behind: it counts in ticks of the kernel.
TICK = 0.01


def look(found: os.stat_result) -> tuple[int, int, int, int]:
    """What tells a file from another that takes its place.

    The last is when it was changed as the system says (on Windows: made); the other time can be set, as `cp -p` does.
    """
    return found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns


def look_at(path: Path) -> tuple[int, int, int, int] | None:
    """The same of a file by its path, or None where there is none."""
    try:
        return look(path.stat())
    except OSError:
        return None


def is_changed_since(path: Path, seconds: float) -> bool:
    """Whether a file was changed after that time (since 1970), as the system says; not where there is none."""
    try:
        found = path.stat()
    except OSError:
        return False
    return (found.st_mtime if sys.platform == "win32" else found.st_ctime) > seconds - TICK
