"""Are two sets of outputs the same, as a reader would judge?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ground.lazy import lazily

if TYPE_CHECKING:
    from .cells import (
        CellComparison as CellComparison,
        compare_cell as compare_cell,
        difference_picture as difference_picture,
        picture_of as picture_of,
    )
    from .difference import Difference as Difference, Verdict as Verdict
    from .numbers import is_metric as is_metric, relative_distance as relative_distance

__getattr__ = lazily(
    __name__,
    {
        "cells": "CellComparison compare_cell difference_picture picture_of",
        "difference": "Difference Verdict",
        "numbers": "is_metric relative_distance",
    },
)
