"""One source document: its code cells, their lines, and what its front matter asks for."""

from __future__ import annotations

import datetime
import difflib
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, Literal

import nbformat
import yaml

from .amount import is_amount
from .errors import CellError, CourseError
from .tolerance import Tolerance

SUFFIXES = (".md", ".ipynb")
_CODE_FENCE = re.compile(r"^(?:`{3,}|~{3,}|:{3,})\{code-cell\}")
_LOADS = re.compile(r"^\s*:?load:", re.MULTILINE)
_FENCE = re.compile(r"^\s*(?P<marker>`{3,}|~{3,}|:{3,})(?P<info>.*)$")


def _is_globs(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and _is_glob(item) for item in value)


def _is_glob(text: str) -> bool:
    """Whether a text is a glob of files below a folder."""
    if text.startswith("/") or ".." in PurePosixPath(text).parts:
        return False
    try:
        next(Path(os.devnull).glob(text), None)
    except (ValueError, NotImplementedError, IndexError):  # as pathlib says it of `**.csv`, of `C:/data` and of `.`
        return False
    return True


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item.strip() for item in value)


def _as_date(value: Any) -> Any:
    """A date, also one that a notebook's metadata holds as text; anything else as it is."""
    if isinstance(value, str):
        try:
            return datetime.date.fromisoformat(value)
        except ValueError:
            return value
    return value


def _is_date(value: Any) -> bool:
    return isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)


def _is_due(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(k, str) and k and _is_date(_as_date(v)) for k, v in value.items())


def _is_tolerance(value: Any) -> bool:
    try:
        Tolerance.read(value)
    except ValueError:
        return False
    return True


def _option(
    default: Any, check: Callable[[Any], bool], allowed: str, help: str, convert: Callable[[Any], Any] = lambda v: v
) -> Any:
    return field(default=default, metadata={"check": check, "allowed": allowed, "help": help, "convert": convert})


@dataclass(frozen=True)
class Options:
    """What `coursebook: {...}` in a page's front matter may say."""

    device: str = _option(
        "cpu", lambda value: value in ("cpu", "gpu"), "`cpu` or `gpu`", "what the page is executed on; `gpu` is CUDA"
    )
    timeout: float | None = _option(
        None,
        is_amount,
        "a number of seconds above 0, up to 1e9",
        "seconds that one cell may run; without it `execute: timeout` in _config.yml",
    )
    inputs: tuple[str, ...] = _option(
        (),
        _is_globs,
        "a list of globs below the course's root, like data/*.csv or data/**/*.csv",
        "files below the course's root that the page reads where Python can't see it (compiled code, subprocesses)",
        tuple,
    )
    writes: tuple[str, ...] = _option(
        (),
        _is_globs,
        "a list of globs below the course's root, like data/*.csv or data/**/*.csv",
        "files below the course's root that the page writes where Python can't see it, and which are no inputs",
        tuple,
    )
    max_output: float = _option(
        10, is_amount, "a number of megabytes above 0, up to 1e9", "megabytes that one cell may print and draw"
    )
    tolerance: Tolerance = _option(
        Tolerance(),
        _is_tolerance,
        "numbers, metrics, absolute and figures (each a number from 0) and volatile (true or false)",
        "how far fresh outputs may be from the published ones before `verify` calls it drift",
        Tolerance.read,
    )
    release: datetime.date | None = _option(
        None,
        lambda value: _is_date(_as_date(value)),
        "a date like 2026-10-05",
        "the day from which the page is on the site",
        _as_date,
    )
    published: bool = _option(
        True, lambda value: isinstance(value, bool), "true or false", "false for a draft, which is never on the site"
    )
    solutions: datetime.date | None = _option(
        None,
        lambda value: _is_date(_as_date(value)),
        "a date like 2026-10-12",
        "the day from which the page's solutions are on the site",
        _as_date,
    )
    date: datetime.date | None = _option(
        None, lambda value: _is_date(_as_date(value)), "a date like 2026-10-05", "the day of the class", _as_date
    )
    topic: str = _option(
        "",
        lambda value: isinstance(value, str) and bool(value.strip()),
        "a sentence",
        "what the class is about, for the schedule",
    )
    before: str = _option(
        "",
        lambda value: isinstance(value, str) and bool(value.strip()),
        "a sentence",
        "what to do before the class, for the schedule",
    )
    labs: tuple[str, ...] = _option(
        (), _is_texts, "a list of pages like labs/digits", "the labs that go with the class, for the schedule", tuple
    )
    due: tuple[tuple[str, datetime.date], ...] = _option(
        (),
        _is_due,
        "what is due, each with its date, like {Homework 2: 2026-10-12}",
        "what is due, for the schedule and the calendar",
        lambda value: tuple((what, _as_date(day)) for what, day in value.items()),
    )

    @classmethod
    def read(cls, given: Any, place: Callable[[str], tuple[Path, int]]) -> Options:
        """Options from front matter; `place` tells the file and line of a key.

        Raises CourseError for an unknown key or a value that is not allowed.
        """
        known = {f.name: f for f in fields(cls)}
        allowed = ", ".join(sorted(known))
        if given is None:
            return cls()
        if not isinstance(given, Mapping):
            raise CourseError(*place("coursebook"), f"`coursebook` takes options ({allowed}), not {given!r}")
        for key, value in given.items():
            if key not in known:
                near = difflib.get_close_matches(str(key), known, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise CourseError(
                    *place(str(key)), f"unknown option {key!r} under `coursebook` (allowed: {allowed}){hint}"
                )
            if not known[key].metadata["check"](value):
                raise CourseError(*place(key), f"`{key}` takes {known[key].metadata['allowed']}, not {value!r}")
        return cls(**{key: known[key].metadata["convert"](value) for key, value in given.items()})


@dataclass(frozen=True)
class Cell:
    """A code cell. `line` is where its code begins in the page, from 1 (0 in notebooks: they have no lines).

    `number` counts the page's code cells from 1. `tolerance` is what the cell says of its own, `{}` for nothing.
    """

    source: str
    line: int
    number: int
    tags: tuple[str, ...]
    tolerance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """A page of the course: `path` is relative to the root, `docname` is the path without suffix, with slashes."""

    path: Path
    docname: str
    text: str
    front_matter: Mapping[str, Any]
    options: Options
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
        front_matter = _front_matter(path, text)
        options = Options.read(front_matter.get("coursebook"), lambda key: (path, line_in_front_matter(text, key)))
        if not any(_CODE_FENCE.match(row) for row in text.splitlines()):
            return cls(path, docname, text, front_matter, options, (), root)
        if not _is_executed(front_matter):
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
                _cell(path, cell, line, number)
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
        options = Options.read(given, lambda key: (path, 1))
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        cells = tuple(_cell(path, cell, 0, number) for number, cell in enumerate(code, 1))
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
            (cell, _first_line(rows, fence, cell.source))
            for cell, fence in zip(notebook.cells, fences, strict=True)
            if cell.cell_type == "code"
        ]


