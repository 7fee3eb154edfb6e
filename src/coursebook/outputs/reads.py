"""Which cell read which file, and which files are therefore published beside a page's notebook.

What only a claim or a withheld solution reads may be the answers, so it stays with the course.
"""

from __future__ import annotations

import ast
import difflib
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..course import Cell, Page, full_names_in
from ..ground import look_at
from .fingerprint import cell_digests
from .inputs import OWN
from .provenance import Provenance


def cell_inputs(
    root: Path, page: Page, inputs: Collection[str], seen: Mapping[str, Any]
) -> tuple[tuple[str, ...], ...]:
    """For each code cell of `page` those of its `inputs` that the cell read itself; nothing where nobody watched.

    `seen` is what the observer reported. Python reads a module once; it counts for each cell that imports it.
    """
    if "read_in" not in seen:
        return ()
    ran = [cell for cell in page.cells if cell.source.strip() and "skip-execution" not in cell.tags]
    found: dict[int, set[str]] = {cell.number: set() for cell in page.cells}
    for name, places in seen["read_in"].items():
        for place in places:
            if 0 < place <= len(ran):  # 0: before the first cell
                found[ran[place - 1].number].add(name)
    for cell in ran:
        found[cell.number] |= _modules_of(cell, root, seen.get("modules", {}))
    return tuple(tuple(sorted(found[cell.number] & set(inputs))) for cell in page.cells)


def published_files(root: Path, page: Page, provenance: Provenance | None, numbers: Collection[int]) -> list[str]:
    """The files, relative to `root`, that the page's cells `numbers` read, which may be published with these cells.

    A file that no cell was seen reading is among them where the code of one of these cells names it.
    """
    if provenance is None:
        return []
    by_cell = _reads(page, provenance)
    shown = [cell for cell in page.cells if cell.number in numbers]
    read_by_shown = {name for cell in shown for name in by_cell.get(cell.number, ())}
    read_by_any = {name for names in by_cell.values() for name in names}
    if not provenance.cell_inputs and len(shown) == len(page.cells):
        # Outputs from before cells were told apart. What wasn't declared was read, here by a cell that is published.
        read_by_shown = read_by_any = set(provenance.inputs) - _declared(root, page)
    return [
        name
        for name in provenance.inputs
        # A folder is an input where its names were listed; the files that were read are inputs themselves.
        if provenance.inputs[name] != OWN
        and (root / name).is_file()
        and (
            name in read_by_shown
            or (name not in read_by_any and any(_names(root, page, cell, name, provenance.inputs) for cell in shown))
        )
    ]


def _reads(page: Page, provenance: Provenance) -> dict[int, tuple[str, ...]]:
    """What is recorded of the page's cells, by their numbers; a cell that has changed since isn't there."""
    if not provenance.cell_inputs:
        return {}
    matcher = difflib.SequenceMatcher(None, provenance.cells, cell_digests(page), autojunk=False)
    return {
        page.cells[now + offset].number: provenance.cell_inputs[then + offset]
        for then, now, length in matcher.get_matching_blocks()
        for offset in range(length)
    }


def _declared(root: Path, page: Page) -> set[str]:
    return {path.relative_to(root).as_posix() for pattern in page.options.inputs for path in root.glob(pattern)}


def _names(root: Path, page: Page, cell: Cell, name: str, inputs: Collection[str]) -> bool:
    """Whether a cell's code names a file by its path, or imports it as a module, from the page's folder or the root.

    A name without a folder, which code may put behind any, is enough where no other of the `inputs` is called so.
    """
    file, base = os.path.realpath(root / name), Path(name).name
    is_alone = [other.rpartition("/")[2] for other in inputs].count(base) == 1
    folders = (root / page.path.parent, root)
    ways = [*_spelled(cell.source, base)]
    if name.endswith(".py"):
        paths = [module.replace(".", "/") for module in _with_parents(full_names_in(cell.source, members=True))]
        ways += [(f"{path}/__init__.py", f"./{path}.py") for path in paths]  # never a name without a folder
    for way in ways:
        # What is quoted may be longer than any path.
        meant = next((path for folder in folders for path in map(folder.joinpath, way) if look_at(path)), None)
        if os.path.realpath(meant) == file if meant else is_alone and base in way:
            return True
    return False


def _spelled(source: str, base: str) -> Iterator[tuple[str, ...]]:
    """How code spells paths to a file that is called `base`: each as all that is quoted, and as a word."""
    source = re.sub(r"\\+", "/", source)
    for found in re.finditer(rf"(?<![\w.-]){re.escape(base)}(?!\.?\w|-)", source):
        before = source[: found.start()]
        quoted = re.split(r"[\"'\n]", before)[-1]
        word = re.split(r"[\s\"'`()\[\]{}<>|;,=:#]", before)[-1]
        if not before.removesuffix(word).endswith("}"):
            yield quoted + base, word + base
        elif word == "/":  # f"{folder}/…"
            yield (base,)


def _modules_of(cell: Cell, root: Path, modules: Mapping[str, str]) -> set[str]:
    """The files of the course's `modules`, given by name, that are imported when the cell runs in a new kernel."""
    found: set[str] = set()
    waiting = list(_with_parents(full_names_in(cell.source, members=True)))
    while waiting:
        module = waiting.pop()
        if module in modules and module not in found:
            found.add(module)
            waiting += _with_parents(_imported_by(root / modules[module], module))
    return {modules[module] for module in found}


def _with_parents(modules: Iterable[str]) -> Iterator[str]:
    for module in modules:
        parts = module.split(".")
        yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))


def _imported_by(path: Path, module: str) -> Iterator[str]:
    """What a module imports while it is imported itself: its functions may never be called."""
    try:
        waiting: list[ast.AST] = [ast.parse(path.read_bytes())]
    except (OSError, SyntaxError, ValueError):
        return
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = [*above, *filter(None, [node.module])]
            yield from (".".join([*base, alias.name]) for alias in node.names)
        elif isinstance(node, ast.If) and (outcome := _outcome(node.test)) is not None:
            waiting += node.body if outcome else node.orelse
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            waiting += ast.iter_child_nodes(node)


def _outcome(test: ast.expr) -> bool | None:
    """What a condition comes to in a module that is imported, where its code alone tells: it isn't the program, nor is
    its code being checked."""
    match test:
        case ast.Constant(value=value):
            return bool(value)
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return False
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            outcome = _outcome(operand)
            return None if outcome is None else not outcome
        case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq() as operator], comparators=[right]):
            is_asked = {ast.unparse(left), ast.unparse(right)} == {"__name__", "'__main__'"}
            return isinstance(operator, ast.NotEq) if is_asked else None
        case ast.BoolOp(op=operator, values=values):
            decides = isinstance(operator, ast.Or)  # one that is true decides for `or`, a false one for `and`
            outcomes = {_outcome(value) for value in values}
            return decides if decides in outcomes else None if None in outcomes else not decides
    return None
