"""Drift: where a fresh execution of a page differs from its published outputs, as a reader would judge."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from nbformat import NotebookNode

from ..compare import CellComparison, Verdict, compare_cell
from ..course import CLAIM, Cell, Page, shows_outputs, shows_stream
from ..execute import Deprecation
from ..ground import plain
from ..outputs import Provenance
from .glue import tolerance_of, without_prefix
from .sentences import Sentence, changed_sentences, name_of_glued

_ORDER: tuple[Verdict, ...] = ("same", "within tolerance", "changed")
# A glued value that is pasted as it is, be it a figure or a table; the others stand within sentences.
_PASTED = re.compile(r"\{glue:?(?:any|figure)?\}\s*`?([^`\s]+)")


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
    deprecations: Iterable[Deprecation] = (),
) -> PageDrift:
    """Compare the outputs of `page`, whose code cells both notebooks hold; `pages` may quote what it glues."""
    texts = [other for other in pages if other.docname == page.docname or "glue" in other.text]
    pasted = {name_of_glued(match[1]) for other in texts for match in _PASTED.finditer(other.text)}
    before, after = _code_cells(old), _code_cells(new)
    cells = []
    for cell, then, fresh in zip(page.cells, before, after, strict=True):
        was_seen, is_seen = _seen(cell, then["outputs"], pasted), _seen(cell, fresh["outputs"], pasted)
        comparison = compare_cell(cell.number, was_seen, is_seen, tolerance_of(page, cell))
        cells.append(CellDrift(cell, comparison, was_seen, is_seen))
    sentences = tuple(changed_sentences(page, texts, before, after))
    shown = "\n".join(_said(outputs) for cell in before for outputs in cell["outputs"])
    unseen = tuple(str(told) for told in deprecations if told.message not in shown)
    return PageDrift(page, tuple(cells), sentences, unseen, was=was, now=now)


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
                found.append(without_prefix(output))
        elif output["output_type"] == "error" or (is_seen and shows_stream(cell.tags, output.get("name", ""))):
            found.append(output)  # of a cell whose outputs readers don't see it matters whether it raises
    return tuple(found)


def _said(output: NotebookNode) -> str:
    return str(output.get("text") or output.get("data", {}).get("text/plain") or "")
