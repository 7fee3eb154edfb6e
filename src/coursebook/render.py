"""Stored outputs and pages to a site: Jupyter Book builds it aside, and only a good site replaces the earlier one."""

from __future__ import annotations

import filecmp
import hashlib
import io
import os
import re
import shutil
import traceback
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from sphinx.errors import SphinxError

from . import __version__
from .course import CONFIG, TOC, Course
from .errors import CourseError, CourseErrors, plain
from .page import Page
from .snapshot import SITE, STAGE

BUILD = "_build"
CACHE = f"{BUILD}/.jupyter_cache"

_MESSAGE = re.compile(r"^(?P<place>.*?)(?::(?P<line>\d+))?: (?P<level>WARNING|ERROR|SEVERE|CRITICAL): (?P<text>.*)$")
_BARE = re.compile(r"^(?P<level>WARNING|ERROR|SEVERE|CRITICAL): (?P<text>.*)$")


@dataclass(frozen=True)
class Problem:
    """A warning or an error from Sphinx; `place` is `path:line`, relative to the course's root where it lies below."""

    place: str
    text: str
    is_error: bool

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else self.text


def render(course: Course, *, lenient: bool = False, log: Callable[[str], None] | None = None) -> list[Problem]:
    """Build the site of `course` below `_build/html` with Jupyter Book.

    Returns the warnings that a lenient build passes over (an empty list otherwise). `log` gets Sphinx's own lines.
    Raises CourseErrors when the site can't be had without errors, or without warnings unless `lenient`; the earlier
    site then stays as it is.
    """
    stage = course.root / STAGE
    stage.mkdir(parents=True, exist_ok=True)
    signature = _signature(course)
    signed = stage / "signature"
    is_fresh = not signed.is_file() or signed.read_text() != signature
    signed.unlink(missing_ok=True)
    if is_fresh:
        # Sphinx does not notice a changed table of contents in the sidebars of unchanged pages.
        shutil.rmtree(stage / "doctrees", ignore_errors=True)
        shutil.rmtree(stage / "html", ignore_errors=True)
    problems = _jupyter_book(course, stage, log)
    fatal = [p for p in problems if p.is_error or not lenient]
    if fatal:
        # Sphinx reports a page's warnings when it reads the page; the next build must read it again.
        shutil.rmtree(stage / "doctrees", ignore_errors=True)
        errors = [CourseError(p.place or CONFIG, None, p.text) for p in fatal]
        raise CourseErrors("the site can't be built", errors)
    _publish(stage / "html", course.root / SITE)
    if not problems:
        signed.write_text(signature)
    return problems


def _jupyter_book(course: Course, stage: Path, log: Callable[[str], None] | None) -> list[Problem]:
    from jupyter_book.sphinx import build_sphinx

    out, err = _Lines(log), _Lines(log)
    with redirect_stdout(out), redirect_stderr(err):
        try:
            result = build_sphinx(
                str(course.root),
                str(stage / "html"),
                noconfig=True,
                path_config=str(course.root / CONFIG),
                confoverrides={
                    "external_toc_path": str(course.root / TOC),
                    "latex_individualpages": False,
                    "nb_execution_mode": "cache" if course.mode == "force" else course.mode,
                    "nb_execution_cache_path": str(course.root / CACHE),
                },
                doctreedir=str(stage / "doctrees"),
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
        report = stage / "traceback.log"
        report.write_text("".join(traceback.format_exception(result)), encoding="utf-8")
        said = " ".join(str(result).split())
        problems.append(
            Problem(
                "", f"Sphinx stopped with {type(result).__name__}: {said} (the traceback is in {report})", is_error=True
            )
        )
    elif result and not problems:
        problems.append(Problem("", f"Sphinx ended with status {result}", is_error=True))
    return problems


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

    def __init__(self, hand_on: Callable[[str], None] | None) -> None:
        super().__init__()
        self._hand_on, self._rest = hand_on, ""

    def write(self, text: str) -> int:
        if self._hand_on:
            *lines, self._rest = (self._rest + text).split("\n")
            for line in lines:
                self._hand_on(plain(line))
        return super().write(text)

    def isatty(self) -> bool:
        return False


def _signature(course: Course) -> str:
    """What every page of the site depends on beside its own text."""
    digest = hashlib.sha256(__version__.encode())
    package = Path(__file__).parent
    # Below assets, what the site shows on every page; the package's own files count while it is being developed.
    everywhere = sorted(
        [
            *package.rglob("*.py"),
            *package.rglob("*.html"),
            *package.rglob("*.css"),
            *(course.root / "assets").rglob("*"),
        ]
    )
    for path in [course.root / CONFIG, course.root / TOC, *everywhere]:
        if path.is_file():
            digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    for page in course.pages:
        # Titles stand in every page's sidebar, and headings and labels are what links lead to.
        digest.update("\n".join([page.docname, *_landmarks(page)]).encode())
    return digest.hexdigest()


def _landmarks(page: Page) -> Iterator[str]:
    if page.path.suffix == ".ipynb":
        yield page.text
        return
    fence = ""
    for row in page.text.splitlines():
        if match := re.match(r"(`{3,}|~{3,})", row):
            if not fence:
                fence = match[1]
            elif row.startswith(fence):
                fence = ""
        elif not fence and re.match(r"#{1,6} |\(.+\)=|title:", row):
            yield row


def _publish(source: Path, target: Path) -> None:
    """Make `target` the same as `source`, a changed file at a time, each replaced whole; the pages come last."""
    wanted = [p.relative_to(source) for p in source.rglob("*") if p.is_file()]
    for path in sorted(wanted, key=lambda p: (p.suffix == ".html", p)):
        new, old = source / path, target / path
        if old.is_file() and filecmp.cmp(new, old, shallow=False):
            continue
        old.parent.mkdir(parents=True, exist_ok=True)
        passing = old.with_name(f".{old.name}.new")
        shutil.copyfile(new, passing)
        passing.replace(old)
    keep = set(wanted)
    for path in sorted((p for p in target.rglob("*")), reverse=True):
        if path.is_file() and path.relative_to(target) not in keep:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
