"""Pages are read again when a file that they are made of isn't the one that was read, be it newer or older.

Sphinx compares times: a file that `mv`, `cp -p` or an archive puts in the place of another may be older than what was
read, and it would go unnoticed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from glob import glob
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.environment.collectors import EnvironmentCollector
from sphinx.util.i18n import get_image_filename_for_language

from ...ground import is_changed_since, look_at
from .current import current_of
from .order import connect

_ANY = ".*"  # of a picture's name: in the format that suits best
Looks = dict[str, list[Any]]


class Read(EnvironmentCollector):
    """What the files looked like that each page was made of."""

    def clear_doc(self, app: Sphinx, env: BuildEnvironment, docname: str) -> None:
        _read(env).pop(docname, None)
        app._coursebook_began = time.time()  # type: ignore[attr-defined]  # its reading begins now

    def merge_other(self, app: Sphinx, env: BuildEnvironment, docnames: set[str], other: BuildEnvironment) -> None:
        _read(env).update({docname: looks for docname, looks in _read(other).items() if docname in docnames})

    def process_doc(self, app: Sphinx, doctree: nodes.document) -> None:
        current = current_of(app)
        env, docname = app.env, app.env.docname
        began = getattr(app, "_coursebook_began", 0.0)
        made = _made(app)
        given = [name for name in sorted(env.dependencies[docname]) if not _is_below(env, name, made)]
        looks = {name: _look(env, name) for name in [_source(env, docname), *given]}
        # What was changed meanwhile was read as it is, or as it was: nobody knows.
        recent = [name for name in looks if is_changed_since(Path(env.srcdir) / name, began)]
        for name in recent:
            looks[name] = [-1]
        if docname in current.outrun:
            looks[_source(env, docname)] = [-1]
        looks |= {name: _look(env, name) for name in _candidates(env, doctree)}
        _read(env)[docname] = looks


def _read(env: BuildEnvironment) -> dict[str, Looks]:
    if not hasattr(env, "coursebook_read"):
        env.coursebook_read = {}  # type: ignore[attr-defined]
    return env.coursebook_read  # type: ignore[attr-defined, no-any-return]


def _made(app: Sphinx) -> list[Path]:
    """The folders for what comes of reading a page, such as MyST-NB's for pictures in outputs."""
    output_folder = getattr(getattr(app.env, "mystnb_config", None), "output_folder", "")
    folders = [Path(os.path.normpath(folder)) for folder in (output_folder, app.doctreedir.parent) if folder]
    return [folder for folder in folders if not app.srcdir.is_relative_to(folder)]


def _is_below(env: BuildEnvironment, name: str, folders: list[Path]) -> bool:
    path = Path(os.path.normpath(Path(env.srcdir) / name))
    return any(path.is_relative_to(folder) for folder in folders)


def _source(env: BuildEnvironment, docname: str) -> str:
    return str(Path(env.doc2path(docname)).relative_to(env.srcdir))


def _candidates(env: BuildEnvironment, doctree: nodes.document) -> Iterator[str]:
    """What a picture would be taken from if it came: another format for `pic.*`, and the reader's language."""
    for image in doctree.findall(nodes.image):
        if "?" in image.get("candidates", "?"):  # it lies elsewhere
            continue
        given = str(image.get("original_uri", image["uri"]))
        if image["uri"].endswith(_ANY):
            yield image["uri"]
            given = f"/{image['uri']}"
        yield env.relfn2path(get_image_filename_for_language(given, env))[0]


def _look(env: BuildEnvironment, name: str) -> list[Any]:
    if name.endswith(_ANY):
        return sorted(glob(str(Path(env.srcdir) / name)))  # noqa: PTH207 - as Sphinx does
    return list(look_at(Path(env.srcdir) / name) or ())


def _outdated(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> Iterable[str]:
    return [
        docname
        for docname, looks in _read(env).items()
        if docname in env.all_docs and any(_look(env, name) != look for name, look in looks.items())
    ]


def _forget(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Forget what is going to be read before any of it is: Sphinx forgets page by page where it reads one at a time.

    A label that has gone from one page to another would be there twice.
    """
    for docname in docnames:
        app.emit("env-purge-doc", env, docname)
        env.clear_doc(docname)


def setup(app: Sphinx) -> None:
    app.add_env_collector(Read)
    connect(app, "env-get-outdated", _outdated)
    connect(app, "env-before-read-docs", _forget)
