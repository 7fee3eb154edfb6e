"""What this process may use of the machine: processors and memory, within the limits of its container.

A container's limits are those of a control group (cgroup) of Linux and of the groups above it, in version 1 or 2:
https://docs.kernel.org/admin-guide/cgroup-v2.html, https://docs.kernel.org/admin-guide/cgroup-v1/memory.html.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def cores(proc: Path = PROC, cgroups: Path = CGROUPS) -> int:
    """How many processors this process may use; a part of one counts as one."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for group in _groups("cpu", proc, cgroups) if (quota := _quota(group))]
    return min([allowed, *(math.ceil(quota) for quota in quotas)])


def free_memory(proc: Path = PROC, cgroups: Path = CGROUPS) -> float:
    """Bytes that processes may take beyond what they have; without limit where the system doesn't tell."""
    left = [_left(group) for group in _groups("memory", proc, cgroups)]
    match = re.search(r"MemAvailable:\s+(\d+) kB", _text(proc / "meminfo"))
    return max(0.0, min([*left, int(match[1]) * 1024.0 if match else math.inf]))


def resident_memory(pid: int, proc: Path = PROC) -> int:
    """Bytes of memory that a process has at the moment; 0 where the system doesn't tell."""
    match = re.search(r"VmRSS:\s+(\d+) kB", _text(proc / str(pid) / "status"))
    return int(match[1]) * 1024 if match else 0


def descendants(pid: int, proc: Path = PROC) -> list[int]:
    """The processes that a process has started, and those that they have; none where the system doesn't tell."""
    found: list[int] = []
    parents = [pid]
    while parents:
        with suppress(OSError):  # it may end meanwhile
            for path in (proc / str(parents.pop()) / "task").glob("*/children"):
                children = [int(child) for child in _text(path).split()]
                found += children
                parents += children
    return found


@dataclass(frozen=True)
class _Group:
    """A control group: its folder, and the version that it is of."""

    folder: Path
    version: int

    def number(self, file: str) -> float:
        """What a file holds; without limit (`max`) also where there is no such file."""
        text = _text(self.folder / file).strip()
        return float(text) if re.fullmatch(r"-?\d+", text) else math.inf

    def statistics(self, file: str) -> Mapping[str, float]:
        rows = (row.split() for row in _text(self.folder / file).splitlines())
        return {row[0]: float(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def _groups(controller: str, proc: Path, cgroups: Path) -> Iterator[_Group]:
    """The groups that limit this process in what a controller shares out, and those above them.

    A container that sees the names of its groups on the host has its own group where the host has the uppermost.
    """
    for row in _text(proc / "self/cgroup").splitlines():
        _, _, rest = row.partition(":")
        names, _, path = rest.partition(":")
        parts = Path(path.lstrip("/")).parts
        levels = [Path(*parts[:length]) for length in range(len(parts), -1, -1)]
        if not names:
            yield from (_Group(cgroups / level, 2) for level in levels)
        elif controller in names.split(","):
            mount = next((cgroups / name for name in (names, controller) if (cgroups / name).is_dir()), None)
            yield from (_Group(mount / level, 1) for level in levels if mount)


def _quota(group: _Group) -> float | None:
    """How many processors a group may keep busy; None: all that there are."""
    if group.version == 2:
        quota, _, period = _text(group.folder / "cpu.max").strip().partition(" ")
        return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None
    used, period_1 = group.number("cpu.cfs_quota_us"), group.number("cpu.cfs_period_us")
    return used / period_1 if used > 0 and math.isfinite(used) and math.isfinite(period_1) else None


def _left(group: _Group) -> float:
    """Bytes that a group may still take: up to its limit, and what only caches files, which Linux gives back."""
    kept = group.statistics("memory.stat")
    if group.version == 2:
        limit, used = min(group.number("memory.max"), group.number("memory.high")), group.number("memory.current")
        cached = kept.get("active_file", 0.0) + kept.get("inactive_file", 0.0)
    else:
        limit, used = group.number("memory.limit_in_bytes"), group.number("memory.usage_in_bytes")
        cached = kept.get("total_active_file", 0.0) + kept.get("total_inactive_file", 0.0)
    return limit - used + cached if math.isfinite(limit) and math.isfinite(used) else math.inf


def _text(path: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="utf-8")
    return ""
