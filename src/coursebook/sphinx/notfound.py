"""404.html: a page of the site that works at any depth of address and at any place where the site is served."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from sphinx.application import Sphinx


def _pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    if app.builder.name != "html" or "404" in app.env.found_docs:
        return
    prefix = urlsplit(app.config.html_baseurl).path
    yield "404", {"title": "Page not found", "site_prefix": prefix.rstrip("/") + "/"}, "coursebook/404.html"


def setup_notfound(app: Sphinx) -> None:
    app.connect("html-collect-pages", _pages)
