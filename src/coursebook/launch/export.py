"""The notebooks of the built site, copied elsewhere, with their outputs if they are wanted."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from ..course import Course, Page
from ..ground import SITE, replacing
from ..outputs import Store, StoredPage
from .notebook import serialize_notebook
from .parts import NOTEBOOKS_FOLDER


def export_notebooks(
    course: Course, folder: Path, docnames: Collection[str] | None, *, with_outputs: bool
) -> list[Path]:
    """Copy the notebooks of the built site, of `docnames` if given, below `folder`, with the files that pages read.

    Returns the notebooks. A page that isn't on the site has none. Raises OSError when something can't be written.
    """
    source = course.root / SITE / NOTEBOOKS_FOLDER
    store, written = Store(course.root), []
    pages = {course.root / SITE / f"{page.docname}.html" for page in course.pages}  # some in a folder of that name
    for path in sorted(path for path in source.rglob("*") if path.is_file() and path not in pages):
        name = path.relative_to(source)
        docname = name.with_suffix("").as_posix()
        page = next((page for page in course.executed_pages() if page.docname == docname), None)
        is_notebook = page is not None and path.suffix == ".ipynb"
        if is_notebook and docnames is not None and docname not in docnames:
            continue
        data = path.read_bytes()
        if page is not None and is_notebook and with_outputs and (stored := store.read(docname)):
            data = _with_outputs(data, page, stored)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with replacing(folder / name) as file:
            file.write(data)
        if is_notebook:
            written.append(folder / name)
    return written


def _with_outputs(data: bytes, page: Page, stored: StoredPage) -> bytes:
    """A notebook with what its cells put out when the page was executed; a cell that has changed since has none."""
    made = json.loads(data)
    code = [cell for cell in stored.notebook["cells"] if cell["cell_type"] == "code"]
    said = {
        f"cell-{cell.number}": then["outputs"]
        for cell, then in zip(page.cells, code, strict=False)
        if then["source"] == cell.source
    }
    for cell in made["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [
                {**output, "execution_count": None} if output["output_type"] == "execute_result" else output
                for output in said.get(cell["id"], [])
            ]
    return serialize_notebook(made)
