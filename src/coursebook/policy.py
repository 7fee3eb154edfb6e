"""The Content-Security-Policy that fits a site: what its pages hold may run and be loaded, and nothing else.

A script that stands in a page is named by its digest, so that one put there by somebody else doesn't run.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from html import unescape

Sources = Mapping[str, Iterable[str]]  # by directive

# Styles may stand in pages: MathJax writes its own while it runs.
BASE: Sources = {
    "default-src": ["'self'"],
    "script-src": ["'self'"],
    "script-src-attr": [],
    "style-src": ["'self'", "'unsafe-inline'"],
    "img-src": ["'self'", "data:"],
    "font-src": ["'self'", "data:"],
    "media-src": ["'self'", "data:"],
    "connect-src": ["'self'"],
    "frame-src": ["'self'"],
    "object-src": [],
    "base-uri": ["'self'"],
    "form-action": ["'self'"],
}
DIRECTIVES = (*BASE, "child-src", "frame-ancestors", "manifest-src", "style-src-attr", "style-src-elem", "worker-src")

_SCRIPT = re.compile(r"<script\b([^>]*)>(.*?)</script\s*>", re.DOTALL | re.IGNORECASE)
_TYPE = re.compile(r"""\btype\s*=\s*["']?([^\s"'>]+)""", re.IGNORECASE)
_SOURCE = re.compile(r"\bsrc\s*=", re.IGNORECASE)
# Text has its quotation marks escaped, so this stands in tags only.
_HANDLER = re.compile(r"""\son[a-z]+\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
_ELSEWHERE = re.compile(
    r"<(iframe|img|script|audio|video|source|track|embed|object|link)\b([^<>]*?)\s"
    r"""(?:src|href|data|poster)\s*=\s*["'](https?://[\w.:\[\]-]+)""",
    re.IGNORECASE,
)
_DIRECTIVE = {
    "iframe": "frame-src", "img": "img-src", "script": "script-src", "link": "style-src", "audio": "media-src",
    "video": "media-src", "source": "media-src", "track": "media-src", "embed": "object-src", "object": "object-src",
}  # fmt: skip


def needs(html: str) -> dict[str, list[str]]:
    """What a page needs beyond the site itself."""
    found: dict[str, set[str]] = {}
    for attributes, body in _SCRIPT.findall(html):
        kind = _TYPE.search(attributes)
        # What isn't a script is data for one, and needs no leave.
        is_script = kind is None or kind[1].lower() in ("module", "text/javascript", "application/javascript")
        if is_script and body and not _SOURCE.search(attributes):
            found.setdefault("script-src", set()).add(_digest(body))
    for double, single in _HANDLER.findall(html):
        found.setdefault("script-src-attr", set()).update(("'unsafe-hashes'", _digest(unescape(double or single))))
    for tag, attributes, origin in _ELSEWHERE.findall(html):
        if tag.lower() != "link" or "stylesheet" in attributes:
            found.setdefault(_DIRECTIVE[tag.lower()], set()).add(origin)
    return {directive: sorted(sources) for directive, sources in sorted(found.items())}


def policy(parts: Iterable[Sources]) -> str:
    """The header's value that allows all of `parts`, the same whatever their order."""
    allowed = {directive: list(sources) for directive, sources in BASE.items()}
    more: dict[str, set[str]] = {}
    for part in parts:
        for directive, sources in part.items():
            more.setdefault(directive, set()).update(sources)
    for directive, given in sorted(more.items()):
        kept = allowed.setdefault(directive, [])
        kept += sorted(given - set(kept))
    return "; ".join(" ".join([directive, *(sources or ["'none'"])]) for directive, sources in allowed.items())


def _digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
