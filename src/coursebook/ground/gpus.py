"""The GPUs that pages may be executed on: what the driver lists, within what CUDA_VISIBLE_DEVICES allows."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping

# As `nvidia-smi -L` prints them; a GPU that is cut up (MIG) is followed by its parts, which are used one by one.
_GPU = re.compile(r"^GPU (?P<index>\d+): (?P<name>.*) \(UUID: (?P<uuid>GPU-[\w-]+)\)$")
_PART = re.compile(r"^\s+MIG .* \(UUID: (?P<uuid>MIG-[\w/-]+)\)$")


def gpus_here(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The GPUs to be had here, each as CUDA_VISIBLE_DEVICES names it; none where there is no driver.

    Asked of the driver's own tool and not of torch: that would take seconds, and leave CUDA initialized in a process
    that kernels are to be forked from.
    """
    try:
        told = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return _visible(_listed(told), environment.get("CUDA_VISIBLE_DEVICES"))


def _listed(told: str) -> dict[str, tuple[str, ...]]:
    """By index and by identifier: the devices that a GPU stands for, itself or its parts."""
    found: dict[str, tuple[str, ...]] = {}
    keys: tuple[str, ...] = ()
    for row in told.splitlines():
        if match := _GPU.match(row):
            keys = (match["index"], match["uuid"])
            found |= dict.fromkeys(keys, (match["uuid"],))
        elif (match := _PART.match(row)) and keys:
            parts = (*(part for part in found[keys[0]] if part != keys[1]), match["uuid"])
            found |= dict.fromkeys(keys, parts)
            found[match["uuid"]] = (match["uuid"],)
    return found


def _visible(listed: Mapping[str, tuple[str, ...]], allowed: str | None) -> tuple[str, ...]:
    if allowed is None:
        return tuple(dict.fromkeys(part for key, parts in listed.items() if key.isdigit() for part in parts))
    visible: dict[str, None] = {}
    for name in (part.strip() for part in allowed.split(",")):
        # An identifier may be cut short as long as it is clear; what CUDA doesn't know ends its list.
        key = name if name in listed else next((k for k in listed if name and k.startswith(name)), None)
        if key is None:
            break
        visible |= dict.fromkeys(listed[key])
    return tuple(visible)
