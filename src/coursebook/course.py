"""The course: its root, its configuration and its pages in the order of the table of contents."""

from __future__ import annotations

import datetime
import difflib
import os
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from sphinx.util.matching import Matcher, patfilter
from sphinx_external_toc.api import SiteMap
from sphinx_external_toc.parsing import MalformedError, parse_toc_data

from .address import ALLOWED, BadAddress, site_address
from .amount import DAYS, MOST, is_amount
from .errors import CourseError, CourseErrors
from .files import CONFIG, PATTERNS, TOC
from .live import allowed_server
from .memory import recall
from .page import SUFFIXES, Cell, Page, line_in_front_matter, yaml_problem
from .policy import DIRECTIVES
from .release import Moment

# What Jupyter Book 1 reads at the top of _config.yml; it ignores anything else without a word.
CONFIG_KEYS = (
    "title", "author", "copyright", "logo", "project", "exclude_patterns", "only_build_toc_files", "execute", "parse",
    "html", "latex", "bibtex_bibfiles", "launch_buttons", "repository", "sphinx",
)  # fmt: skip
# Coursebook's own, among Sphinx's below `sphinx: config:`.
OPTIONS = (
    "coursebook_binder_branch", "coursebook_csp", "coursebook_jobs", "coursebook_launch_branch",
    "coursebook_live_server", "coursebook_max_age", "coursebook_packages", "coursebook_picture_font",
    "coursebook_timezone",
)  # fmt: skip


@dataclass(frozen=True)
class Course:
    """A course below `root`: `pages` stand in toc order, the home page first; orphans (front matter) come last."""

    root: Path
    config: Mapping[str, Any]
    pages: tuple[Page, ...]

    @classmethod
    def load(cls, root: Path) -> Course:
        """Read the course at `root`.

        Raises CourseErrors with everything that is wrong with `_config.yml`, `_toc.yml` and the pages' files.
        """
        root = root.resolve()
        config = _load_config(root)
        excluded = [*PATTERNS, *(config.get("exclude_patterns") or [])]
        found = _documents(root, excluded)
        names = sorted(found)
        entries = _load_toc(root, names)
        known = recall(root)
        errors: list[CourseError] = []
        pages: list[Page] = []
        for docname, line in entries.items():
            paths = found.pop(docname, [])
            if not paths:
                errors.append(CourseError(TOC, line, _missing(root, docname, names)))
            elif len(paths) > 1:
                errors.append(_two_pages(docname, paths))
            else:
                _collect(errors, pages, root, paths[0], known)
        if not config.get("only_build_toc_files"):
            for docname, paths in found.items():
                if len(paths) > 1:
                    errors.append(_two_pages(docname, paths))
                    continue
                orphans: list[Page] = []
                _collect(errors, orphans, root, paths[0], known)
                for page in orphans:
                    if page.front_matter.get("orphan"):
                        pages.append(page)
                    else:
                        errors.append(
                            CourseError(
                                page.path,
                                None,
                                f"the page is not in {TOC}; add it there, write `orphan: true` in its front matter, "
                                f"or list it under `exclude_patterns` in {CONFIG}",
                            )
                        )
        errors += _bad_references(pages)
        if errors:
            raise CourseErrors("the course can't be read", errors)
        return cls(root, config, tuple(pages))

    def execution(self, key: str, default: Any) -> Any:
        """An option below `execute:` in `_config.yml`."""
        return (self.config.get("execute") or {}).get(key, default)

    @property
    def exactness(self) -> Mapping[str, str]:
        """How exactly a distribution's version must be the recorded one: `coursebook_packages` in `_config.yml`."""
        return self._sphinx("coursebook_packages") or {}

    @property
    def max_age(self) -> datetime.timedelta | None:
        """How old outputs may be before they are due: `coursebook_max_age`, in days."""
        days = self._sphinx("coursebook_max_age")
        return datetime.timedelta(days=float(days)) if days else None

    @property
    def jobs(self) -> Mapping[str, float]:
        """After how many days without a run each job of CI is overdue: `coursebook_jobs`."""
        return self._sphinx("coursebook_jobs") or {}

    @property
    def timezone(self) -> datetime.tzinfo | None:
        """Where the course is taught: `coursebook_timezone`, like Europe/Zurich; None for where it is built."""
        name = self._sphinx("coursebook_timezone")
        return zoneinfo.ZoneInfo(name) if name else None

    @property
    def today(self) -> Moment:
        """The day it is where the course is taught."""
        return Moment(datetime.datetime.now(self.timezone).date())

    @property
    def launch_branch(self) -> str:
        """The branch with the course's notebooks, which Colab and hubs open."""
        return str(self._sphinx("coursebook_launch_branch") or "launch")

    @property
    def binder_branch(self) -> str:
        """The branch from which Binder builds the machine that they run on."""
        return str(self._sphinx("coursebook_binder_branch") or "binder")

    @property
    def address(self) -> str:
        """Where the site will be, with a slash at its end: `html: baseurl`; nothing where that isn't said."""
        return site_address((self.config.get("html") or {}).get("baseurl") or self._sphinx("html_baseurl"))

    def _sphinx(self, key: str) -> Any:
        return ((self.config.get("sphinx") or {}).get("config") or {}).get(key)

    @property
    def mode(self) -> str:
        """How pages are executed: `cache` (what has changed), `force` (all), or `off` and `inline`, left to MyST-NB."""
        mode = self.execution("execute_notebooks", "cache")
        return {False: "off", "auto": "cache"}.get(mode, str(mode))

    def executed_pages(self) -> list[Page]:
        """The pages that a build executes when they have changed."""
        if self.mode in ("off", "inline"):
            return []
        is_excluded = Matcher(self.execution("exclude_patterns", []) or [])
        return [page for page in self.pages if page.cells and not is_excluded(page.path.as_posix())]


