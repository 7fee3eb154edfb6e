"""Each page with code as a notebook of the site, made from the page as it is shown: `notebooks/<docname>.ipynb`.

The page's HTML has everything that extensions have made of it (references, numbers, exercises, tabs), so that it is
what is turned into Markdown; the code comes from the page's source.
"""

from __future__ import annotations

import base64
import mimetypes
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

from ...course import Page
from ...launch import NOTEBOOKS_FOLDER, Site, notebook_of, numbers_in, numbers_of, parts_of
from ...outputs import Provenance, published_files
from .current import Current, current_of
from .live_code import run_unseen
from .order import connect
from .share import course_title, site_of

logger = logging.getLogger(__name__)
NUMBER = "coursebook_cell"  # in a cell's metadata: which of the page's code cells it is


def _numbers(doctree: nodes.document) -> list[int]:
    """The numbers of the code cells that the page shows, in order."""
    containers = [node for node in doctree.findall(nodes.container) if node.get("nb_element") == "cell_code"]
    return [int(node["cell_metadata"][NUMBER]) for node in containers]


def _write(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    current = current_of(app)
    page = _page(current, pagename)
    if page is None or doctree is None or app.builder.name != "html":
        return
    site = Site(course_title(app), site_of(app))
    macros = (app.config.mathjax3_config or {}).get("tex", {}).get("macros", {})
    image = _images(app, pagename, site)
    parts = parts_of(str(context["body"]), _numbers(doctree), site.of(pagename), image, macros)
    title = app.env.titles[pagename].astext()
    target = path_in(Path(app.outdir), pagename)
    target.parent.mkdir(parents=True, exist_ok=True)
    provenance = _provenance(current, page)
    files = published_files(current.root, page, provenance, numbers_of(page, parts))
    target.write_bytes(notebook_of(page, title, parts, site, files, provenance))


def path_in(site: Path, docname: str) -> Path:
    return site / NOTEBOOKS_FOLDER / f"{docname}.ipynb"


def _page(current: Current, docname: str) -> Page | None:
    """The page with code of that name, if its source may be had."""
    decision = current.decisions.get(docname)
    return decision.page if decision else None


def _provenance(current: Current, page: Page) -> Provenance | None:
    stored = current.decisions[page.docname].stored
    return stored.provenance if stored else None


def _files(app: Sphinx) -> set[str]:
    """What the notebooks of the site read, and the cells that live code runs beside theirs."""
    current = current_of(app)
    found: set[str] = set()
    for decision in current.decisions.values():
        page, path = decision.page, path_in(Path(app.outdir), decision.page.docname)
        # Pages that weren't written again have theirs from before.
        numbers = numbers_in(path.read_bytes()) if path.is_file() else set()
        if app.config.coursebook_live_version:
            numbers |= run_unseen(current, page)
        found.update(published_files(current.root, page, _provenance(current, page), numbers))
    return found


def _images(app: Sphinx, pagename: str, site: Site) -> Callable[[str], str]:
    """Gives a picture's place in the notebook: its address on the site, or, where nobody knows that, the picture."""

    def place(source: str) -> str:
        if urlsplit(source).scheme:
            return source
        if site.address:
            return urljoin(site.of(pagename), source)
        path = (Path(app.outdir) / pagename).parent / unquote(source)
        original = next(
            (Path(app.srcdir) / name for name, (_, target) in app.env.images.items() if target == path.name), path
        )
        if not original.is_file():
            return source
        kind = mimetypes.guess_type(original.name)[0] or "application/octet-stream"
        return f"data:{kind};base64,{base64.b64encode(original.read_bytes()).decode()}"

    return place


def _tidy(app: Sphinx, exception: Exception | None) -> None:
    """Publish what the notebooks read, and leave nothing of pages that have no code any more, or of what is secret."""
    current = current_of(app)
    folder = Path(app.outdir) / NOTEBOOKS_FOLDER
    if exception or app.builder.name != "html" or current.course is None:
        return
    files = _files(app)
    wanted = {path_in(Path(app.outdir), docname) for docname in current.decisions}
    wanted |= {folder / name for name in files}
    # The course may have a folder of that name, or give the site one.
    wanted |= {Path(app.outdir) / f"{docname}.html" for docname in app.env.found_docs}
    for given in (Path(app.srcdir) / entry / NOTEBOOKS_FOLDER for entry in app.config.html_extra_path):
        wanted |= {folder / path.relative_to(given) for path in given.rglob("*")}
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(current.root / name, folder / name)
    for path in list(folder.rglob("*")):
        if path.is_file() and path not in wanted:
            path.unlink()


def setup(app: Sphinx) -> None:
    connect(app, "html-page-context", _write)
    connect(app, "build-finished", _tidy)
