"""A Content-Security-Policy (https://www.w3.org/TR/CSP3/): its directives, and the header of several parts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping

Sources = Mapping[str, Iterable[str]]  # by directive
# Styles may stand in pages: MathJax writes its own while it runs.
BASE_POLICY: Sources = {
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
HEADER, HEADERS = "Content-Security-Policy", "_headers"  # the header, and the file in which hosts look for it
DIRECTIVES = (
    *BASE_POLICY,
    "child-src",
    "frame-ancestors",
    "manifest-src",
    "style-src-attr",
    "style-src-elem",
    "worker-src",
)


def policy_of(parts: Iterable[Sources]) -> str:
    """The header's value that allows all of `parts`, the same whatever their order."""
    allowed = {directive: list(sources) for directive, sources in BASE_POLICY.items()}
    more: dict[str, set[str]] = {}
    for part in parts:
        for directive, sources in part.items():
            more.setdefault(directive, set()).update(sources)
    for directive, given in sorted(more.items()):
        kept = allowed.setdefault(directive, [])
        kept += sorted(given - set(kept))
    return "; ".join(" ".join([directive, *(sources or ["'none'"])]) for directive, sources in allowed.items())


def sources_of(headers: str) -> dict[str, list[str]]:
    """What the policy in a file `_headers` allows, by directive; nothing where there is none in it."""
    found: dict[str, list[str]] = {}
    for row in headers.splitlines():
        name, _, value = row.strip().partition(": ")
        for part in value.split(";") if name == HEADER else ():
            directive, *sources = part.split()
            found[directive] = [source for source in sources if source != "'none'"]
    return found


def script_digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
