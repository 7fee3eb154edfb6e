"""The store: `outputs/<docname>.ipynb`, one executed notebook for each page, with the provenance of its outputs.

The files are ordinary notebooks of a page's code cells. Equal content gives equal bytes, every file is replaced whole,
and a file that can't be read is never overwritten without having been named.
"""

from __future__ import annotations

import contextlib
import datetime
import difflib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import nbformat

from .errors import CourseError

FOLDER = "outputs"
SCHEMA = 1
# What a code cell is shown with.
_PARTS = {"source", "outputs", "execution_count"}


@dataclass(frozen=True)
class Provenance:
    """Who made these outputs, from what, and how.

    `cells` holds a digest for each code cell, `inputs` one for each file read below the root, `cell_inputs` for each
    code cell those that it read itself (nothing at all where nobody watched), `packages` the version of each
    distribution that the page's own code imported, `imports` the modules that it imported and that don't lie beside it.
    `unseen` is what else they may depend on and nobody could see, in words; `kernel` names the kernel where its Python
    wasn't the one that built. `device` is what the kernel proved that it computed on, `gpu` (CUDA was initialized;
    `device_name` names it, `device_memory` is its peak) or `cpu`; `offered` names a GPU that the page could have used.
    `executed` is a UTC time in ISO 8601, `seconds` and `cell_seconds` are wall-clock times, `peak_memory` and
    `device_memory` are in bytes.
    """

    code: str
    cells: tuple[str, ...]
    inputs: Mapping[str, str] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"
    device_name: str = ""
    device_memory: int = 0
    offered: str = ""
    python: str = ""
    platform: str = ""
    commit: str = ""
    executed: str = ""
    seconds: float = 0.0
    cell_seconds: tuple[float, ...] = ()
    peak_memory: int = 0
    cell_inputs: tuple[tuple[str, ...], ...] = ()
    kernel: str = ""
    imports: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Provenance:
        """What a file says, which may have been changed by hand. Raises TypeError or ValueError for what can't be."""
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        for name in ("cells", "cell_seconds", "imports", "unseen"):
            known[name] = tuple(known.get(name, ()))
        for name in ("inputs", "packages"):
            known[name] = dict(known.get(name, {}))
        known["cell_inputs"] = _names_by_cell(known.get("cell_inputs", []), len(known["cells"]))
        made = cls(**known)
        texts = [made.code, made.device, made.device_name, made.offered, made.python, made.platform, made.commit]
        texts += [made.kernel, *made.imports, *made.unseen, *made.cells, *made.inputs.values(), *made.packages.values()]
        numbers = [made.seconds, made.peak_memory, made.device_memory, *made.cell_seconds]
        if not all(isinstance(text, str) for text in texts) or not all(isinstance(n, (int, float)) for n in numbers):
            raise TypeError("a text or a number is something else")
        if datetime.datetime.fromisoformat(made.executed).tzinfo is None:
            raise ValueError(f"{made.executed} is in no time zone")
        return made


def _names_by_cell(data: Any, cells: int) -> tuple[tuple[str, ...], ...]:
    """Raises TypeError or ValueError for what isn't a list of names for each cell, or empty."""
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in data):
        raise TypeError("a name is something else")
    if len(data) not in (0, cells):
        raise ValueError(f"{len(data)} cells have inputs, but there are {cells}")
    return tuple(tuple(names) for names in data)


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
        self.folder = root / FOLDER

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


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of `path` at the end; where something fails, `path` stays as it was."""
    passing = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with passing.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        passing.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk is noticed by a write, which doesn't tell of what
        raise
    finally:
        with contextlib.suppress(OSError):
            passing.unlink(missing_ok=True)


def outputs_digest(notebook: nbformat.NotebookNode) -> str:
    """sha256 over what the code cells put out, as it is stored."""
    said = [cell.get("outputs", []) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def fill(notebook: nbformat.NotebookNode, stored: StoredPage) -> nbformat.NotebookNode:
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
