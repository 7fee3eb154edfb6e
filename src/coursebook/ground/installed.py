"""Which distributions are installed, told by the names of folders alone."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable


def installed_distributions(places: Iterable[str] | None = None) -> list[str]:
    """What is installed in `places`, or wherever this Python looks: the names of the distributions' folders carry
    their versions. In the order of the places, as of two with one name the first counts."""
    found = []
    for place in dict.fromkeys(places if places is not None else sys.path):
        with contextlib.suppress(OSError):
            found += sorted(
                entry.name
                for entry in os.scandir(place or ".")
                if entry.name.endswith((".dist-info", ".egg-info", ".egg-link"))
            )
    return found
