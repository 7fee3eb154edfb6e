"""The site: Jupyter Book builds it in a process of its own, with what `sphinx/` adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ground.lazy import lazily

if TYPE_CHECKING:
    from .badge import Color as Color, badge_svg as badge_svg
    from .history import Span as Span, history_of as history_of
    from .link_check import check_links as check_links
    from .needs import needs_of as needs_of
    from .picture import HEIGHT as HEIGHT, WIDTH as WIDTH, Picture as Picture
    from .process import Done as Done, Problem as Problem, RenderingProcess as RenderingProcess, Said as Said
    from .rendering import Order as Order, render as render

__getattr__ = lazily(
    __name__,
    {
        "badge": "Color badge_svg",
        "history": "Span history_of",
        "link_check": "check_links",
        "needs": "needs_of",
        "picture": "HEIGHT Picture WIDTH",
        "process": "Done Problem RenderingProcess Said",
        "rendering": "Order render",
    },
)
