"""What a page's outputs depend on: its code, the files it read, the packages it imported, the device it ran on."""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

from .page import Cell, Page

# Tags that change what an execution does; all others change only what a reader sees.
EXECUTION_TAGS = frozenset({"raises-exception", "skip-execution"})


def cell_digests(page: Page) -> tuple[str, ...]:
    """A sha256 for each code cell, over its source and the tags that change its execution."""
    return tuple(_digest([cell.source.rstrip(), sorted(EXECUTION_TAGS & set(cell.tags))]) for cell in page.cells)


def code_digest(page: Page) -> str:
    """The sha256 of a page's code: the kernel's language and every cell, in order; neither prose nor display tags."""
    return _digest([language(page), *cell_digests(page)])


def language(page: Page) -> str:
    """The language of a page's kernel: what the kernelspec says, else its name without a version (python3: python)."""
    spec = page.front_matter.get("kernelspec") or {}
    return str(spec.get("language") or re.sub(r"[-\d.]+$", "", str(spec.get("name", "python3"))))


def file_digest(path: Path) -> str | None:
    """The sha256 of a file, of a directory's names, or None where there is neither."""
    if path.is_dir():
        return _digest(
            sorted(entry.name for entry in path.iterdir() if not entry.name.startswith((".", "__pycache__")))
        )
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def imported_modules(cells: Iterable[Cell]) -> set[str]:
    """The top-level modules that code cells name in their imports, also as a literal in `import_module("…")`.

    Read from the code and not from `sys.modules`: a warm kernel's has what its fork server imported as well.
    """
    found: set[str] = set()
    for cell in cells:
        if "skip-execution" not in cell.tags:
            found |= modules_in(cell.source)
    return found


def modules_in(source: str) -> set[str]:
    """The top-level modules that Python source imports; source that isn't Python imports none."""
    return {name.partition(".")[0] for name in full_names_in(source)}


def full_names_in(source: str) -> list[str]:
    """The modules that Python source imports, by their full names, in order."""
    try:
        tree = ast.parse(_without_magics(source))
    except SyntaxError:
        return []
    return [name for node in ast.walk(tree) for name in _names(node) if name]


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        yield node.module or ""
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if function in ("import_module", "__import__") and isinstance(node.args[0].value, str):
            yield node.args[0].value


def _without_magics(source: str) -> str:
    # IPython's `%magic` and `!shell` lines are not Python; a `%%cell` magic makes the whole cell something else.
    if source.lstrip().startswith("%%"):
        return ""
    return re.sub(r"^(\s*)[%!?].*$", r"\1pass", source, flags=re.MULTILINE)


def distributions_of(modules: Iterable[str]) -> dict[str, str]:
    """The installed distributions that provide `modules`, each with its version; the standard library has none."""
    wanted = set(modules) - set(sys.stdlib_module_names)
    if not wanted:
        return {}
    providers = _providers()
    names = {name for module in wanted for name in providers.get(module, [])}
    return {name: version(name) for name in sorted(names)}


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


def _digest(data: object) -> str:
    return hashlib.sha256(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def changed_inputs(root: Path, inputs: Mapping[str, str]) -> list[tuple[str, str]]:
    """The inputs below `root` that are not what they were, each with what happened: `changed` or `is gone`."""
    found = []
    for name, digest in inputs.items():
        now = file_digest(root / name)
        if now != digest:
            found.append((name, "changed" if now else "is gone"))
    return found
