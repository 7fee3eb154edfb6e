"""What is added to Sphinx, one component a module; `setup` registers them all."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# In the order in which they are registered; `order` says in which they hear of events.
COMPONENTS = (
    "defaults", "assets", "agenda", "claims", "mathematics", "downloads", "buttons", "late", "notfound", "current",
    "changed", "across", "options_out", "readers", "notice", "freshness", "parallel", "withheld", "schedule", "share",
    "searchindex", "feed", "headers", "live_code",
)  # fmt: skip


def setup(app: Sphinx) -> None:
    """Let each component register itself."""
    for name in COMPONENTS:
        import_module(f".{name}", __name__).setup(app)
