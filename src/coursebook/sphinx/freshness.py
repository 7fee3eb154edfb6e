"""freshness.html: every page with code, the state of its outputs and why, as one table that a reader can sort."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

from markupsafe import Markup
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from ..plan import Decision
from .claims import TAG
from .current import current
from .notice import worth_naming

NAME, TITLE = "freshness", "Freshness of the outputs"
COLUMNS = ("Page", "State", "Device", "Executed", "Seconds", "Packages", "Claims")


def _pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    if app.builder.name != "html" or NAME in app.env.found_docs or not current.decisions:
        return
    yield NAME, {"title": TITLE, "body": str(_body(app))}, "page.html"


def _offer_target(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Pages refer to it as they do to a heading: {ref}`freshness`."""
    standard: Any = env.get_domain("std")
    standard.note_hyperlink_target(NAME, NAME, "", TITLE)


def _body(app: Sphinx) -> Markup:
    rows = list(current.decisions.values())
    fresh = sum(decision.state == "current" for decision in rows)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    summary = (
        f"{fresh} of {len(rows)} pages with code {'is' if fresh == 1 else 'are'} current, as of {today}: "
        "their outputs follow from the code as it stands, from the files it reads, from the packages it imports and "
        "from the device it asks for, and nobody has altered them since."
    )
    head = Markup("").join(
        Markup('<th scope="col"{}><button type="button">{}</button></th>').format(
            Markup(' class="number"') if name in ("Seconds", "Claims") else "", name
        )
        for name in COLUMNS
    )
    return Markup(
        '<section id="freshness"><h1>{}</h1>\n<p>{}</p>\n<div class="freshness-table" '
        'tabindex="0" role="region" aria-label="Pages and the state of their outputs"><table class="freshness">\n'
        "<thead><tr>{}</tr></thead>\n<tbody>\n{}</tbody></table></div></section>\n"
    ).format(TITLE, summary, head, Markup("").join(_row(app, decision) for decision in rows))


def _row(app: Sphinx, decision: Decision) -> Markup:
    docname = decision.page.docname
    title = app.env.titles[docname].astext() if docname in app.env.titles else docname
    provenance = decision.stored.provenance if decision.stored else None
    page = Markup('<a href="{}">{}</a>').format(app.builder.get_relative_uri(NAME, docname), title)
    reasons = Markup('<span class="reasons">{}</span>').format("; ".join(decision.reasons)) if decision.reasons else ""
    state = Markup('<span class="state" data-state="{0}">{0}</span> {1}').format(decision.state, reasons)
    cells: list[tuple[object, object]] = [(title, page), (decision.state, state)]
    if provenance:
        packages = ", ".join(f"{name} {version}" for name, version in worth_naming(provenance))
        device = provenance.device_name or provenance.device.upper()
        if provenance.device_memory:
            device += f", {provenance.device_memory / 2**30:.1f} GiB"
        when = Markup('<time datetime="{}">{}</time>').format(provenance.executed, provenance.executed[:10])
        cells += [
            (device, device),
            (provenance.executed, when),
            (provenance.seconds, f"{provenance.seconds:.1f}"),
            (packages, Markup("{}<br>Python {}").format(packages, provenance.python)),
        ]
    else:
        cells += [("", "–")] * 4
    claims = sum(TAG in cell.tags for cell in decision.page.cells)
    cells.append((claims, str(claims or "–")))
    return Markup("<tr>{}</tr>\n").format(
        Markup("").join(Markup('<td data-sort="{}">{}</td>').format(key, text) for key, text in cells)
    )


def _add_script(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    if pagename == NAME:
        app.add_js_file("freshness.js", loading_method="defer")


def setup_freshness(app: Sphinx) -> None:
    app.connect("env-before-read-docs", _offer_target)
    app.connect("html-collect-pages", _pages)
    app.connect("html-page-context", _add_script)
