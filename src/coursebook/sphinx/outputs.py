"""Stored outputs go into MyST-NB's cache before pages are read, and each page says where its outputs come from.

What is current isn't executed, whoever builds: `coursebook build` or plain `jupyter-book build .`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup
from sphinx.application import Sphinx
from sphinx.util import logging

from ..cache import Cache
from ..course import TOC, Course
from ..errors import CourseErrors
from ..page import Page
from ..plan import Environment, plan
from ..store import Provenance, Store
from .claims import TAG

logger = logging.getLogger(__name__)


class Outputs:
    """The pages whose stored outputs are current, with their provenance, by docname."""

    def __init__(self) -> None:
        self.current: dict[str, tuple[Page, Provenance]] = {}

    def fill_cache(self, app: Sphinx) -> None:
        self.current.clear()
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
                self.current[decision.page.docname] = (decision.page, decision.stored.provenance)
            elif decision.state != "missing":
                cache.drop(decision.page)

    def add_line(self, app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
        """Below a page's text: when, on what and with what its outputs were made, and how many claims held."""
        if app.builder.format == "html" and pagename in self.current and "body" in context:
            # As plain text: a Markup on the right would escape the page on the left.
            context["body"] += str(_line(*self.current[pagename]))


def _line(page: Page, provenance: Provenance) -> Markup:
    claims = sum(TAG in cell.tags for cell in page.cells)
    packages = ", ".join(f"{name} {version}" for name, version in _worth_naming(provenance))
    parts = [
        Markup('Executed on <time datetime="{}">{}</time>').format(provenance.executed, provenance.executed[:10]),
        f"{provenance.device_name or 'CPU'}, Python {provenance.python}" + (f", {packages}" if packages else ""),
        f"{len(page.cells)} cells in {provenance.seconds:.1f} s",
    ]
    if claims:
        parts.append(f"{claims} claims checked" if claims > 1 else "1 claim checked")
    return Markup('<p class="provenance">{}</p>\n').format(Markup(" · ").join(parts))


def _worth_naming(provenance: Provenance) -> list[tuple[str, str]]:
    """The packages that a reader wants to know: torch where it was used, else the first two."""
    named = [(name, version) for name, version in provenance.packages.items() if name == "torch"]
    return named or list(provenance.packages.items())[:2]


def _depend_on_outputs(app: Sphinx, docname: str, content: list[str]) -> None:
    """A page is read anew when its outputs have changed, also when its text hasn't."""
    path = Store(Path(app.srcdir)).path(docname)
    if path.exists():
        app.env.note_dependency(str(path))


def setup_outputs(app: Sphinx) -> None:
    outputs = Outputs()
    app.add_config_value("coursebook_packages", {}, "")
    app.add_config_value("coursebook_max_age", None, "", types=(int, float, type(None)))
    app.connect("builder-inited", outputs.fill_cache)
    app.connect("source-read", _depend_on_outputs)
    app.connect("html-page-context", outputs.add_line)
