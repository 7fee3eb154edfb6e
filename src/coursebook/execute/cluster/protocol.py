"""What a command and the workers of a cluster tell each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the scheduler imports this as well, and needs none of it
    import nbformat

    from ...ground import CourseError
    from ...outputs import Provenance
    from .. import Deprecation

GPU = "GPU"  # the resource that workers offer


@dataclass(frozen=True)
class Run:
    """One command's: `digest` names its parcel, `modules` are imported ahead, the rest is as the command has it."""

    id: str
    digest: str
    config: Mapping[str, Any]
    modules: tuple[str, ...]
    commit: str
    cold: bool
    keeps_going: bool = False


@dataclass(frozen=True)
class Traits:
    """What a worker is: its name, how many pages it executes at a time, the GPUs that it offers, and versions."""

    name: str
    threads: int
    gpus: tuple[str, ...]
    offered: int
    versions: Mapping[str, str | None]


@dataclass(frozen=True)
class Answer:
    """An executed page: its notebook and provenance, or what failed; `seconds` are those that it took.

    `deprecations` are what was listened for.
    """

    notebook: nbformat.NotebookNode | None
    provenance: Provenance | None
    error: CourseError | None
    seconds: float
    deprecations: tuple[Deprecation, ...] = ()


NAME = "coursebook"  # of the plugin, and of the topic under which workers tell how their pages go on


class NotHere(Exception):
    """The run isn't open on this worker: another process took its address, or it had nothing to do for long."""
