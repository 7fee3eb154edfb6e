"""What a comparison found, in words, and how much of it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["same", "within tolerance", "changed"]
Kind = Literal["text", "number", "figure", "table", "error", "warning", "output"]
_LONGEST = 80  # characters of what stood there
MOST = 12  # differences of one output that are told one by one


@dataclass(frozen=True)
class Difference:
    """One thing that differs: what stood there (`old`), what stands there (`new`), each "" where nothing does.

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
