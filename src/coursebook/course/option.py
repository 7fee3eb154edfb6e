"""An option: what it is by itself, what it may be, and what becomes of it. Pages and courses have a table each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


def _as_given(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Option:
    """An option. `check` says whether a given value may be one, `allowed` what may, in words that follow on "takes";
    `convert` makes of it what the program uses."""

    default: Any
    check: Callable[[Any], bool]
    allowed: str
    help: str
    convert: Callable[[Any], Any] = _as_given

    @property
    def field(self) -> Any:
        """The option as a field of a dataclass."""
        return field(default=self.default, metadata={"option": self})
