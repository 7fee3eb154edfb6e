"""What a page of the site needs beyond the site itself, read from its HTML."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from contextlib import suppress
from html.parser import HTMLParser
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

from ..course import BASE_POLICY, Sources, script_digest

# Where elements name what is loaded for them: attribute and directive.
_LOADED = {
    "iframe": {"src": "frame-src"},
    "frame": {"src": "frame-src"},
    "img": {"src": "img-src", "srcset": "img-src"},
    "input": {"src": "img-src", "formaction": "form-action"},
    "image": {"href": "img-src", "xlink:href": "img-src"},
    "feimage": {"href": "img-src", "xlink:href": "img-src"},
    "script": {"src": "script-src", "href": "script-src", "xlink:href": "script-src"},
    "audio": {"src": "media-src"},
    "video": {"src": "media-src", "poster": "img-src"},
    "source": {"src": "media-src", "srcset": "img-src"},
    "track": {"src": "media-src"},
    "embed": {"src": "object-src"},
    "object": {"data": "object-src"},
    "form": {"action": "form-action"},
    "button": {"formaction": "form-action"},
    "base": {"href": "base-uri"},
}
_LINKED = {
    "stylesheet": "style-src", "icon": "img-src", "apple-touch-icon": "img-src", "manifest": "manifest-src",
    "modulepreload": "script-src",
}  # fmt: skip
_PRELOADED = {
    "audio": "media-src", "fetch": "connect-src", "font": "font-src", "image": "img-src", "script": "script-src",
    "style": "style-src", "track": "media-src", "video": "media-src",
}  # fmt: skip
# https://mimesniff.spec.whatwg.org/#javascript-mime-type; any other type is data for a script, and needs no leave.
_JAVASCRIPT = re.compile(r"((text|application)/(x-)?(java|ecma)script|text/(javascript1\.[0-5]|jscript|livescript))?")
_RUN = ("module", "importmap", "speculationrules")
_CANDIDATE = re.compile(r"[\s,]*([^\s,]\S*?)(?:,+(?=\s|$)|(?=\s)[^,]*,?|$)")  # of a srcset
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)  # of a style sheet
_FONT = re.compile(r"@font-face\s*\{([^}]*)\}", re.IGNORECASE)
_IMPORT = re.compile(r"""@import\s*(?:url\(\s*)?["']?([^"')\s;]+)""", re.IGNORECASE)
_URL = re.compile(r"""\burl\(\s*["']?([^"')\s]+)""", re.IGNORECASE)
_DATA = re.compile(r"data:(?P<kind>[^;,]*)(?P<more>[^,]*),(?P<content>[^#]*)", re.IGNORECASE | re.DOTALL)
_DOCUMENTS = ("text/html", "application/xhtml+xml", "image/svg+xml")  # in which scripts may stand
# Where data in the address would be as good as a script that somebody put there, or leads nowhere.
_NEVER = ("script-src", "base-uri", "form-action")
_RAW = ("iframe", "noembed", "noframes", "textarea", "title", "xmp")  # what stands in them is text


def needs_of(html: str) -> dict[str, list[str]]:
    """What a page needs beyond the site itself."""
    page = _Page()
    page.feed(html.replace("\r\n", "\n").replace("\r", "\n"))  # as a browser reads it before it takes a digest
    page.close()
    return {directive: sorted(sources) for directive, sources in sorted(page.found.items())}


class _Page(HTMLParser):
    """Reads a page and keeps what it needs, by directive.

    A template counts as well: scripts of the page take from it what runs then.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, set[str]] = {}
        self._base = ""
        self._inside = ""  # the element whose content is text
        self._is_noscript = False
        self._text: list[str] | None = None  # of a script or a style sheet that stands in the page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._inside:
            return
        given = {key: value or "" for key, value in reversed(attrs)}  # of two, the first counts
        for name in given:
            self._read(tag, name, given[name])
        if tag == "link":
            self._link(given)
        elif tag == "base":
            self._base = self._base or given.get("href", "").strip()
        elif tag == "style" or (tag == "script" and _runs(given) and not self._is_noscript):
            self._text = []
        elif tag == "noscript":
            self._is_noscript = True
        elif tag in _RAW:
            self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""
        elif tag == "noscript":
            self._is_noscript = False
        elif tag in ("script", "style") and self._text is not None:
            text, self._text = "".join(self._text), None
            if tag == "style":
                self._style(text)
            elif text:
                self._allow("script-src", script_digest(text))

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def parse_html_declaration(self, i: int) -> int:
        """`<![if …]>` outside a comment is one for browsers; Python's parser raises an error."""
        if self.rawdata.startswith("<![", i) and not self.rawdata.startswith("<![CDATA[", i):
            return self.rawdata.find(">", i) + 1 or -1
        return super().parse_html_declaration(i)

    def _read(self, tag: str, name: str, value: str) -> None:
        if name.startswith("on"):
            if not self._is_noscript:
                self._allow("script-src-attr", "'unsafe-hashes'", script_digest(value))
        elif name == "style":
            self._style(value)
        elif name == "background":
            self._load("img-src", value)
        elif tag == "iframe" and name == "srcdoc":
            self._allow_all(needs_of(value))  # the page's policy holds there as well
        elif directive := _LOADED.get(tag, {}).get(name):
            for address in _CANDIDATE.findall(value) if name == "srcset" else [value]:
                self._load(directive, address)

    def _link(self, given: Mapping[str, str]) -> None:
        for relation in given.get("rel", "").lower().split():
            directive = _PRELOADED.get(given.get("as", "").lower()) if relation == "preload" else _LINKED.get(relation)
            if directive:
                for address in (given.get("href", ""), *_CANDIDATE.findall(given.get("imagesrcset", ""))):
                    self._load(directive, address)

    def _style(self, css: str) -> None:
        css = _COMMENT.sub(" ", css)
        for block in _FONT.findall(css):
            for address in _URL.findall(block):
                self._load("font-src", address)
        css = _FONT.sub(" ", css)
        for address in _IMPORT.findall(css):
            self._load("style-src", address)
        for address in _URL.findall(_IMPORT.sub(" ", css)):
            self._load("img-src", address)

    def _load(self, directive: str, address: str) -> None:
        address, base = address.strip(), self._base if directive != "base-uri" else ""
        if directive == "object-src":  # Chromium asks for both, as a document in an object is in a frame
            self._load("frame-src", address)
        if origin := _origin(address, base):
            self._allow(directive, origin)
        elif data := _DATA.match(address):
            if directive not in _NEVER:
                self._allow_unless_given(directive, "data:")
            if directive == "frame-src" and data["kind"].strip().lower() in _DOCUMENTS:
                self._allow_all(needs_of(_content(data)))  # the page's policy holds there as well
        elif address and _is_relative(address, base):
            self._allow_unless_given(directive, "'self'")

    def _allow_unless_given(self, directive: str, source: str) -> None:
        if source not in BASE_POLICY.get(directive, ()):
            self._allow(directive, source)

    def _allow_all(self, needed: Sources) -> None:
        for directive, sources in needed.items():
            self._allow(directive, *sources)

    def _allow(self, directive: str, *sources: str) -> None:
        self.found.setdefault(directive, set()).update(sources)


def _runs(given: Mapping[str, str]) -> bool:
    """Whether what stands in a script runs, or steers what does."""
    kind = given.get("type", "").strip().lower()
    return not {"src", "href", "xlink:href"} & given.keys() and (bool(_JAVASCRIPT.fullmatch(kind)) or kind in _RUN)


def _origin(address: str, base: str) -> str:
    """The origin of an address, as a policy names it; empty for the site itself, and for what can't be named.

    One without a scheme, like `//a.example/x`, is that of the page.
    """
    try:
        parts = urlsplit(urljoin(base, address))
        host, port = (parts.hostname or "").encode("idna").decode(), f":{parts.port}" if parts.port else ""
    except ValueError:  # UnicodeError is one
        return ""
    if parts.scheme not in ("", "http", "https") or not re.fullmatch(r"[\w.-]+|[0-9a-f:]+", host):
        return ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{port}" if parts.scheme else f"{host}{port}"


def _content(data: re.Match[str]) -> str:
    """The document in an address of its own, whose scripts run under the policy of the page that holds it."""
    content = unquote_to_bytes(data["content"])
    if data["more"].replace(" ", "").lower().endswith(";base64"):
        with suppress(ValueError):
            content = base64.b64decode(b"".join(content.split()) + b"==")
    charset = re.search(r";\s*charset=\"?([\w.-]+)", data["more"], re.IGNORECASE)
    try:
        return content.decode(charset[1] if charset else "utf-8", "replace")
    except LookupError:
        return content.decode(errors="replace")


def _is_relative(address: str, base: str) -> bool:
    with suppress(ValueError):
        parts = urlsplit(urljoin(base, address))
        return not parts.scheme and not parts.netloc
    return False
