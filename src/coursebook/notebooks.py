"""Notebooks to open in Colab, Binder, JupyterLab or at home: a page's text and code as one `.ipynb` file each.

The text comes from the page as the site shows it (`sphinx/notebooks.py` turns it into Markdown); here it is put
together with the code, so that the notebook runs from top to bottom where the page does.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .course import Course
from .fingerprint import EXECUTION_TAGS, distributions_of, imported_modules, language
from .page import Cell, Page
from .snapshot import SITE
from .store import Provenance, Store, StoredPage, replacing
from .tags import hides_source, is_in_notebook

FOLDER = "notebooks"  # of the site
_FOLDED = {"jupyter": {"source_hidden": True}, "cellView": "form"}  # as JupyterLab calls it, and Colab


@dataclass(frozen=True)
class Text:
    """Markdown."""

    source: str


@dataclass(frozen=True)
class Code:
    """A code cell of the page, by its number; `folded` is the title under which its source is hidden at first."""

    number: int
    folded: str = ""


@dataclass(frozen=True)
class Blank:
    """An empty code cell for a reader's own work; `purpose` stands in it."""

    purpose: str


Part = Text | Code | Blank


@dataclass(frozen=True)
class Site:
    """Where the site is, for links back to it: its title and its address with a slash at the end, or ''."""

    title: str
    address: str

    def of(self, docname: str) -> str:
        return f"{self.address}{quote(docname)}.html" if self.address else ""

    def file(self, path: str) -> str:
        """The address of a file that is published with the notebooks."""
        return f"{self.address}{FOLDER}/{quote(path)}" if self.address else ""


def numbers_of(page: Page, parts: Iterable[Part]) -> set[int]:
    """The numbers of the page's code cells that a notebook of these parts has."""
    return {
        part.number for part in parts if isinstance(part, Code) and is_in_notebook(page.cells[part.number - 1].tags)
    }


def numbers_in(made: bytes) -> set[int]:
    """The numbers of the page's code cells that a notebook has."""
    names = (re.fullmatch(r"cell-(\d+)", cell["id"]) for cell in json.loads(made)["cells"])
    return {int(name[1]) for name in names if name}


def notebook(
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
    return _serialize({"cells": made, "metadata": _of_notebook(page), "nbformat": 4, "nbformat_minor": 5})


def _serialize(notebook: dict[str, Any]) -> bytes:
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


def write(course: Course, folder: Path, docnames: Collection[str] | None, *, with_outputs: bool) -> list[Path]:
    """Copy the notebooks of the built site, of `docnames` if given, below `folder`, with the files that pages read.

    Returns the notebooks. A page that isn't on the site has none. Raises OSError when something can't be written.
    """
    source = course.root / SITE / FOLDER
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
    return _serialize(made)


def plain_text(text: str) -> str:
    """`text` as Markdown that shows it as it is."""
    text = re.sub(r"([\\`*\[\]<$~]|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", text)
    return re.sub(r"^(\s*)(#{1,6}(?=\s|$)|[-+](?=\s|$)|>|=+\s*$|-[-\s]*$|\d{1,9}[.)](?=\s|$))", _at_the_start, text)


def _at_the_start(match: re.Match[str]) -> str:
    blank, mark = match[1], match[2]
    return f"{blank}{mark[:-1]}\\{mark[-1:]}" if mark[0].isdigit() else f"{blank}\\{mark}"


def expand_macros(tex: str, macros: Mapping[str, Any]) -> str:
    r"""TeX with MathJax's `macros` written out, for readers that don't know them.

    Each is a replacement, or `[replacement, number of arguments, default of the first]`.

    Macros may use one another; one that never ends is left as it is after some rounds.
    """
    if not macros:
        return tex
    names = "|".join(sorted(map(re.escape, macros), key=len, reverse=True))
    # A control word ends where its letters end.
    pattern = re.compile(rf"\\({names})(?![A-Za-z])")
    for _ in range(10):
        match = pattern.search(tex)
        while match:
            tex, end = _expand(tex, match, macros[match[1]])
            match = pattern.search(tex, end)
        if not pattern.search(tex):
            break
    return tex


def _expand(tex: str, match: re.Match[str], macro: Any) -> tuple[str, int]:
    """`tex` with the macro that `match` found written out, and where to go on."""
    body, count, *default = (macro, 0) if isinstance(macro, str) else macro if len(macro) > 1 else (*macro, 0)
    arguments, end = [], match.end()
    if default:
        given = re.compile(r"\s*\[([^\]]*)\]").match(tex, end)
        arguments.append(given[1] if given else str(default[0]))
        end = given.end() if given else end
    while len(arguments) < int(count):
        argument, end = _argument(tex, end)
        arguments.append(argument)
    written = re.sub(r"#([1-9])", lambda n: arguments[int(n[1]) - 1] if int(n[1]) <= len(arguments) else "", str(body))
    if re.search(r"\\[A-Za-z]+$", written) and tex[end : end + 1].isalpha():
        written += " "  # or the control word at its end would take in what follows
    return tex[: match.start()] + written + tex[end:], match.start() + len(written)


def _argument(tex: str, start: int) -> tuple[str, int]:
    """The argument that begins at or after `start`, without its braces, and where it ends."""
    start += len(tex[start:]) - len(tex[start:].lstrip())
    if not tex.startswith("{", start):
        token = re.compile(r"\\(?:[A-Za-z]+|.)|.|$", re.DOTALL).match(tex, start)
        assert token is not None
        return token[0], token.end()
    depth = 0
    for found in re.compile(r"\\.|[{}]", re.DOTALL).finditer(tex, start):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if depth == 0:
            return tex[start + 1 : found.start()], found.end()
    return tex[start + 1 :], len(tex)
