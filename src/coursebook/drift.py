"""Drift: what a fresh execution of a page says otherwise than its published outputs, as a reader would judge."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nbformat import NotebookNode, from_dict
from nbformat.v4 import new_output

from .compare import CellComparison, Difference, Verdict, compare_cell
from .errors import plain
from .page import Cell, Page, rows_of
from .store import Provenance
from .tags import CLAIM, shows_outputs, shows_stream
from .text import distance, is_metric
from .tolerance import Tolerance

_ORDER: tuple[Verdict, ...] = ("same", "within tolerance", "changed")
# A glued value that is pasted as it is, be it a figure or a table; the others stand within sentences.
_PASTED = re.compile(r"\{glue:?(?:any|figure)?\}\s*`?([^`\s]+)")
_ROLE = re.compile(r"\{glue:(?P<kind>text|md)\}`(?P<target>[^`]+)`")
_BLOCK = re.compile(r"^(?:`{3,}|:{3,})\{glue:md\}\s*(?P<target>\S+)", re.MULTILINE)
_SENTENCES = re.compile(r"(?<=[.!?])\s+(?=[*`\"“(\[{]*[A-Z0-9{])")


@dataclass(frozen=True)
class CellDrift:
    """A cell with its outputs then and now. `old` and `new` are what a reader sees of them, and errors."""

    cell: Cell
    comparison: CellComparison
    old: tuple[NotebookNode, ...]
    new: tuple[NotebookNode, ...]

    @property
    def failed_claim(self) -> str:
        """What a claim said when it failed; empty where it held, and for other cells."""
        errors = [output for output in self.new if output["output_type"] == "error"]
        if not errors or CLAIM not in self.cell.tags or self.comparison.verdict != "changed":
            return ""
        said = plain(str(errors[-1].get("evalue", ""))).strip()
        return said if errors[-1].get("ename") == "AssertionError" and said else f"{errors[-1].get('ename')}: {said}"


@dataclass(frozen=True)
class Sentence:
    """A sentence with glued values, of the page at `path`, that reads otherwise now, be it within tolerance."""

    path: str
    line: int
    old: str
    new: str
    differences: tuple[Difference, ...]

    @property
    def verdict(self) -> Verdict:
        return CellComparison(0, self.differences).verdict


@dataclass(frozen=True)
class PageDrift:
    """What became of a page: its cells and sentences compared, or why it failed, or why it was `skipped`.

    `failure` is the whole error, `deprecations` what libraries said that readers of the page don't see, and `known`
    what they had said before. `was` and `now` say who made the published outputs and the fresh ones; `digest` is the
    sha256 of the former.
    """

    page: Page
    cells: tuple[CellDrift, ...] = ()
    sentences: tuple[Sentence, ...] = ()
    deprecations: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    was: Provenance | None = None
    now: Provenance | None = None
    digest: str = ""
    failure: str = ""
    skipped: str = ""

    @property
    def verdict(self) -> Verdict | Literal["failed", "skipped"]:
        if self.failure or self.skipped:
            return "failed" if self.failure else "skipped"
        found: list[Verdict] = [drift.comparison.verdict for drift in self.cells]
        found += [sentence.verdict for sentence in self.sentences]
        return max(found, key=_ORDER.index, default="same")

    @property
    def changed(self) -> list[CellDrift]:
        return [drift for drift in self.cells if drift.comparison.verdict == "changed"]

    @property
    def failed_claims(self) -> list[CellDrift]:
        return [drift for drift in self.cells if drift.failed_claim]

    @property
    def news(self) -> list[str]:
        """The deprecations that nobody knew of."""
        return [told for told in self.deprecations if told not in self.known]

    @property
    def packages(self) -> list[tuple[str, str, str]]:
        """The packages whose versions differ, each with the one then and the one now."""
        was, now = (self.was.packages if self.was else {}), (self.now.packages if self.now else {})
        return [(name, was.get(name, "–"), now[name]) for name in sorted(now) if was.get(name) != now[name]]


def judge(
    page: Page,
    old: NotebookNode,
    new: NotebookNode,
    pages: Iterable[Page],
    *,
    was: Provenance,
    now: Provenance,
    deprecations: Iterable[str] = (),
) -> PageDrift:
    """Compare the outputs of `page`, whose code cells both notebooks hold; `pages` may quote what it glues."""
    texts = [other for other in pages if other.docname == page.docname or "glue" in other.text]
    pasted = {_name(match[1]) for other in texts for match in _PASTED.finditer(other.text)}
    before, after = _code_cells(old), _code_cells(new)
    cells = []
    for cell, then, fresh in zip(page.cells, before, after, strict=True):
        was_seen, is_seen = _seen(cell, then["outputs"], pasted), _seen(cell, fresh["outputs"], pasted)
        comparison = compare_cell(cell.number, was_seen, is_seen, tolerance_of(page, cell))
        cells.append(CellDrift(cell, comparison, was_seen, is_seen))
    sentences = tuple(_sentences(page, texts, before, after))
    shown = "\n".join(_said(outputs) for cell in before for outputs in cell["outputs"])
    unseen = tuple(told for told in deprecations if told.partition("Warning: ")[2] not in shown)
    return PageDrift(page, tuple(cells), sentences, unseen, was=was, now=now)


def tolerance_of(page: Page, cell: Cell) -> Tolerance:
    return Tolerance.read(cell.tolerance, page.options.tolerance)


def glued(cells: Iterable[NotebookNode]) -> dict[str, NotebookNode]:
    """What cells glue, by name: outputs whose data have lost the prefix by which they aren't shown where they are."""
    found = {}
    for cell in cells:
        for output in cell["outputs"]:
            if note := output.get("metadata", {}).get("scrapbook"):
                found[str(note.get("name"))] = _without_prefix(output)
    return found


