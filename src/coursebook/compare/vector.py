"""An SVG as its parts: the words that it shows, its colors, and its shapes apart from where exactly they stand.

Read by patterns and not by a parser of XML: an SVG in HTML needn't be well-formed, matplotlib's words stand in
comments, and a text is hidden at its very place in the source, which parsers don't tell.
"""

from __future__ import annotations

import hashlib
import html
import re
from dataclasses import dataclass
from functools import lru_cache

_DATA = re.compile(r"data:[\w.+/-]+;base64,[A-Za-z0-9+/=\s]+")
_PROLOG = re.compile(r"<\?.*?\?>|<!DOCTYPE[^>]*>|<metadata\b.*?</metadata>", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_IDS = re.compile(r"""(?P<before>\bid\s*=\s*["']|href\s*=\s*["']\#|url\(\s*["']?\#)(?P<name>[^"')]+)""")
_SPACE = re.compile(r"\s+")
_PLACES = re.compile(
    r"""\b(?P<name>d|x|y|x1|x2|y1|y2|cx|cy|width|height|points|viewBox|transform)\s*=\s*(?P<value>"[^"]*"|'[^']*')"""
)
_NUMBER = re.compile(r"(?<![\w.])[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_TRANSLATION = re.compile(r"translate\([^)]*\)")
_DEFINITION = re.compile(r"<defs\b.*?</defs>", re.DOTALL)
_COLORS = re.compile(
    r"(?P<what>fill|stroke|stop-color)\s*(?::|=\s*[\"'])\s*(?P<color>#[0-9a-fA-F]{3,8}|rgba?\([^)]*\))"
)
_DASHES = re.compile(r"stroke-dasharray\s*(?::|=)\s*[\"']?\s*\d")
_PIECE = re.compile(
    r"<!--(?P<comment>.*?)-->|<(?P<end>/)?(?P<tag>g|text|svg)\b(?P<attributes>[^<>]*?)(?P<alone>/)?>|(?P<other><[^!?][^>]*>)",
    re.DOTALL,
)
_ID = re.compile(r"""\bid\s*=\s*["']([^"']*)["']""")
_PLAIN = re.compile(r"^\$\\mathdefault\{(?P<text>.*)\}\$$")  # how matplotlib writes the numbers of some axes
_TAG = re.compile(r"<[^>]*>")
_GROUPS = re.compile(r"<(?P<end>/)?(?:[\w:-]+)\b[^<>]*?(?P<alone>/)?>")


@dataclass(frozen=True)
class Words:
    """A text in a figure: the panel that it stands in (from 1; 0: the figure), what it is there, and itself.

    `at` is where the tag that draws it stands in the source.
    """

    panel: int
    role: str
    text: str
    at: int

    @property
    def place(self) -> str:
        return f"{self.role} of panel {self.panel}" if self.panel > 1 else self.role


@dataclass(frozen=True)
class Vector:
    """An SVG. Two with the same `skeleton` have the same elements, styles and words.

    `places` are the numbers that say where they stand, in user units; `outlines` those of letters and markers.
    """

    source: str
    skeleton: str
    places: tuple[float, ...]
    outlines: tuple[float, ...]

    @property
    def unit(self) -> float:
        """Pixels for a user unit; matplotlib's are points."""
        root = re.search(r"<svg\b[^>]*>", self.source)
        return 4 / 3 if root and re.search(r"""\bwidth\s*=\s*["'][\d.]+pt""", root[0]) else 1.0

    @property
    def words(self) -> tuple[Words, ...]:
        return _words(self.source)

    @property
    def colors(self) -> frozenset[str]:
        return frozenset(match["color"].lower() for match in _COLORS.finditer(_DATA.sub("", self.source)))

    @property
    def has_dashes(self) -> bool:
        return _DASHES.search(self.source) is not None

    def count(self, name: str) -> int:
        """How many groups matplotlib has given such a name: `axes`, `legend`."""
        return len(set(re.findall(rf"""\bid\s*=\s*["']({name}_\d+)["']""", self.source)))

    @property
    def depth(self) -> int:
        """How deep its elements are nested."""
        depth = deepest = 0
        for match in _GROUPS.finditer(_COMMENT.sub("", self.source)):
            if match["end"]:
                depth -= 1
            elif not match["alone"]:
                depth += 1
                deepest = max(deepest, depth)
        return deepest


@lru_cache(maxsize=8)
def parse_svg(source: str) -> Vector:
    """The parts of an SVG; of one that is broken as far as they can be seen."""
    text = _DATA.sub(lambda match: f"data:{hashlib.sha256(_SPACE.sub('', match[0]).encode()).hexdigest()}", source)
    text = _COMMENT.sub("", _PROLOG.sub("", text))
    names: dict[str, str] = {}
    text = _IDS.sub(lambda match: match["before"] + names.setdefault(match["name"], f"id{len(names)}"), text)
    places: list[float] = []
    outlines: list[float] = []
    end, pieces = 0, []
    for definition in _DEFINITION.finditer(text):
        pieces.append(_without_numbers(text[end : definition.start()], places))
        pieces.append(_without_numbers(definition[0], outlines))
        end = definition.end()
    pieces.append(_without_numbers(text[end:], places))
    return Vector(source, _SPACE.sub(" ", "".join(pieces)), tuple(places), tuple(outlines))


def _without_numbers(text: str, numbers: list[float]) -> str:
    def number(match: re.Match[str]) -> str:
        numbers.append(float(match[0]))
        return "#"

    def attribute(match: re.Match[str]) -> str:
        value = match["value"]
        if match["name"] == "transform":
            # A scale or a rotation is small in numbers and large in what it does.
            value = _TRANSLATION.sub(lambda part: _NUMBER.sub(number, part[0]), value)
        else:
            value = _NUMBER.sub(number, value)
        return f"{match['name']}={value}"

    return _PLACES.sub(attribute, text)


def _words(source: str) -> tuple[Words, ...]:
    """The texts of an SVG in order: matplotlib's comments before letters drawn as shapes, and `<text>`."""
    found: list[Words] = []
    stack: list[str] = []
    pending: tuple[str, int] | None = None
    opened: tuple[int, int] | None = None  # where a `<text>` begins, and its content
    for match in _PIECE.finditer(source):
        if match["comment"] is not None:
            if stack and stack[-1].startswith("text_"):
                pending = html.unescape(match["comment"].strip()), match.end()
            continue
        tag = match["tag"]
        if tag is None:
            continue
        if tag == "text" and not match["alone"]:
            if not match["end"]:
                opened = match.start(), match.end()
            elif opened is not None:
                text = " ".join(html.unescape(_TAG.sub(" ", source[opened[1] : match.start()])).split())
                found.append(_placed(stack, text, opened[0]))
                opened, pending = None, None
            continue
        if match["end"]:
            if stack:
                stack.pop()
        elif not match["alone"]:
            name = _ID.search(match["attributes"] or "")
            if pending is not None and tag == "g":
                # The group of letters: the start of its tag, to hide it by.
                found.append(_placed(stack, pending[0], match.start()))
                pending = None
            stack.append(name[1] if name else "")
    return tuple(found)


def _placed(stack: list[str], text: str, at: int) -> Words:
    text = _PLAIN.sub(r"\g<text>", text)
    panel, role = 0, "the text"
    for name in stack:
        if name.startswith("axes_") and name[5:].isdigit():
            panel = int(name[5:])
        elif name.startswith("legend_"):
            role = "the legend's text"
        elif name.startswith("table_"):
            role = "the table's text"
        elif name.startswith("matplotlib.axis_"):
            axis = name.rpartition("_")[2]
            role = "the label of the x axis" if axis.isdigit() and int(axis) % 2 else "the label of the y axis"
        elif name.startswith("xtick_"):
            role = "the tick labels of the x axis"
        elif name.startswith("ytick_"):
            role = "the tick labels of the y axis"
    return Words(panel, role, text, at)


def without(source: str, words: list[Words]) -> str:
    """The SVG with these texts not drawn; the shapes of their letters stay for others."""
    for text in sorted(words, key=lambda text: text.at, reverse=True):
        tag = re.match(r"<(?:g|text)\b", source[text.at :])
        if tag:
            end = text.at + tag.end()
            source = f'{source[:end]} visibility="hidden"{source[end:]}'
    return source
