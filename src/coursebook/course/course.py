"""The course: its root, its configuration and its pages in the order of the table of contents."""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sphinx.util.matching import Matcher

from ..ground import CONFIG, TOC, CourseError, CourseErrors, did_you_mean
from .addresses import site_address
from .cell import Cell
from .config import load_config
from .documents import find_documents, two_pages, why_missing
from .front_matter import line_in_front_matter
from .memory import recall
from .page import Page
from .release import Moment
from .settings import SETTINGS
from .toc import load_toc


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
        config = load_config(root)
        found = find_documents(root, config.get("exclude_patterns") or [])
        names = sorted(found)
        entries = load_toc(root, names)
        known = recall(root)
        errors: list[CourseError] = []
        pages: list[Page] = []
        for docname, line in entries.items():
            paths = found.pop(docname, [])
            if not paths:
                errors.append(CourseError(TOC, line, why_missing(root, docname, names)))
            elif len(paths) > 1:
                errors.append(two_pages(docname, paths))
            else:
                _collect(errors, pages, root, paths[0], known)
        if not config.get("only_build_toc_files"):
            for docname, paths in found.items():
                if len(paths) > 1:
                    errors.append(two_pages(docname, paths))
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
        found: Mapping[str, str] = self.setting("coursebook_packages")
        return found

    @property
    def max_age(self) -> datetime.timedelta | None:
        """How old outputs may be before they are due: `coursebook_max_age`, in days."""
        days = self.setting("coursebook_max_age")
        return datetime.timedelta(days=float(days)) if days else None

    @property
    def jobs(self) -> Mapping[str, float]:
        """After how many days without a run each job of CI is overdue: `coursebook_jobs`."""
        found: Mapping[str, float] = self.setting("coursebook_jobs")
        return found

    @property
    def timezone(self) -> datetime.tzinfo | None:
        """Where the course is taught: `coursebook_timezone`, like Europe/Zurich; None for where it is built."""
        name = self.setting("coursebook_timezone")
        return zoneinfo.ZoneInfo(name) if name else None

    @property
    def today(self) -> Moment:
        """The day it is where the course is taught."""
        return Moment(datetime.datetime.now(self.timezone).date())

    @property
    def launch_branch(self) -> str:
        """The branch with the course's notebooks, which Colab and hubs open."""
        return str(self.setting("coursebook_launch_branch"))

    @property
    def binder_branch(self) -> str:
        """The branch from which Binder builds the machine that they run on."""
        return str(self.setting("coursebook_binder_branch"))

    @property
    def address(self) -> str:
        """Where the site will be, with a slash at its end: `html: baseurl`; nothing where that isn't said."""
        return site_address((self.config.get("html") or {}).get("baseurl") or self._sphinx("html_baseurl"))

    def setting(self, name: str) -> Any:
        """One of `SETTINGS`, by default what stands there."""
        setting, given = SETTINGS[name], self._sphinx(name)
        return setting.convert(given) if given else setting.default

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
                line, hint = line_in_front_matter(page.text, "labs"), did_you_mean(name, names)
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
