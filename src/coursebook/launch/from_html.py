"""A page's HTML as the parts of its notebook."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bs4 import BeautifulSoup, Tag

from .macros import expand_macros
from .marks import END, MATH, PART, PLACE
from .parts import Blank, Code, Part, Text
from .to_markdown import MarkdownOfPage

# What only works on the site, or says nothing in a notebook.
_DROPPED = ("script", "style", "input", "button", "template", "noscript", "svg", "canvas", "hr.footnotes")


def parts_of(
    html: str, numbers: list[int], page_address: str, image: Callable[[str], str], macros: Mapping[str, Any]
) -> list[Part]:
    """A page's HTML as the parts of its notebook; `numbers` are those of the code cells in it, in order.

    Raises ValueError when the HTML has not as many code cells as that.
    """
    soup = BeautifulSoup(html, "html.parser")
    for useless in soup.select(", ".join((*_DROPPED, "a.headerlink", "p.provenance", "aside.outputs-notice"))):
        if useless.find_parent("pre") is None:
            useless.decompose()
    cells = soup.select("div.cell.container")
    for number, cell in zip(numbers, cells, strict=True):
        cell.replace_with(_place(soup, f"cell:{number}"))
    formulas: list[str] = []
    for math in soup.select("span.math, div.math"):
        # A box with several lines has a box of its own for each.
        is_block = math.name == "div"
        label = math.find(class_="eqno")
        tag = label.get_text().strip("()¶# \n") if label else ""
        if label:
            label.decompose()
        tex = _tex(expand_macros(math.get_text().strip(), macros))
        if math.find_parent(["td", "th"]):
            tex = tex.replace(r"\|", r"\Vert ").replace("|", r"\vert ")
        if is_block:
            tex = "\n".join(row for row in tex.splitlines() if row.strip())
            if tag and r"\tag" not in tex:
                # An environment that numbers its own lines wants the number in its last one.
                inner = re.fullmatch(r"(.*?)(\s*\\end\{(?:align|gather|equation)\*?\})", tex, re.DOTALL)
                body, end = inner.groups() if inner else (tex, "")
                tex = rf"{body} \tag{{{tag}}}{end}"
            formula = f"\n\n$$\n{tex}\n$$\n\n"
        else:
            formula = f"${' '.join(tex.split())}$"
        math.replace_with(f"{MATH}{len(formulas)}{END}" if not is_block else _paragraph(soup, len(formulas)))
        formulas.append(formula)
    text = MarkdownOfPage(page_address, image).convert_soup(soup)
    text = re.sub(rf"{MATH}(\d+){END}", lambda match: _in_its_line(text, match, formulas[int(match[1])]), text)
    return list(_parts(text))


def _paragraph(soup: BeautifulSoup, number: int) -> Tag:
    paragraph = soup.new_tag("p")
    paragraph.string = f"{MATH}{number}{END}"
    return paragraph


def _place(soup: BeautifulSoup, what: str) -> Tag:
    paragraph = soup.new_tag("p")
    paragraph.string = f"{PART}{what}{END}"
    return paragraph


def _in_its_line(text: str, match: re.Match[str], formula: str) -> str:
    if not formula.startswith("\n"):
        return formula
    # In a list or a quotation each line begins as the first does.
    start = text.rfind("\n", 0, match.start()) + 1
    prefix = re.sub(r"[^> ]", " ", text[start : match.start()])
    return formula.strip("\n").replace("\n", f"\n{prefix}")


def _tex(text: str) -> str:
    for opening, closing in ((r"\(", r"\)"), (r"\[", r"\]"), ("$$", "$$")):
        if text.startswith(opening) and text.endswith(closing):
            return text[2:-2].strip()
    return text


def _parts(text: str) -> Iterator[Part]:
    for position, piece in enumerate(PLACE.split(text)):
        if position % 2 == 0:
            if source := re.sub(r"\n([ \t]*\n){2,}", "\n\n", piece).strip():
                yield Text(source)
            continue
        kind, _, what = piece.partition(":")
        if kind == "own":
            yield Blank(what)
        else:
            number, _, title = what.partition("|")
            yield Code(int(number), title)
