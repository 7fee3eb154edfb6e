"""sitemap.xml, feed.xml and robots.txt: which pages there are, since when, and who may look.

Own code: sphinx-sitemap lists the pages that this build has written, not those of the site, and 404 and search among
them; feedgen brings lxml (12 MB) for forty lines. Dates are git's and the store's, and missing where they aren't known.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from markupsafe import Markup
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from ...course import Page
from ...ground import STAGE
from .. import Span, history_of
from .current import Current, current_of
from .description import tidy
from .order import connect
from .share import BUILDERS, Shared, address_of, course_title, is_preview, site_of

SITEMAP, FEED, ROBOTS = "sitemap.xml", "feed.xml", "robots.txt"
ATOM = "http://www.w3.org/2005/Atom"
SITEMAPS = "http://www.sitemaps.org/schemas/sitemap/0.9"
_UNKNOWN = Span(None, None)


@dataclass(frozen=True)
class Dates:
    """Of a page: since when it has been on the site, and when it was last changed; None for what isn't known.

    `updated` is the best that is known for the feed, where an entry needs a date.
    """

    published: datetime.datetime | None
    changed: datetime.datetime | None
    updated: datetime.datetime | None


def dates_of(current: Current, page: Page, dependencies: Iterable[str] = ()) -> Dates:
    """The dates of a page that is released, with the files that it includes and shows."""
    spans = current.spans
    source = spans.get(page.path.as_posix(), _UNKNOWN)
    release, solutions = _midnight(current, page.options.release), _midnight(current, page.options.solutions)
    decision = current.decisions.get(page.docname)
    stored = decision.stored if decision else None
    executed = datetime.datetime.fromisoformat(stored.provenance.executed) if stored else None
    parts = [source, *(spans[name] for name in sorted(dependencies) if name in spans)]
    is_known = all(part.last for part in parts)
    # What was written before its day appeared on its day.
    changed = _latest(*(part.last for part in parts), executed, release, solutions) if is_known else None
    published = _latest(source.first, release) if source.first or release else None
    return Dates(published, changed, _latest(published, changed) or executed)


def _midnight(current: Current, day: datetime.date | None) -> datetime.datetime | None:
    """When that day began where the course is taught; None for a day that is still to come."""
    if day is None or current.course is None or current.moment is None or day > current.moment.day:
        return None
    zone = current.course.timezone or datetime.UTC
    return datetime.datetime.combine(day, datetime.time(), zone).astimezone(datetime.UTC)


def _latest(*moments: datetime.datetime | None) -> datetime.datetime | None:
    return max((moment for moment in moments if moment is not None), default=None)


def _pages(current: Current) -> list[Page]:
    """The pages that are on the site and in its table of contents."""
    return [page for page in current.pages if not page.front_matter.get("orphan")]


def _look_up(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> Iterable[str]:
    """Learn the dates before pages are written; whether there is a feed stands on all of them."""
    current = current_of(app)
    current.spans, has_feed = {}, False
    if app.builder.name in BUILDERS and site_of(app) and not is_preview(app) and current.course is not None:
        current.spans = history_of(Path(app.srcdir), Path(app.srcdir) / STAGE / "history.json")
        has_feed = any(dates_of(current, page).updated for page in _pages(current)[1:])
    had_feed = getattr(env, "coursebook_has_feed", has_feed)
    env.coursebook_has_feed = has_feed  # type: ignore[attr-defined]
    return env.all_docs if had_feed != has_feed else ()


def _link_feed(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    if app.builder.name in BUILDERS and getattr(app.env, "coursebook_has_feed", False):
        link = Markup('\n    <link rel="alternate" type="application/atom+xml" title="{}" href="{}" />').format(
            course_title(app), context["pathto"](FEED, 1)
        )
        context["metatags"] = str(context.get("metatags") or "") + str(link)


def _write(app: Sphinx, exception: Exception | None) -> None:
    current = current_of(app)
    if exception or app.builder.name not in BUILDERS:
        return
    site, preview = site_of(app), is_preview(app)
    files: dict[str, bytes | None] = {SITEMAP: None, FEED: None, ROBOTS: None}
    if preview:
        files[ROBOTS] = b"User-agent: *\nDisallow: /\n"
    elif site and current.course is not None:
        files[SITEMAP] = _xml(_sitemap(app))
        files[ROBOTS] = f"User-agent: *\nDisallow:\n\nSitemap: {site}{SITEMAP}\n".encode()
        if getattr(app.env, "coursebook_has_feed", False):
            files[FEED] = _xml(_feed(app))
    for name, content in files.items():
        put(app, name, content, is_forced=preview)


def put(app: Sphinx, name: str, content: bytes | None, *, is_forced: bool = False) -> None:
    """Write a file of the site, or remove the one that an earlier build wrote; the author's own of that name stays."""
    path = Path(app.outdir) / name
    own = [Path(app.srcdir) / entry for entry in app.config.html_extra_path]
    if not is_forced and any(entry.name == name or (entry / name).is_file() for entry in own):
        return
    if content is None:
        path.unlink(missing_ok=True)
    else:
        path.write_bytes(content)


