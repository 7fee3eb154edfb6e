"""Stored outputs and pages to a site: Jupyter Book builds it aside, and only a good site replaces the earlier one."""

from __future__ import annotations

import filecmp
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import nbformat

from . import __version__
from .course import Course
from .errors import CourseError, CourseErrors
from .files import CONFIG, TOC, walk
from .plan import Decision
from .process import Problem, RenderingProcess
from .release import Moment
from .snapshot import SITE, STAGE, installed


@dataclass(frozen=True)
class Order:
    """What the rendering process is to do, with which of Sphinx's builders. The decisions are final: what they don't
    call current isn't executed, it is shown as it is stored, with a notice."""

    course: Course
    moment: Moment
    decisions: Sequence[Decision]
    builder: str = "html"

    @property
    def folder(self) -> Path:
        """What the builder writes."""
        return self.course.root / STAGE / self.builder

    @property
    def doctrees(self) -> Path:
        """What Sphinx remembers of the pages; a builder doesn't see what another one remembers."""
        return self.course.root / STAGE / ("doctrees" if self.builder == "html" else f"{self.builder}-doctrees")


def render(
    process: RenderingProcess,
    course: Course,
    moment: Moment,
    decisions: Sequence[Decision],
    *,
    lenient: bool = False,
    log: Callable[[str], None] | None = None,
) -> list[Problem]:
    """Have `process` build the site of `course` below `_build/html` with Jupyter Book.

    Returns the warnings that a lenient build passes over (an empty list otherwise). `log` gets Sphinx's own lines.
    Raises CourseErrors when the site can't be had without errors, or without warnings unless `lenient`; the earlier
    site then stays as it is.
    """
    stage = course.root / STAGE
    stage.mkdir(parents=True, exist_ok=True)
    signature = _signature(course, moment)
    signed = stage / "signature"
    is_fresh = not signed.is_file() or signed.read_text() != signature
    signed.unlink(missing_ok=True)
    if is_fresh:
        # Sphinx does not notice a changed table of contents in the sidebars of unchanged pages.
        for folder in ("doctrees", "html", "jupyter_execute"):
            shutil.rmtree(stage / folder, ignore_errors=True)
    problems = carry_out(process, Order(course, moment, decisions), log)
    fatal = [problem for problem in problems if problem.is_error or not lenient]
    if fatal:
        # Sphinx reports a page's warnings when it reads the page; the next build must read it again.
        shutil.rmtree(stage / "doctrees", ignore_errors=True)
        errors = [CourseError(problem.place or CONFIG, None, problem.text) for problem in fatal]
        raise CourseErrors("the site can't be built", errors)
    _publish(stage / "html", course.root / SITE)
    if not problems:
        signed.write_text(signature)
    return problems


def carry_out(process: RenderingProcess, order: Order, log: Callable[[str], None] | None) -> list[Problem]:
    """Have `process` do what `order` says; returns what Sphinx found wrong. `log` gets its own lines."""
    light = replace(order, decisions=[_without_notebook(decision) for decision in order.decisions])
    return [problem for problem in process.carry_out(light, log) if not _lacks_outputs(problem, order.decisions)]


def _lacks_outputs(problem: Problem, decisions: Sequence[Decision]) -> bool:
    """Whether a warning says only that a number has no value yet, on a page whose notice says why."""
    places = {decision.page.path.as_posix() for decision in decisions if decision.state != "current"}
    return problem.text.endswith("[mystnb.glue]") and problem.place.partition(":")[0] in places


def _without_notebook(decision: Decision) -> Decision:
    """The outputs themselves are read from the store by who needs them."""
    empty: nbformat.NotebookNode = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
    return replace(decision, stored=replace(decision.stored, notebook=empty)) if decision.stored else decision


def _signature(course: Course, moment: Moment) -> str:
    """What every page of the site depends on beside its own text; what pages show of each other Sphinx is asked for."""
    digest = hashlib.sha256("\n".join([__version__, sys.version, str(moment.is_preview), *installed()]).encode())
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
    package, root = Path(__file__).parent, course.root
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
        return [Path(entry.path) for entry in walk(path)]
    below = [Path(folder) / name for folder, _, names in os.walk(path, followlinks=True) for name in names]
    return sorted(below) if path.is_dir() else [path]


def _publish(source: Path, target: Path) -> None:
    """Make `target` the same as `source`, each changed file replaced whole; the pages come last.

    All of them are copied before the first takes its place: a full disk leaves the earlier site as it was.
    """
    wanted = [p.relative_to(source) for p in source.rglob("*") if p.is_file()]
    passing: dict[Path, Path] = {}  # by the file whose place it takes
    try:
        for path in sorted(wanted, key=lambda p: (p.suffix == ".html", p)):
            new, old = source / path, target / path
            if old.is_file() and filecmp.cmp(new, old, shallow=False):
                continue
            # Where a folder is to be there may be a file, which stays until all is copied.
            if not any(parent.is_file() for parent in old.parents):
                old.parent.mkdir(parents=True, exist_ok=True)
            folder = next(parent for parent in old.parents if parent.is_dir())
            passing[old] = folder / f".{'-'.join(old.relative_to(folder).parts)}.new"
            shutil.copyfile(new, passing[old])
        for old, copy in passing.items():
            _make_way(old)
            copy.replace(old)
    finally:
        for copy in passing.values():
            copy.unlink(missing_ok=True)
    keep = set(wanted)
    for path in sorted((p for p in target.rglob("*")), reverse=True):
        if path.is_file() and path.relative_to(target) not in keep:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _make_way(path: Path) -> None:
    """Remove the folder that stands where a file is to be, or the file where one of its folders is."""
    if path.is_dir():
        shutil.rmtree(path)
    for parent in path.parents:
        if parent.is_file():
            parent.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
