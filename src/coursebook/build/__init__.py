"""The whole way: read the course, bring its outputs up to date, render the site."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ground.lazy import lazily

if TYPE_CHECKING:
    from .building import SiteOptions as SiteOptions, build as build
    from .lock import exclusive as exclusive
    from .snapshot import Snapshot as Snapshot
    from .updating import bring_up_to_date as bring_up_to_date

__getattr__ = lazily(
    __name__,
    {
        "building": "SiteOptions build",
        "lock": "exclusive",
        "snapshot": "Snapshot",
        "updating": "bring_up_to_date",
    },
)
