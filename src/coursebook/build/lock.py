"""One command at a time may change a course: a second one says so and waits."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from ..ground import OUTPUTS, STAGE


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
        _tidy(root)
        yield waited
    finally:
        lock.release()


def _tidy(root: Path) -> None:
    """Remove what a command that was killed left half-written; the site's own is removed when it is published."""
    for path in [*(root / OUTPUTS).rglob(".*.new"), *(root / STAGE).glob(".*.new")]:
        with contextlib.suppress(OSError):  # it does no harm
            path.unlink()
