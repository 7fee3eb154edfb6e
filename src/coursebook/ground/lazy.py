"""What a package hands on, imported from its modules when it is first asked for: a package may be light to some who use
it (a build in which nothing has changed, a fork server, a scheduler) though it has heavy parts for others."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package (PEP 562) that hands on `names`: by module of it, those that it takes from there,
    with spaces between. What type checkers see stands beside it under `TYPE_CHECKING`; a test holds the two together.
    """
    homes = {name: module for module, listed in names.items() for name in listed.split()}

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, found)  # asked for once
        return found

    return get
