"""Each page with code as a notebook of the site, made from the page as it is shown: `notebooks/<docname>.ipynb`.

The page's HTML has everything that extensions have made of it (references, numbers, exercises, tabs), so that it is
what is turned into Markdown; the code comes from the page's source.
"""

from __future__ import annotations

import base64
import mimetypes
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from bs4 import BeautifulSoup, Tag
from docutils import nodes
from markdownify import MarkdownConverter
from sphinx.application import Sphinx
from sphinx.util import logging

from ..notebooks import (
    FOLDER,
    Blank,
    Code,
    Part,
    Site,
    Text,
    expand_macros,
    notebook,
    numbers_in,
    numbers_of,
    plain_text,
)
from ..page import Page
from ..reads import published
from ..store import Provenance
from .current import current
from .live import run_unseen
from .share import course_title, site_of

logger = logging.getLogger(__name__)

# Characters for private use stand for what Markdown's rules must not touch: mathematics, and the place of a part.
_MATH, _PART, _END = "\ue000", "\ue001", "\ue002"
_PLACE = re.compile(rf"^[ \t>]*{_PART}([^{_END}]*){_END}[ \t]*$", re.MULTILINE)
# What only works on the site, or says nothing in a notebook.
_DROPPED = ("script", "style", "input", "button", "template", "noscript", "svg", "canvas", "hr.footnotes")
NUMBER = "coursebook_cell"  # in a cell's metadata: which of the page's code cells it is


# Its stubs leave out what a converter of one's own is made of.
_Converter: Any = MarkdownConverter


class _Markdown(_Converter):  # type: ignore[misc]
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
            own = f"{_PART}own:Your own work: {title.partition(' (')[0]}{_END}"
            return f"\n\n{body}\n\n{own}\n\n"
        if _PART in text:
            return f"\n\n{body}\n\n"
        return "\n\n" + "\n".join(f"> {row}".rstrip() for row in body.splitlines()) + "\n\n"


def _classes(element: Tag | None) -> set[str]:
    return set((element.get("class") if element else None) or [])


def _folded(title: str, text: str) -> str:
    """What opens at a press. Code cells can't stand in it: they follow one another, each with its source hidden."""
    # As HTML, where Markdown isn't read.
    summary = title.replace("&", "&amp;").replace("<", "&lt;")
    pieces = []
    for position, piece in enumerate(_PLACE.split(text)):
        if position % 2:
            kind, _, what = piece.partition(":")
            pieces.append(f"{_PART}{kind}:{what.partition('|')[0]}|{title}{_END}" if kind == "cell" else "")
        elif piece.strip():
            pieces.append(f"<details>\n<summary>{summary}</summary>\n\n{piece.strip()}\n\n</details>")
    return "\n\n" + "\n\n".join(pieces) + "\n\n"


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
        math.replace_with(f"{_MATH}{len(formulas)}{_END}" if not is_block else _paragraph(soup, len(formulas)))
        formulas.append(formula)
    text = _Markdown(page_address, image).convert_soup(soup)
    text = re.sub(rf"{_MATH}(\d+){_END}", lambda match: _in_its_line(text, match, formulas[int(match[1])]), text)
    return list(_parts(text))


def _paragraph(soup: BeautifulSoup, number: int) -> Tag:
    paragraph = soup.new_tag("p")
    paragraph.string = f"{_MATH}{number}{_END}"
    return paragraph


def _place(soup: BeautifulSoup, what: str) -> Tag:
    paragraph = soup.new_tag("p")
    paragraph.string = f"{_PART}{what}{_END}"
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
    for position, piece in enumerate(_PLACE.split(text)):
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


def _numbers(doctree: nodes.document) -> list[int]:
    """The numbers of the code cells that the page shows, in order."""
    containers = [node for node in doctree.findall(nodes.container) if node.get("nb_element") == "cell_code"]
    return [int(node["cell_metadata"][NUMBER]) for node in containers]


def _write(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    page = _page(pagename)
    if page is None or doctree is None or app.builder.name != "html":
        return
    site = Site(course_title(app), site_of(app))
    macros = (app.config.mathjax3_config or {}).get("tex", {}).get("macros", {})
    image = _images(app, pagename, site)
    parts = parts_of(str(context["body"]), _numbers(doctree), site.of(pagename), image, macros)
    title = app.env.titles[pagename].astext()
    target = path_in(Path(app.outdir), pagename)
    target.parent.mkdir(parents=True, exist_ok=True)
    provenance = _provenance(page)
    files = published(current.root, page, provenance, numbers_of(page, parts))
    target.write_bytes(notebook(page, title, parts, site, files, provenance))


def path_in(site: Path, docname: str) -> Path:
    return site / FOLDER / f"{docname}.ipynb"


def _page(docname: str) -> Page | None:
    """The page with code of that name, if its source may be had."""
    decision = current.decisions.get(docname)
    return decision.page if decision else None


def _provenance(page: Page) -> Provenance | None:
    stored = current.decisions[page.docname].stored
    return stored.provenance if stored else None


def _files(app: Sphinx) -> set[str]:
    """What the notebooks of the site read, and the cells that live code runs beside theirs."""
    found: set[str] = set()
    for decision in current.decisions.values():
        page, path = decision.page, path_in(Path(app.outdir), decision.page.docname)
        # Pages that weren't written again have theirs from before.
        numbers = numbers_in(path.read_bytes()) if path.is_file() else set()
        if app.config.coursebook_live_version:
            numbers |= run_unseen(page)
        found.update(published(current.root, page, _provenance(page), numbers))
    return found


def _images(app: Sphinx, pagename: str, site: Site) -> Callable[[str], str]:
    """Gives a picture's place in the notebook: its address on the site, or, where nobody knows that, the picture."""

    def place(source: str) -> str:
        if urlsplit(source).scheme:
            return source
        if site.address:
            return urljoin(site.of(pagename), source)
        path = (Path(app.outdir) / pagename).parent / unquote(source)
        original = next(
            (Path(app.srcdir) / name for name, (_, target) in app.env.images.items() if target == path.name), path
        )
        if not original.is_file():
            return source
        kind = mimetypes.guess_type(original.name)[0] or "application/octet-stream"
        return f"data:{kind};base64,{base64.b64encode(original.read_bytes()).decode()}"

    return place


def _tidy(app: Sphinx, exception: Exception | None) -> None:
    """Publish what the notebooks read, and leave nothing of pages that have no code any more, or of what is secret."""
    folder = Path(app.outdir) / FOLDER
    if exception or app.builder.name != "html" or current.course is None:
        return
    files = _files(app)
    wanted = {path_in(Path(app.outdir), docname) for docname in current.decisions}
    wanted |= {folder / name for name in files}
    # The course may have a folder of that name, or give the site one.
    wanted |= {Path(app.outdir) / f"{docname}.html" for docname in app.env.found_docs}
    for given in (Path(app.srcdir) / entry / FOLDER for entry in app.config.html_extra_path):
        wanted |= {folder / path.relative_to(given) for path in given.rglob("*")}
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(current.root / name, folder / name)
    for path in list(folder.rglob("*")):
        if path.is_file() and path not in wanted:
            path.unlink()


def setup_notebooks(app: Sphinx) -> None:
    # Before notices and buttons are added to the page.
    app.connect("html-page-context", _write, priority=50)
    app.connect("build-finished", _tidy)
