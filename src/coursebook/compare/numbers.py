"""Two numbers: how far they are apart, and whether words beside them say that they were learned or timed."""

from __future__ import annotations

import math
import re

from ..course import Tolerance
from .difference import Difference
from .tokens import Token

# What is learned or measured on data: a float beside one of these words is compared by `Tolerance.metrics`.
_METRIC = re.compile(
    r"loss(?:es)?|acc(?:urac(?:y|ies))?|err(?:ors?)?|scores?|metrics?|f1|fbeta|auc|auroc|roc|precision|recall|iou|map|dice"
    r"|sensitivity|specificity|r2|r²|mse|rmse|mae|nll|logloss|(?:cross)?entropy|likelihood|elbo|kl|perplexity|ppl"
    r"|bleu|rewards?|returns?|baseline|train(?:ing)?|test(?:ing)?|val(?:id(?:ation)?)?|dev"
)
_UNITS = frozenset(
    ["ms", "us", "µs", "μs", "ns", "s", "sec", "secs", "seconds", "milliseconds", "microseconds", "nanoseconds"]
)
_TIMES = frozenset(["time", "runtime", "duration", "elapsed"])
_RATES = re.compile(r"/\s?s(?:ec)?\b|\bper second\b|\bFLOPS\b|\bfps\b|\bs/it\b|\bspeed-?up\b", re.IGNORECASE)


def is_metric(label: str) -> bool:
    """Whether words beside a number say that it was learned."""
    words = re.split(r"[^a-z0-9²]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label).lower())
    return any(_METRIC.fullmatch(word) for word in words)


def is_timing(label: str, is_float: bool = True) -> bool:
    """Whether the head of a column says that it holds times or rates; `time` alone says so of floats only."""
    if _RATES.search(label):
        return True
    words = re.split(r"[^\wµμ]+", label.lower())
    return any(word in _UNITS or (is_float and word in _TIMES) for word in words)


def compare_numbers(
    old: Token, new: Token, tolerance: Tolerance, learned: bool, is_percent: bool = False
) -> Difference | None:
    """The difference of two numbers, None where they are equal and look alike.

    Whole numbers are exact, save the percentage of a metric. A float that became a whole number is a change, because
    its type did. The same value with other digits (0.81, 0.8100) is allowed: arrays are printed with as many as one of
    them needs.
    """
    share = tolerance.metrics if learned else tolerance.numbers
    a, b = old.value, new.value

    def difference(why: str, is_allowed: bool) -> Difference:
        return Difference("number", old.text, new.text, f"{old.text} -> {new.text}, {why}", is_allowed)

    if old.kind != new.kind:
        which = "a whole number became a float" if old.kind == "integer" else "a float became a whole number"
        return difference(which, False)
    if math.isnan(a) or math.isnan(b):
        return None if math.isnan(a) and math.isnan(b) else difference("one of them not a number", False)
    if a == b:
        return None if _plain(old.text) == _plain(new.text) else difference("the same number, written otherwise", True)
    if old.kind == "integer" and not (learned and is_percent):
        return difference("where whole numbers are exact", False)
    if old.kind == "float" and abs(a) <= tolerance.absolute and abs(b) <= tolerance.absolute:
        return difference(f"both rounding noise, below {tolerance.absolute:g}", True)
    apart = relative_distance(a, b)
    is_allowed = apart <= share
    what = "a metric" if learned else "a number"
    if math.isinf(apart):
        return difference("one of them infinite", False)
    return difference(f"{_percent(apart)} apart where {_percent(share)} is allowed for {what}", is_allowed)


def relative_distance(a: float, b: float) -> float:
    """How far two numbers are apart, in shares of the greater."""
    if a == b:
        return 0.0
    if math.isinf(a) or math.isinf(b):
        return math.inf
    return abs(a - b) / max(abs(a), abs(b))


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 1 else f"{100 * share:.0f} %"


def _plain(text: str) -> str:
    return text.replace("−", "-").lstrip("+")
