"""How processes of ours are started: with compiled Python at hand, and not outliving who started them."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from .layout import STAGE


def with_bytecode(root: Path, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """`environment`, in which Python keeps bytecode below the build where the installed packages have none.

    Containers often forbid Python to write it (PYTHONDONTWRITEBYTECODE) and are installed without: torch and what
    comes along is then compiled again by every kernel, which takes two thirds of the time to import it.
    """
    kept = dict(environment)
    # One for kernels and one for the site: an installer, or an earlier run, may have compiled some and not others.
    packages = [package for name in ("ipykernel", "sphinx") if (package := importlib.util.find_spec(name))]
    has_own = all(Path(importlib.util.cache_from_source(package.origin or "")).exists() for package in packages)
    if has_own or "PYTHONPYCACHEPREFIX" in kept:
        return kept
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    kept["PYTHONPYCACHEPREFIX"] = str(root / STAGE / "bytecode")
    return kept


PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int | None) -> None:
    """Make Linux kill this process when the one that started it ends, however it ends; None: no longer."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL if parent else 0)
    if parent and os.getppid() != parent:  # it died before we asked to be told
        os._exit(1)
