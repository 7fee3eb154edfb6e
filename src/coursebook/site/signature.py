"""What every page of the site depends on beside its own text: where it differs, all is rendered anew."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from .. import __version__
from ..course import Course, Moment, walk_course
from ..ground import CONFIG, TOC, installed_distributions


def signature_of(course: Course, moment: Moment) -> str:
    """What every page of the site depends on beside its own text; what pages show of each other Sphinx is asked for."""
    digest = hashlib.sha256(
        "\n".join([__version__, sys.version, str(moment.is_preview), *installed_distributions()]).encode()
    )
    for name, path in _everywhere(course):
        if path.is_file():
            digest.update(f"{name}\n".encode("utf-8", "surrogateescape") + hashlib.sha256(path.read_bytes()).digest())
    for page in course.pages:
        # Whether a link leads to a page is decided where it is read.
        digest.update(f"{page.path} {moment.shows(page)} {moment.shows_solutions(page)}\n".encode())
    return digest.hexdigest()


def _everywhere(course: Course) -> Iterator[tuple[str, Path]]:
    """The files that all pages may show: what the configuration names, and the package's own, while it is developed.

    Each with its name: where a file lies in its folder is where it comes to lie on the site. What single pages show,
    such as pictures, isn't among them: `sphinx/changed.py` has those pages read again.
    """
    package, root = Path(__file__).parent.parent, course.root
    for pattern in ("*.py", "*.html", "*.css", "*.js"):
        yield from ((path.relative_to(package).as_posix(), path) for path in sorted(package.rglob(pattern)))
    sphinx = course.config.get("sphinx") or {}
    options = dict(sphinx.get("config") or {})
    options.pop("exclude_patterns", None)  # names what isn't shown
    named = [CONFIG, TOC, "_static", "_templates"]
    for key in ("html_static_path", "html_extra_path", "templates_path"):
        named += _texts(options.pop(key, None))
    for extension, folder in (sphinx.get("local_extensions") or {}).items():
        named += [f"{folder}/{extension}.py", f"{folder}/{extension}"]
    # An option may name a file: a logo, a bibliography, whatever an extension reads.
    told = [course.config.get("logo"), (course.config.get("html") or {}).get("favicon"), options]
    named += [name for name in _texts([*told, course.config.get("bibtex_bibfiles")]) if os.path.isfile(root / name)]  # noqa: PTH113 - a text may be too long for a path
    for name in dict.fromkeys(named):
        yield from ((f"{name}/{path.relative_to(root / name).as_posix()}", path) for path in _files(root / name, root))


def _texts(value: object) -> list[str]:
    """Every text in what an option says."""
    if isinstance(value, str):
        return [value] if value else []
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    return [text for part in parts for text in _texts(part)]


def _files(path: Path, root: Path) -> list[Path]:
    """A file, or all files in a folder, also behind links, which Sphinx follows when it copies."""
    if path.resolve() == root.resolve():  # without what builds make there
        return [Path(entry.path) for entry in walk_course(path)]
    below = [Path(folder) / name for folder, _, names in os.walk(path, followlinks=True) for name in names]
    return sorted(below) if path.is_dir() else [path]
