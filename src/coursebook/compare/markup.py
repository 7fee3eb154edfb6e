"""HTML as a reader sees it: words, tables, pictures, and the frame of tags around them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from .figures import Figure

_SILENT = frozenset({"script", "style", "svg", "head", "template", "title"})
_BLOCK = re.compile(
    r"address|article|aside|blockquote|br|caption|dd|details|div|dl|dt|figure|footer|form|h[1-6r]|header|li|main|nav|ol|p"
    r"|pre|section|summary|table|tbody|td|tfoot|th|thead|tr|ul"
)
# What says nothing to a reader: only the frame around it is looked at where it is one of these.
_PLAIN = frozenset({"div", "span", "tbody", "thead", "tfoot", "tr", "td", "th", "table", "br", "p"})
_IMAGE = re.compile(r"data:image/(?P<type>[\w.+-]+);base64,(?P<data>[A-Za-z0-9+/=\s\\]+)")
_SVG = re.compile(r"<svg\b.*?</svg\s*>", re.DOTALL | re.IGNORECASE)
_SPAN = 200  # rows or columns that one cell may cover
_LARGEST = 200_000  # cells of a table, once those that span others are spread out


@dataclass(frozen=True)
class Table:
    """A table: the heads of its columns, and its rows, each with a name (from its own heads or "") and its cells."""

    heads: tuple[str, ...]
    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass
class Markup:
    """What HTML shows. `text` has a mark where a table stands, `frame` lists tags, `code` is styles and scripts.

    `videos` are digests of what is embedded and no picture.
    """

    text: str = ""
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    frame: list[str] = field(default_factory=list)
    code: str = ""
    videos: list[str] = field(default_factory=list)


def parse_html(source: str) -> Markup:
    """The parts of an HTML fragment; whatever is broken in it is read as a browser would, or left out."""
    found = Markup()

    def figure(match: re.Match[str]) -> str:
        data = _image(match["data"])
        if match["type"] == "svg+xml":
            found.figures.append(Figure(source=data.decode("utf-8", "replace")))
        else:
            found.figures.append(Figure(data=data))
        return "data:image"

    def drawing(match: re.Match[str]) -> str:
        text = match[0]
        if "xmlns=" not in text.partition(">")[0]:
            text = text.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
        found.figures.append(Figure(source=text))
        return "<svg></svg>"

    # In the order in which they stand: what an SVG embeds is its own matter.
    rest = re.compile(f"(?P<drawing>{_SVG.pattern})|{_IMAGE.pattern}", re.DOTALL | re.IGNORECASE).sub(
        lambda match: drawing(match) if match["drawing"] else figure(match), source
    )
    reader = _Reader(found)
    try:
        reader.feed(rest)
        reader.close()
    except (AssertionError, ValueError, RecursionError):  # html.parser gives up on some broken declarations
        found.text += rest
    reader.finish()
    return found


def _image(text: str) -> bytes:
    text = re.sub(r"\\n|[\s\\]", "", text)
    try:
        return base64.b64decode(text, validate=False)
    except (binascii.Error, ValueError):
        return text.encode()


@dataclass
class _Cell:
    text: str
    is_head: bool
    columns: int
    rows: int


class _Reader(HTMLParser):
    def __init__(self, found: Markup) -> None:
        super().__init__(convert_charrefs=True)
        self._found = found
        self._texts: list[str] = []
        self._silent: list[str] = []
        self._code: list[str] = []
        self._tables: list[list[tuple[bool, list[_Cell]]]] = []
        self._heads = 0  # how many `<thead>` are open
        self._cell: _Cell | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if self._silent or tag in _SILENT:
            if tag in _SILENT:
                self._silent.append(tag)
                self._found.frame.append(tag)
            return
        if tag not in _PLAIN:
            self._found.frame.append(tag)
        if tag == "table":
            self._tables.append([])
            self._cell = None
        elif tag == "thead":
            self._heads += 1
        elif self._tables and tag == "tr":
            self._tables[-1].append((self._heads > 0, []))
            self._cell = None
        elif self._tables and tag in ("td", "th"):
            if not self._tables[-1]:
                self._tables[-1].append((self._heads > 0, []))
            self._cell = _Cell("", tag == "th", _whole(given.get("colspan")), _whole(given.get("rowspan")))
            self._tables[-1][-1][1].append(self._cell)
        if "href" in given and tag == "a":
            self._found.frame.append(given["href"])
        source = given.get("src", "")
        if source.startswith("data:") and not source.startswith("data:image"):
            self._found.videos.append(hashlib.sha256(source.encode()).hexdigest())
        elif source and not source.startswith("data:"):
            self._found.frame.append(source)
        for name in ("alt", "placeholder", "value"):
            if given.get(name):
                self._write(f" {given[name]} ")
        # Colors and widths that stand in the tag itself, as a bar of a styled table has them.
        if given.get("style"):
            self._code.append(given["style"])
        if _BLOCK.fullmatch(tag) and self._cell is None:
            self._write("\n")

    def handle_endtag(self, tag: str) -> None:
        if self._silent:
            if tag == self._silent[-1]:
                self._silent.pop()
            return
        if tag == "thead":
            self._heads = max(0, self._heads - 1)
        elif tag in ("td", "th"):
            self._cell = None
        elif tag == "table" and self._tables:
            self._close_table()
        if _BLOCK.fullmatch(tag) and self._cell is None:
            self._write("\n")

    def handle_data(self, data: str) -> None:
        if self._silent:
            if self._silent[-1] in ("script", "style"):
                self._code.append(data)
            return
        self._write(data)

    def _write(self, text: str) -> None:
        if self._cell is not None:
            self._cell.text += text
        elif not self._tables or text.strip():
            self._texts.append(text)

    def _close_table(self) -> None:
        rows = self._tables.pop()
        self._cell = None
        self._found.tables.append(_table(rows))
        self._texts.append("\n⟨table⟩\n")

    def finish(self) -> None:
        while self._tables:
            self._close_table()
        self._found.text += "".join(self._texts)
        self._found.code += "\n".join(self._code)


def _whole(text: str | None) -> int:
    return min(_SPAN, max(1, int(text))) if text is not None and text.isdecimal() and len(text) < 9 else 1


def _table(rows: list[tuple[bool, list[_Cell]]]) -> Table:
    """The cells of a table in their places: one that spans several stands in the first and names the rest."""
    grid: list[list[_Cell]] = []
    kept: list[bool] = []
    below: dict[tuple[int, int], _Cell] = {}
    cells = 0
    for number, (in_head, row) in enumerate(rows):
        line: list[_Cell] = []
        waiting = list(row)
        while waiting or (number, len(line)) in below:
            if (number, len(line)) in below:
                line.append(below.pop((number, len(line))))
                continue
            cell = waiting.pop(0)
            cells += cell.rows * cell.columns
            if cells > _LARGEST:
                cell.rows = cell.columns = 1
            for column in range(cell.columns):
                for down in range(1, cell.rows):
                    below[(number + down, len(line) + column)] = cell
            line += [cell] * cell.columns
        grid.append(line)
        kept.append(in_head or (bool(line) and all(cell.is_head for cell in line)))
    last = next((number for number, is_head in enumerate(kept) if not is_head), len(kept))
    width = max((len(line) for line in grid), default=0)
    heads = tuple(
        " ".join(dict.fromkeys(_said(line[column]) for line in grid[:last] if column < len(line))).strip()
        for column in range(width)
    )
    names: list[str] = []
    for line in grid[last:]:
        own = [_said(cell) for cell in line if cell.is_head]
        if not own and line and len(line) > 1 and not re.search(r"\d", line[0].text):
            own = [_said(line[0])]
        names.append(" ".join(own).strip())
    return Table(heads, tuple(names), tuple(tuple(_said(cell) for cell in line) for line in grid[last:]))


def _said(cell: _Cell) -> str:
    return " ".join(cell.text.split())
