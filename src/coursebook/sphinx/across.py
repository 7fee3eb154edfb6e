"""What pages show of each other: titles, captions, numbers, glued values. A page is written again when that changes.

Sphinx writes a page when its own text has changed, or its own numbers. What others show of it (the caption of a figure
that they refer to, say) it leaves as it was. So it is remembered here which pages each page leads to or names, and what
all of them had to be shown; after reading, who shows something that is another now is written, from what Sphinx knows
of it and without being read again.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from docutils import nodes
from myst_nb.ext.glue.utils import PendingGlueReference
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.environment.collectors import EnvironmentCollector
from sphinx.util import FilenameUniqDict

from ..store import replacing
from .current import current
from .outputs import state_of
from .release import AHEAD, labels_of, title_of

# Of the environment, by document: what others show.
_BY_DOCUMENT = ("titles", "tocs", "toc_secnumbers", "toc_fignumbers", "metadata")
# Tables of the environment that are Sphinx's or MyST-NB's own business: when and from what pages were read.
_NOT_SHOWN = frozenset(
    (
        *_BY_DOCUMENT, "all_docs", "dependencies", "included", "reread_always", "longtitles", "toctree_includes",
        "files_to_rebuild", "images", "dlfiles", "original_image_uri", "temp_data", "ref_context", "settings",
        "domaindata", "domains", "nb_metadata",
    )
)  # fmt: skip
# The rest of what Sphinx itself keeps: of no use to lists that extensions make.
_SPHINX_S_OWN = ("toc_num_entries", "toctree_includes", "glob_toctrees", "numbered_toctrees", "titles_old")
BELOW = "the pages below"  # what a table of contents in a page shows
DEEPEST = 8  # how far objects of extensions are looked into; some lead back to themselves
# Themes whose sidebars show the titles of pages and no headings in them.
TITLES_ALONE = ("sphinx_book_theme", "pydata_sphinx_theme", "furo")


class Named(EnvironmentCollector):
    """What each page names: the targets of its references, the pages that it glues from, and what it lists."""

    def clear_doc(self, app: Sphinx, env: BuildEnvironment, docname: str) -> None:
        _named(env).pop(docname, None)
        # MyST-NB writes it for a page that glues, and leaves it where one doesn't any more.
        _glued(app, docname).unlink(missing_ok=True)

    def merge_other(self, app: Sphinx, env: BuildEnvironment, docnames: set[str], other: BuildEnvironment) -> None:
        _named(env).update({docname: names for docname, names in _named(other).items() if docname in docnames})

    def process_doc(self, app: Sphinx, doctree: nodes.document) -> None:
        found = {str(node.get("reftarget")) for node in doctree.findall(addnodes.pending_xref)}
        glued = {node.refdoc for node in doctree.findall(PendingGlueReference)}
        _named(app.env)[app.env.docname] = {*found, *(name.lower() for name in found), *glued, *_listed(doctree)}


def _listed(doctree: nodes.document) -> Iterator[str]:
    """What a page shows all of: the pages below it, or what an extension has collected from all pages.

    Such a list, of todos say, is empty as the page is read: a node of the extension's own without children.
    """
    if any(not node.get("hidden") for node in doctree.findall(addnodes.toctree)):
        yield BELOW
    for node in doctree.findall(nodes.Element):
        module = type(node).__module__
        if not node.children and not module.startswith(("docutils.", "sphinx.addnodes")):
            yield _collected(module)


def _collected(module: str) -> str:
    """The name of all that an extension collects, by one of its modules."""
    parts = module.split(".")
    depth = {"sphinx": 3, "sphinxcontrib": 2}.get(parts[0], 1)
    return f"collected by {'.'.join(parts[:depth])}"


def _below(env: BuildEnvironment, docname: str) -> set[str]:
    found: set[str] = set()
    ahead = [docname]
    while ahead:
        more = set(env.toctree_includes.get(ahead.pop(), ())) - found
        found |= more
        ahead += more
    return found


def _named(env: BuildEnvironment) -> dict[str, set[str]]:
    if not hasattr(env, "coursebook_named"):
        env.coursebook_named = {}  # type: ignore[attr-defined]
    return env.coursebook_named  # type: ignore[attr-defined, no-any-return]


def _glued(app: Sphinx, docname: str) -> Path:
    """Where MyST-NB keeps what a page glues."""
    folder = getattr(getattr(app.env, "mystnb_config", None), "output_folder", "")
    return Path(folder or app.outdir) / f"{docname}.glue.json"


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
            return cls(**json.loads(_file(app).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return cls()

    def write(self, app: Sphinx) -> None:
        with replacing(_file(app)) as file:
            file.write(json.dumps(self.__dict__).encode())


def _file(app: Sphinx) -> Path:
    # Builders may share the doctrees; what one has written another hasn't.
    return Path(app.doctreedir) / f"across-{app.builder.name}.json"


def _look_again(app: Sphinx, env: BuildEnvironment) -> Iterable[str]:
    """The pages that show what is another than when they were written."""
    if app.builder.format != "html":
        return ()
    memory = _Memory.read(app)
    now, everywhere = _shown(app, env), _everywhere(app, env)
    app._coursebook_shown = (now, everywhere)  # type: ignore[attr-defined]
    if memory.everywhere != everywhere:
        return set(env.found_docs)
    changed = {name for name in now.keys() | memory.shown.keys() if now.get(name) != memory.shown.get(name)}
    named = _named(env)
    interests = {
        # Its own, too: its numbers, the entries of its bibliography, its outputs if another builder has read them.
        docname: {docname, _outputs_of(docname), *memory.leads_to.get(docname, ()), *named.get(docname, ())}
        for docname in env.found_docs
    }
    for docname, names in interests.items():
        if BELOW in names:
            names |= _below(env, docname)
    return {docname for docname, names in interests.items() if names & changed}


def _everywhere(app: Sphinx, env: BuildEnvironment) -> str:
    """What stands in the sidebars and on the way to the next page."""
    parts = [repr((docname, _outline(env.titles[docname]))) for docname in sorted(env.titles)]
    parts += [repr((docname, env.toc_secnumbers.get(docname, {}).get(""))) for docname in sorted(env.titles)]
    if app.config.html_theme not in TITLES_ALONE:
        parts += [repr((docname, _outline(env.tocs[docname]))) for docname in sorted(env.tocs)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _shown(app: Sphinx, env: BuildEnvironment) -> dict[str, int]:
    """What there is to be shown, as a digest by each name that it goes by."""
    found: dict[str, int] = {}
    documents = env.found_docs
    for names, value in _facts(app, env):
        text, strings = _plain(value)
        digest = int.from_bytes(hashlib.blake2b(repr((names, text)).encode(), digest_size=6).digest(), "big")
        # A sum, for which the order in which pages were read doesn't count, but two that are alike do.
        for name in {*names, *(string for string in strings if string in documents)}:
            found[name] = (found.get(name, 0) + digest) % 2**48
    return found


def _facts(app: Sphinx, env: BuildEnvironment) -> Iterator[tuple[tuple[str, ...], object]]:
    """Each thing that a page may show of another, with the names by which it may be asked for."""
    for table in _BY_DOCUMENT:
        for docname, value in getattr(env, table).items():
            yield (docname,), (table, value)
    lists = {name for names in _named(env).values() for name in names if name.startswith("collected by ")}
    for domain, data in env.domaindata.items():
        listed = lists & {_collected(type(env.domains[domain]).__module__)}
        for table, entries in data.items():
            for names, value in _rows(entries):
                yield names, (domain, table, value)
                if listed:
                    yield tuple(listed), (table, value, _lines(value))
    # What extensions keep, as sphinx-exercise does; whose a table is isn't known.
    for table, entries in vars(env).items():
        if table not in _NOT_SHOWN and not table.startswith(("_", "coursebook_")):
            for names, value in _rows(entries):
                yield names, (table, value)
                if lists and table not in _SPHINX_S_OWN:
                    yield tuple(lists), (table, value, _lines(value))
    for docname in {name for names in _named(env).values() for name in names} & env.found_docs:
        if (path := _glued(app, docname)).is_file():
            yield (docname,), path.read_text(encoding="utf-8")
    for docname in current.decisions:
        yield (_outputs_of(docname),), state_of(docname)
    for page in current.withheld.values():
        yield (page.docname, *sorted(labels_of(page))), (title_of(page), str(page.options.release))


def _outputs_of(docname: str) -> str:
    """The name of what is shown by the page itself and by no other."""
    return f"outputs of {docname}"


def _rows(entries: object) -> Iterator[tuple[tuple[str, ...], object]]:
    """The rows of a table, each with the names in its key; of a list, as sphinxcontrib-bibtex has, those in a row."""
    if isinstance(entries, (dict, Mapping)):
        yield from ((_strings(key), (key, value)) for key, value in entries.items())
    elif isinstance(entries, (list, set, frozenset)):
        yield from ((_strings(entry), entry) for entry in entries if isinstance(entry, tuple))


def _lines(value: object) -> list[int | None]:
    """Where in their files nodes stand, which lists of them may tell."""
    if isinstance(value, tuple):  # key and value
        value = value[-1]
    return [node.line for node in (value if isinstance(value, list) else [value]) if isinstance(node, nodes.Node)]


def _strings(key: object) -> tuple[str, ...]:
    """The names in a table's key."""
    if isinstance(key, str):
        return (key,)
    return tuple(part for part in key if isinstance(part, str)) if isinstance(key, tuple) else ()


