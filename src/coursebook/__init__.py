"""Jupyter Book for courses: Markdown day pages and labs whose code is executed, and whose published outputs are
provably current."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

__version__ = "0.1.0"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the Sphinx parts; `_config.yml` names this package under `sphinx: extra_extensions`."""
    from .sphinx.across import setup_across
    from .sphinx.agenda import setup_agenda
    from .sphinx.assets import setup_assets
    from .sphinx.changed import setup_changed
    from .sphinx.claims import setup_claims
    from .sphinx.current import setup_current
    from .sphinx.defaults import setup_defaults
    from .sphinx.feed import setup_feed
    from .sphinx.freshness import setup_freshness
    from .sphinx.frontmatter import setup_frontmatter
    from .sphinx.late import setup_late
    from .sphinx.launch import setup_launch
    from .sphinx.live import setup_live
    from .sphinx.mathematics import setup_mathematics
    from .sphinx.notebooks import setup_notebooks
    from .sphinx.notfound import setup_notfound
    from .sphinx.notice import setup_notice
    from .sphinx.outputs import setup_outputs
    from .sphinx.parallel import setup_parallel
    from .sphinx.policy import setup_policy
    from .sphinx.release import setup_release
    from .sphinx.schedule import setup_schedule
    from .sphinx.searchindex import setup_searchindex
    from .sphinx.share import setup_share

    setup_defaults(app)
    setup_assets(app)
    setup_agenda(app)
    setup_claims(app)
    setup_mathematics(app)
    setup_notebooks(app)
    setup_launch(app)
    setup_late(app)
    setup_notfound(app)
    setup_current(app)
    setup_changed(app)
    setup_across(app)
    setup_frontmatter(app)
    setup_outputs(app)
    setup_notice(app)
    setup_freshness(app)
    setup_parallel(app)
    setup_release(app)
    setup_schedule(app)
    setup_share(app)
    setup_searchindex(app)
    setup_feed(app)
    setup_policy(app)
    setup_live(app)
    return {"version": __version__, "parallel_read_safe": True, "parallel_write_safe": True}
