"""One command at a time may change a course: a second one says so and waits."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from .snapshot import STAGE


@contextlib.contextmanager
def exclusive(root: Path, say: Callable[[str], None]) -> Iterator[bool]:
    """Keep other commands from changing the course at `root` meanwhile; gives whether this one had to wait.

    The system frees the lock when its holder ends, however it ends.
    """
    folder = root / STAGE
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock")
    waited = False
    try:
        lock.acquire(blocking=False)
    except Timeout:
        say("another command is working on this course; waiting for it")
        lock.acquire()
        waited = True
    try:
        yield waited
    finally:
        lock.release()
