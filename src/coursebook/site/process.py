"""The process that renders: started first of all, so that it imports Sphinx while the course is read and executed.

Light to import, and for the same reason: nothing that Sphinx and its extensions leave behind is left in this process.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen  # by name: the tests have another, which forks instead
from typing import TYPE_CHECKING

from ..ground import plain, with_bytecode

if TYPE_CHECKING:
    from .rendering import Order


@dataclass(frozen=True)
class Problem:
    """A warning or an error from Sphinx; `place` is `path:line`, relative to the course's root where it lies below.

    `kind` is how Sphinx calls it, `mystnb.glue` say, where it has a name for it.
    """

    place: str
    text: str
    is_error: bool
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else self.text


@dataclass(frozen=True)
class Said:
    """A line of Sphinx's own, which the process passes on."""

    line: str


@dataclass(frozen=True)
class Done:
    """The last that the process tells: the order is carried out, and these problems were found."""

    problems: tuple[Problem, ...]


class RenderingProcess:
    """A process for the course at `root` that carries out one order; it ends with the `with` block, or this process.

    It takes the pickled order from its standard input and tells what happens, pickled `Said` and `Done`, on what was
    its standard output. Whatever else is written there or to its standard error, by extensions, programs that they run
    and kernels, goes to a file, and from there to the log.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def __enter__(self) -> RenderingProcess:
        with contextlib.ExitStack() as left:
            # It ends first, then what it writes to goes.
            folder = left.enter_context(tempfile.TemporaryDirectory(prefix="coursebook-", ignore_cleanup_errors=True))
            aside = Path(folder) / "aside.log"
            with aside.open("wb") as written:
                # Opened twice, because reading in a file that was inherited would move where the others write.
                self._aside = left.enter_context(aside.open(encoding="utf-8", errors="replace"))
                self._rest, self._last = "", ""
                self._process = Popen(
                    [sys.executable, "-P", "-m", "coursebook.site.sphinx.renderer", str(self._root), str(os.getpid())],
                    stdin=PIPE,
                    stdout=PIPE,
                    stderr=written,
                    env=with_bytecode(self._root),
                )
            left.callback(self._end)
            self._left = left.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._left.close()

    def _end(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # an order that was not wholly taken
                if pipe:
                    pipe.close()
        self._process.wait()

    def carry_out(self, order: Order, log: Callable[[str], None] | None) -> list[Problem]:
        """The problems that the process tells of when it has carried out `order`; `log` gets all that was printed."""
        process, say = self._process, log or (lambda line: None)
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            pickle.dump(order, process.stdin)
            process.stdin.flush()
        while True:
            try:
                told = pickle.load(process.stdout)
            except (EOFError, pickle.UnpicklingError):  # it ended, perhaps within a message
                self._pass_on(say)
                said = self._rest.strip() or self._last
                return [Problem("", f"Sphinx's process ended with status {process.wait()}: {said}", is_error=True)]
            self._pass_on(say)
            match told:
                case Said(line):
                    say(line)
                case Done(problems):
                    if self._rest:
                        say(self._rest)
                    return list(problems)

    def _pass_on(self, say: Callable[[str], None]) -> None:
        """Let `say` hear the lines that were written aside since the last time."""
        *lines, self._rest = plain(self._rest + self._aside.read()).split("\n")
        for line in lines:
            self._last = line.strip() or self._last
            say(line)
