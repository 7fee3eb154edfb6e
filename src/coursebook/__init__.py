"""Jupyter Book for courses: Markdown day pages and labs whose code is executed, and whose published outputs are
provably current."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

__version__ = "0.1.0"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the Sphinx parts; `_config.yml` names this package under `sphinx: extra_extensions`."""
    from .site.sphinx import setup as register

    register(app)
    # What Sphinx keeps between builds holds objects of ours, by the names of their modules: with others it begins anew.
    return {"version": __version__, "env_version": 2, "parallel_read_safe": True, "parallel_write_safe": True}
