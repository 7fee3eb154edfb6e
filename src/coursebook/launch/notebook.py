"""Notebooks to open in Colab, Binder, JupyterLab or at home: a page's text and code as one `.ipynb` file each.

The text comes from the page as the site shows it (`from_html.py` turns it into Markdown); here it is put
together with the code, so that the notebook runs from top to bottom where the page does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..course import Cell, Page, hides_source, imported_modules, is_in_notebook, language
from ..outputs import EXECUTION_TAGS, Provenance, distributions_of
from .parts import Blank, Code, Part, Site, Text, numbers_of
from .plain_markdown import plain_text

_FOLDED = {"jupyter": {"source_hidden": True}, "cellView": "form"}  # as JupyterLab calls it, and Colab


def notebook_of(
    page: Page,
    title: str,
    parts: Sequence[Part],
    site: Site,
    files_read: Iterable[str] = (),
    provenance: Provenance | None = None,
) -> bytes:
    """The notebook of `page`, without outputs: `parts` after a cell that names the course and one that installs.

    `files_read` are those, relative to the course's root, that the page's code reads; they are published beside the
    notebooks. `provenance` says in which versions packages are installed. The same page gives the same bytes.
    """
    cells, kept = {cell.number: cell for cell in page.cells}, numbers_of(page, parts)
    made: list[dict[str, Any]] = [_text("about", _about(page, title, site))]
    if source := _preparation(page, files_read, site, provenance):
        made.append(_code("install", source, _FOLDED))
    for position, part in enumerate(parts):
        match part:
            case Text(source):
                made.append(_text(f"text-{position}", source))
            case Blank(purpose):
                made.append(_code(f"own-{position}", f"# {purpose}\n", {}))
            case Code(number, title_of_fold):
                cell = cells[number]
                if number in kept:
                    source = f"# @title {title_of_fold}\n{cell.source}" if title_of_fold else cell.source
                    made.append(_code(f"cell-{number}", source, _metadata(cell, title_of_fold)))
    return serialize_notebook({"cells": made, "metadata": _of_notebook(page), "nbformat": 4, "nbformat_minor": 5})


def serialize_notebook(notebook: dict[str, Any]) -> bytes:
    return (json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _about(page: Page, title: str, site: Site) -> str:
    address = site.of(page.docname)
    name = f"[{plain_text(title)}](<{address}>)" if address else plain_text(title)
    course = f"[{plain_text(site.title)}](<{site.address}>)" if site.address else plain_text(site.title)
    about = f"*This notebook is the page {name} of {course}. Run its cells from top to bottom: Shift-Enter runs one.*"
    if page.options.device == "gpu":
        about += (
            "\n\n*It wants a GPU: in Colab, choose one under Runtime, Change runtime type. "
            "Without one it runs, too, more slowly or on less.*"
        )
    return about


def _preparation(page: Page, files_read: Iterable[str], site: Site, provenance: Provenance | None) -> str:
    """The code of the cell that brings what a fresh machine lacks: packages in the versions that the page was executed
    with, and the files that it reads. Empty where nothing can be missing."""
    if language(page) != "python":
        return ""
    needs = "".join(f'    "{name}": "{version}",\n' for name, version in sorted(_packages(page, provenance).items()))
    rows = []
    if needs:
        rows.append(
            "# @title Preparation: installs what is missing here, and nothing else\n"
            "from importlib.metadata import PackageNotFoundError, version\n\n"
            f"needed = {{\n{needs}}}\n"
            "def is_missing(name):\n"
            "    try:\n"
            "        return not version(name)\n"
            "    except PackageNotFoundError:\n"
            "        return True\n\n"
            'missing = [f"{name}=={needed[name]}" for name in needed if is_missing(name)]\n'
            "if missing:\n"
            "    %pip install --quiet {' '.join(missing)}"
        )
    here = Path(page.docname).parent
    files = {Path(os.path.relpath(name, here)).as_posix(): site.file(name) for name in sorted(files_read)}
    if files and site.address:
        listed = "".join(f"    {json.dumps(name)}: {json.dumps(address)},\n" for name, address in files.items())
        rows.append(
            "# The files that this page reads.\n"
            "from pathlib import Path\n"
            "from urllib.request import urlretrieve\n\n"
            f"for name, address in {{\n{listed}}}.items():\n"
            "    if not Path(name).exists():\n"
            "        Path(name).parent.mkdir(parents=True, exist_ok=True)\n"
            "        urlretrieve(address, name)"
        )
    return "\n\n".join(rows)


def _packages(page: Page, provenance: Provenance | None) -> dict[str, str]:
    """The distributions that a notebook of the page needs, with the versions that it was executed with."""
    claims = [cell for cell in page.cells if not is_in_notebook(cell.tags)]
    others = imported_modules(cell for cell in page.cells if cell not in claims)
    found = dict(provenance.packages) if provenance else distributions_of(others)
    unneeded = {"ipython", "ipywidgets", *distributions_of(imported_modules(claims) - others)}
    # Without what only a builder's machine knows, like 2.11.0+cu130.
    return {name: version.partition("+")[0] for name, version in found.items() if name not in unneeded}


def _metadata(cell: Cell, folded: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if tags := sorted(EXECUTION_TAGS & set(cell.tags)):
        metadata["tags"] = tags
    if folded or hides_source(cell.tags):
        metadata |= _FOLDED
    return metadata


def _of_notebook(page: Page) -> dict[str, Any]:
    given = page.front_matter.get("kernelspec") or {}
    spec = {key: str(given[key]) for key in ("name", "display_name", "language") if key in given}
    spec = {"display_name": spec.get("name", "Python 3"), "name": "python3", **spec}
    metadata: dict[str, Any] = {"kernelspec": spec, "language_info": {"name": language(page)}}
    if page.options.device == "gpu":
        metadata |= {"accelerator": "GPU", "colab": {"gpuType": "T4"}}
    return metadata


def _text(id_: str, source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": id_, "metadata": {}, "source": source}


def _code(id_: str, source: str, metadata: dict[str, Any]) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": id_,
        "metadata": metadata,
        "outputs": [],
        "source": source,
    }
