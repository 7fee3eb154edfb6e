"""Sphinx's HTML as Markdown that Colab, JupyterLab and GitHub show alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin, urlsplit

from bs4 import Tag
from markdownify import MarkdownConverter

from .marks import END, PART, PLACE
from .plain_markdown import plain_text

# Its stubs leave out what a converter of one's own is made of.
_Converter: Any = MarkdownConverter


class MarkdownOfPage(_Converter):  # type: ignore[misc]
    """Sphinx's HTML as Markdown that Colab, JupyterLab and GitHub show alike."""

    def __init__(self, page_address: str, image: Callable[[str], str]) -> None:
        super().__init__(heading_style="atx", bullets="-", sub_symbol="<sub>", sup_symbol="<sup>")
        self._page_address, self._image = page_address, image

    def get_conv_fn(self, tag_name: str) -> Any:
        # An element of somebody's own, with a hyphen in its name, lives by its script.
        return self.convert_interactive if "-" in tag_name else super().get_conv_fn(tag_name)

    def escape(self, text: str, parent_tags: set[str]) -> str:
        return plain_text(" ".join(re.split(r"[ \t\r\n]+", text))) if text else ""

    def convert_interactive(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        link = f"\n\n*[On the page](<{self._page_address}>) you can play with this.*" if self._page_address else ""
        return f"\n\n{text.strip()}{link}\n\n"

    convert_iframe = convert_video = convert_audio = convert_object = convert_interactive

    def convert_a(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        address = self._absolute(str(el.get("href") or ""))
        if not address or "_noformat" in parent_tags:
            return text
        # What stands before and after the words stays outside of the link.
        inner = text.strip()
        before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
        return f"{before}[{inner}](<{address}>){after}" if inner else ""

    def _absolute(self, address: str) -> str:
        if urlsplit(address).scheme:
            return address
        # Within the course: to the site, or, where nobody knows its address, nowhere.
        return urljoin(self._page_address, address) if self._page_address else ""

    def convert_img(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        alt = re.sub(r"([\[\]\\])", r"\\\1", " ".join(str(el.get("alt") or "").split()))
        return f"![{alt}](<{self._image(str(el.get('src') or ''))}>)"

    def convert_pre(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        box = el.find_parent(class_=re.compile(r"^highlight-"))
        names = [name.removeprefix("highlight-") for name in sorted(_classes(box))]
        language = next((name for name in names if name not in ("notranslate", "default", "none", "text")), "")
        language = "python" if language == "ipython3" else language
        code = el.get_text().strip("\n")
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", code)), default=0))
        return f"\n\n{fence}{language}\n{code}\n{fence}\n\n"

    def convert_td(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        # A bar ends a table's cell, also in code.
        return str(super().convert_td(el, re.sub(r"(?<!\\)\|", r"\\|", text), parent_tags))

    def convert_th(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return str(super().convert_th(el, re.sub(r"(?<!\\)\|", r"\\|", text), parent_tags))

    def convert_dt(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return f"\n\n**{' '.join(text.split())}**\n\n"

    def convert_dd(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return f"\n\n{text.strip()}\n\n"

    def convert_details(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        summary = el.find("summary", recursive=False)
        return _folded(" ".join(summary.get_text(" ").split()) if summary else "More", text)

    def convert_summary(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return ""

    def convert_label(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return f"\n\n**{text.strip()}**\n\n"  # of a tab

    def convert_p(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        classes = _classes(el)
        if "rubric" in classes:
            return f"\n\n**{text.strip()}**\n\n"
        if "admonition-title" in classes:
            return ""  # the box has it
        return str(super().convert_p(el, text, parent_tags))

    def convert_aside(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return str(self.convert_div(el, text, parent_tags))

    def convert_div(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        classes = _classes(el)
        if "admonition" not in classes:
            return str(super().convert_div(el, text, parent_tags))
        heading = el.find(class_="admonition-title", recursive=False)
        title = " ".join(heading.get_text().split()) if heading else ""
        if classes & {"dropdown", "toggle"}:
            return _folded(title, text)
        body = f"**{plain_text(title)}**\n\n{text.strip()}"
        if "exercise" in classes:
            own = f"{PART}own:Your own work: {title.partition(' (')[0]}{END}"
            return f"\n\n{body}\n\n{own}\n\n"
        if PART in text:
            return f"\n\n{body}\n\n"
        return "\n\n" + "\n".join(f"> {row}".rstrip() for row in body.splitlines()) + "\n\n"


def _classes(element: Tag | None) -> set[str]:
    return set((element.get("class") if element else None) or [])


def _folded(title: str, text: str) -> str:
    """What opens at a press. Code cells can't stand in it: they follow one another, each with its source hidden."""
    # As HTML, where Markdown isn't read.
    summary = title.replace("&", "&amp;").replace("<", "&lt;")
    pieces = []
    for position, piece in enumerate(PLACE.split(text)):
        if position % 2:
            kind, _, what = piece.partition(":")
            pieces.append(f"{PART}{kind}:{what.partition('|')[0]}|{title}{END}" if kind == "cell" else "")
        elif piece.strip():
            pieces.append(f"<details>\n<summary>{summary}</summary>\n\n{piece.strip()}\n\n</details>")
    return "\n\n" + "\n\n".join(pieces) + "\n\n"
