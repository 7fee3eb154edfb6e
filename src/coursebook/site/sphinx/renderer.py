"""The rendering process: imports Sphinx and its extensions, waits for its order, and has Jupyter Book build.

Started by `process.py` with the course's root. It reads one pickled `Order`, and tells pickled: `Said` for each line of
Sphinx's own, and `Done` at the end.
"""

from __future__ import annotations

import errno
import gc
import importlib
import io
import os
import pickle
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import BinaryIO

from sphinx.errors import SphinxError

from ...ground import CONFIG, STAGE, TOC, die_with_parent, plain
from .. import Done, Order, Problem, Said
from .current import take_over

_MESSAGE = re.compile(r"^(?P<place>.*?)(?::(?P<line>\d+))?: (?P<level>WARNING|ERROR|SEVERE|CRITICAL): (?P<text>.*)$")
# What is said of a full disk, or of a full share of it.
_FULL = (*(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT)), "database or disk is full")
_BARE = re.compile(r"^(?P<level>WARNING|ERROR|SEVERE|CRITICAL): (?P<text>.*)$")


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

    course = order.course
    out, err = _Lines(log), _Lines(log)
    with redirect_stdout(out), redirect_stderr(err):
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
    text = err.getvalue()
    if isinstance(result, BaseException):
        text = _without_report(text, result)
    problems = list(_problems(text, course.root))
    if isinstance(result, KeyboardInterrupt):
        raise result
    if isinstance(result, SphinxError):
        problems.append(Problem(CONFIG, " ".join(str(result).split()), is_error=True))
    elif isinstance(result, BaseException):
        report = course.root / STAGE / "traceback.log"
        with suppress(OSError):  # the disk that is full may be this one
            report.write_text("".join(traceback.format_exception(result)), encoding="utf-8")
        said = " ".join(str(result).split())
        problems.append(
            Problem(
                "", f"Sphinx stopped with {type(result).__name__}: {said} (the traceback is in {report})", is_error=True
            )
        )
    elif result and not problems:
        problems.append(Problem("", f"Sphinx ended with status {result}", is_error=True))
    return _in_one(problems)


def _in_one(problems: list[Problem]) -> list[Problem]:
    """A full disk is told of for each file that Sphinx could not write, often as a mere warning: one error says it."""
    full = [text for text in _FULL if any(text in problem.text for problem in problems)]
    return [Problem("_build", f"{full[0]}: the site could not be written", is_error=True)] if full else problems


def _without_report(text: str, error: BaseException) -> str:
    """`text` without what Sphinx's command line said about `error`, which is reported in our own words."""
    category = getattr(error, "category", "Exception occurred")
    headings = {f"{category}:", "Interrupted!", "reST markup error:", "Encoding error:", "Recursion error:"}
    rows = plain(text).splitlines()
    last = max((n for n, row in enumerate(rows) if row in headings), default=len(rows))
    return "\n".join(rows[:last])


def _problems(text: str, root: Path) -> Iterator[Problem]:
    """The warnings and errors in what Sphinx wrote; a message may go on over several lines."""
    current: list[str] = []
    head: re.Match[str] | None = None
    seen: set[str] = set()
    for row in [*plain(text).splitlines(), "WARNING: end"]:
        match = _MESSAGE.match(row) or _BARE.match(row)
        if match is None:
            current.append(row)
            continue
        if head is not None:
            place = head.groupdict().get("place") or ""
            if place:
                path = Path(place)
                if path.is_absolute() and path.is_relative_to(root):
                    place = path.relative_to(root).as_posix()
                place = place.removesuffix(":<autodoc>")
            line = head.groupdict().get("line")
            body = " ".join(" ".join([head["text"], *current]).split()).replace(f"{root}{os.sep}", "")
            problem = Problem(f"{place}:{line}" if line else place, body, head["level"] != "WARNING")
            if str(problem) not in seen:
                seen.add(str(problem))
                yield problem
        head, current = match, []


class _Lines(io.StringIO):
    """Keeps what is written, and hands on each whole line."""

    def __init__(self, hand_on: Callable[[str], None]) -> None:
        super().__init__()
        self._hand_on, self._rest = hand_on, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._hand_on(plain(line))
        return super().write(text)

    def isatty(self) -> bool:
        return False


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
