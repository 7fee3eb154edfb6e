"""How much an option may say: a number that sums of times and sizes can bear, so neither `.inf` nor `.nan`."""

from __future__ import annotations

from typing import Any

MOST_AMOUNT = 1e9
MOST_DAYS = 1e6  # a calendar ends with the year 9999


def is_amount(value: Any, most: float = MOST_AMOUNT) -> bool:
    """Whether `value` is a number above 0 and up to `most`."""
    return is_number(value, most) and value > 0


def is_number(value: Any, most: float = MOST_AMOUNT) -> bool:
    """Whether `value` is a number that is, either way, not farther from 0 than `most`."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= most
