"""Where the site is: one form of its address, whatever `html: baseurl` looks like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

ADDRESS_ALLOWED = "an address like https://example.org/course/"


class BadAddress(ValueError):
    """What is no address of a site."""


def site_address(given: object) -> str:
    """The address with a slash at its end, in characters that an address may have; nothing where none is given.

    Raises BadAddress.
    """
    if given is None or given == "":
        return ""
    if not isinstance(given, str) or any(character.isspace() for character in given.strip()):
        raise BadAddress(given)
    try:
        parts = urlsplit(given.strip())
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except ValueError:  # among them UnicodeError
        raise BadAddress(given) from None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or quote(host, ":") != host:
        raise BadAddress(given)
    place = f"[{host}]" if ":" in host else host
    path = quote(parts.path.rstrip("/"), safe="/%~!$&'()*+,;=:@") + "/"
    return urlunsplit((parts.scheme, f"{place}:{port}" if port else place, path, "", ""))


def allowed_server(value: Any) -> bool:
    """Whether `coursebook_live_server` can be that: an address, or `{url: …, token: …}`."""
    if isinstance(value, str):
        value = {"url": value}
    if not isinstance(value, Mapping) or not value.keys() <= {"url", "token"} or not isinstance(value.get("url"), str):
        return False
    try:
        parts = urlsplit(value["url"])
        _ = parts.port
    except ValueError:
        return False
    is_plain = not (parts.query or parts.fragment or parts.username or parts.password)
    return bool(parts.hostname) and is_plain and parts.scheme in ("http", "https") and _is_text(value.get("token", ""))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable()
