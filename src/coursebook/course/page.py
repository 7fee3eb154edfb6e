"""One source document: its code cells, their lines, and what its front matter asks for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import nbformat

from ..ground import CourseError
from .cell import Cell, cell_of
from .front_matter import is_executed, line_in_front_matter, read_front_matter
from .markdown import first_line_of, rows_of
from .page_options import PageOptions

SUFFIXES = (".md", ".ipynb")
_CODE_FENCE = re.compile(r"^(?:`{3,}|~{3,}|:{3,})\{code-cell\}")
_LOADS = re.compile(r"^\s*:?load:", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """A page of the course: `path` is relative to the root, `docname` is the path without suffix, with slashes."""

    path: Path
    docname: str
    text: str
    front_matter: Mapping[str, Any]
    options: PageOptions
    cells: tuple[Cell, ...]
    root: Path = field(default=Path(), compare=False)  # of the course

    @classmethod
    def read(cls, root: Path, path: Path, known: Mapping[str, tuple[Cell, ...]] = MappingProxyType({})) -> Page:
        """Read `root / path`; `known` holds cells by the digest of their page's text, where they were read before.

        Raises CourseError for anything that is not a page: encoding, front matter, options.
        """
        text = source_text(root, path)
        docname = path.with_suffix("").as_posix()
        if path.suffix == ".ipynb":
            return cls._read_notebook(root, path, docname, text)
        if not text.strip():
            raise CourseError(path, None, "the page is empty; it needs at least a title, `# Title`")
        front_matter = read_front_matter(path, text)
        options = PageOptions.read(front_matter.get("coursebook"), lambda key: (path, line_in_front_matter(text, key)))
        if not any(_CODE_FENCE.match(row) for row in text.splitlines()):
            return cls(path, docname, text, front_matter, options, (), root)
        if not is_executed(front_matter):
            # Of a page that isn't executed MyST-NB reads no cells; one that only shows how a cell is written is fine.
            cells_at = (n for n, row, kind in rows_of(text) if kind == "opening" and _CODE_FENCE.match(row))
            fence = next(cells_at, None)
            if fence is None:
                return cls(path, docname, text, front_matter, options, (), root)
            raise CourseError(
                path,
                fence,
                "a code cell, but the front matter does not make the page executable; "
                "it needs `file_format: mystnb` and `kernelspec: {name: python3}`",
            )
        # What a cell loads from a file is no part of the text.
        cells = None if _LOADS.search(text) else known.get(text_digest(text))
        if cells is None:
            page = cls(path, docname, text, front_matter, options, (), root)
            cells = tuple(
                cell_of(path, cell, line, number)
                for number, (cell, line) in enumerate(page._code_cells(page.notebook()), 1)
            )
        return cls(path, docname, text, front_matter, options, cells, root)

    @classmethod
    def _read_notebook(cls, root: Path, path: Path, docname: str, text: str) -> Page:
        try:
            notebook = _read_ipynb(text)
        except Exception as problem:  # nbformat raises whatever its JSON and schema readers raise
            reason = str(problem).splitlines()[0][:120]
            raise CourseError(path, None, f"not a Jupyter notebook ({reason})") from None
        given = notebook.metadata.get("coursebook")
        options = PageOptions.read(given, lambda key: (path, 1))
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        cells = tuple(cell_of(path, cell, 0, number) for number, cell in enumerate(code, 1))
        return cls(path, docname, text, dict(notebook.metadata), options, cells, root)

    @property
    def prose(self) -> str:
        """The page's Markdown, without front matter and, of a notebook, without its code."""
        if self.path.suffix == ".ipynb":
            cells = _read_ipynb(self.text).cells
            return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        return re.sub(r"\A---\s*\n.*?\n(---|\.\.\.)\s*(\n|\Z)", "", self.text, count=1, flags=re.DOTALL)

    def notebook(self) -> nbformat.NotebookNode:
        """The page as MyST-NB reads it, cell for cell, so that outputs stored for one serve the other."""
        if self.path.suffix == ".ipynb":
            return _read_ipynb(self.text)
        # Imported here: the parser costs half a second, and a page without code doesn't need it.
        from myst_nb.core.read import read_myst_markdown_notebook
        from myst_parser.config.main import MdParserConfig

        try:
            return read_myst_markdown_notebook(
                self.text, config=MdParserConfig(), add_source_map=True, path=str(self.root / self.path)
            )
        except Exception as problem:  # MyST-NB's reader raises its own errors and YAML's
            line = re.search(r"(?:line|LINE|:)\s*(\d+)", str(problem))
            raise CourseError(
                self.path,
                int(line[1]) if line else None,
                f"a code cell can't be read: {' '.join(str(problem).split())}",
            ) from None

    def _code_cells(self, notebook: nbformat.NotebookNode) -> list[tuple[nbformat.NotebookNode, int]]:
        rows = self.text.splitlines()
        fences = notebook.metadata["source_map"]
        return [
            (cell, first_line_of(rows, fence, cell.source))
            for cell, fence in zip(notebook.cells, fences, strict=True)
            if cell.cell_type == "code"
        ]


def text_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _read_ipynb(text: str) -> nbformat.NotebookNode:
    notebook: nbformat.NotebookNode = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
    return notebook


def source_text(root: Path, path: Path) -> str:
    """The text of a page as it is now. Raises CourseError where it isn't UTF-8."""
    raw = (root / path).read_bytes()
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise CourseError(
            path, line, f"the byte 0x{raw[error.start]:02x} is not UTF-8; save the page as UTF-8 (is it Latin-1?)"
        ) from None
