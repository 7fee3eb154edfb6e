"""How to execute. Light to import: a command knows it before the rendering process starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..outputs import Device


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
