"""The course of this repository, built: what a reader gets, as files."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from conftest import ROOT
from coursebook.course.course import Course

pytestmark = pytest.mark.site


class _Page(HTMLParser):
    """Collects what a page refers to and the ids it offers."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.images_without_alt: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.ids.add(str(given["id"]))
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        if tag in ("script", "img", "iframe", "source", "audio", "video") and given.get("src"):
            self.loads.append(str(given["src"]))
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload") and given.get("href"):
            self.loads.append(str(given["href"]))
        if tag == "img" and not given.get("alt"):
            self.images_without_alt.append(str(given.get("src")))


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, _Page]:
    found = (p for p in site.rglob("*.html") if "_static" not in p.parts)
    return {p.relative_to(site).as_posix(): _Page(p.read_text(encoding="utf-8")) for p in found}


@pytest.fixture(scope="module")
def course() -> Course:
    return Course.load(ROOT)


def test_every_page_of_the_toc_is_there(course: Course, pages: dict[str, _Page]) -> None:
    docnames = [page.docname for page in course.pages]
    assert docnames[0] == "index"
    for name in ("days/day08", "days/day09", "labs/micrograd", "labs/mini-project", "labs/getting-started"):
        assert name in docnames
    assert {f"{name}.html" for name in docnames} <= pages.keys()
    assert {"404.html", "search.html"} <= pages.keys()


def test_links_inside_the_site_lead_somewhere(site: Path, pages: dict[str, _Page]) -> None:
    broken = []
    for name, page in pages.items():
        if name == "404.html":  # resolved against the site's root by its base
            assert all((site / link).exists() for link in page.links)
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (site / name).parent / unquote(parts.path) if parts.path else site / name
            relative = target.resolve().relative_to(site).as_posix()
            if not target.exists():
                broken.append(f"{name} -> {link}")
            elif parts.fragment and relative in pages and unquote(parts.fragment) not in pages[relative].ids:
                broken.append(f"{name} -> {link} (no such anchor)")
    assert not broken


def test_the_published_anchor_works(pages: dict[str, _Page]) -> None:
    assert "cross-entropy-loss-and-softmax" in pages["days/day08.html"].ids
    assert "day08.html#cross-entropy-loss-and-softmax" in pages["days/day09.html"].links


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[str, _Page]) -> None:
    for name, page in pages.items():
        for source in page.loads:
            parts = urlsplit(source)
            assert not parts.netloc, f"{name} loads {source}"
            if parts.scheme != "data":
                assert ((site / name).parent / unquote(parts.path)).exists(), f"{name} loads {source}"
    # A notice in MathJax's own text may name its home; nothing else may be fetched by our scripts and styles.
    for path in (*site.glob("_static/*.css"), *site.glob("_static/softmax.js"), *site.glob("_static/descent.js")):
        assert not re.search(r"(?:url\(|@import|fetch\(|src=)\s*[\"']?https?:", path.read_text()), path


def test_claims_are_nowhere(site: Path, course: Course) -> None:
    secrets = {
        line.strip()
        for page in course.pages
        for cell in page.cells
        if "claim" in cell.tags
        for line in cell.source.splitlines()
        if line.strip().startswith("assert ")
    }
    assert len(secrets) > 50
    for path in [*site.rglob("*.html"), site / "searchindex.js"]:
        text = unescape(re.sub(r"<[^>]+>", "", path.read_text(encoding="utf-8")))
        for secret in secrets:
            assert secret not in text, path


def test_numbers_in_the_prose_come_from_the_run(course: Course, site: Path) -> None:
    """A name that no cell glues is a warning, which fails the build; here it must also have become a number."""
    for page in course.pages:
        if page.cells:
            assert len(re.findall(r"\{glue:[a-z]+\}`[\w-]+", page.text)) >= 5, page.path
            assert "glue:" not in (site / f"{page.docname}.html").read_text(encoding="utf-8"), page.path


def test_pages_are_well_made(course: Course, pages: dict[str, _Page]) -> None:
    for page in course.pages:
        assert page.front_matter.get("description"), f"{page.path} has no description"
        assert not pages[f"{page.docname}.html"].images_without_alt, page.path
        for cell in page.cells:
            wide = [
                line
                for line in cell.source.splitlines()
                if len(line) > 88 and not {"claim", "hide-input"} & set(cell.tags)
            ]
            assert not wide, f"{page.path}:{cell.line}: code wider than the page: {wide}"
        if page.cells:
            assert sum("claim" in cell.tags for cell in page.cells) >= 5, page.path
            assert "manual_seed" in page.text, page.path


@pytest.mark.parametrize(
    "wrong",
    [
        r"\bPytorch\b",
        r"Demyst?fying(?! PyTorch)|Demistifying|Demystfying",
        r"latent (?:variable|value|tensor)",
        r"optim = torch\.optim",
        r"\binput = torch",
        r"TODO|in construction|Lorem",
        r"10:25-10:55",
        r"knarly|bajillon|Woosh",
    ],
)
def test_the_sources_errors_are_gone(course: Course, wrong: str) -> None:
    for page in course.pages:
        match = re.search(wrong, page.text)
        assert match is None, f"{page.path}: {match}"


def test_weights(site: Path) -> None:
    """What every page loads besides its own text and figures, in kB (uncompressed)."""
    html = (site / "days/day08.html").read_text()
    page = _Page(html)
    loaded = {((site / "days").joinpath(urlsplit(s).path)).resolve() for s in page.loads if not s.startswith("data:")}
    scripts = sum(p.stat().st_size for p in loaded if p.suffix == ".js") / 1000
    styles = sum(p.stat().st_size for p in loaded if p.suffix == ".css") / 1000
    assert scripts < 1500, "MathJax is 1160 of them"
    assert styles < 650
    assert "fontawesome.js" not in html
    assert "searchindex.js" not in html
    assert "tex-chtml.js" in html
    home = (site / "index.html").read_text()
    assert "tex-chtml.js" not in home, "no mathematics, no MathJax"
    assert "MathJax" not in home
