"""Kernels whose Python isn't the one that builds: where they are, and which packages they have."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions

NATIVE = "python3"
# What a Python is asked, as it is started for a kernel.
_QUESTION = "import json, sys; print(json.dumps([sys.prefix, [place for place in sys.path if place]]))"


@dataclass(frozen=True)
class Interpreter:
    """The Python of the kernel `name`; `prefix` is where it is, `path` where it looks for modules."""

    name: str
    prefix: str
    path: tuple[str, ...]

    @property
    def is_ours(self) -> bool:
        """Whether it is the one that runs here."""
        return self.prefix == os.path.realpath(sys.prefix)

    def version(self, distribution: str) -> str | None:
        """The version of a distribution that is installed there."""
        found = next(iter(distributions(name=distribution, path=list(self.path))), None)
        return found.version if found else None

    def distributions_of(self, modules: Iterable[str]) -> dict[str, str]:
        """The distributions there that provide `modules`, each with its version; the standard library has none."""
        wanted = set(modules) - set(sys.stdlib_module_names)
        providers = _providers(self.path)
        names = {name for module in wanted for name in providers.get(module, ())}
        return {name: self.version(name) or "" for name in sorted(names)}


@functools.cache
def _providers(path: tuple[str, ...]) -> Mapping[str, list[str]]:
    """The distributions below `path` that provide each top-level module."""
    found: dict[str, list[str]] = {}
    for distribution in distributions(path=list(path)):
        for module in _top_level(distribution):
            found.setdefault(module, []).append(distribution.metadata["Name"])
    return found


def _top_level(distribution: Distribution) -> set[str]:
    if declared := (distribution.read_text("top_level.txt") or "").split():
        return set(declared)
    return {
        file.parts[0] if len(file.parts) > 1 else file.stem
        for file in distribution.files or ()
        if file.suffix == ".py" or len(file.parts) > 1
    }


@functools.cache
def interpreter(name: str) -> Interpreter | None:
    """The Python that the kernel `name` is started with; None where there is none, or it doesn't answer."""
    # Imported here: a course whose kernels are all of the Python that builds doesn't need it.
    from jupyter_client.kernelspec import NoSuchKernel, get_kernel_spec

    try:
        spec = get_kernel_spec(name)
        # `python -m ipykernel_launcher …`, perhaps with something that starts Python before it.
        command = spec.argv[: spec.argv.index("-m")] if "-m" in spec.argv else spec.argv[:1]
        told = subprocess.run(
            [*command, "-c", _QUESTION],
            capture_output=True,
            check=True,
            timeout=60,
            env={**os.environ, **spec.env},
        )
        prefix, path = json.loads(told.stdout)
        return Interpreter(name, os.path.realpath(prefix), tuple(path))
    except (NoSuchKernel, OSError, subprocess.SubprocessError, ValueError, LookupError):
        return None


def interpreter_of_kernel(name: str, prefix: str, path: Iterable[str]) -> Interpreter | None:
    """What a kernel says of its Python: None where it is the one that runs here."""
    found = Interpreter(name, prefix, tuple(path))
    return found if prefix and not found.is_ours else None
