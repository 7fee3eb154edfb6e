"""How the house is built: what the linters' contracts can't say of it. Imports run downwards by import-linter's."""

from __future__ import annotations

import ast
import functools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import ROOT

HOUSE = ROOT / "src/coursebook"
MODULES = sorted(HOUSE.rglob("*.py"))
PACKAGES = sorted(path.parent for path in HOUSE.rglob("__init__.py") if path.parent != HOUSE)
MOST_LINES, LONGEST_FUNCTION = 300, 60


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    """A module's full name, a package's where it is the package's own file."""
    return ".".join(path.relative_to(HOUSE.parent).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> Iterator[tuple[str, ast.ImportFrom]]:
    """The modules of ours that a module takes names from, each with its statement."""
    package = name_of(path if path.name == "__init__.py" else path.parent).split(".")
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            yield ".".join([*base, *filter(None, [node.module])]), node


def test_a_package_takes_from_another_what_that_hands_on() -> None:
    packages = {name_of(package) for package in PACKAGES}
    floors = {name for name in packages if name.count(".") == 1}
    wrong = []
    for path in MODULES:
        own = name_of(path).split(".")[:2]
        for module, node in imported(path):
            is_other = module.split(".")[:2] != own and any(module.startswith(f"{floor}.") for floor in floors)
            # What `lazily` is made of can't be handed on by it.
            if is_other and module not in packages and module != "coursebook.ground.lazy":
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: takes from {module}, not from its package")
    assert not wrong


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.relative_to(HOUSE).as_posix())
def test_what_a_package_hands_on_is_what_type_checkers_see(package: Path) -> None:
    tree = parsed(package / "__init__.py")
    assert ast.get_docstring(tree), "a sentence says what the package is for"
    lazy = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "lazily"]
    if not lazy:
        return
    listed = {
        (module, name) for module, names in ast.literal_eval(lazy[0].args[1]).items() for name in names.split(" ")
    }
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    shown = {
        (node.module, alias.name)
        for node in ast.walk(blocks[0])
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert listed == shown
    names = [name for _, name in listed]
    assert len(names) == len(set(names))
    # A module of that name would be found instead, once somebody has imported it.
    assert not set(names) & {path.stem for path in package.glob("*.py")}


def test_what_is_handed_on_is_used_elsewhere() -> None:
    used = {
        f"{module}.{alias.name}"
        for path in MODULES
        for module, node in imported(path)
        if path.parent != HOUSE.joinpath(*module.split(".")[1:])
        for alias in node.names
    }
    for package in PACKAGES:
        tree = parsed(package / "__init__.py")
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "lazily":
                for names in ast.literal_eval(node.args[1]).values():
                    for name in names.split(" "):
                        assert f"{name_of(package)}.{name}" in used, f"{name_of(package)} hands on {name} for nobody"


def test_files_and_functions_are_short() -> None:
    long = []
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > MOST_LINES:
            long.append(f"{path.relative_to(ROOT)}: {len(text.splitlines())} lines")
        for node in ast.walk(parsed(path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno}: {node.name} has {lines} lines")
    assert not long


def test_a_file_is_known_by_its_name() -> None:
    # A command is called as what it works with is.
    names = Counter(path.stem for path in MODULES if not path.stem.startswith("__") and path.parent.name != "cli")
    assert [name for name, count in names.items() if count > 1] == []


def test_a_file_of_tests_runs_alone() -> None:
    # Pytest lets a test import what lies beside it and at the top; of another folder only what happened to run before.
    where = {path.stem: path.parent for path in (ROOT / "tests").rglob("*.py")}
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}: takes from {node.module}, in another folder"
        for path in (ROOT / "tests").rglob("*.py")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom)
        and where.get(node.module or "", path.parent) not in (path.parent, ROOT / "tests")
    ]
    assert not wrong
