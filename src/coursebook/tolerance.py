"""How far two outputs may be apart, and what a comparison found: the words in which `compare` and its parts speak."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from .amount import is_number

Verdict = Literal["same", "within tolerance", "changed"]
Kind = Literal["text", "number", "figure", "table", "error", "warning", "output"]

_LONGEST = 80  # characters of what stood there
MOST = 12  # differences of one output that are told one by one


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
        """`base` (without it the defaults) with what a page's or a cell's metadata says otherwise.

        Raises ValueError, with a sentence that names what is allowed, for an unknown key or a value of another kind.
        """
        base = cls() if base is None else base
        names = [field.name for field in fields(cls)]
        allowed = "numbers, metrics, absolute and figures (each a number from 0) and volatile (true or false)"
        if not isinstance(given, Mapping):
            raise ValueError(f"a tolerance takes {allowed}, not {given!r}")
        for key, value in given.items():
            if key not in names:
                near = difflib.get_close_matches(str(key), names, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"a tolerance takes {allowed}, not {key!r}{hint}")
            if key == "volatile":
                if not isinstance(value, bool):
                    raise ValueError(f"`volatile` takes true or false, not {value!r}")
            elif not is_number(value) or value < 0:
                raise ValueError(f"`{key}` takes a number from 0, not {value!r}")
        return replace(base, **given)


@dataclass(frozen=True)
class Difference:
    """One thing that is otherwise: what stood there (`old`), what stands there (`new`), each "" where nothing does.

    `why` is a part of a sentence for people. `is_allowed`: it is within the tolerance. `output` is the index of the
    output in the new cell, or in the old one where it has vanished.
    """

    kind: Kind
    old: str
    new: str
    why: str
    is_allowed: bool
    output: int = 0


def short(text: str, longest: int = _LONGEST) -> str:
    """A text on one line, its middle left out where it is long."""
    text = " ".join(text.split())
    if len(text) <= longest:
        return text
    return f"{text[: longest * 2 // 3].rstrip()} … {text[len(text) - longest // 3 + 3 :].lstrip()}"


def few(differences: list[Difference]) -> list[Difference]:
    """The first of many differences, changes before what is allowed, and one that counts the rest."""
    told: list[Difference] = []
    for is_allowed in (False, True):
        group = [difference for difference in differences if difference.is_allowed == is_allowed]
        rest = group[MOST:]
        told += group[:MOST]
        if rest:
            what = "within tolerance" if is_allowed else "changed"
            told.append(Difference(rest[0].kind, "", "", f"and {len(rest)} more {what}", is_allowed, rest[0].output))
    return told
