"""Stored outputs go into MyST-NB's cache before pages are read: what is current isn't executed, whoever builds."""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

from ..cache import Cache
from ..course import TOC, Course
from ..errors import CourseErrors
from ..plan import Environment, plan
from ..store import Store

logger = logging.getLogger(__name__)


def _fill_cache(app: Sphinx) -> None:
    root = Path(app.srcdir)
    if not (root / TOC).is_file():  # not a course: one page, or a Sphinx project of another kind
        return
    try:
        course = Course.load(root)
    except CourseErrors as group:
        for error in group.exceptions:
            logger.error("%s", error, type="coursebook", subtype="course")
        return
    # MyST-NB's own default for the place of its cache.
    cache = Cache(Path(app.config.nb_execution_cache_path or Path(app.outdir).parent / ".jupyter_cache"))
    for decision in plan(course, Store(root), Environment()):
        if decision.state == "current" and decision.stored:
            cache.put(decision.page, decision.stored)
        elif decision.state != "missing":
            cache.drop(decision.page)


def _depend_on_outputs(app: Sphinx, docname: str, content: list[str]) -> None:
    """A page is read anew when its outputs have changed, also when its text hasn't."""
    path = Store(Path(app.srcdir)).path(docname)
    if path.exists():
        app.env.note_dependency(str(path))


def setup_outputs(app: Sphinx) -> None:
    app.add_config_value("coursebook_packages", {}, "")
    app.add_config_value("coursebook_max_age", None, "", types=(int, float, type(None)))
    app.connect("builder-inited", _fill_cache)
    app.connect("source-read", _depend_on_outputs)
