"""404.html: a page of the site that works at any depth of address and at any place where the site is served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from markupsafe import Markup
from sphinx.application import Sphinx

from .order import connect


def _pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    if app.builder.name != "html" or "404" in app.env.found_docs:
        return
    prefix = urlsplit(app.config.html_baseurl).path.rstrip("/") + "/"
    yield "404", {"site_prefix": prefix, "logo_svg": _logo(app)}, "coursebook/404.html"


def _logo(app: Sphinx) -> Markup:
    """The course's own logo as SVG (the page loads no pictures), or nothing."""
    path = Path(app.srcdir) / (app.config.html_logo or "")
    if path.suffix != ".svg" or not path.is_file():
        return Markup()
    text = path.read_text(encoding="utf-8")
    return Markup(text[text.find("<svg") :])


def setup(app: Sphinx) -> None:
    connect(app, "html-collect-pages", _pages)
