"""The files that a page's outputs depend on, and what has become of them."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from ..course import Page, can_be_input, names_in
from ..ground import look
from .fingerprint import json_digest

# In place of an input's digest: it was looked for and wasn't there; somebody changed it while the page was executed;
# the page writes it itself.
ABSENT, EDITED, OWN = "", "edited", "own"
CAME = "made:"  # before the digest of what came while the page was executed: where it is gone, it comes again
FOLDER_NAMES = (
    "names:"  # before the names in a folder and those of them that are new, until it is settled what they are
)


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
    return json_digest(sorted(set(names) - own))


def is_own(digest: str) -> bool:
    """Whether an input is of the page's own making, by what stands in place of its digest."""
    return digest == OWN or digest.startswith(CAME)


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


def modules_beside(root: Path, page: Page, module: str) -> list[str]:
    """The files beside a page that a kernel, which runs there, would take for a module before any other."""
    names = [(page.path.parent / name).as_posix() for name in (f"{module}.py", f"{module}/__init__.py")]
    return [name for name in names if (root / name).is_file()]


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
        if digest.startswith(CAME):
            digest = digest.removeprefix(CAME)
            now = now or digest
        if now != digest:
            found.append(
                (printable(name), "is gone" if now == ABSENT else "has appeared" if digest == ABSENT else "changed")
            )
    return found
