"""What a page says of its outputs: a line below its text, and a notice above it where they are not current."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sphinx.application import Sphinx

from ...course import CLAIM
from ...ground import html_template
from ...outputs import Decision, Provenance
from .assets import TEMPLATES
from .current import current_of
from .order import connect


@dataclass(frozen=True)
class Shown:
    """HTML with a place for the address of the freshness page, `{freshness}`; `notice` is empty where all is well."""

    line: str
    notice: str


def shown(decision: Decision) -> Shown:
    stored = decision.stored
    return Shown(_line(decision, stored.provenance) if stored else "", _notice(decision))


def _line(decision: Decision, provenance: Provenance) -> str:
    cells = decision.page.cells
    claims = sum(CLAIM in cell.tags for cell in cells)
    packages = ", ".join(f"{name} {version}" for name, version in worth_naming(provenance))
    facts = [
        f"{provenance.device_name or 'CPU'}, Python {provenance.python}" + (f", {packages}" if packages else ""),
        f"{len(cells)} cell{'' if len(cells) == 1 else 's'} in {provenance.seconds:.1f} s",
    ]
    if claims:
        facts.append(f"{claims} claims checked" if claims > 1 else "1 claim checked")
    if unseen := decision.unseen:
        facts.append(f"not watched: {unseen}")
    template = html_template(TEMPLATES, "coursebook/provenance.html")
    return template.render(executed=provenance.executed, facts=facts, state=decision.state)


def _notice(decision: Decision) -> str:
    if decision.state == "current":
        return ""
    head, text = _words(decision)
    return html_template(TEMPLATES, "coursebook/notice.html").render(state=decision.state, head=head, text=text)


def _words(decision: Decision) -> tuple[str, str]:
    provenance = decision.stored.provenance if decision.stored else None
    reasons = "; ".join(map(str, decision.reasons))
    shows = f"Shown are those of {provenance.executed[:10]}." if provenance else "There are none to be shown."
    match decision.state:
        case "failed":
            return "The last execution of this page failed.", f"{reasons}. Its outputs are not up to date. {shows}"
        case "missing":
            why = "It asks for a GPU, and where this site was built there is none." if decision.waits else ""
            return "This page has not been executed yet.", why
        case "provisional":
            return "These outputs are provisional.", (
                f"The page asks for a GPU and was executed on a CPU ({reasons}): times and last digits will differ."
            )
        case "altered":
            return "These outputs were altered by hand", f"after they were executed ({reasons})."
        case "due":
            return "These outputs are due to be made again:", f"{reasons}."
    return "These outputs are out of date:", f"{reasons}. {shows}"


def worth_naming(provenance: Provenance) -> list[tuple[str, str]]:
    """The packages that a reader wants to know: torch where it was used, else the first two."""
    named = [(name, version) for name, version in provenance.packages.items() if name == "torch"]
    return named or list(provenance.packages.items())[:2]


def _add(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Put the line below the page's text, and the notice below its title."""
    # A page without code, or that MyST-NB executes in this build, says nothing.
    current = current_of(app)
    decision = current.decisions.get(pagename)
    if decision is None or current.executes(pagename) or app.builder.format != "html" or "body" not in context:
        return
    told = shown(decision)
    address = context["pathto"]("freshness")
    # As plain text: a Markup on one side would escape the page on the other.
    body = str(context["body"]) + told.line.replace("{freshness}", address)
    before, title_end, after = body.partition("</h1>\n")
    notice = told.notice.replace("{freshness}", address)
    context["body"] = before + title_end + notice + after if title_end else notice + body


def setup(app: Sphinx) -> None:
    connect(app, "html-page-context", _add)