def _bad_references(pages: list[Page]) -> Iterator[CourseError]:
    """Labs in a page's schedule that the course doesn't have, and a home page that isn't out."""
    names = {page.docname for page in pages}
    for page in pages:
        for name in page.options.labs:
            if name not in names:
                near = difflib.get_close_matches(name, names, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                line = line_in_front_matter(page.text, "labs")
                yield CourseError(page.path, line, f"`labs` names {name!r}, which is no page of the course{hint}")
    if pages and (pages[0].options.release or not pages[0].options.published):
        yield CourseError(pages[0].path, None, "the home page can't have a release date, or be a draft")


def _collect(
    errors: list[CourseError], pages: list[Page], root: Path, path: Path, known: Mapping[str, tuple[Cell, ...]]
) -> None:
    try:
        pages.append(Page.read(root, path, known))
    except CourseError as error:
        errors.append(error)


def _load_yaml(root: Path, name: str, purpose: str) -> tuple[dict[str, Any], str]:
    path = root / name
    if not path.is_file():
        raise _one(CourseError(name, None, f"the file does not exist in {root}; {purpose}"))
    try:
        text = path.read_text(encoding="utf-8")
        data = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise _one(CourseError(name, None, f"not UTF-8 at byte {error.start}; save the file as UTF-8")) from None
    except yaml.YAMLError as error:
        raise _one(CourseError(name, *yaml_problem(error))) from None
    if not isinstance(data, dict):
        raise _one(CourseError(name, 1, "the file takes `key: value` lines"))
    return data, text


def _load_config(root: Path) -> dict[str, Any]:
    config, text = _load_yaml(root, CONFIG, "it configures Jupyter Book")
    errors: list[CourseError] = []
    for key in config:
        if key not in CONFIG_KEYS:
            near = difflib.get_close_matches(str(key), CONFIG_KEYS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"allowed: {', '.join(sorted(CONFIG_KEYS))}"
            errors.append(CourseError(CONFIG, line_of_key(text, str(key)), f"unknown key {key!r}; {hint}"))
    errors.extend(_bad_options(root, config, text))
    errors.extend(_bad_address(config, text))
    errors.extend(_bad_timeout(config, text))
    # Jupyter Book's own schema knows the types; it only prints a box about them.
    from jupyter_book.config import get_validator

    for problem in get_validator().iter_errors(config):
        keys = [str(key) for key in problem.path]
        line = line_of_key(text, *keys) if keys else None
        errors.append(CourseError(CONFIG, line, f"`{': '.join(keys)}`: {problem.message}"))
    if errors:
        raise CourseErrors("the configuration can't be read", errors)
    return config


def _bad_options(root: Path, config: Mapping[str, Any], text: str) -> Iterator[CourseError]:
    """What is wrong with Coursebook's own options, which stand among Sphinx's below `sphinx: config:`."""
    given = ((config.get("sphinx") or {}).get("config") or {}) if isinstance(config.get("sphinx"), dict) else {}
    for key, value in given.items() if isinstance(given, dict) else ():
        if not str(key).startswith("coursebook_"):
            continue
        line = line_of_key(text, "sphinx", "config", str(key))
        if key == "coursebook_packages":
            good = isinstance(value, dict) and all(v in ("major", "minor", "patch", "exact") for v in value.values())
            allowed = "distributions, each with `major`, `minor`, `patch` or `exact`"
        elif key == "coursebook_max_age":
            good = _is_days(value)
            allowed = "a number of days above 0, up to 1e6"
        elif key == "coursebook_jobs":
            good = isinstance(value, dict) and all(is_job(name) and _is_days(days) for name, days in value.items())
            allowed = (
                "jobs, each with the days after which one that hasn't run is overdue, like {drift: 14}, and up to 1e6"
            )
        elif key == "coursebook_timezone":
            good = isinstance(value, str) and value in zoneinfo.available_timezones()
            allowed = "a name like Europe/Zurich or America/New_York"
        elif key in ("coursebook_launch_branch", "coursebook_binder_branch"):
            good = isinstance(value, str) and re.fullmatch(r"(?![-/.])[\w./-]+(?<![/.])", value) is not None
            allowed = "the name of a branch"
        elif key == "coursebook_picture_font":
            good = isinstance(value, str) and (root / value).is_file()
            allowed = "a font file below the course's root, like assets/Inter-Bold.ttf"
        elif key == "coursebook_csp":
            good = isinstance(value, dict) and all(k in DIRECTIVES and _is_sources(v) for k, v in value.items())
            allowed = f"lists of sources by directive ({', '.join(DIRECTIVES)})"
        elif key == "coursebook_live_server":
            good = allowed_server(value)
            allowed = (
                "the address of a Jupyter server, like https://jupyter.example.org, or {url: ADDRESS, token: TOKEN}"
            )
        else:
            yield CourseError(
                CONFIG,
                line,
                f"unknown option {key!r} (allowed: {', '.join(OPTIONS)})",
            )
            continue
        if not good:
            yield CourseError(CONFIG, line, f"`{key}` takes {allowed}, not {value!r}")


def is_job(name: object) -> bool:
    """Whether a job of CI may be called that."""
    return isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9][\w.-]{0,63}", name) is not None


def _is_days(value: Any) -> bool:
    return is_amount(value, DAYS)


def _is_sources(value: Any) -> bool:
    """Whether it can stand in a header: a list of words without what separates one directive from the next."""
    return isinstance(value, list) and all(isinstance(v, str) and re.fullmatch(r"[!-+\--:<-~]+", v) for v in value)


def _bad_address(config: Mapping[str, Any], text: str) -> Iterator[CourseError]:
    """What is wrong with the site's address, which stands in one of two places."""
    for keys in (("html", "baseurl"), ("sphinx", "config", "html_baseurl")):
        value: Any = config
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        try:
            site_address(value)
        except BadAddress:
            yield CourseError(CONFIG, line_of_key(text, *keys), f"`{keys[-1]}` takes {ALLOWED}, not {value!r}")


def _bad_timeout(config: Mapping[str, Any], text: str) -> Iterator[CourseError]:
    """A time that no clock measures; Jupyter Book's schema knows the rest: -1 is no limit."""
    value = config["execute"].get("timeout") if isinstance(config.get("execute"), dict) else None
    if isinstance(value, (int, float)) and not value <= MOST:
        line = line_of_key(text, "execute", "timeout")
        yield CourseError(CONFIG, line, f"`timeout` takes a number of seconds up to 1e9, or -1, not {value!r}")


def _load_toc(root: Path, names: list[str]) -> dict[str, int | None]:
    """Docnames in reading order, each with its line in `_toc.yml`; a glob stands for the `names` that it matches."""
    data, text = _load_yaml(root, TOC, "it lists the pages in their order")
    lines = {value: n for n, value in sorted(_scalars_of(text, ("file", "root")))}
    try:
        site_map = parse_toc_data(data)
    except MalformedError as error:
        named = next((n for value, n in lines.items() if repr(value) in str(error)), None)
        raise _one(CourseError(TOC, named, " ".join(str(error).split()))) from None
    return {_strip_suffix(name): lines.get(name) for name in _walk(site_map, site_map.root.docname, names)}


def _walk(site_map: SiteMap, docname: str, names: list[str]) -> Iterator[str]:
    yield docname
    for child in site_map[docname].child_files():
        yield from _walk(site_map, child, names)
    for pattern in site_map[docname].child_globs():
        yield from patfilter(names, pattern)


def _scalars_of(text: str, keys: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    stack = [yaml.compose(text, Loader=yaml.SafeLoader)]
    while stack:
        node = stack.pop()
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value in keys and isinstance(value, yaml.ScalarNode):
                    yield value.start_mark.line + 1, value.value
                stack.append(value)
        elif isinstance(node, yaml.SequenceNode):
            stack.extend(node.value)


def line_of_key(text: str, *keys: str) -> int | None:
    """The line (from 1) of a key in a YAML text, reached through the keys above it; list indices are passed over."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    line = None
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            for name, value in node.value:
                if str(name.value) == key:
                    line, node = name.start_mark.line + 1, value
                    break
        elif isinstance(node, yaml.SequenceNode) and key.isdigit() and int(key) < len(node.value):
            node = node.value[int(key)]
            line = node.start_mark.line + 1
    return line


def _documents(root: Path, excluded: list[str]) -> dict[str, list[Path]]:
    """Every docname below `root` with the files that bear it."""
    is_excluded = Matcher(excluded)
    found: dict[str, list[Path]] = {}
    for folder, folders, files in os.walk(root):
        here = Path(folder).relative_to(root)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and not is_excluded((here / name).as_posix())
            and not (Path(folder) / name / "pyvenv.cfg").exists()
        )
        for name in sorted(files):
            path = here / name
            if path.suffix in SUFFIXES and not is_excluded(path.as_posix()):
                found.setdefault(path.with_suffix("").as_posix(), []).append(path)
    return found


def _missing(root: Path, docname: str, found: list[str]) -> str:
    near = difflib.get_close_matches(docname, found, 1)
    if near:
        return f"the page {docname!r} does not exist; did you mean {near[0]!r}?"
    other = [p.name for p in (root / docname).parent.glob(Path(docname).name + ".*")]
    if other:
        return f"the page {docname!r} is {other[0]!r}; pages are {' or '.join(SUFFIXES)} files that are not excluded"
    names = " or ".join(docname + suffix for suffix in SUFFIXES)
    return f"the page {docname!r} does not exist ({names} below the course's root)"


def _two_pages(docname: str, paths: list[Path]) -> CourseError:
    names = " and ".join(path.as_posix() for path in paths)
    return CourseError(paths[0], None, f"{names} are two pages of one name, {docname!r}; rename or remove one")


def _strip_suffix(name: str) -> str:
    return re.sub(r"\.(md|ipynb)$", "", name)


def _one(error: CourseError) -> CourseErrors:
    return CourseErrors("the course can't be read", [error])
