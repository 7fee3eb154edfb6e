"""Live code: a button on pages with code cells, and what the page's script must know when it is pressed.

sphinx-thebe, which Jupyter Book loads, gives the directive `thebe-button`. Its script would load thebe from a CDN and
knows Binder alone, so `static/live.js` takes its place, with JupyterLab's own packages served by the site.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from docutils import nodes
from markupsafe import escape
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging
from sphinx_thebe import ThebeButtonNode

from ...course import CLAIM, Page, is_removed, language
from ...live import BUNDLED, Live, Unavailable, bundle_digest, made_bundle, make_bundle
from .assets import STATIC
from .current import Current, current_of
from .order import connect

logger = logging.getLogger(__name__)
FOLDER = "live"
_SOLUTION = ("{solution-start}", "{solution-end}")


def _configure(app: Sphinx, config: Config) -> None:
    """Find out what live code runs on; `coursebook_live` stays empty where it is off or can't be had."""
    # sphinx-thebe would warn of a repository that isn't on GitHub, and the theme add a button of its own.
    current = current_of(app)
    config.thebe_config.pop("repository_url", None)
    theme = config.html_theme_options
    theme["launch_buttons"] = {**(theme.get("launch_buttons") or {}), "thebe": False}
    live = Live.of(current.course) if current.course else None
    if live is None or not any(page.cells for page in current.pages):
        return
    # `coursebook build` has tried before, and told of it.
    if made_bundle() is None and not current.is_final:
        try:
            make_bundle()
        except Unavailable as reason:
            logger.info("live code is left out: its JavaScript can't be had (%s)", reason)
    if made_bundle() is not None:
        config["coursebook_live"] = {key: value for key, value in asdict(live).items() if value}
        config["coursebook_live_version"] = _version()


def _version() -> str:
    """Changes whenever a browser must not take what it has in its cache."""
    own = b"".join((STATIC / name).read_bytes() for name in ("live.js", "live.css"))
    return hashlib.sha256(own + bundle_digest().encode()).hexdigest()[:12]


def _copy(app: Sphinx) -> None:
    if app.builder.format != "html":
        return
    target = Path(app.outdir) / "_static" / FOLDER
    folder = made_bundle() if app.config.coursebook_live_version else None
    if folder is None:
        shutil.rmtree(target, ignore_errors=True)
        return
    target.mkdir(parents=True, exist_ok=True)
    for name in BUNDLED:
        shutil.copyfile(folder / name, target / name)


def _forget_thebe(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Take out the scripts that sphinx-thebe puts at the end of every page."""
    for node in list(doctree.findall(nodes.raw)):
        if "text/x-thebe-config" in node.astext() or node.astext().startswith("<script>kernelName = "):
            node.parent.remove(node)


def _add(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    current = current_of(app)
    page = next((page for page in current.pages if page.docname == pagename), None)
    if page is None or doctree is None or not app.config.coursebook_live_version or "header_buttons" not in context:
        return
    cells = list(_cells(current, page, doctree))
    if all("source" in cell for cell in cells):
        return
    version = app.config.coursebook_live_version

    def address(name: str) -> str:
        return f"{context['pathto'](f'_static/{name}', 1)}?v={version}"

    told = {
        "script": address("live.js"),
        "styles": [address(f"{FOLDER}/jupyter.css"), address("live.css")],
        "library": address(f"{FOLDER}/jupyter.js"),
        "mathjax": context["pathto"](f"_static/{app.config.mathjax_path}", 1),
        "kernel": str((page.front_matter.get("kernelspec") or {}).get("name") or "python3"),
        "language": language(page),
        "folder": page.path.parent.as_posix(),
        "cells": cells,
        **app.config.coursebook_live,
    }
    # `<` can't end the script, or begin a comment in it, when it is written like this.
    data = json.dumps(told, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    context["body"] = f'{context["body"]}<script type="application/json" id="live-code">{data}</script>\n'
    context["header_buttons"].insert(
        0,
        {
            "type": "javascript",
            "javascript": "",
            "text": "Live code",
            "icon": "fas fa-play",
            "label": "live-code",
            "classes": "pst-js-only",
        },
    )
    app.add_js_file("live-button.js", loading_method="defer")


def _cells(current: Current, page: Page, doctree: nodes.document) -> Iterator[dict[str, Any]]:
    """The page's code cells in their order, without claims.

    What stands in the page is taken from there; `source` holds the code of a cell that isn't, `shown` says that its
    outputs are. `fails` is a cell that is meant to fail, `skipped` one that the build doesn't execute.
    """
    shown = {node["cell_index"]: node for node in doctree.findall(nodes.container) if _is(node, "cell_code")}
    for index, cell, is_withheld in _code_cells(current, page):
        tags = set(cell.metadata.get("tags", ()))
        node = shown.get(index)
        if CLAIM in tags or (node is None and (not is_removed(tags) or is_withheld)):
            continue
        told: dict[str, Any] = {}
        if node is None or not any(_is(child, "cell_code_source") for child in node.findall(nodes.container)):
            told["source"] = cell.source
            if node is not None:
                told["shown"] = True
        if "raises-exception" in tags:
            told["fails"] = True
        if "skip-execution" in tags:
            told["skipped"] = True
        yield told


def run_unseen(current: Current, page: Page) -> set[int]:
    """The numbers of the code cells that live code runs though the page has nothing of them."""
    return {
        cell.number
        for cell, (_, _, is_withheld) in zip(page.cells, _code_cells(current, page), strict=True)
        if CLAIM not in cell.tags and is_removed(cell.tags) and not is_withheld
    }


def _code_cells(current: Current, page: Page) -> Iterator[tuple[int, NotebookNode, bool]]:
    """The page's code cells, each with its place in the notebook, and whether it is in a solution that isn't out."""
    withholds = current.moment is not None and not current.moment.shows_solutions(page)
    is_in_solution = False
    for index, cell in enumerate(page.notebook().cells):
        if cell.cell_type == "code":
            yield index, cell, withholds and is_in_solution
        else:
            is_in_solution = _ends_in_solution(cell.source, is_in_solution)


def _is(node: nodes.Element, element: str) -> bool:
    return bool(node.get("nb_element") == element)


def _ends_in_solution(text: str, before: bool) -> bool:
    """Whether what follows `text` lies between `solution-start` and `solution-end`."""
    start, end = (text.rfind(name) for name in _SOLUTION)
    return before if start == end else start > end


def _visit_button(self: Any, node: ThebeButtonNode) -> None:
    if self.builder.config.coursebook_live_version:
        self.body.append(f'<button type="button" class="btn btn-live-code pst-js-only">{escape(node["text"])}</button>')
    raise nodes.SkipNode


def _skip(self: Any, node: nodes.Node) -> None:
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    app.setup_extension("sphinx_thebe")
    # What is made of it, for the pages.
    app.add_config_value("coursebook_live", {}, "html")
    app.add_config_value("coursebook_live_version", "", "html")
    skip = (_skip, None)
    app.add_node(
        ThebeButtonNode, override=True, html=(_visit_button, None), latex=skip, text=skip, man=skip, texinfo=skip
    )
    connect(app, "config-inited", _configure)
    connect(app, "builder-inited", _copy)
    connect(app, "doctree-resolved", _forget_thebe)
    connect(app, "html-page-context", _add)