def _cell(path: Path, cell: nbformat.NotebookNode, line: int, number: int) -> Cell:
    """A code cell of a notebook. Raises CourseError for options that it can't have."""
    given = cell.metadata.get("coursebook") or {}
    place = CellError(path, Cell(cell.source, line, number, ()), "")
    if not isinstance(given, Mapping) or given.keys() - {"tolerance"}:
        raise CourseError(place.place, None, f"a cell's `coursebook` takes {{tolerance: ...}}, not {given!r}")
    tolerance = given.get("tolerance", {})
    try:
        Tolerance.read(tolerance)
    except ValueError as error:
        raise CourseError(place.place, None, f"`tolerance`: {error}") from None
    return Cell(cell.source, line, number, tuple(cell.metadata.get("tags", ())), dict(tolerance))


def rows_of(text: str) -> Iterator[tuple[int, str, Literal["text", "frame", "opening", "code"]]]:
    """Each row of Markdown with its number from 1, and what it is.

    A `frame` opens or closes a directive whose content is read as Markdown, `opening` opens code, and all up to the end
    of that is `code`, be it what would be a fence elsewhere.
    """
    opened: list[tuple[str, bool]] = []  # each fence that is open, and whether it holds code
    for number, row in enumerate(text.splitlines(), 1):
        match = _FENCE.match(row)
        marker, info = (match["marker"], match["info"].strip()) if match else ("", "")
        closes = bool(opened) and not info and marker.startswith(opened[-1][0])
        if opened and opened[-1][1]:
            yield number, row, "code"
        elif not match:
            yield number, row, "text"
        elif closes:
            yield number, row, "frame"
        else:
            holds_code = (marker[0] != ":" and not info.startswith("{")) or info.startswith("{code")
            opened.append((marker, holds_code))
            yield number, row, "opening" if holds_code else "frame"
        if closes:
            opened.pop()


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


def _front_matter(path: Path, text: str) -> Mapping[str, Any]:
    rows = text.splitlines()
    if rows[0].rstrip() != "---":
        return {}
    end = next((n for n, row in enumerate(rows[1:], 1) if row.rstrip() in ("---", "...")), None)
    if end is None:
        raise CourseError(path, 1, "the front matter that `---` opens here is never closed by another `---`")
    try:
        data = yaml.safe_load("\n".join(rows[1:end]))
    except yaml.YAMLError as error:
        raise CourseError(path, *yaml_problem(error, offset=1)) from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise CourseError(path, 2, f"the front matter takes `key: value` lines, not {type(data).__name__}")
    return data


def yaml_problem(error: yaml.YAMLError, offset: int = 0) -> tuple[int, str]:
    """Where (line, from 1) and in what words a YAML text is broken."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    return (mark.line + 1 if mark else 1) + offset, f"not valid YAML: {' '.join(str(problem).split())}"


def _is_executed(front_matter: Mapping[str, Any]) -> bool:
    jupytext = front_matter.get("jupytext")
    text_format = jupytext.get("text_representation", {}) if isinstance(jupytext, dict) else {}
    executed = front_matter.get("file_format") == "mystnb" or text_format.get("format_name") == "myst"
    return executed and isinstance(front_matter.get("kernelspec"), dict)


def line_in_front_matter(text: str, key: str) -> int:
    pattern = re.compile(rf"""(?:^|[\s{{,])["']?{re.escape(key)}["']?\s*:""")
    return next((n for n, row in enumerate(text.splitlines(), 1) if pattern.search(row)), 1)


def _first_line(rows: list[str], fence: int, source: str) -> int:
    """The line (from 1) at which a cell's code begins; `fence` is the line (from 1) of its opening fence."""
    code = [row.strip() for row in source.splitlines()]
    # Options stand between the fence and the code: skip until the code itself is found.
    for index in range(fence, len(rows)):
        if [row.strip() for row in rows[index : index + len(code)]] == code:
            return index + 1
    return fence + 1
