"""The installed distributions that a page's outputs depend on."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions, version


def distributions_of(modules: Iterable[str]) -> dict[str, str]:
    """The installed distributions that provide `modules`, each with its version; the standard library has none."""
    wanted = set(modules) - set(sys.stdlib_module_names)
    if not wanted:
        return {}
    providers = _providers()
    names = {name for module in wanted for name in providers.get(module, [])}
    return {name: version(name) for name in sorted(names)}


def is_released(module: str) -> bool:
    """Whether a module comes from a distribution whose version changes when it does: not from one that is
    installed for development, and not from nowhere."""
    return any(
        '"editable": true' not in (distribution(name).read_text("direct_url.json") or "")
        for name in _providers().get(module, [])
    )


@functools.cache
def _providers() -> Mapping[str, list[str]]:
    """The distributions that provide each top-level module; it takes a look at every installed file, so it is kept."""
    return packages_distributions()


@functools.cache
def installed_version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def same_version(recorded: str, installed: str, exactness: str) -> bool:
    """Whether two versions are the same up to `exactness`: `major`, `minor`, `patch` or `exact`."""
    if exactness == "exact":
        return recorded == installed
    parts = {"major": 1, "minor": 2, "patch": 3}[exactness]
    return recorded.partition("+")[0].split(".")[:parts] == installed.partition("+")[0].split(".")[:parts]
