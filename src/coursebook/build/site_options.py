"""Which site to build. Light to import: a command knows it before the rendering process starts."""

from __future__ import annotations

import datetime
from dataclasses import dataclass


@dataclass(frozen=True)
class SiteOptions:
    """Which site to build: that of the day `as_of`, or of today where the course is taught; with `drafts`, of all that
    there is. `lenient`: warnings don't fail the build."""

    lenient: bool = False
    as_of: datetime.date | None = None
    drafts: bool = False
