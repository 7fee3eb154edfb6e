"""How far two outputs may be apart before they differ: what a page or a cell says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from ..ground import did_you_mean
from .amounts import is_number


@dataclass(frozen=True)
class Tolerance:
    """How far a fresh output may be from the stored one, before a reader would be told another story.

    `numbers` is relative and for floats: it catches a change of the third significant digit and forgives the fourth.
    `metrics` is relative and for what was learned (loss, accuracy, error, …), known from the words beside the number.
    Two floats that are both at most `absolute` are rounding noise. `figures` is the distance of two pictures, 0 to 1;
    `figures.distance` says what it measures and on what the default rests. Where `volatile`, what a cell puts out
    changes from run to run by its nature: only the kinds of its outputs and its errors are compared.
    """

    numbers: float = 1e-3
    metrics: float = 0.02
    absolute: float = 1e-6
    figures: float = 0.02
    volatile: bool = False

    @classmethod
    def read(cls, given: Mapping[str, Any], base: Tolerance | None = None) -> Tolerance:
        """`base` (without it the defaults) with what a page's or a cell's metadata changes in it.

        Raises ValueError, with a sentence that names what is allowed, for an unknown key or a value of another kind.
        """
        base = cls() if base is None else base
        names = [field.name for field in fields(cls)]
        allowed = "numbers, metrics, absolute and figures (each a number from 0) and volatile (true or false)"
        if not isinstance(given, Mapping):
            raise ValueError(f"a tolerance takes {allowed}, not {given!r}")
        for key, value in given.items():
            if key not in names:
                raise ValueError(f"a tolerance takes {allowed}, not {key!r}{did_you_mean(key, names)}")
            if key == "volatile":
                if not isinstance(value, bool):
                    raise ValueError(f"`volatile` takes true or false, not {value!r}")
            elif not is_number(value) or value < 0:
                raise ValueError(f"`{key}` takes a number from 0, not {value!r}")
        return replace(base, **given)