def _plain(value: object, depth: int = 0) -> tuple[str, set[str]]:
    """A value as text that is the same for the same, and the words in it that may be the names of pages."""
    below = depth + 1
    if below > DEEPEST:
        return "", set()
    if isinstance(value, str):
        return repr(value), {value}
    if isinstance(value, (int, float, bytes, type(None))):
        return repr(value), set()
    if isinstance(value, (list, tuple, set, frozenset)):
        parts = [_plain(part, below) for part in value]
        texts = [text for text, _ in parts]
        return repr(sorted(texts) if isinstance(value, (set, frozenset)) else texts), {w for _, ws in parts for w in ws}
    if isinstance(value, nodes.Node):
        return _outline(value), set()
    if isinstance(value, (dict, Mapping)):  # to ask for the second alone takes much longer
        pairs = [(_plain(key, below), _plain(entry, below)) for key, entry in value.items()]
        words = {word for key, entry in pairs for word in (*key[1], *entry[1])}
        return repr(sorted((key[0], entry[0]) for key, entry in pairs)), words
    if type(value).__str__ is not object.__str__:
        return str(value), set()
    # An object's text would be another in each process.
    return type(value).__name__ + _plain(getattr(value, "__dict__", {}), below)[0], set()


def _outline(node: nodes.Node) -> str:
    """A node as text; `pformat` takes several times as long."""
    found: list[str] = []
    _outline_into(node, found)
    return "".join(found)


def _outline_into(node: nodes.Node, found: list[str]) -> None:
    if not isinstance(node, nodes.Element):
        found.append(repr(node.astext()))
        return
    attributes = sorted((name, str(value)) for name, value in node.attributes.items() if value != [])
    found.append(f"<{node.tagname} {attributes}>")
    for child in node.children:
        _outline_into(child, found)
    found.append("/")


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


def setup_across(app: Sphinx) -> None:
    app.add_env_collector(Named)
    app.connect("env-updated", _name_images)
    app.connect("env-updated", _in_order, priority=100)
    # After Sphinx's collectors, which number sections and figures.
    app.connect("env-get-updated", _look_again, priority=900)
    app.connect("doctree-resolved", _note, priority=900)
    app.connect("html-page-context", _note_made)
    app.connect("build-finished", _remember)