def _code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def _seen(cell: Cell, outputs: Iterable[NotebookNode], pasted: set[str]) -> tuple[NotebookNode, ...]:
    """Of a cell's outputs those that readers see, here or where they are pasted, and its errors."""
    is_seen = shows_outputs(cell.tags)
    found = []
    for output in outputs:
        note = output.get("metadata", {}).get("scrapbook") or {}
        if note.get("mime_prefix"):
            if note.get("name") in pasted:
                found.append(_without_prefix(output))
        elif output["output_type"] == "error" or (is_seen and shows_stream(cell.tags, output.get("name", ""))):
            found.append(output)  # of a cell whose outputs readers don't see it matters whether it raises
    return tuple(found)


def _without_prefix(output: NotebookNode) -> NotebookNode:
    prefix = output["metadata"]["scrapbook"].get("mime_prefix", "")
    data = {mime.removeprefix(prefix): value for mime, value in output["data"].items()}
    bare: NotebookNode = from_dict({**output, "data": data})  # type: ignore[no-untyped-call]
    return bare


def _said(output: NotebookNode) -> str:
    return str(output.get("text") or output.get("data", {}).get("text/plain") or "")


def _sentences(
    page: Page, texts: Iterable[Page], before: Sequence[NotebookNode], after: Sequence[NotebookNode]
) -> Iterator[Sentence]:
    """The sentences that read otherwise, as a value that `page` glues has changed."""
    values = glued(before), glued(after)
    tolerances = {
        name: tolerance_of(page, cell)
        for cell, *runs in zip(page.cells, before, after, strict=True)
        for name in glued(runs)
    }
    for other in texts:
        is_from = _is_from(page, other)
        for line, text in _passages(other.text):
            old, new = (_reading(text, known, is_from) for known in values)
            if old == new:
                continue
            differences = tuple(
                difference
                for match in _ROLE.finditer(text)
                for difference in _role_differences(match, values, tolerances, is_from)
            )
            if differences:
                yield Sentence(other.path.as_posix(), line, old, new, differences)


