"""What a page reads, writes and removes, by path below the root; and how the processes that it forks tell of theirs."""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Any

from .paths import is_by_page

# Seconds by which a file system's clock may be behind: it counts in ticks of the kernel.
_TICK = 0.01


class Here(threading.local):
    """Of each thread: whether it is in here, as what is done here is no business of the page's, and what is new."""

    is_busy = False
    news: list[list[Any]]


class Notes:
    """What was seen of the page so far. `shared` is a file through which processes that it forks tell what they did."""

    def __init__(self, root: str, made: tuple[str, ...], shared: str) -> None:
        self.here = Here()
        self._root, self._made, self._shared = root, made, shared
        self.ran, self.began = 0, time.time()
        # By path: what it looked like when it was first read; None for what isn't there.
        self.read: dict[str, list[Any] | None] = {}
        self.read_in: dict[str, set[int]] = {}  # by path: in which of the cells that ran, from 1
        self.written: set[str] = set()  # by the page itself: no inputs
        self.read_again: set[str] = set()  # of these, by the page
        self.removed: set[str] = set()
        self.may_change: set[str] = set()  # what the page reads and may change, itself or by a program
        self.marked: set[str] = set()  # what the page gives permissions or one more name, which changes nothing in it
        self.programs: set[str] = set()
        self.hidden: set[str] = set()
        self._kinds = {
            "again": self.read_again,
            "remove": self.removed,
            "mark": self.marked,
            "program": self.programs,
            "hidden": self.hidden,
        }

    def begin(self, info: Any) -> None:
        # What a cell runs itself by IPython's `run_cell` is a part of it, and isn't kept in the history.
        self.ran += bool(info.store_history)
        if self.ran == 1:
            self.began = time.time()

    def note(self, name: str, may_be_absent: bool = True) -> None:
        """The page reads it, or looks for it."""
        if name in self.written:
            if name not in self.read_again:
                self._add("again", name)
            return
        if name in self.read and self.ran in self.read_in[name]:
            return
        looked = self.read[name] if name in self.read else self.look(name)
        if looked is None and not may_be_absent:
            return
        self.read[name] = looked
        self.read_in.setdefault(name, set()).add(self.ran)
        self.here.news.append(["read", name, looked, self.ran])

    def write(self, name: str) -> None:
        """The page writes it: its own, unless it has read before what others had written."""
        if name in self.read and self.read[name] is None:  # which it has looked for in vain, and makes now
            del self.read[name]
        (self.may_change if name in self.read else self.written).add(name)
        self.here.news.append(["write", name])

    def change(self, name: str) -> None:
        """The page may read and may write it: its own where it wasn't there before."""
        if os.path.exists(os.path.join(self._root, name)):
            self.note(name)
        self.write(name)

    def remove(self, name: str) -> None:
        """The page removes a file or a folder, or gives it another name."""
        self._add("remove", name)

    def mark(self, name: str) -> None:
        """The page changes what the system knows of a file, and not what is in it. By another name it may be read."""
        self.note(name)
        self._add("mark", name)

    def run(self, program: str) -> None:
        if program not in self.programs and is_by_page(self._root):
            self._add("program", program)

    def hide(self, name: str) -> None:
        """What is hidden is no input, which its page is told where it reads it itself."""
        if name not in self.hidden and is_by_page(self._root):
            self._add("hidden", name)

    def _add(self, kind: str, name: str) -> None:
        self._kinds[kind].add(name)
        self.here.news.append([kind, name])

    def look(self, name: str) -> list[Any] | None:
        """What tells a file from the one that it becomes by being edited, or a folder's names."""
        path = os.path.join(self._root, name)
        try:
            if name.endswith("/"):
                left_out = (*self._made, "__pycache__") if name == "./" else ("__pycache__",)
                return sorted(n for n in os.listdir(path) if not n.startswith(".") and n not in left_out)
            found = os.stat(path)
        except OSError:
            return None
        # As `look` in `ground/disk.py` has it, which can't be imported here.
        return [found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns]

    def is_new(self, name: str) -> bool:
        """Whether a file or folder has come or changed since the page began."""
        try:
            return os.lstat(os.path.join(self._root, name)).st_ctime > self.began - _TICK
        except OSError:
            return False

    def has_come(self, name: str, looked: object) -> bool:
        """Whether what is read had become what it looked like after the page began."""
        return is_since(looked, self.began, name in self.marked)

    def is_other(self, name: str) -> bool:
        """Whether it isn't what it was when it was first read."""
        first, now = self.read[name], self.look(name)
        if name in self.marked and isinstance(first, list) and isinstance(now, list):
            return first[:3] != now[:3]  # without the time that the system gave it
        return first != now

    def is_removed(self, name: str) -> bool:
        """Whether it is gone by the page's own doing, with its folder or alone."""
        parts = name.split("/")
        return any("/".join(parts[: n + 1]) in self.removed for n in range(len(parts)))

    def tell(self) -> None:
        """A process that the page forked says what it has seen: its memory isn't the kernel's."""
        with open(self._shared, "a", encoding="utf-8") as file:
            file.write("".join(json.dumps(row) + "\n" for row in self.here.news))

    def take_in(self) -> None:
        """What forked processes have told."""
        try:
            with open(self._shared, encoding="utf-8") as file:
                lines = file.readlines()
        except OSError:
            return
        for line in lines:
            try:
                kind, name, *more = json.loads(line)
            except ValueError:  # it was killed when it told this
                continue
            self._take(kind, name, more)

    def _take(self, kind: str, name: str, more: list[Any]) -> None:
        if kind == "read" and name not in self.written:
            self.read.setdefault(name, more[0])
            self.read_in.setdefault(name, set()).add(more[1])
        elif kind == "write":
            if name in self.read and (self.read[name] is None or self.has_come(name, self.read[name])):
                del self.read[name]
                self.read_again.add(name)
            (self.may_change if name in self.read else self.written).add(name)
        elif kind in self._kinds:
            self._kinds[kind].add(name)


def is_since(look: object, began: float, is_marked: bool) -> bool:
    """Whether a file has become what it looks like after the page began; `is_marked`: the system gave it a new time."""
    if not isinstance(look, list) or len(look) != 4 or not isinstance(look[3], int):  # a folder's names
        return False
    changed = look[1] if is_marked else max(look[3], look[1] if os.name == "nt" else 0)
    return bool(changed / 1e9 > began - _TICK)
