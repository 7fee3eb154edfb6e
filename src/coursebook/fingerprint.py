"""What a page's outputs depend on: its code, the files it read, the packages it imported, the device it ran on."""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions, version
from pathlib import Path, PurePosixPath
from typing import Any

from .files import can_be_input, look, names_in
from .page import Cell, Page

# Tags that change what an execution does; all others change only what a reader sees.
EXECUTION_TAGS = frozenset({"raises-exception", "skip-execution"})
# In place of an input's digest: it was looked for and wasn't there; somebody changed it while the page was executed;
# the page writes it itself.
ABSENT, EDITED, OWN = "", "edited", "own"
MADE = "made:"  # before the digest of what came while the page was executed: where it is gone, it comes again
NAMES = "names:"  # before the names in a folder and those of them that are new, until it is settled what they are


def cell_digests(page: Page) -> tuple[str, ...]:
    """A sha256 for each code cell, over its source and the tags that change its execution."""
    return tuple(_digest([cell.source.rstrip(), sorted(EXECUTION_TAGS & set(cell.tags))]) for cell in page.cells)


def code_digest(page: Page) -> str:
    """The sha256 of a page's code: the kernel's language and every cell, in order; neither prose nor display tags."""
    return _digest([language(page), *cell_digests(page)])


def kernel_name(page: Page) -> str:
    """The name of the kernelspec that a page asks for."""
    return str((page.front_matter.get("kernelspec") or {}).get("name") or "python3")


def language(page: Page) -> str:
    """The language of a page's kernel: what the kernelspec says, else its name without a version (python3: python)."""
    spec = page.front_matter.get("kernelspec") or {}
    return str(spec.get("language") or re.sub(r"[-\d.]+$", "", str(spec.get("name", "python3"))))


def file_digest(path: Path) -> str | None:
    """The sha256 of a file, or None where there is none."""
    try:
        return _content_digest(path, look(path.stat())) if path.is_file() else None
    except OSError:
        return None


def folder_digest(root: Path, name: str, inputs: Mapping[str, str]) -> str | None:
    """The sha256 of the names in a folder that a page has listed, or None where there is none.

    `name` is relative to `root`, with a slash at its end. What the page makes itself, by its `inputs`, doesn't count.
    """
    try:
        names = names_in(root / name, is_root=name == "./")
    except OSError:
        if inputs.get(name.rstrip("/")) != OWN:
            return None
        names = []  # it makes the folder
    return names_digest(name, names, inputs)


def names_digest(folder: str, names: Iterable[str], inputs: Mapping[str, str]) -> str:
    """The same for given names."""
    own = {PurePosixPath(name).name for name in inputs if is_own(inputs[name]) and folder_of(name) == folder}
    return _digest(sorted(set(names) - own))


def is_own(digest: str) -> bool:
    """Whether an input is of the page's own making, by what stands in place of its digest."""
    return digest == OWN or digest.startswith(MADE)


def folder_of(name: str) -> str:
    """The folder that a file lies in, as it stands among inputs."""
    return (name.rstrip("/").rpartition("/")[0] or ".") + "/"


@functools.lru_cache(maxsize=10_000)
def _content_digest(path: Path, look: tuple[int, ...]) -> str:
    # Kept by what the file looks like: ten pages may read one large file, and each is asked for twice a build.
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def declared_inputs(root: Path, page: Page) -> set[str]:
    """The files below `root` that the page's option `inputs` names, as they are now."""
    found = {
        path.relative_to(root).as_posix()
        for pattern in page.options.inputs
        for path in root.glob(pattern)
        if path.is_file()
    }
    return {name for name in found if can_be_input(name)}


def own_files(root: Path, page: Page) -> set[str]:
    """The files below `root` that the page's option `writes` names: its own doing, and no inputs."""
    return {path.relative_to(root).as_posix() for pattern in page.options.writes for path in root.glob(pattern)}


def beside(root: Path, page: Page, module: str) -> list[str]:
    """The files beside a page that a kernel, which runs there, would take for a module before any other."""
    names = [(page.path.parent / name).as_posix() for name in (f"{module}.py", f"{module}/__init__.py")]
    return [name for name in names if (root / name).is_file()]


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


def distributions_of(modules: Iterable[str]) -> dict[str, str]:
    """The installed distributions that provide `modules`, each with its version; the standard library has none."""
    wanted = set(modules) - set(sys.stdlib_module_names)
    if not wanted:
        return {}
    providers = _providers()
    names = {name for module in wanted for name in providers.get(module, [])}
    return {name: version(name) for name in sorted(names)}


def is_released(module: str) -> bool:
    """Whether a module comes from a distribution that has another version when it is another: not from one that is
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


def _digest(data: object) -> str:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def printable(name: str) -> str:
    """A file's name, whose bytes may be none of UTF-8, as it can be shown."""
    return name.encode("utf-8", "backslashreplace").decode()


def changed_inputs(root: Path, inputs: Mapping[str, str]) -> list[tuple[str, str]]:
    """The inputs below `root` that are not what they were, each with what happened to it."""
    found = []
    for name, digest in inputs.items():
        if digest == EDITED:
            found.append((printable(name), "changed while the page was executed"))
            continue
        if digest == OWN:
            continue
        now = (folder_digest(root, name, inputs) if name.endswith("/") else file_digest(root / name)) or ABSENT
        if digest.startswith(MADE):
            digest = digest.removeprefix(MADE)
            now = now or digest
        if now != digest:
            found.append(
                (printable(name), "is gone" if now == ABSENT else "has appeared" if digest == ABSENT else "changed")
            )
    return found
