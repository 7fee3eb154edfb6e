"""The report as Markdown, for a pull request or a job's summary."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..ground import plain
from .judging import PageDrift
from .sentences import Sentence
from .words import Heading, aligned, deprecations_in, reasons_of, summary_of

# What a pull request still shows of a text.
_LONGEST = 160
_MOST = 12


def markdown(heading: Heading, drifts: Sequence[PageDrift]) -> str:
    """The report for a pull request or a job's summary."""
    rows = [f"## {heading.title}", "", f"{summary_of(drifts)[:1].upper()}{summary_of(drifts)[1:]}.", ""]
    rows += [f"- {name}: {fact}" for name, fact in heading.facts.items()]
    told = [drift for drift in drifts if drift.verdict != "same"]
    if told:
        rows += ["", "| page | verdict | cells | claims that fail | sentences |", "| --- | --- | ---: | ---: | ---: |"]
    for drift in told:
        cells, claims = len(drift.changed) or "", len(drift.failed_claims) or ""
        moved = len(drift.sentences) or ""
        rows.append(f"| `{drift.page.docname}` | {_verdict_word(drift)} | {cells} | {claims} | {moved} |")
    for drift in told:
        rows += _page_in_markdown(drift)
    if news := deprecations_in(drifts):
        rows += ["", "### Will change in a later version", ""]
        rows += [f"- {_quoted(said)} ({', '.join(f'`{name}`' for name in names)})" for said, names in news.items()]
    return "\n".join(rows) + "\n"


def _verdict_word(drift: PageDrift) -> str:
    return f"skipped: {drift.skipped}" if drift.skipped else f"**{drift.verdict}**"


def _page_in_markdown(drift: PageDrift) -> Iterator[str]:
    if drift.skipped:
        return
    yield from ("", f"### `{drift.page.path.as_posix()}`", "")
    if drift.failure:
        yield from ("```text", plain(drift.failure).replace("```", "'''")[:4000], "```")
    for cell in drift.failed_claims:
        yield f"- **claim fails**, line {cell.cell.line}: {_quoted(cell.failed_claim)}"
    for sentence in drift.sentences:
        yield f"- sentence, {sentence.path}:{sentence.line}: {_quoted(_marked(sentence, '~~{}~~ **{}**'))}"
    for cell in drift.changed:
        told = [] if cell.failed_claim else reasons_of(cell, "changed")
        for why in told[:_MOST]:
            yield f"- line {cell.cell.line}: {_quoted(why)}"
        if len(told) > _MOST:
            yield f"- line {cell.cell.line}: and {len(told) - _MOST} more differences"
    within = [cell for cell in drift.cells if cell.comparison.verdict == "within tolerance"]
    if within:
        yield f"- within tolerance: {len(within)} cell{'' if len(within) == 1 else 's'}"
    if drift.packages:
        yield "- packages: " + ", ".join(f"{name} {was} → {now}" for name, was, now in drift.packages)


def _quoted(text: str) -> str:
    """Text of outputs on one line, cut, and without what Markdown would make of it."""
    text = " ".join(plain(text).split())
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return re.sub(r"([\\`_\[\]<>|@#])", r"\\\1", text)


def _marked(sentence: Sentence, form: str) -> str:
    """A sentence in which what has changed stands as `form` puts old and new."""
    return "".join(form.format(a.strip(), b.strip()) + (" " if b[-1:] == " " else "") if a != b else a
                   for a, b in aligned(sentence.old, sentence.new))  # fmt: skip
