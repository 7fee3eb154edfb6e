"""The report as one page for the browser, old beside new."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from markdown_it import MarkdownIt
from markupsafe import Markup
from nbformat import NotebookNode

from ..compare import Verdict, difference_picture, picture_of
from ..ground import html_template, plain
from .judging import CellDrift, PageDrift
from .words import Heading, T, aligned, deprecations_in, place_of, reasons_of, summary_of

_TEMPLATES = Path(__file__).parent / "templates"
_FENCE = re.compile(r"^\s*(?:`{3,}|~{3,}|:{3,})")


@dataclass(frozen=True)
class _Pair:
    """What stands side by side: two texts, in the `pieces` that `aligned` makes of them; HTML, `old` and `new`; or
    figures, PNG in base64, with a third that shows their `difference`. None where a side has nothing.
    """

    kind: Literal["texts", "pages", "figures"]
    old: str | None = None
    new: str | None = None
    difference: str | None = None
    pieces: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class _Cell:
    """A cell that is shown: its verdict and why, its code, what stands `before` and `after` it, and its outputs."""

    place: str
    verdict: Verdict
    reasons: Sequence[str]
    before: Markup
    source: str
    after: Markup
    pairs: Sequence[_Pair]


@dataclass(frozen=True)
class _Entry:
    """What the report says of a page, in a section of its own where it `is_told`.

    `sentences` are places with pieces; `changed` and `within` (tolerance) are cells.
    """

    drift: PageDrift
    is_told: bool
    failure: str
    sentences: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    changed: Sequence[_Cell]
    within: Sequence[_Cell]


def html(heading: Heading, drifts: Sequence[PageDrift]) -> str:
    """The report as one page that needs nothing beside it."""
    summary = summary_of(drifts)
    return html_template(_TEMPLATES, "report.html").render(
        heading=heading,
        summary=summary[:1].upper() + summary[1:],
        entries=[_entry(drift) for drift in drifts],
        news=deprecations_in(drifts),
        css=Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8")),
        script=Markup((_TEMPLATES / "report.js").read_text(encoding="utf-8")),
    )


def _entry(drift: PageDrift) -> _Entry:
    changed = [cell for cell in drift.cells if cell.comparison.verdict == "changed" and not cell.failed_claim]
    within = [cell for cell in drift.cells if cell.comparison.verdict == "within tolerance"]
    return _Entry(
        drift,
        is_told=drift.verdict not in ("same", "skipped"),
        failure=plain(drift.failure),
        sentences=[(f"{s.path}:{s.line}", tuple(aligned(s.old, s.new))) for s in drift.sentences],
        changed=[_cell(drift, cell) for cell in changed],
        within=[_cell(drift, cell) for cell in within],
    )


def _cell(drift: PageDrift, cell: CellDrift) -> _Cell:
    verdict = cell.comparison.verdict
    before, after = _prose_around(drift, cell)
    return _Cell(
        place_of(drift, cell), verdict, reasons_of(cell, verdict), before, cell.cell.source, after, tuple(_pairs(cell))
    )


def _prose_around(drift: PageDrift, cell: CellDrift) -> tuple[Markup, Markup]:
    """The paragraphs before and after a cell, as HTML."""
    if not cell.cell.line:
        return Markup(), Markup()
    rows = drift.page.text.splitlines()
    start = cell.cell.line - 1
    while start > 0 and not _FENCE.match(rows[start]):
        start -= 1
    end = cell.cell.line - 1
    while end < len(rows) and not _FENCE.match(rows[end]):
        end += 1
    first = rows.index("---", 1) + 1 if rows[0] == "---" and "---" in rows[1:] else 0  # below the front matter
    return _prose(_paragraph(rows[first:start][::-1])[::-1]), _prose(_paragraph(rows[end + 1 :]))


def _paragraph(rows: Sequence[str]) -> list[str]:
    """The first paragraph of `rows`; nothing where a fence comes before one."""
    found: list[str] = []
    for row in rows:
        if _FENCE.match(row):
            break
        if row.strip():
            found.append(row)
        elif found:
            break
    return found


def _prose(rows: Sequence[str]) -> Markup:
    # No HTML of the page's own: the report is opened from anywhere, and shows outputs that nobody has looked at yet. No
    # headings either, which would be taken for the report's.
    parser = MarkdownIt("commonmark", {"html": False}).disable(["heading", "lheading"])
    return Markup(parser.render("\n".join(rows))) if rows else Markup()


def _pairs(cell: CellDrift) -> Iterator[_Pair]:
    """The two sides: texts with their differences marked, then what else there is, then the figures in pairs."""
    sides = [_texts(cell.old), _texts(cell.new)]
    if any(sides):
        yield _Pair("texts", pieces=tuple(aligned(*sides)))
    for before, after in _paired(list(_pages(cell.old)), list(_pages(cell.new))):
        yield _Pair("pages", before, after)
    for old, new in _paired(_pictures(cell.old), _pictures(cell.new)):
        difference = None if old is None or new is None else difference_picture(old, new)
        yield _Pair("figures", _base64(old), _base64(new), _base64(difference))


def _base64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _texts(outputs: Sequence[NotebookNode]) -> str:
    """All that outputs say as text, as far as they don't show a figure or HTML instead."""
    said = []
    for output in outputs:
        if output["output_type"] == "stream":
            said.append(str(output.get("text", "")))
        elif output["output_type"] == "error":
            said.append(f"{output.get('ename', '')}: {output.get('evalue', '')}\n")
        elif picture_of(output) is None and "text/html" not in output.get("data", {}):
            data = output.get("data", {})
            text = data.get("text/markdown") or data.get("text/latex") or data.get("text/plain") or ""
            said.append(f"{text}\n")
    return plain("".join(said))


def _pages(outputs: Sequence[NotebookNode]) -> Iterator[str]:
    for output in outputs:
        if picture_of(output) is None and "text/html" in output.get("data", {}):
            yield str(output["data"]["text/html"])


def _pictures(outputs: Sequence[NotebookNode]) -> list[bytes]:
    return [data for output in outputs if (data := picture_of(output)) is not None]


def _paired(old: Sequence[T], new: Sequence[T]) -> Iterator[tuple[T | None, T | None]]:
    for number in range(max(len(old), len(new))):
        yield (old[number] if number < len(old) else None), (new[number] if number < len(new) else None)
