"""What code imports, read from its source and never by running it."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator
from typing import Any

from .cell import Cell


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


def full_names_in(source: str, *, members: bool = False) -> list[str]:
    """The modules that Python source imports, by their full names, in order; also what only IPython understands.

    With `members` also what it imports from them: by `from pack import sub` that may be the module `pack.sub`.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:
        try:
            tree = ast.parse(_as_python(source))
        except SyntaxError:
            return []
    return [name for node in ast.walk(tree) for name in _names(node, members) if name]


def _names(node: ast.AST, members: bool) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        yield node.module or ""
        if members:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        if function in ("import_module", "__import__"):
            yield from texts[:1]
        elif function in ("run_line_magic", "run_cell_magic"):
            yield from _names_in_magic(*texts[:3], members=members)


def _names_in_magic(magic: str = "", line: str = "", body: str = "", *, members: bool) -> Iterator[str]:
    """What a magic imports: by itself, or in the Python that it runs."""
    if magic == "load_ext":
        yield line.strip()
    yield from BY_MAGIC.get(magic, ())
    if magic in NO_PYTHON:
        return
    yield from full_names_in(body, members=members)
    # Its options come first: `%timeit -n 1 f()`, `%prun -s time f()`. What isn't code after all names nothing.
    words = line.split(" ")
    for start in range(len(words)):
        if names := full_names_in(" ".join(words[start:]), members=members):
            yield from names
            return


# What magics import, and those that are given no Python of this kernel.
BY_MAGIC = {"matplotlib": ("matplotlib",), "pylab": ("numpy", "matplotlib"), "cython": ("Cython",)}
NO_PYTHON = frozenset(
    (
        "bash", "cmd", "file", "html", "HTML", "javascript", "js", "latex", "load_ext", "markdown", "perl", "pinfo",
        "pinfo2", "pypy", "python", "python2", "python3", "ruby", "script", "sh", "svg", "SVG", "sx", "system",
        "writefile",
    )
)  # fmt: skip


@functools.cache
def _as_python(source: str) -> str:
    """IPython's source as the Python that it becomes: magics are calls then, whatever stands before or behind them."""
    # Imported here: it takes half a second, and most courses need it for no cell.
    from IPython.core.inputtransformer2 import TransformerManager

    manager: Any = TransformerManager()  # type: ignore[no-untyped-call]
    return str(manager.transform_cell(source))
