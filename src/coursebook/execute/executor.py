"""How pages are to be executed, and who hears of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..outputs import Device
from .events import Event


class Reporter(Protocol):
    """Hears how a build goes on."""

    def to_execute(self, pages: Sequence[tuple[str, int, float | None]], slots: int) -> None: ...
    def waits(self, docname: str, reason: str) -> None: ...
    def tell(self, event: Event) -> None: ...
    def rendering(self, pages: int) -> None: ...
    def notice(self, text: str) -> None: ...
    def log(self, line: str) -> None: ...


@dataclass(frozen=True)
class ExecutionOptions:
    """How to execute: every page (`force`), `jobs` at a time (None: the number of cores), each kernel anew (`cold`), on
    which `device`, and GPU pages without outputs on a CPU (`provisional`). `cluster` is the address of the scheduler
    whose workers execute them; empty for this machine."""

    force: bool = False
    jobs: int | None = None
    cold: bool = False
    device: Device = "auto"
    provisional: bool = False
    cluster: str = ""
