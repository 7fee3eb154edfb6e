"""What a reader may see on a given day: pages and solutions that are out, and none that aren't."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass

from .page import Page


@dataclass(frozen=True)
class Moment:
    """The day that a site is built for. `drafts` shows an author everything; a preview is not to be found by others."""

    day: datetime.date
    drafts: bool = False
    is_preview: bool = False

    def shows(self, page: Page) -> bool:
        """Whether the page is on the site."""
        options = page.options
        return self.drafts or (options.published and not self._is_ahead(options.release))

    def shows_solutions(self, page: Page) -> bool:
        return self.drafts or not self._is_ahead(page.options.solutions)

    def announces(self, page: Page) -> bool:
        """Whether readers may know that a page which isn't on the site yet will be: it has a date and is no draft."""
        return page.options.published and page.options.release is not None

    def _is_ahead(self, day: datetime.date | None) -> bool:
        return day is not None and day > self.day

    def next_change(self, pages: Iterable[Page]) -> datetime.date | None:
        """The first day on which the site shows something else than it does now; None where there is none."""
        days = [day for page in pages for day in (page.options.release, page.options.solutions, page.options.date)]
        return min((day for day in days if day is not None and day > self.day), default=None)


def in_words(day: datetime.date) -> str:
    """A date as a reader of English reads it: Mon, Oct 5, 2026."""
    return f"{day:%a, %b} {day.day}, {day.year}"
