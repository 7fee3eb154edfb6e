"""The same pages on the workers of a Dask cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...ground.lazy import lazily

if TYPE_CHECKING:
    from .client import Cluster as Cluster

__getattr__ = lazily(
    __name__,
    {
        "client": "Cluster",
    },
)
