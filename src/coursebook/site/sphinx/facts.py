"""Each thing that a page may show of another, as a digest by the names that it goes by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from .current import current_of
from .naming import collected_by, glue_file, named_by
from .readers import state_of
from .withheld import labels_of, title_of

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
DEEPEST = 8  # how far objects of extensions are looked into; some lead back to themselves


def what_is_shown(app: Sphinx, env: BuildEnvironment) -> dict[str, int]:
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
    current = current_of(app)
    for table in _BY_DOCUMENT:
        for docname, value in getattr(env, table).items():
            yield (docname,), (table, value)
    lists = {name for names in named_by(env).values() for name in names if name.startswith("collected by ")}
    for domain, data in env.domaindata.items():
        listed = lists & {collected_by(type(env.domains[domain]).__module__)}
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
    for docname in {name for names in named_by(env).values() for name in names} & env.found_docs:
        if (path := glue_file(app, docname)).is_file():
            yield (docname,), path.read_text(encoding="utf-8")
    for docname in current.decisions:
        yield (own_outputs_of(docname),), state_of(current, docname)
    for page in current.withheld.values():
        yield (page.docname, *sorted(labels_of(page))), (title_of(page), str(page.options.release))


def own_outputs_of(docname: str) -> str:
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
        return outline_of(value), set()
    if isinstance(value, (dict, Mapping)):  # to ask for the second alone takes much longer
        pairs = [(_plain(key, below), _plain(entry, below)) for key, entry in value.items()]
        words = {word for key, entry in pairs for word in (*key[1], *entry[1])}
        return repr(sorted((key[0], entry[0]) for key, entry in pairs)), words
    if type(value).__str__ is not object.__str__:
        return str(value), set()
    # An object's text would be another in each process.
    return type(value).__name__ + _plain(getattr(value, "__dict__", {}), below)[0], set()


def outline_of(node: nodes.Node) -> str:
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
