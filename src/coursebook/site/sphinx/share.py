"""What a page says of itself to search engines and to those who show a link to it: address, description, picture.

Own code: sphinxext-opengraph imports matplotlib in every build that has it (half a second), doesn't use the description
of the front matter, and can cut its text in the middle of an escaped character.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from docutils import nodes
from markupsafe import Markup, escape
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from ...course import BadAddress, site_address
from ...ground import STAGE, JsonFile, replacing
from .. import HEIGHT, WIDTH, Picture
from .current import current_of
from .description import description_of, text_of, tidy
from .order import connect

PICTURES = "_pictures"
BUILDERS = ("html", "dirhtml")


@dataclass(frozen=True)
class Shared:
    """What a page said when it was last written, for the feed: a page that hasn't changed isn't written again.

    `picture` is a file's name, or nothing.
    """

    title: str
    description: str = ""
    picture: str = ""

    @classmethod
    def read(cls, app: Sphinx, docname: str) -> Shared:
        try:
            return cls(**_memory(app, docname).read())
        except JsonFile.DAMAGED:
            return cls(text_of(app.env.titles[docname]))

    def write(self, app: Sphinx, docname: str) -> None:
        _memory(app, docname).write(asdict(self))


def _memory(app: Sphinx, docname: str) -> JsonFile:
    return JsonFile(Path(app.doctreedir) / "shared" / f"{docname}.json")


def site_of(app: Sphinx) -> str:
    """The site's address, or nothing."""
    try:
        return site_address(app.config.html_baseurl)
    except BadAddress:  # which is told of where the course is read
        return ""


def address_of(app: Sphinx, docname: str) -> str:
    """The one address of a page; the home page's is the site's."""
    return site_of(app) + ("" if docname == app.config.root_doc else app.builder.get_target_uri(docname))


def is_preview(app: Sphinx) -> bool:
    current = current_of(app)
    return current.moment is not None and current.moment.is_preview


def course_title(app: Sphinx) -> str:
    current = current_of(app)
    title = current.course.config.get("title") if current.course else None
    return tidy(str(title or app.config.html_title or app.config.project))


def _share(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    if app.builder.name not in BUILDERS:
        return
    site, preview = site_of(app), is_preview(app)
    # Sphinx leaves names as they are, and one that is not to be found needs no address.
    context["pageurl"] = address_of(app, pagename) if site and not preview and doctree is not None else None
    tags = [_tag("name", "robots", "noindex")] if preview else []
    if doctree is not None and pagename in app.env.titles:
        tags += _tags(app, pagename, context, doctree)
    context["metatags"] = "\n    ".join([str(context.get("metatags") or ""), *map(str, tags)])


def _tags(app: Sphinx, docname: str, context: dict[str, Any], doctree: nodes.document) -> Iterator[Markup]:
    meta = dict(context.get("meta") or {})
    course, site = course_title(app), site_of(app)
    title = text_of(app.env.titles[docname]) or docname
    # sphinx-book-theme 1.3 puts it into the page's print-out as it is, where it could be a script.
    context["pagetitle"] = escape(title)
    description = description_of(doctree, meta.pop("description", None))
    picture = _picture(app, Picture(title, course, site, _font(app))) if site else ""
    Shared(title, description, picture).write(app, docname)
    # The theme writes what is here, and the page's own `html_meta` has been written.
    own = {str(value) for node in doctree.findall(nodes.meta) for value in (node.get("name"), node.get("property"))}
    context["meta"] = meta | ({"description": description} if description and "description" not in own else {})
    tags = {
        "og:type": "website" if docname == app.config.root_doc else "article",
        "og:site_name": course,
        "og:title": title,
        "og:description": description,
        "og:url": address_of(app, docname) if site else "",
    }
    if picture and "og:image" not in own:
        tags |= {
            "og:image": f"{site}{PICTURES}/{picture}",
            "og:image:width": str(WIDTH),
            "og:image:height": str(HEIGHT),
            "og:image:alt": title,
        }
    yield from (_tag("property", name, text) for name, text in tags.items() if text and name not in own)
    if "og:image" in {*tags, *own} and "twitter:card" not in own:
        yield _tag("name", "twitter:card", "summary_large_image")


def _tag(kind: str, name: str, text: str) -> Markup:
    return Markup('<meta {}="{}" content="{}" />').format(kind, name, text)


def _font(app: Sphinx) -> Path | None:
    given = app.config.coursebook_picture_font
    return Path(app.srcdir) / given if given else None


def _picture(app: Sphinx, picture: Picture) -> str:
    """The name of the file with the picture, which is drawn unless it was before; nothing where it can't be."""
    name = picture.name
    kept, shown = _kept(app) / name, Path(app.outdir) / PICTURES / name
    if not kept.is_file():
        try:
            drawn = picture.draw()
        except OSError as error:
            if not picture.font:
                raise
            raise ExtensionError(f"coursebook_picture_font: {picture.font.name} is no font: {error}") from None
        kept.parent.mkdir(parents=True, exist_ok=True)
        with replacing(kept) as file:
            file.write(drawn)
    if not kept.stat().st_size:
        return ""
    if not shown.is_file():
        shown.parent.mkdir(parents=True, exist_ok=True)
        with replacing(shown) as file:
            file.write(kept.read_bytes())
    return name


def _kept(app: Sphinx) -> Path:
    """Where pictures outlive a change of the configuration, which has everything rendered anew."""
    return Path(app.srcdir) / STAGE / "pictures"


def _forget_pictures(app: Sphinx, exception: Exception | None) -> None:
    """Remove the pictures of titles that no page has any more."""
    if exception or app.builder.name not in BUILDERS:
        return
    used = {Shared.read(app, docname).picture for docname in app.env.found_docs}
    for folder in (_kept(app), Path(app.outdir) / PICTURES):
        for path in folder.glob("*.png") if folder.is_dir() else ():
            if path.name not in used and path.stat().st_size:
                path.unlink()


def setup(app: Sphinx) -> None:
    connect(app, "html-page-context", _share)
    connect(app, "build-finished", _forget_pictures)
