"""What each page names: the targets of its references, the pages that it glues from, and what it lists."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from myst_nb.ext.glue.utils import PendingGlueReference
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.environment.collectors import EnvironmentCollector

BELOW = "the pages below"  # what a table of contents in a page shows


class Named(EnvironmentCollector):
    """What each page names: the targets of its references, the pages that it glues from, and what it lists."""

    def clear_doc(self, app: Sphinx, env: BuildEnvironment, docname: str) -> None:
        named_by(env).pop(docname, None)
        # MyST-NB writes it for a page that glues, and leaves it where one doesn't any more.
        glue_file(app, docname).unlink(missing_ok=True)

    def merge_other(self, app: Sphinx, env: BuildEnvironment, docnames: set[str], other: BuildEnvironment) -> None:
        named_by(env).update({docname: names for docname, names in named_by(other).items() if docname in docnames})

    def process_doc(self, app: Sphinx, doctree: nodes.document) -> None:
        found = {str(node.get("reftarget")) for node in doctree.findall(addnodes.pending_xref)}
        glued = {node.refdoc for node in doctree.findall(PendingGlueReference)}
        named_by(app.env)[app.env.docname] = {*found, *(name.lower() for name in found), *glued, *_listed(doctree)}


def _listed(doctree: nodes.document) -> Iterator[str]:
    """What a page shows all of: the pages below it, or what an extension has collected from all pages.

    Such a list, of todos say, is empty as the page is read: a node of the extension's own without children.
    """
    if any(not node.get("hidden") for node in doctree.findall(addnodes.toctree)):
        yield BELOW
    for node in doctree.findall(nodes.Element):
        module = type(node).__module__
        if not node.children and not module.startswith(("docutils.", "sphinx.addnodes")):
            yield collected_by(module)


def collected_by(module: str) -> str:
    """The name of all that an extension collects, by one of its modules."""
    parts = module.split(".")
    depth = {"sphinx": 3, "sphinxcontrib": 2}.get(parts[0], 1)
    return f"collected by {'.'.join(parts[:depth])}"


def pages_below(env: BuildEnvironment, docname: str) -> set[str]:
    found: set[str] = set()
    ahead = [docname]
    while ahead:
        more = set(env.toctree_includes.get(ahead.pop(), ())) - found
        found |= more
        ahead += more
    return found


def named_by(env: BuildEnvironment) -> dict[str, set[str]]:
    if not hasattr(env, "coursebook_named"):
        env.coursebook_named = {}  # type: ignore[attr-defined]
    return env.coursebook_named  # type: ignore[attr-defined, no-any-return]


def glue_file(app: Sphinx, docname: str) -> Path:
    """Where MyST-NB keeps what a page glues."""
    folder = getattr(getattr(app.env, "mystnb_config", None), "output_folder", "")
    return Path(folder or app.outdir) / f"{docname}.glue.json"
