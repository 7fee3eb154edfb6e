"""The report as one page for the browser, old beside new."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from markdown_it import MarkdownIt
from markupsafe import Markup
from nbformat import NotebookNode

from ..compare import difference_picture, picture_of
from ..ground import plain
from .judging import CellDrift, PageDrift
from .sentences import Sentence
from .words import Heading, T, aligned, deprecations_in, place_of, reasons_of, summary_of

_FENCE = re.compile(r"^\s*(?:`{3,}|~{3,}|:{3,})")
_COLUMNS = ("Page", "Verdict", "Cells changed", "Claims that fail", "Sentences that read otherwise")


def html(heading: Heading, drifts: Sequence[PageDrift]) -> str:
    """The report as one page that needs nothing beside it."""
    look = Path(__file__).parent / "templates"
    rows = Markup("").join(_row(drift) for drift in drifts)
    facts = Markup("").join(Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(*fact) for fact in heading.facts.items())
    return Markup(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        "<style>{css}</style></head>\n<body><main>\n<h1>{title}</h1>\n<p>{summary}.</p>\n<dl>{facts}</dl>\n"
        '<div class="wide" tabindex="0" role="region" aria-label="Pages"><table class="pages">\n'
        "<thead><tr>{columns}</tr></thead>\n<tbody>{rows}</tbody></table></div>\n"
        "{pages}\n{news}</main>\n<script>{script}</script></body></html>\n"
    ).format(
        title=heading.title,
        css=Markup((look / "report.css").read_text(encoding="utf-8")),
        summary=summary_of(drifts)[:1].upper() + summary_of(drifts)[1:],
        facts=facts,
        columns=Markup("").join(Markup('<th scope="col">{}</th>').format(name) for name in _COLUMNS),
        rows=rows,
        pages=Markup("\n").join(_section(heading, drift) for drift in drifts if _is_told(drift)),
        news=_news(drifts),
        script=Markup((look / "report.js").read_text(encoding="utf-8")),
    )


def _news(drifts: Sequence[PageDrift]) -> Markup:
    items = [
        Markup("<li><code>{}</code> ({})</li>").format(said, ", ".join(names))
        for said, names in deprecations_in(drifts).items()
    ]
    told = Markup("<section><h2>Will change in a later version</h2><ul>{}</ul></section>").format(
        Markup("").join(items)
    )
    return told if items else Markup()


def _is_told(drift: PageDrift) -> bool:
    return drift.verdict not in ("same", "skipped")


def _row(drift: PageDrift) -> Markup:
    name = Markup('<a href="#{0}">{0}</a>').format(drift.page.docname) if _is_told(drift) else drift.page.docname
    verdict = Markup('<span class="verdict" data-verdict="{0}">{0}</span> {1}').format(drift.verdict, drift.skipped)
    numbers = (len(drift.changed), len(drift.failed_claims), len(drift.sentences))
    return Markup("<tr><td>{}</td><td>{}</td>{}</tr>\n").format(
        name, verdict, Markup("").join(Markup('<td class="number">{}</td>').format(n or "–") for n in numbers)
    )


def _section(heading: Heading, drift: PageDrift) -> Markup:
    parts: list[Markup] = []
    if drift.packages:
        told = ", ".join(f"{name} {was} → {now}" for name, was, now in drift.packages)
        parts.append(Markup("<p>Packages: {}</p>").format(told))
    if drift.failure:
        parts.append(_pre(plain(drift.failure)))
    if drift.failed_claims:
        items = [Markup("<li>Line {}: {}</li>").format(c.cell.line, c.failed_claim) for c in drift.failed_claims]
        parts.append(Markup("<h3>Claims that fail</h3><ul>{}</ul>").format(Markup("").join(items)))
    if drift.sentences:
        parts.append(Markup("<h3>Sentences that read otherwise</h3><ul>{}</ul>").format(
            Markup("").join(Markup("<li>{}:{}: {}</li>").format(s.path, s.line, _sentence(s)) for s in drift.sentences)
        ))  # fmt: skip
    changed = [cell for cell in drift.cells if cell.comparison.verdict == "changed" and not cell.failed_claim]
    within = [cell for cell in drift.cells if cell.comparison.verdict == "within tolerance"]
    parts += [_article(heading, drift, cell) for cell in changed]
    if within:
        inner = Markup("").join(_article(heading, drift, cell) for cell in within)
        count = f"{len(within)} cell{'' if len(within) == 1 else 's'} within tolerance"
        parts.append(Markup("<details><summary>{}</summary>{}</details>").format(count, inner))
    return Markup(
        '<section id="{0}"><h2>{0} <span class="verdict" data-verdict="{1}">{1}</span></h2>\n{2}</section>'
    ).format(drift.page.docname, drift.verdict, Markup("\n").join(parts))


def _sentence(sentence: Sentence) -> Markup:
    return Markup("").join(
        Markup("<del>{}</del><ins>{}</ins>").format(a, b) if a != b else Markup("{}").format(a)
        for a, b in aligned(sentence.old, sentence.new)
    )


def _article(heading: Heading, drift: PageDrift, cell: CellDrift) -> Markup:
    verdict = cell.comparison.verdict
    before, after = _prose_around(drift, cell)
    why = Markup("").join(Markup("<li>{}</li>").format(told) for told in reasons_of(cell, verdict))
    return Markup(
        '<article><h3>{place} <span class="verdict" data-verdict="{verdict}">{verdict}</span></h3>\n'
        '<ul class="why">{why}</ul>\n{before}{source}\n{outputs}{after}</article>'
    ).format(
        place=place_of(drift, cell), verdict=verdict, why=why, source=_pre(cell.cell.source),
        before=before, after=after, outputs=_outputs(heading, cell),
    )  # fmt: skip


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
    text = parser.render("\n".join(rows)) if rows else ""
    return Markup('<div class="prose">{}</div>\n').format(Markup(text)) if text else Markup()


def _outputs(heading: Heading, cell: CellDrift) -> Markup:
    """The two sides: texts with their differences marked, then what else there is, then the figures in pairs."""
    sides = [_texts(cell.old), _texts(cell.new)]
    parts = []
    if any(sides):
        old, new = Markup(), Markup()
        for a, b in aligned(*sides):
            old += Markup("<del>{}</del>").format(a) if a != b else Markup("{}").format(a)
            new += Markup("<ins>{}</ins>").format(b) if a != b else Markup("{}").format(b)
        parts.append(_beside(heading, _pre(old), _pre(new)))
    for before, after in _paired(list(_pages(cell.old)), list(_pages(cell.new))):
        parts.append(_beside(heading, _frame(before), _frame(after)))
    for old_picture, new_picture in _paired(_pictures(cell.old), _pictures(cell.new)):
        parts.append(_figures(heading, old_picture, new_picture))
    return Markup("\n").join(parts)


def _pre(text: str) -> Markup:
    return Markup('<pre tabindex="0">{}</pre>').format(text)  # what scrolls must be reached by the keyboard


def _beside(heading: Heading, old: Markup, new: Markup) -> Markup:
    return Markup(
        '<div class="beside"><div><p class="side">{}</p>{}</div><div><p class="side">{}</p>{}</div></div>'
    ).format(heading.then, old, heading.now, new)  # fmt: skip


def _frame(page: str | None) -> Markup:
    # HTML that a cell made: shown as readers see it, and kept from doing anything.
    if page is None:
        return Markup("<p>nothing</p>")
    return Markup('<iframe sandbox srcdoc="{}" title="output"></iframe>').format(page)


def _figures(heading: Heading, old: bytes | None, new: bytes | None) -> Markup:
    if old is None or new is None:
        sides = [_image(data, name) if data else Markup("<p>no figure</p>") for data, name in
                 ((old, heading.then), (new, heading.now))]  # fmt: skip
        return _beside(heading, *sides)
    return Markup(
        '<figure class="pair"><div class="sides">'
        '<div><p class="side">{then}</p>{old}</div><div><p class="side">{now}</p>{new}</div>'
        '<div class="difference"><p class="side">Where they differ</p>{difference}</div></div></figure>'
    ).format(
        then=heading.then, now=heading.now, old=_image(old, heading.then), new=_image(new, heading.now),
        difference=_image(difference_picture(old, new), "difference"),
    )  # fmt: skip


def _image(data: bytes, name: str) -> Markup:
    return Markup('<img src="data:image/png;base64,{}" alt="figure, {}">').format(base64.b64encode(data).decode(), name)


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
