"""Styles and scripts that an extension copies when all is written get the version in their address that others have.

Sphinx puts a checksum behind the address of each, so that no browser takes an old one from its cache; of what isn't
there yet it has none. In the next build it is there: without this, pages would differ by which build wrote them.
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from .order import connect


def _note(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Remember what pages ask for and isn't there yet."""
    for asset in [*context.get("css_files", ()), *context.get("script_files", ())]:
        name = str(getattr(asset, "filename", asset) or "")
        if name and "://" not in name and "?" not in name and not (Path(app.outdir) / name).is_file():
            _late(app).add(name)


def _late(app: Sphinx) -> set[str]:
    if not hasattr(app, "_coursebook_late"):
        app._coursebook_late = set()  # type: ignore[attr-defined]
    return app._coursebook_late  # type: ignore[attr-defined, no-any-return]


def _mend(app: Sphinx, exception: Exception | None) -> None:
    """Give their addresses the checksum of what has come since, as `sphinx.builders.html._assets` makes it."""
    if exception or app.builder.format != "html":
        return
    versions = {}
    for name in _late(app):
        path = Path(app.outdir) / name
        if path.is_file() and (content := path.read_bytes().replace(b"\r", b"")):
            versions[name.encode()] = f"?v={zlib.crc32(content):08x}".encode()
    if not versions:
        return
    # As an attribute ends; longer names first, as one may end like another.
    names = b"|".join(re.escape(name) for name in sorted(versions, key=len, reverse=True))
    pattern = re.compile(rb'(?<=[/"])(' + names + rb')(?=")')
    for path in Path(app.outdir).rglob("*.html"):
        before = path.read_bytes()
        after = pattern.sub(lambda match: match[1] + versions[match[1]], before)
        if after != before:
            path.write_bytes(after)


def setup(app: Sphinx) -> None:
    connect(app, "html-page-context", _note)
    connect(app, "build-finished", _mend)
