"""Writes `_headers`: the Content-Security-Policy of the site, for the hosts that read such a file (Netlify, Cloudflare
Pages and others); for the rest it is copied from there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from ...course import HEADER, HEADERS, policy_of
from ...ground import JsonFile
from ...live import origins
from .. import needs_of
from .feed import put
from .order import connect
from .share import BUILDERS, is_preview

SUFFIXES = (".html", ".htm", ".xhtml")


def _write(app: Sphinx, exception: Exception | None) -> None:
    if exception or app.builder.name not in BUILDERS:
        return
    live = app.config.coursebook_live
    talks = {"connect-src": origins(live.get("server", ""), live.get("binder", ""))} if live else {}
    headers = [(HEADER, policy_of([*_pages(app), talks, app.config.coursebook_csp or {}]))]
    if is_preview(app):
        headers.append(("X-Robots-Tag", "noindex"))
    put(app, HEADERS, "".join(["/*\n", *(f"  {name}: {value}\n" for name, value in headers)]).encode())


def _pages(app: Sphinx) -> Iterator[dict[str, list[str]]]:
    """What each page needs; a page that was not written again, or is what it was, isn't read again."""
    memory = JsonFile(Path(app.doctreedir) / "policy.json")
    try:
        known: dict[str, Any] = memory.read()
    except JsonFile.DAMAGED:
        known = {}
    found = {}
    for path in sorted(_files(app)):
        status = path.stat()
        name, state = path.relative_to(app.outdir).as_posix(), [status.st_mtime_ns, status.st_size]
        then = known.get(name)
        if then is None or then["state"] != state:
            # Sphinx writes some pages in each build, most of them as they were.
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            if then and then.get("digest") == digest:
                needed = then["needs"]
            else:
                needed = needs_of(content.decode("utf-8", errors="replace"))
            then = {"state": state, "digest": digest, "needs": needed}
        found[name] = then
        yield then["needs"]
    memory.write(found)


def _files(app: Sphinx) -> Iterator[Path]:
    """The documents of the site, without those in `_static` that are a theme's, which hold parts of templates."""
    static = Path(app.outdir) / "_static"
    themes = [Path(folder) / "static" for folder in app.builder.theme.get_theme_dirs()]  # type: ignore[attr-defined]
    for path in Path(app.outdir).rglob("*"):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            in_static = path.relative_to(static) if path.is_relative_to(static) else None
            if in_static is None or not any((theme / in_static).is_file() for theme in themes):
                yield path


def setup(app: Sphinx) -> None:
    connect(app, "build-finished", _write)