def _role_differences(
    match: re.Match[str],
    values: tuple[Mapping[str, NotebookNode], Mapping[str, NotebookNode]],
    tolerances: Mapping[str, Tolerance],
    is_from: Callable[[str], bool],
) -> Sequence[Difference]:
    """What became of one glued value of a sentence: judged by its own size, not by the digits that are shown."""
    old, new = (_pasted(match, known, is_from) for known in values)
    name = _name(match["target"])
    tolerance = tolerances.get(name, Tolerance())
    if old == new or tolerance.volatile:
        return ()
    numbers = [_float(known.get(name)) for known in values]
    if match["kind"] == "text" and numbers[0] is not None and numbers[1] is not None:
        learned = is_metric(name) or match["target"].endswith("%")
        share = tolerance.metrics if learned else tolerance.numbers
        apart = distance(numbers[0], numbers[1])
        is_small = max(map(abs, numbers)) <= tolerance.absolute  # type: ignore[arg-type]
        return [Difference("number", old, new, f"{old} -> {new}", apart <= share or is_small)]
    then, fresh = (new_output("stream", name="stdout", text=said) for said in (old, new))  # type: ignore[no-untyped-call]
    return compare_cell(0, [then], [fresh], tolerance).differences


def _float(output: NotebookNode | None) -> float | None:
    """The float that was glued; None for whole numbers, which are exact, and for whatever else it was."""
    try:
        value = ast.literal_eval(output["data"]["text/plain"]) if output else None
    except (KeyError, SyntaxError, ValueError):
        return None
    return value if isinstance(value, float) else None


def _passages(text: str) -> Iterator[tuple[int, str]]:
    """Sentences, rows of tables and blocks in which something is glued, each with its line from 1."""
    start, rows = 0, list[str]()
    for number, row, kind in [*rows_of(text), (0, "", "text")]:
        bare = row.strip()
        if kind != "text" or not bare or bare.startswith(("|", "- ", "* ", "#")):
            yield from _split(start, rows)
            start, rows = number, []
        if kind == "frame" and (block := _BLOCK.match(row)):
            yield number, f"{{glue:md}}`{block['target']}`"
        elif kind == "text" and bare:
            start, rows = (start if rows else number), [*rows, row]


def _split(start: int, rows: Sequence[str]) -> Iterator[tuple[int, str]]:
    offset, whole = 0, "\n".join(rows)
    for sentence in _SENTENCES.split(whole):
        at = whole.index(sentence, offset)
        offset = at + len(sentence)
        if _ROLE.search(sentence):
            yield start + whole.count("\n", 0, at), " ".join(sentence.split())


def _is_from(page: Page, reader: Page) -> Callable[[str], bool]:
    """Whether a path that `reader` names in front of `::` is that of `page`; without one it is the reader itself."""
    folder = posixpath.dirname(reader.docname)

    def is_from(path: str) -> bool:
        full = posixpath.normpath(posixpath.join(folder, path)) if path[:1] != "/" else path[1:]
        return (posixpath.splitext(full)[0] if path else reader.docname) == page.docname

    return is_from


def _reading(text: str, values: Mapping[str, NotebookNode], is_from: Callable[[str], bool]) -> str:
    """A passage as it reads with `values`, where they are from the page that is meant."""
    return _ROLE.sub(lambda match: _pasted(match, values, is_from), text)


def _pasted(match: re.Match[str], values: Mapping[str, NotebookNode], is_from: Callable[[str], bool]) -> str:
    path, _, target = match["target"].rpartition("::")
    if not is_from(path):
        return match[0]
    name, _, form = target.rpartition(":") if ":" in target else (target, "", "")
    if name not in values:
        return f"(nothing was glued as {name})"
    data = values[name]["data"]
    if match["kind"] == "md":
        return str(data.get("text/markdown", data.get("text/plain", "")))
    return _formatted(str(data.get("text/plain", "")), form or "s")


def _formatted(text: str, form: str) -> str:
    from myst_nb.core.variables import format_plain_text

    formatter: Callable[[str, str], str] = format_plain_text
    try:
        return formatter(text, form)
    except (ValueError, SyntaxError, TypeError):
        return text


def _name(target: str) -> str:
    return target.rpartition("::")[2].partition(":")[0]
