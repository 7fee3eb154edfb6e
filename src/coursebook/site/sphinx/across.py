"""What pages show of each other: titles, captions, numbers, glued values. A page is written again when that changes.

Sphinx writes a page when its own text has changed, or its own numbers. What others show of it (the caption of a figure
that they refer to, say) it leaves as it was. So it is remembered here which pages each page leads to or names, and what
all of them had to be shown; after reading, who shows something that has changed is written, from what Sphinx knows
of it and without being read again.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import FilenameUniqDict

from ...ground import JsonFile
from .facts import outline_of, own_outputs_of, what_is_shown
from .naming import BELOW, Named, named_by, pages_below
from .order import connect
from .withheld import AHEAD

# Themes whose sidebars show the titles of pages and no headings in them.
TITLES_ALONE = ("sphinx_book_theme", "pydata_sphinx_theme", "furo")


@dataclass
class _Memory:
    """What is kept from one build to the next, beside the doctrees.

    `shown` holds a digest of what there is to be shown by the name that it goes by, be it a page's or a label;
    `everywhere` one of what every page shows. `leads_to` names the pages that each page's references led to when it was
    written, `pictures` the files that it showed. `images` are the files of the site that pages show or offer, `made`
    the pages that aren't the course's, like the search.
    """

    shown: dict[str, int] = field(default_factory=dict)
    everywhere: str = ""
    leads_to: dict[str, list[str]] = field(default_factory=dict)
    pictures: dict[str, list[str]] = field(default_factory=dict)
    images: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, app: Sphinx) -> _Memory:
        try:
            return cls(**_file(app).read())
        except JsonFile.DAMAGED:
            return cls()

    def write(self, app: Sphinx) -> None:
        _file(app).write(self.__dict__)


def _file(app: Sphinx) -> JsonFile:
    # Builders may share the doctrees; what one has written another hasn't.
    return JsonFile(Path(app.doctreedir) / f"across-{app.builder.name}.json")


def _look_again(app: Sphinx, env: BuildEnvironment) -> Iterable[str]:
    """The pages that show something that has changed since they were written."""
    if app.builder.format != "html":
        return ()
    memory = _Memory.read(app)
    now, everywhere = what_is_shown(app, env), _everywhere(app, env)
    app._coursebook_shown = (now, everywhere)  # type: ignore[attr-defined]
    if memory.everywhere != everywhere:
        return set(env.found_docs)
    changed = {name for name in now.keys() | memory.shown.keys() if now.get(name) != memory.shown.get(name)}
    named = named_by(env)
    interests = {
        # Its own, too: its numbers, the entries of its bibliography, its outputs if another builder has read them.
        docname: {docname, own_outputs_of(docname), *memory.leads_to.get(docname, ()), *named.get(docname, ())}
        for docname in env.found_docs
    }
    for docname, names in interests.items():
        if BELOW in names:
            names |= pages_below(env, docname)
    return {docname for docname, names in interests.items() if names & changed}


def _everywhere(app: Sphinx, env: BuildEnvironment) -> str:
    """What stands in the sidebars and on the way to the next page."""
    parts = [repr((docname, outline_of(env.titles[docname]))) for docname in sorted(env.titles)]
    parts += [repr((docname, env.toc_secnumbers.get(docname, {}).get(""))) for docname in sorted(env.titles)]
    if app.config.html_theme not in TITLES_ALONE:
        parts += [repr((docname, outline_of(env.tocs[docname]))) for docname in sorted(env.tocs)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _note(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Remember where the references of a page lead that is about to be written."""
    if app.builder.format != "html":
        return
    pages = _pages_by_address(app)
    here = posixpath.dirname(app.builder.get_target_uri(docname))
    found = {str(node[AHEAD]) for node in doctree.findall(nodes.inline) if AHEAD in node}
    for node in doctree.findall(nodes.reference):
        address = unquote(str(node.get("refuri", "")).partition("#")[0])
        if address and "://" not in address:
            found.add(pages.get(posixpath.normpath(posixpath.join(here, address)), ""))
    _leads_to(app)[docname] = sorted(found - {""})
    _pictures(app)[docname] = sorted({_chosen(app, image) for image in doctree.findall(nodes.image)} - {""})


