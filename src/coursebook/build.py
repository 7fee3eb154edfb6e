"""The whole way: read the course, execute what has changed, render the site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .cache import Cache
from .course import Course
from .errors import CourseErrors
from .execute.local import Event, PageDone, execute
from .render import CACHE, SITE, Problem, render


class Reporter(Protocol):
    """Hears how a build goes on."""

    def to_execute(self, total: int) -> None: ...
    def tell(self, event: Event) -> None: ...
    def rendering(self, pages: int) -> None: ...
    def log(self, line: str) -> None: ...


@dataclass(frozen=True)
class Result:
    """`site` is the path of the built home page; `warnings` are those a lenient build passed over."""

    site: Path
    pages: int
    executed: int
    warnings: Sequence[Problem]


def build(root: Path, reporter: Reporter, *, force: bool = False, lenient: bool = False) -> Result:
    """Build the course at `root`.

    Raises CourseErrors; outputs of pages that did execute are kept, and the earlier site stays as it is.
    """
    course = Course.load(root)
    cache = Cache(course.root / CACHE)
    force = force or course.mode == "force"
    changed = [page for page in course.executed_pages() if force or page not in cache]
    reporter.to_execute(len(changed))

    def tell(event: Event) -> None:
        if isinstance(event, PageDone):
            cache.add(event.page, event.notebook, event.seconds)
        reporter.tell(event)

    errors = execute(course, changed, tell)
    if errors:
        raise CourseErrors("some pages could not be executed", errors)
    reporter.rendering(len(course.pages))
    warnings = render(course, lenient=lenient, log=reporter.log)
    home = course.root / SITE / "index.html"
    return Result(home, len(course.pages), len(changed), warnings)
