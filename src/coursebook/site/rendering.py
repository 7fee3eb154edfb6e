"""Stored outputs and pages to a site: Jupyter Book builds it aside, and only a good site replaces the earlier one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import nbformat

from ..course import Course, Moment
from ..ground import CONFIG, SITE, STAGE, CourseError, CourseErrors
from ..outputs import Decision
from .process import Problem, RenderingProcess
from .publication import publish_site
from .signature import signature_of


@dataclass(frozen=True)
class Order:
    """What the rendering process is to do, with which of Sphinx's builders. The decisions are final: what they don't
    call current isn't executed, it is shown as it is stored, with a notice."""

    course: Course
    moment: Moment
    decisions: Sequence[Decision]
    builder: str = "html"

    @property
    def folder(self) -> Path:
        """What the builder writes."""
        return self.course.root / STAGE / self.builder

    @property
    def doctrees(self) -> Path:
        """What Sphinx remembers of the pages; a builder doesn't see what another one remembers."""
        return self.course.root / STAGE / ("doctrees" if self.builder == "html" else f"{self.builder}-doctrees")


def render(
    process: RenderingProcess,
    course: Course,
    moment: Moment,
    decisions: Sequence[Decision],
    *,
    lenient: bool = False,
    log: Callable[[str], None] | None = None,
) -> list[Problem]:
    """Let `process` build the site of `course` below `_build/html` with Jupyter Book.

    Returns the warnings that a lenient build passes over (an empty list from another). `log` gets Sphinx's own lines.
    Raises CourseErrors when the site can't be had without errors, or without warnings unless `lenient`; the earlier
    site then stays as it is.
    """
    stage = course.root / STAGE
    stage.mkdir(parents=True, exist_ok=True)
    signature = signature_of(course, moment)
    signed = stage / "signature"
    is_fresh = not signed.is_file() or signed.read_text() != signature
    signed.unlink(missing_ok=True)
    if is_fresh:
        # Sphinx does not notice a changed table of contents in the sidebars of unchanged pages.
        for folder in ("doctrees", "html", "jupyter_execute"):
            shutil.rmtree(stage / folder, ignore_errors=True)
    problems = run_sphinx(process, Order(course, moment, decisions), log)
    fatal = [problem for problem in problems if problem.is_error or not lenient]
    if fatal:
        # Sphinx reports a page's warnings when it reads the page; the next build must read it again.
        shutil.rmtree(stage / "doctrees", ignore_errors=True)
        errors = [CourseError(problem.place or CONFIG, None, problem.text) for problem in fatal]
        raise CourseErrors("the site can't be built", errors)
    publish_site(stage / "html", course.root / SITE)
    if not problems:
        signed.write_text(signature)
    return problems


def run_sphinx(process: RenderingProcess, order: Order, log: Callable[[str], None] | None) -> list[Problem]:
    """Let `process` do what `order` says; returns what Sphinx found wrong. `log` gets its own lines."""
    light = replace(order, decisions=[_without_notebook(decision) for decision in order.decisions])
    return [problem for problem in process.carry_out(light, log) if not _lacks_outputs(problem, order.decisions)]


def _lacks_outputs(problem: Problem, decisions: Sequence[Decision]) -> bool:
    """Whether a warning says only that a number has no value yet, on a page whose notice says why."""
    places = {decision.page.path.as_posix() for decision in decisions if decision.state != "current"}
    return problem.kind == "mystnb.glue" and problem.place.partition(":")[0] in places


def _without_notebook(decision: Decision) -> Decision:
    """The outputs themselves are read from the store by who needs them."""
    empty: nbformat.NotebookNode = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
    return replace(decision, stored=replace(decision.stored, notebook=empty)) if decision.stored else decision
