"""What is being rendered: the course, the day it is rendered for, and the decisions about its pages.

One for each application. `coursebook build` hands over what it has decided; under plain `jupyter-book build .` the
extension finds out by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from myst_parser.config.main import MdParserConfig
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

from ...course import SETTINGS, Course, Moment, Page
from ...ground import TOC, CourseErrors
from ...outputs import Decision, Environment, Store, plan
from .. import Order, Span
from .order import connect

logger = logging.getLogger(__name__)


@dataclass
class Current:
    """`is_final`: what the decisions don't call current isn't executed any more, it is shown as it is stored."""

    course: Course | None = None
    moment: Moment | None = None
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    is_final: bool = False
    markdown: MdParserConfig = field(default_factory=MdParserConfig)
    outrun: set[str] = field(default_factory=set)  # pages whose text has changed since the decisions were made
    spans: Mapping[str, Span] = field(default_factory=dict)  # when files were committed, by path; see feed.py

    @property
    def root(self) -> Path:
        return self.course.root if self.course else Path()

    @property
    def pages(self) -> list[Page]:
        """The pages that are on the site, in the order of the table of contents."""
        if self.course is None or self.moment is None:
            return []
        return [page for page in self.course.pages if self.moment.shows(page)]

    @property
    def withheld(self) -> dict[str, Page]:
        """The pages that are not, by docname."""
        if self.course is None or self.moment is None:
            return {}
        return {page.docname: page for page in self.course.pages if not self.moment.shows(page)}

    def executes(self, docname: str) -> bool:
        """Whether MyST-NB is left to execute the page."""
        return self.decisions[docname].executes and not self.is_final

    def take(self, course: Course, moment: Moment, decisions: list[Decision], *, is_final: bool) -> None:
        self.course, self.moment, self.is_final = course, moment, is_final
        self.decisions = {d.page.docname: d for d in decisions if moment.shows(d.page)}


_handed_over: list[Order] = []  # what `coursebook build` has decided, in its rendering process


def take_over(order: Order) -> None:
    """Render as `coursebook build` has decided, after it has executed what it could."""
    _handed_over[:] = [order]


def current_of(app: Sphinx) -> Current:
    """What `app` renders."""
    return app._coursebook_current  # type: ignore[attr-defined, no-any-return]


def _find_out(app: Sphinx, config: Config) -> None:
    root, current = Path(app.srcdir), current_of(app)
    if current.is_final or not (root / TOC).is_file():  # not a course: one page, or a Sphinx project of another kind
        return
    try:
        course = Course.load(root)
    except CourseErrors as group:
        for error in group.exceptions:
            logger.error("%s", error, type="coursebook", subtype="course")
        return
    current.take(course, course.today, plan(course, Store(root), Environment()), is_final=False)


def _remember_markdown(app: Sphinx) -> None:
    current_of(app).markdown = app.env.myst_config  # type: ignore[attr-defined]


def setup(app: Sphinx) -> None:
    app._coursebook_current = Current()  # type: ignore[attr-defined]
    for order in _handed_over:
        current_of(app).take(order.course, order.moment, list(order.decisions), is_final=True)
    for name, setting in SETTINGS.items():
        app.add_config_value(name, setting.default, setting.rebuild, setting.types)
    connect(app, "config-inited", _find_out)
    connect(app, "builder-inited", _remember_markdown)
