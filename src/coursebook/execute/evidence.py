"""What a page's execution depended on, from what its kernel saw: the provenance of its outputs."""

from __future__ import annotations

import datetime
import json
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..course import Course, Page, full_names_in, imported_modules, modules_in
from ..ground import is_changed_since, look_at
from ..outputs import (
    ABSENT,
    CAME,
    EDITED,
    FOLDER_NAMES,
    OWN,
    Interpreter,
    Provenance,
    cell_digests,
    cell_inputs,
    code_digest,
    declared_inputs,
    distributions_of,
    file_digest,
    folder_of,
    is_released,
    modules_beside,
    own_files,
    printable,
)

# Modules that open files in compiled code, which no interpreter sees: https://docs.python.org/3/library/audit_events.html
# has no event for it.
OPENS_BY_ITSELF = (
    "cv2", "duckdb", "h5py", "netCDF4", "polars", "pyarrow", "rasterio", "safetensors", "soundfile", "tables",
    "torchaudio", "torchvision.io", "xarray",
)  # fmt: skip


@dataclass(frozen=True)
class Execution:
    """How a page was executed: since `when`, in so many `seconds`, those of each cell, at which commit.

    `kernel` is the Python of the kernel where that isn't the one that builds, `python` its version.
    """

    when: datetime.datetime
    seconds: float
    cell_seconds: Sequence[float]
    commit: str
    python: str
    kernel: Interpreter | None = None


def provenance_of(course: Course, page: Page, seen: Mapping[str, Any], execution: Execution) -> Provenance:
    """The provenance of a page's outputs; `seen` is what the observer reported, empty where there was none."""
    inputs = _inputs(course, page, seen, execution.when)
    modules = _modules(course, page, seen.get("read", []))
    kernel = execution.kernel
    return Provenance(
        code=code_digest(page),
        cells=cell_digests(page),
        inputs=inputs,
        cell_inputs=cell_inputs(course.root, page, inputs, seen),
        packages=kernel.distributions_of(modules) if kernel else distributions_of(modules),
        kernel=kernel.name if kernel else "",
        imports=_from_elsewhere(course, page, modules),
        unseen=_unseen(page, modules, seen),
        device="gpu" if seen.get("cuda") else "cpu",
        device_name=seen.get("cuda", ""),
        device_memory=int(seen.get("cuda_memory", 0)),
        offered=seen.get("offered", ""),
        python=execution.python,
        platform=f"{platform.system()} {platform.machine()}",
        commit=execution.commit,
        executed=execution.when.isoformat(timespec="seconds"),
        seconds=round(execution.seconds, 3),
        cell_seconds=tuple(execution.cell_seconds),
        peak_memory=int(seen.get("peak_memory", 0)),
    )


def _inputs(course: Course, page: Page, seen: Mapping[str, Any], since: datetime.datetime) -> dict[str, str]:
    """The observed inputs and those that the page's globs name, each with its sha256; not the page itself.

    What was looked for in vain is ABSENT. What somebody changed meanwhile is EDITED: nobody knows what the page read.
    What the page itself changed is none: it is told of as not watched; what it made and then read is OWN. What came or
    changed after the page had begun and before it read it is CAME, folders have FOLDER_NAMES: see `settling.py`.
    """
    declared = declared_inputs(course.root, page)
    listed = seen.get("listed", {})
    written, changed = {*seen.get("written", ()), *own_files(course.root, page)}, set(seen.get("changed", ()))
    edited, made = set(seen.get("edited", ())), set(seen.get("made", ()))
    # Nobody could look at these when they were read.
    unheard = {*seen.get("unheard", ()), *(declared - set(seen.get("read", ())))}
    found = dict.fromkeys(seen.get("absent", ()), ABSENT)
    found |= dict.fromkeys((declared & (written | changed)) | {*seen.get("again", ())}, OWN)
    # Of the names in a folder those count that the page doesn't make.
    found |= {name: OWN for name in written if folder_of(name) in listed}
    for name in {*seen.get("read", ()), *declared, *edited} - {page.path.as_posix()} - written - changed:
        path = course.root / name
        before = look_at(path)
        digest = file_digest(path)
        is_newer = name in unheard and is_changed_since(path, since.timestamp())
        if name in edited or is_newer or look_at(path) != before:
            found[name] = CAME + EDITED if name in made else EDITED
        elif digest:
            found[name] = CAME + digest if name in made else digest
    new = seen.get("new", {})
    found |= {folder: FOLDER_NAMES + json.dumps([names, new[folder]]) for folder, names in listed.items()}
    return dict(sorted(found.items()))


def _modules(course: Course, page: Page, read: Iterable[str]) -> set[str]:
    """What the page's cells import, and what the modules of the course that it imports do."""
    found = imported_modules(page.cells)
    for name in read:
        if name.endswith(".py"):
            with suppress(OSError, UnicodeDecodeError):
                found |= modules_in((course.root / name).read_text(encoding="utf-8"))
    return found


def _from_elsewhere(course: Course, page: Page, modules: Iterable[str]) -> tuple[str, ...]:
    """Those of the `modules`, which the page or a module of the course imports, that don't lie beside the page: one
    that comes would be imported instead."""
    if course.execution("run_in_temp", False):
        return ()
    names = sorted(modules)
    return tuple(name for name in names if not modules_beside(course.root, page, name))


def _unseen(page: Page, modules: set[str], seen: Mapping[str, Any]) -> tuple[str, ...]:
    """What the outputs may depend on and nobody could see, in words that follow on "not watched:"."""
    if not seen:  # no observer: another language, or the page took it away
        return () if page.options.inputs else ("what the page reads, as its kernel can't be observed",)
    found = [f"what {printable(name)} reads" for name in seen.get("programs", ())]
    code = "\n".join(cell.source for cell in page.cells)
    parts = {name for cell in page.cells for name in full_names_in(cell.source, members=True)}
    for name in OPENS_BY_ITSELF:
        if name in modules or name in parts or ("." in name and re.search(rf"\b{re.escape(name)}\b", code)):
            found.append(f"files that {name} opens")
    elsewhere = sorted(name for name in modules & seen.get("elsewhere", {}).keys() if not is_released(name))
    found += [f"the module {name} from outside of the course" for name in elsewhere]
    found += [f"the hidden file {printable(name)}" for name in seen.get("hidden", ())]
    if seen.get("own_processes"):
        found.append("what processes read that it starts")
    found += [f"{printable(name)}, which the page changes" for name in seen.get("changed", ())]
    # Declared inputs are what such a page is asked for, except by modules.
    can_be_declared = ("what ", "files ")
    return tuple(text for text in found if not (page.options.inputs and text.startswith(can_be_declared)))
