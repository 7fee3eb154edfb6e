"""What isn't released yet is not on the site: not its page, not its solutions, and no way of getting at their source.

Pages that are ahead are left out before Sphinx looks for any, links to them become plain text with the date, and
solutions are taken out of the page while it is read, before anything is collected from it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform

from ...course import Page, in_words, rows_of
from ...ground import STAGE, TOC
from .current import Current, current_of
from .order import connect

AHEAD = "coursebook_ahead"  # of a link that became text: the page that it will lead to
_LABEL = re.compile(
    r"^\((?P<target>[^)\s]+)\)=|^\s*:(?:label|name):\s*(?P<named>\S+)|\$\$\s*\((?P<equation>[^)\s]+)\)\s*$"
    r"|\{#(?P<id>[^\s{}]+)[^{}]*\}",
    re.MULTILINE,
)


def _leave_out(app: Sphinx, config: Config) -> None:
    current = current_of(app)
    withheld = current.withheld
    if not withheld:
        return
    config["exclude_patterns"] = [*config["exclude_patterns"], *(_literally(page.path) for page in withheld.values())]
    toc = yaml.safe_load((current.root / TOC).read_text(encoding="utf-8"))
    path = current.root / STAGE / "toc.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(_without(toc, withheld.keys()), sort_keys=False, allow_unicode=True), "utf-8")
    config["external_toc_path"] = path.as_posix()


def _literally(path: Path) -> str:
    """A pattern that matches nothing but `path`."""
    return re.sub(r"([*?\[])", r"[\1]", path.as_posix())


def _without(entry: Any, docnames: Any) -> Any:
    """A table of contents without the pages named; what stands below one of them moves up, what is empty goes."""
    if isinstance(entry, list):
        kept = []
        for item in entry:
            cleaned = _without(item, docnames)
            if isinstance(item, dict) and re.sub(r"\.(md|ipynb)$", "", str(item.get("file", ""))) in docnames:
                below = [child for key in ("sections", "entries", "chapters") for child in cleaned.get(key) or []]
                kept += [
                    *below,
                    *(child for tree in cleaned.get("subtrees") or [] for child in tree.get("sections") or []),
                ]
            elif not (isinstance(cleaned, dict) and {"caption"} >= cleaned.keys()):
                kept.append(cleaned)
        return kept
    if isinstance(entry, dict):
        cleaned = {key: _without(value, docnames) for key, value in entry.items()}
        return {key: value for key, value in cleaned.items() if value != [] or entry[key] == []}
    return entry


class LinksAhead(SphinxPostTransform):
    """Links to pages that are not released yet become their text, with the date where there is one to tell."""

    default_priority = 4  # before MyST's and Sphinx's own resolvers, and sphinx-exercise's

    def run(self, **kwargs: Any) -> None:
        current = current_of(self.env.app)
        withheld = current.withheld
        if not withheld:
            return
        labels = {label: page for page in withheld.values() for label in labels_of(page)}
        for reference in list(self.document.findall(addnodes.pending_xref)):
            target = str(reference["reftarget"])
            if reference["reftype"] == "doc" or reference["refdomain"] == "doc":
                page = withheld.get(_docname(self.env.docname, target, reference))
            else:
                page = labels.get(target.lower())
            if page is not None:
                reference.replace_self(_as_text(current, reference, page))


def _docname(here: str, target: str, reference: addnodes.pending_xref) -> str:
    if reference["refdomain"] == "doc":  # MyST's, which is already relative to the course's root
        return target
    return target.lstrip("/") if target.startswith("/") else (Path(here).parent / target).as_posix()


def labels_of(page: Page) -> set[str]:
    found = _LABEL.finditer(page.prose)
    return {(match["target"] or match["named"] or match["equation"] or match["id"]).lower() for match in found}


def _as_text(current: Current, reference: addnodes.pending_xref, page: Page) -> nodes.Node:
    is_explicit = reference.get("refexplicit") and reference.astext().strip()
    children = [child.deepcopy() for child in reference.children] if is_explicit else [nodes.Text(title_of(page))]
    text = nodes.inline("", "", *children, classes=["not-released"], **{AHEAD: page.docname})
    if current.moment is not None and current.moment.announces(page) and page.options.release:
        text += nodes.Text(f" (from {in_words(page.options.release)})")
    return text


def title_of(page: Page) -> str:
    rows = [row for _, row, kind in rows_of(page.prose) if kind == "text"]
    for row, below in zip(rows, [*rows[1:], ""], strict=True):
        if heading := re.fullmatch(r" {0,3}#\s+(.+?)(\s+#+)?\s*", row):
            return heading[1]
        if row.strip() and re.fullmatch(r" {0,3}=+\s*", below):
            return row.strip()
    return page.docname


class SolutionsAhead(SphinxTransform):
    """Solutions whose day hasn't come are taken out, and the first of them says when it will."""

    default_priority = 12  # after sphinx-exercise has put together what stands between `solution-start` and `-end`

    def apply(self, **kwargs: Any) -> None:
        current = current_of(self.env.app)
        page = next((page for page in current.pages if page.docname == self.env.docname), None)
        if page is None or current.moment is None or current.moment.shows_solutions(page):
            return
        day = page.options.solutions
        for solution in [node for node in self.document.findall() if type(node).__name__ == "solution_node"]:
            note = nodes.paragraph("", classes=["not-released"])
            note += nodes.Text(f"The solution will be here from {in_words(day)}." if day else "")
            solution.parent.replace(solution, note)


def _withhold_source(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """A page whose solutions are withheld doesn't offer its source, which has them."""
    current = current_of(app)
    page = next((page for page in current.pages if page.docname == pagename), None)
    if page is not None and current.moment is not None and not current.moment.shows_solutions(page):
        context["sourcename"] = ""


def setup(app: Sphinx) -> None:
    connect(app, "config-inited", _leave_out)
    connect(app, "html-page-context", _withhold_source)
    app.add_transform(SolutionsAhead)
    app.add_post_transform(LinksAhead)
