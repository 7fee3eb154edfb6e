"""Stored outputs go into their pages as MyST-NB reads them, so that what is current isn't executed, whoever builds.

Each executed page gets a reader of its own (`nb_custom_formats`), which gives MyST-NB the page's notebook with its
outputs. Its cache would know outputs by the page's code alone: two pages with the same code would share them, and a
changed data file or package would go unnoticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from myst_nb.core.read import read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from ..course import TOC, Course
from ..errors import CourseErrors
from ..fingerprint import language
from ..plan import Decision, Environment, plan
from ..render import Order
from ..store import Store, fill
from .notice import Shown, shown

logger = logging.getLogger(__name__)


@dataclass
class _Current:
    """What is being rendered: the decisions by docname, and whether they are final or MyST-NB executes what it must.

    One for each process: MyST-NB knows a reader by its name and gives it nothing but text.
    """

    root: Path = Path()
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    is_final: bool = False
    markdown: MdParserConfig = field(default_factory=MdParserConfig)

    def executes(self, docname: str) -> bool:
        return self.decisions[docname].executes and not self.is_final


_current = _Current()


def take_over(order: Order) -> None:
    """Render as `coursebook build` has decided, after it has executed what it could."""
    _current.root, _current.is_final = order.course.root, True
    _current.decisions = {decision.page.docname: decision for decision in order.decisions}


def decisions() -> list[Decision]:
    """About each page with code that is rendered now, in the order of the table of contents."""
    return list(_current.decisions.values())


def shown_on(docname: str) -> Shown | None:
    """What a page says of its outputs; one without code, or that MyST-NB executes in this build, says nothing."""
    if docname not in _current.decisions or _current.executes(docname):
        return None
    return shown(_current.decisions[docname])


def read(text: str, docname: str) -> nbformat.NotebookNode:
    """The notebook of a page as MyST-NB is to render it. MyST-NB calls this with the page's text."""
    decision = _current.decisions[docname]
    page = decision.page
    notebook: nbformat.NotebookNode
    if page.path.suffix == ".ipynb":
        notebook = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
    else:
        notebook = read_myst_markdown_notebook(
            text, config=_current.markdown, add_source_map=True, path=str(_current.root / page.path)
        )
    if not _current.executes(docname):
        stored = Store(_current.root).read(decision.stored.docname) if decision.stored else None
        # A kernel would have told how its language is to be highlighted.
        spoken = language(page)
        lexer = {"name": spoken, "pygments_lexer": "ipython3" if spoken == "python" else spoken}
        notebook.metadata.setdefault("language_info", lexer)
        if stored:
            fill(notebook, stored)
        mode = "off"
    elif decision.state == "missing":
        return notebook  # as the course's configuration says
    else:
        mode = "force"  # MyST-NB's cache doesn't know of the reason
    notebook.metadata["mystnb"] = {**notebook.metadata.get("mystnb", {}), "execution_mode": mode}
    return notebook


def _register_readers(app: Sphinx, config: Config) -> None:
    if not _current.is_final:
        _current.root, _current.decisions = Path(app.srcdir), _decisions(Path(app.srcdir))
    readers = {
        str(_current.root / decision.page.path): [f"{__name__}.{read.__name__}", {"docname": docname}, False]
        for docname, decision in _current.decisions.items()
    }
    config["nb_custom_formats"] = {**config["nb_custom_formats"], **readers}


def _decisions(root: Path) -> dict[str, Decision]:
    if not (root / TOC).is_file():  # not a course: one page, or a Sphinx project of another kind
        return {}
    try:
        course = Course.load(root)
    except CourseErrors as group:
        for error in group.exceptions:
            logger.error("%s", error, type="coursebook", subtype="course")
        return {}
    return {decision.page.docname: decision for decision in plan(course, Store(root), Environment())}


def _remember_markdown(app: Sphinx) -> None:
    _current.markdown = app.env.myst_config  # type: ignore[attr-defined]


def _outdated(app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    """Pages whose outputs, or what is said of them, aren't those that were last rendered, though their text is."""
    now = {name: _state(name) for name in _current.decisions}
    then = getattr(env, "coursebook_rendered", {})
    env.coursebook_rendered = now  # type: ignore[attr-defined]
    return [name for name, state in now.items() if name in env.all_docs and then.get(name) != state]


def _state(docname: str) -> str:
    decision = _current.decisions[docname]
    digest = decision.stored.digest if decision.stored else ""
    return f"{digest} {_current.executes(docname)} {shown(decision)}"


def setup_outputs(app: Sphinx) -> None:
    app.add_config_value("coursebook_packages", {}, "")
    app.add_config_value("coursebook_max_age", None, "", types=(int, float, type(None)))
    # After MyST-NB, which takes each format's name for a suffix of source files.
    app.connect("config-inited", _register_readers, priority=900)
    app.connect("builder-inited", _remember_markdown)
    app.connect("env-get-outdated", _outdated)
