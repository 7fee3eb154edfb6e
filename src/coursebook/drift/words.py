"""What a comparison of pages comes to, in the words that reports and the command have in common."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ..compare import Verdict
from .judging import CellDrift, PageDrift

T = TypeVar("T")


_TOKEN = re.compile(r"\s+|\w+(?:\.\w+)*|.", re.DOTALL)


@dataclass(frozen=True)
class Heading:
    """What was compared with what: `then` and `now` stand above the two sides, `facts` below the title."""

    title: str
    then: str
    now: str
    facts: Mapping[str, str]


def summary_of(drifts: Iterable[PageDrift]) -> str:
    """How many pages came out how, in words: `8 same, 1 within tolerance, 1 changed`."""
    counts = Counter(drift.verdict for drift in drifts)
    order = ("same", "within tolerance", "changed", "failed", "skipped")
    told = sorted(counts, key=order.index)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in told) or "no page"


def deprecations_in(drifts: Iterable[PageDrift]) -> dict[str, list[str]]:
    """What libraries said will change, that nobody knew of and readers don't see, each with the pages that met it."""
    found: dict[str, list[str]] = {}
    for drift in drifts:
        for told in drift.news:
            found.setdefault(told, []).append(drift.page.docname)
    return found


def place_of(drift: PageDrift, cell: CellDrift) -> str:
    """Where a cell is: its page and line, or its number in a notebook."""
    path = drift.page.path.as_posix()
    return f"{path}:{cell.cell.line}" if cell.cell.line else f"{path}: cell {cell.cell.number}"


def reasons_of(cell: CellDrift, verdict: Verdict) -> list[str]:
    """Why a cell's verdict is what it is, without what a failed claim says."""
    found = [d.why for d in cell.comparison.differences if d.is_allowed == (verdict == "within tolerance")]
    return list(dict.fromkeys(found))


def aligned(old: str, new: str) -> Iterator[tuple[str, str]]:
    """The two texts in pieces: what they share, as a pair of equals, and what stands in its place in each."""
    a, b = _TOKEN.findall(old), _TOKEN.findall(new)
    if max(len(a), len(b)) > 6000:  # by lines, or it takes minutes
        a, b = old.splitlines(keepends=True), new.splitlines(keepends=True)
    for _, i, i_end, j, j_end in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        yield "".join(a[i:i_end]), "".join(b[j:j_end])
