"""The rendering process: imports Sphinx and its extensions, waits for its order, and has Jupyter Book build.

Started by `process.py` with the course's root. It reads one pickled `Order`, and tells pickled: `Said` for each line of
Sphinx's own, and `Done` at the end.
"""

from __future__ import annotations

import gc
import importlib
import io
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import BinaryIO

from sphinx.errors import SphinxError

from ...ground import CONFIG, STAGE, TOC, die_with_parent, plain
from .. import Done, Order, Problem, Said
from .current import take_over
from .messages import Listener, in_one


def main(root: Path, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business, and it ends this process
    if sys.platform == "linux":
        die_with_parent(parent)
    orders, told = _streams_of_its_own()
    # A short life with many objects: looking for garbage all the time finds little.
    gc.set_threshold(100_000, 20, 100)
    _import_ahead(root)
    gc.freeze()
    try:
        order: Order = pickle.load(orders)
    except EOFError:  # nothing to render after all
        return
    take_over(order)
    own = os.getpid()

    def tell(message: Said | Done) -> None:
        told.write(pickle.dumps(message))  # in one piece, whichever thread speaks
        told.flush()

    def say(line: str) -> None:
        if os.getpid() == own:
            tell(Said(line))
        else:  # a process that writes pages: what several tell at a time would be mixed up
            os.write(2, f"{line}\n".encode())

    problems = _jupyter_book(order, say)
    sys.stdout.flush()
    tell(Done(tuple(problems)))
    os._exit(0)  # nothing is left to be tidied up


def _streams_of_its_own() -> tuple[BinaryIO, BinaryIO]:
    """What were the standard input and output, on descriptors that nothing else uses and no program inherits.

    Extensions, programs that they run and kernels find an empty input, and print where errors go.
    """
    orders, told = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return orders, told


def _import_ahead(root: Path) -> None:
    """Import what the course's configuration names; what is wrong with it is told when the site is built."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        from jupyter_book.config import get_final_config

        cli = {"latex_individualpages": False}
        try:
            final, _ = get_final_config(user_yaml=root / CONFIG, cli_config=cli, sourcedir=root)
        except Exception:
            return
        # What Sphinx and MyST-NB import only when they are set up, too.
        late = (
            "jupyter_book.sphinx",
            "sphinx.builders.html",
            "sphinx.domains.cpp",
            "sphinx.domains.std",
            "myst_nb.sphinx_ext",
        )
        for name in [*final["extensions"], final["html_theme"], *late]:
            with suppress(Exception):
                importlib.import_module(name)


def _jupyter_book(order: Order, log: Callable[[str], None]) -> list[Problem]:
    from jupyter_book.sphinx import build_sphinx

    course, listener = order.course, Listener()

    def hear(line: str) -> None:
        listener.listen()
        log(line)

    with redirect_stdout(_Lines(hear)), redirect_stderr(_Lines(hear)):
        try:
            result = build_sphinx(
                str(course.root),
                str(order.folder),
                noconfig=True,
                path_config=str(course.root / CONFIG),
                confoverrides={
                    "external_toc_path": str(course.root / TOC),
                    "latex_individualpages": False,
                    "nb_execution_cache_path": str(course.root / "_build/.jupyter_cache"),
                    "nb_execution_mode": "cache" if course.mode == "force" else course.mode,
                },
                doctreedir=str(order.doctrees),
                builder=order.builder,
            )
        except Exception as error:  # what Jupyter Book raises before Sphinx runs
            result = error
    problems = listener.problems(course.root)
    if isinstance(result, KeyboardInterrupt):
        raise result
    if isinstance(result, SphinxError):
        problems.append(Problem(CONFIG, " ".join(str(result).split()), is_error=True))
    elif isinstance(result, BaseException):
        problems.append(_unexpected(result, course.root / STAGE / "traceback.log"))
    elif result and not problems:
        problems.append(Problem("", f"Sphinx ended with status {result}", is_error=True))
    return in_one(problems)


def _unexpected(error: BaseException, report: Path) -> Problem:
    """What stopped Sphinx and is none of its own errors; the traceback is kept in `report`."""
    with suppress(OSError):  # the disk that is full may be this one
        report.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    said = " ".join(str(error).split())
    text = f"Sphinx stopped with {type(error).__name__}: {said} (the traceback is in {report})"
    return Problem("", text, is_error=True)


class _Lines(io.TextIOBase):
    """Hands on each whole line that is written."""

    def __init__(self, hand_on: Callable[[str], None]) -> None:
        self._hand_on, self._rest = hand_on, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._hand_on(plain(line))
        return len(text)

    def isatty(self) -> bool:
        return False


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