def _sitemap(app: Sphinx) -> ET.Element:
    current = current_of(app)
    root = ET.Element("urlset", xmlns=SITEMAPS)
    for page in _pages(current):
        if "noindex" in _robots(page):
            continue
        url = ET.SubElement(root, "url")
        ET.SubElement(url, "loc").text = address_of(app, page.docname)
        changed = dates_of(current, page, app.env.dependencies.get(page.docname, ())).changed
        if changed is not None:
            ET.SubElement(url, "lastmod").text = _stamp(changed)
    return root


def _robots(page: Page) -> str:
    """What the page itself says to search engines, in MyST's `html_meta`."""
    myst = page.front_matter.get("myst")
    given = myst.get("html_meta") if isinstance(myst, dict) else None
    return str(given.get("robots", "")) if isinstance(given, dict) else ""


def _feed(app: Sphinx) -> ET.Element:
    current = current_of(app)
    site = site_of(app)
    entries = sorted(_entries(app), key=lambda entry: (entry[0], entry[1]), reverse=True)
    author = current.course.config.get("author") if current.course else None
    # What https://www.rfc-editor.org/rfc/rfc4287 asks for, with the namespace as the default one.
    feed = ET.Element("feed", xmlns=ATOM)
    _put(feed, "title", course_title(app))
    _put(feed, "id", site)
    _put(feed, "updated", _stamp(max(updated for _, _, updated, _ in entries)))
    ET.SubElement(feed, "link", rel="self", type="application/atom+xml", href=site + FEED)
    ET.SubElement(feed, "link", rel="alternate", type="text/html", href=site)
    _put(ET.SubElement(feed, "author"), "name", tidy(str(author or "")) or course_title(app))
    feed.extend(entry for _, _, _, entry in entries)
    return feed


def _entries(app: Sphinx) -> Iterator[tuple[datetime.datetime, str, datetime.datetime, Any]]:
    """Of each page but the home page: when it came, its name, when it was changed, and its entry."""
    current = current_of(app)
    for page in _pages(current)[1:]:
        dates = dates_of(current, page)
        if dates.updated is None:
            continue
        shared, address = Shared.read(app, page.docname), address_of(app, page.docname)
        entry = ET.Element("entry")
        _put(entry, "title", shared.title)
        _put(entry, "id", address)
        _put(entry, "updated", _stamp(dates.updated))
        if dates.published is not None:
            _put(entry, "published", _stamp(dates.published))
        ET.SubElement(entry, "link", rel="alternate", type="text/html", href=address)
        if shared.description:
            _put(entry, "summary", shared.description)
        yield dates.published or dates.updated, page.docname, dates.updated, entry


def _put(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = text


def _stamp(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).isoformat(timespec="seconds")


def _xml(root: ET.Element) -> bytes:
    ET.indent(root, " ")
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def setup(app: Sphinx) -> None:
    connect(app, "env-get-outdated", _look_up)
    connect(app, "html-page-context", _link_feed)
    connect(app, "build-finished", _write)
