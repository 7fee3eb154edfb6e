"""Stored outputs go into their pages as MyST-NB reads them, so that what is current isn't executed, whoever builds.

Each executed page gets a reader of its own (`nb_custom_formats`), which gives MyST-NB the page's notebook with its
outputs. Its cache would know outputs by the page's code alone: two pages with the same code would share them, and a
changed data file or package would go unnoticed.
"""

from __future__ import annotations

import nbformat
from myst_nb.core.read import read_myst_markdown_notebook
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment

from ...course import language, source_text
from ...outputs import Store, fill_outputs
from .current import Current, current_of
from .downloads import NUMBER
from .notice import shown
from .order import connect

# Whose pages are read: MyST-NB knows a reader by its name, and gives it nothing but text.
_reading: list[Current] = []


def read(text: str, docname: str) -> nbformat.NotebookNode:
    """The notebook of a page as MyST-NB is to render it. MyST-NB calls this with the page's text."""
    current = _reading[-1]
    decision = current.decisions[docname]
    page = decision.page
    if current.is_final and source_text(current.root, page.path) != page.text:
        # Somebody has edited the page since. Its outputs are those of the text as it was; the next build shows the new.
        text = page.text
        current.outrun.add(docname)
    notebook: nbformat.NotebookNode
    if page.path.suffix == ".ipynb":
        notebook = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
    else:
        notebook = read_myst_markdown_notebook(
            text, config=current.markdown, add_source_map=True, path=str(current.root / page.path)
        )
    for number, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), 1):
        cell.metadata[NUMBER] = number
    if not current.executes(docname):
        stored = Store(current.root).read(decision.stored.docname) if decision.stored else None
        # A kernel would have told how its language is to be highlighted.
        spoken = language(page)
        lexer = {"name": spoken, "pygments_lexer": "ipython3" if spoken == "python" else spoken}
        notebook.metadata.setdefault("language_info", lexer)
        if stored:
            fill_outputs(notebook, stored)
        mode = "off"
    elif decision.state == "missing":
        return notebook  # as the course's configuration says
    else:
        mode = "force"  # MyST-NB's cache doesn't know of the reason
    notebook.metadata["mystnb"] = {**notebook.metadata.get("mystnb", {}), "execution_mode": mode}
    return notebook


def _register_readers(app: Sphinx, config: Config) -> None:
    current = current_of(app)
    _reading[:] = [current]
    readers = {
        str(current.root / decision.page.path): [f"{__name__}.{read.__name__}", {"docname": docname}, False]
        for docname, decision in current.decisions.items()
    }
    config["nb_custom_formats"] = {**config["nb_custom_formats"], **readers}


def _outdated(app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    """Pages whose outputs, or what is said of them, aren't those that were last rendered, though their text is."""
    current = current_of(app)
    now = {name: state_of(current, name) for name in current.decisions}
    then = getattr(env, "coursebook_rendered", {})
    env.coursebook_rendered = now  # type: ignore[attr-defined]
    return [name for name, state in now.items() if name in env.all_docs and then.get(name) != state]


def state_of(current: Current, docname: str) -> str:
    """What a page shows of its outputs, and says of them."""
    decision = current.decisions[docname]
    stored = decision.stored
    # What a page's notebook fetches is said by those.
    read = (stored.digest, list(stored.provenance.inputs), stored.provenance.cell_inputs) if stored else ""
    return f"{read} {current.executes(docname)} {shown(decision)}"


def setup(app: Sphinx) -> None:
    connect(app, "config-inited", _register_readers)
    connect(app, "env-get-outdated", _outdated)
