"""What became of pages, printed: for `verify` and `outputs diff`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from ..ground import plain
from .console import count

if TYPE_CHECKING:
    from ..drift import Heading, PageDrift


def print_drifts(out: Console, drifts: Sequence[PageDrift]) -> None:
    """What became of each page, and where and why, in lines that editors lead to."""
    from ..drift import deprecations_in, place_of, reasons_of

    colors = {"same": "green", "changed": "red", "failed": "red"}

    def say(text: str) -> None:
        out.print(text, markup=False, emoji=False)

    for drift in drifts:
        verdict = drift.verdict
        what = [f"{len(drift.changed)} of {count(drift.cells, 'cell')}"] if drift.changed else []
        what += [count(drift.sentences, "sentence")] if drift.sentences else []
        told = drift.skipped or ", ".join(what)
        name = escape(f"{drift.page.docname}: {told}" if told else drift.page.docname)
        out.print(f"[{colors.get(verdict, 'yellow')}]{verdict}[/] {name}")
        if drift.failure:
            say(plain(drift.failure))
        for cell in drift.changed:
            claim = cell.failed_claim
            for why in [f"claim fails: {claim}"] if claim else reasons_of(cell, "changed"):
                say(f"  {place_of(drift, cell)}: {' '.join(plain(why).split())}")
        for sentence in drift.sentences:
            say(f"  {sentence.path}:{sentence.line}: reads {plain(sentence.new)!r}, read {plain(sentence.old)!r}")

    for said, names in deprecations_in(drifts).items():
        say(f"will change in a later version: {plain(said)} ({', '.join(names)})")


def print_report(
    out: Console, folder: Path | None, heading: Heading, drifts: Sequence[PageDrift], seconds: str = ""
) -> None:
    from ..drift import summary_of, write_report

    out.print(f"{count(drifts, 'page')}{seconds}: {summary_of(drifts)}")
    if folder:
        out.print(f"the report: {escape(str(write_report(folder, heading, drifts).resolve()))}")
