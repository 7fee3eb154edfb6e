"""The links to other sites: Sphinx looks each of them up, and what it finds is told with file and line.

A command of its own, because the answer depends on other people's machines: no build fails for it.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..course import Course, Moment
from ..ground import CONFIG, CourseError, CourseErrors
from ..outputs import Environment, Store, plan
from .process import RenderingProcess
from .rendering import Order, run_sphinx

State = Literal["working", "broken", "moved", "unanswered", "ignored"]
# Sphinx's words for them, https://www.sphinx-doc.org/en/master/usage/builders/index.html#sphinx.builders.linkcheck
_STATES: dict[str, State] = {
    "working": "working",
    "redirected": "moved",
    "broken": "broken",
    "timeout": "unanswered",
    "ignored": "ignored",
}
_PERMANENTLY = {301, 308}
_RESULT = re.compile(r"\(.+: line +\d+\) ")  # how Sphinx's line for a link begins
# How requests tells that no server has answered, with the reason in the end.
_NO_ANSWER = re.compile(r"ConnectionPool\(.*[)>]: (.+?)[\"']\)+$")


@dataclass(frozen=True)
class Link:
    """A link to another site, the first time that it stands in the course; `info` is what its server said."""

    path: str
    line: int
    address: str
    state: State
    info: str

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line > 0 else self.path
        return f"{where}: {self.address}" + (f": {self.info}" if self.info else "")


def check_links(course: Course, process: RenderingProcess, progress: Callable[[int], None]) -> list[Link]:
    """Look up every link to another site in `course`, on pages that aren't released yet as well.

    `progress` hears how many have been looked up so far. Raises CourseErrors when Sphinx can't read the course.
    """
    everything = Moment(course.today.day, drafts=True)
    order = Order(course, everything, plan(course, Store(course.root), Environment()), builder="linkcheck")
    shutil.rmtree(order.folder, ignore_errors=True)
    looked_up = 0

    def hear(line: str) -> None:
        nonlocal looked_up
        if _RESULT.match(line):
            looked_up += 1
            progress(looked_up)

    problems = run_sphinx(process, order, hear)
    if not (order.folder / "output.json").is_file():
        errors = [CourseError(problem.place or CONFIG, None, problem.text) for problem in problems]
        raise CourseErrors("the course can't be read", errors)
    return list(_found(order.folder / "output.json"))


def _found(path: Path) -> Iterator[Link]:
    for row in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(row)
        state = _STATES.get(entry["status"])
        if state is None or "://" not in entry["uri"]:  # a place in the course itself, or a mail address
            continue
        info = " ".join(str(entry["info"]).split())
        if state == "broken" and (match := _NO_ANSWER.search(info)):
            state, info = "unanswered", match[1]
        if state == "moved" and entry["code"] not in _PERMANENTLY:
            state = "working"  # as it is meant to be: to a language, a version, a sign-in
        yield Link(entry["filename"], entry["lineno"], entry["uri"], state, f"now {info}" if state == "moved" else info)