def _chosen(app: Sphinx, image: nodes.image) -> str:
    """Which file of several formats the builder shows, as Sphinx's builders choose it."""
    candidates: dict[str, str] = image.get("candidates", {})
    if "*" in candidates or "?" in candidates:
        return str(image["uri"])
    return next((candidates[kind] for kind in app.builder.supported_image_types if kind in candidates), "")


def _leads_to(app: Sphinx) -> dict[str, list[str]]:
    if not hasattr(app, "_coursebook_leads_to"):
        app._coursebook_leads_to = {}  # type: ignore[attr-defined]
    return app._coursebook_leads_to  # type: ignore[attr-defined, no-any-return]


def _pictures(app: Sphinx) -> dict[str, list[str]]:
    if not hasattr(app, "_coursebook_pictures"):
        app._coursebook_pictures = {}  # type: ignore[attr-defined]
    return app._coursebook_pictures  # type: ignore[attr-defined, no-any-return]


def _pages_by_address(app: Sphinx) -> dict[str, str]:
    if not hasattr(app, "_coursebook_addresses"):
        app._coursebook_addresses = {  # type: ignore[attr-defined]
            posixpath.normpath(unquote(app.builder.get_target_uri(docname)) or "."): docname
            for docname in app.env.found_docs
        }
    return app._coursebook_addresses  # type: ignore[attr-defined, no-any-return]


def _note_made(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    if doctree is None:
        _made(app).add(pagename)


def _made(app: Sphinx) -> set[str]:
    if not hasattr(app, "_coursebook_made"):
        app._coursebook_made = set()  # type: ignore[attr-defined]
    return app._coursebook_made  # type: ignore[attr-defined, no-any-return]


def _name_images(app: Sphinx, env: BuildEnvironment) -> Iterable[str]:
    """Pictures of one name in two folders get names by their paths, not by who came first. Returns who shows one that
    has another name now."""
    fresh = FilenameUniqDict()
    for path in sorted(env.images):
        for docname in env.images[path][0]:
            fresh.add_file(docname, path)
    renamed = {
        docname for path, (docnames, name) in fresh.items() if env.images[path][1] != name for docname in docnames
    }
    env.images = fresh
    return renamed


def _in_order(app: Sphinx, env: BuildEnvironment) -> Iterable[str]:
    """What is kept by page is in the order of the pages, not in that in which they were read: lists show it."""
    for tables in (*env.domaindata.values(), vars(env)):
        for name, table in tables.items():
            if type(table) is dict and table.keys() <= env.found_docs and list(table) != sorted(table):
                tables[name] = dict(sorted(table.items()))
    return ()


def _remember(app: Sphinx, exception: Exception | None) -> None:
    """Keep what the pages show, and remove what earlier builds made that nothing shows or makes any more."""
    if exception or not hasattr(app, "_coursebook_shown"):
        return
    memory = _Memory.read(app)
    found = app.env.found_docs
    pictures = {name: paths for name, paths in {**memory.pictures, **_pictures(app)}.items() if name in found}
    chosen = {path for paths in pictures.values() for path in paths}
    images = sorted(f"_images/{name}" for path, (_, name) in app.env.images.items() if path in chosen)
    images += sorted(f"_downloads/{name}" for _, name in app.env.dlfiles.values())
    made = sorted(_made(app)) or memory.made  # nothing at all where nothing was written
    gone = [str(app.builder.get_target_uri(name)) for name in set(memory.made) - set(made) - found]
    for name in {*memory.images, *gone} - set(images):
        path = Path(app.outdir) / name
        path.unlink(missing_ok=True)
        if path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()
    shown, everywhere = app._coursebook_shown
    leads_to = {**memory.leads_to, **_leads_to(app)}
    leads_to = {docname: names for docname, names in leads_to.items() if docname in found}
    _Memory(shown, everywhere, leads_to, pictures, images, made).write(app)


def setup(app: Sphinx) -> None:
    app.add_env_collector(Named)
    connect(app, "env-updated", _name_images)
    connect(app, "env-updated", _in_order)
    connect(app, "env-get-updated", _look_again)
    connect(app, "doctree-resolved", _note)
    connect(app, "html-page-context", _note_made)
    connect(app, "build-finished", _remember)
