"""The whole way: read the course, bring its outputs up to date, render the site."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ground.lazy import lazily

if TYPE_CHECKING:
    from .building import build as build
    from .lock import exclusive as exclusive
    from .site_options import SiteOptions as SiteOptions
    from .snapshot import Snapshot as Snapshot
    from .updating import bring_up_to_date as bring_up_to_date

__getattr__ = lazily(
    __name__,
    {
        "building": "build",
        "lock": "exclusive",
        "site_options": "SiteOptions",
        "snapshot": "Snapshot",
        "updating": "bring_up_to_date",
    },
)
