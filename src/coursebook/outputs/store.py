"""The store: `outputs/<docname>.ipynb`, one executed notebook for each page, with the provenance of its outputs.

The files are ordinary notebooks of a page's code cells. Equal content gives equal bytes, every file is replaced whole,
and a file that can't be read is never overwritten without having been named.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nbformat

from ..ground import OUTPUTS, CourseError, replacing
from .provenance import Provenance

SCHEMA = 1
# What a code cell is shown with.
_PARTS = {"source", "outputs", "execution_count"}


@dataclass(frozen=True)
class StoredPage:
    """A page's outputs: the executed notebook and its provenance. `is_intact`: nobody altered the outputs since.

    `digest` is the sha256 of the outputs as they are.
    """

    docname: str
    notebook: nbformat.NotebookNode
    provenance: Provenance
    is_intact: bool
    digest: str


class Store:
    """The outputs of the course at `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / OUTPUTS

    def path(self, docname: str) -> Path:
        return self.folder / f"{docname}.ipynb"

    def docnames(self) -> list[str]:
        """What is stored, whether or not the course still has a page of that name."""
        return sorted(p.relative_to(self.folder).with_suffix("").as_posix() for p in self.folder.rglob("*.ipynb"))

    def read(self, docname: str) -> StoredPage | None:
        """The stored outputs of a page, or None where there are none.

        Raises CourseError for a file that is cut off, isn't ours, or was written by a newer Coursebook.
        """
        path = self.path(docname)
        name = path.relative_to(self.root)
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            notebook = nbformat.from_dict(json.loads(text.decode()))  # type: ignore[no-untyped-call]
            data = notebook["metadata"]["coursebook"]
            schema = int(data["schema"])
            if schema > SCHEMA:
                raise CourseError(
                    name,
                    None,
                    f"written by a newer Coursebook (schema {schema}, this one knows {SCHEMA}); "
                    "update Coursebook, or remove the file",
                )
            provenance = Provenance.from_json(data["provenance"])
            digest = outputs_digest(notebook)
            is_whole = all(cell.keys() >= _PARTS for cell in _code_cells(notebook))
        except (AttributeError, LookupError, OverflowError, RecursionError, TypeError, ValueError):
            is_whole = False
        if not is_whole:
            raise CourseError(
                name,
                None,
                "not outputs that Coursebook wrote, or cut off; remove the file to have the page executed again",
            )
        return StoredPage(docname, notebook, provenance, data.get("outputs_sha256") == digest, digest)

    def write(self, docname: str, notebook: nbformat.NotebookNode, provenance: Provenance) -> Path:
        """Store a page's outputs, whole or not at all. `notebook` is what was executed; its code cells are kept."""
        return self.put(docname, _serialize(docname, notebook, provenance).encode())

    def put(self, docname: str, data: bytes) -> Path:
        """Store a page's outputs byte for byte as another store had them, whole or not at all."""
        path = self.path(docname)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(data)
        return path

    def remove(self, docname: str) -> None:
        path = self.path(docname)
        path.unlink(missing_ok=True)
        folder = path.parent
        while folder != self.folder.parent and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent


def outputs_digest(notebook: nbformat.NotebookNode) -> str:
    """sha256 over what the code cells put out, as it is stored."""
    said = [cell.get("outputs", []) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def fill_outputs(notebook: nbformat.NotebookNode, stored: StoredPage) -> nbformat.NotebookNode:
    """`notebook`, the page as read, with the stored outputs in its code cells.

    Where the code has changed since, a changed cell keeps the outputs of the one in whose place it stands, and a new
    one has none.
    """
    cells, old = list(_code_cells(notebook)), list(_code_cells(stored.notebook))
    for cell in cells:
        cell["outputs"], cell["execution_count"] = [], None
    sources = [cell["source"] for cell in old], [cell["source"] for cell in cells]
    for _, i, i_end, j, j_end in difflib.SequenceMatcher(None, *sources, autojunk=False).get_opcodes():
        # Equal cells, or changed ones: as many of them as stand on both sides.
        for then, now in zip(old[i:i_end], cells[j:j_end], strict=False):
            now["outputs"], now["execution_count"] = then["outputs"], then["execution_count"]
    for key in ("language_info", "widgets"):
        if key in stored.notebook["metadata"]:
            notebook["metadata"][key] = stored.notebook["metadata"][key]
    return notebook


def _code_cells(notebook: nbformat.NotebookNode) -> Iterator[nbformat.NotebookNode]:
    return (cell for cell in notebook["cells"] if cell["cell_type"] == "code")


def _encodable(outputs: list[Any]) -> list[Any]:
    """Outputs that UTF-8 can carry: half a surrogate pair, which a kernel may send, becomes a question mark."""
    cleaned: list[Any] = json.loads(json.dumps(outputs, ensure_ascii=False).encode("utf-8", "replace"))
    return cleaned


def _serialize(docname: str, notebook: nbformat.NotebookNode, provenance: Provenance) -> str:
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "markdown",
            "id": "page",
            "metadata": {},
            "source": f"*Outputs of `{docname}`, written by Coursebook. Change the page, not this file.*",
        }
    ]
    for number, cell in enumerate(_code_cells(notebook), 1):
        cells.append(
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {"tags": list(cell["metadata"]["tags"])} if cell["metadata"].get("tags") else {},
                "source": cell["source"],
                "execution_count": cell.get("execution_count"),
                "outputs": _encodable(cell.get("outputs", [])),
            }
        )
    metadata = {
        key: notebook["metadata"][key]
        for key in ("kernelspec", "language_info", "widgets")
        if key in notebook["metadata"]
    }
    stored = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    metadata["coursebook"] = {
        "schema": SCHEMA,
        "outputs_sha256": outputs_digest(nbformat.from_dict(stored)),  # type: ignore[no-untyped-call]
        "provenance": asdict(provenance),
    }
    text = json.dumps(stored, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    # The names of files may have bytes that are none of UTF-8, for which Python has halves of surrogate pairs.
    return re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", text)
