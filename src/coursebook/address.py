"""Where the site is: one form of its address, whatever `html: baseurl` looks like."""

from __future__ import annotations

from urllib.parse import quote, urlsplit, urlunsplit

ALLOWED = "an address like https://example.org/course/"


def site_address(given: object) -> str:
    """The address with a slash at its end, in characters that an address may have; nothing where none is given.

    Raises ValueError for what is no address of a site.
    """
    if given is None or given == "":
        return ""
    if not isinstance(given, str) or any(character.isspace() for character in given.strip()):
        raise ValueError(given)
    parts = urlsplit(given.strip())  # may raise ValueError itself
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(given)
    try:
        host = parts.hostname.encode("idna").decode()
    except UnicodeError:
        raise ValueError(given) from None
    if quote(host, safe=":") != host:
        raise ValueError(given)
    host = f"[{host}]" if ":" in host else host
    place = f"{host}:{parts.port}" if parts.port else host
    return urlunsplit((parts.scheme, place, quote(parts.path.rstrip("/"), safe="/%~!$&'()*+,;=:@") + "/", "", ""))
