"""Code that readers run in the page itself: where its kernels are, and the JavaScript that it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ground.lazy import lazily

if TYPE_CHECKING:
    from .bundler import (
        BUNDLED as BUNDLED,
        Unavailable as Unavailable,
        bundle_digest as bundle_digest,
        made_bundle as made_bundle,
        make_bundle as make_bundle,
    )
    from .kernel_server import serve_kernels as serve_kernels
    from .service import Live as Live, origins as origins

__getattr__ = lazily(
    __name__,
    {
        "bundler": "BUNDLED Unavailable bundle_digest made_bundle make_bundle",
        "kernel_server": "serve_kernels",
        "service": "Live origins",
    },
)
