"""The provenance of stored outputs: who made them, from what, and how."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Provenance:
    """Who made these outputs, from what, and how.

    `cells` holds a digest for each code cell, `inputs` one for each file read below the root, `cell_inputs` for each
    code cell those that it read itself (nothing at all where nobody watched), `packages` the version of each
    distribution that the page's own code imported, `imports` the modules that it imported and that don't lie beside it.
    `unseen` is what else they may depend on and nobody could see, in words; `kernel` names the kernel where its Python
    wasn't the one that built. `device` is what the kernel proved that it computed on, `gpu` (CUDA was initialized;
    `device_name` names it, `device_memory` is its peak) or `cpu`; `offered` names a GPU that the page could have used.
    `executed` is a UTC time in ISO 8601, `seconds` and `cell_seconds` are wall-clock times, `peak_memory` and
    `device_memory` are in bytes.
    """

    code: str
    cells: tuple[str, ...]
    inputs: Mapping[str, str] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"
    device_name: str = ""
    device_memory: int = 0
    offered: str = ""
    python: str = ""
    platform: str = ""
    commit: str = ""
    executed: str = ""
    seconds: float = 0.0
    cell_seconds: tuple[float, ...] = ()
    peak_memory: int = 0
    cell_inputs: tuple[tuple[str, ...], ...] = ()
    kernel: str = ""
    imports: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Provenance:
        """What a file says, which may have been changed by hand. Raises TypeError or ValueError for what can't be."""
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        for name in ("cells", "cell_seconds", "imports", "unseen"):
            known[name] = tuple(known.get(name, ()))
        for name in ("inputs", "packages"):
            known[name] = dict(known.get(name, {}))
        known["cell_inputs"] = _names_by_cell(known.get("cell_inputs", []), len(known["cells"]))
        made = cls(**known)
        texts = [made.code, made.device, made.device_name, made.offered, made.python, made.platform, made.commit]
        texts += [made.kernel, *made.imports, *made.unseen, *made.cells, *made.inputs.values(), *made.packages.values()]
        numbers = [made.seconds, made.peak_memory, made.device_memory, *made.cell_seconds]
        if not all(isinstance(text, str) for text in texts) or not all(isinstance(n, (int, float)) for n in numbers):
            raise TypeError("a text or a number is something else")
        if datetime.datetime.fromisoformat(made.executed).tzinfo is None:
            raise ValueError(f"{made.executed} is in no time zone")
        return made


def _names_by_cell(data: Any, cells: int) -> tuple[tuple[str, ...], ...]:
    """Raises TypeError or ValueError for what isn't a list of names for each cell, or empty."""
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in data):
        raise TypeError("a name is something else")
    if len(data) not in (0, cells):
        raise ValueError(f"{len(data)} cells have inputs, but there are {cells}")
    return tuple(tuple(names) for names in data)
