"""What the course, its environment and its site looked like when they last fitted together.

Nothing changed, nothing to do. Compared by name, size and time of change, as `make` does, without reading a page or
importing Sphinx. Whatever differs, be it a file that has nothing to do with the site, leads to the ordinary build,
which looks at contents.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..course import INSTALLED, walk_course
from ..ground import CHECKS, MADE, OUTPUTS, SITE, STAGE, JsonFile, gpus_here, installed_distributions, look, look_at


class Snapshot:
    """Of the course at `root`; made before a build looks at anything, saved when it has succeeded."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._file = JsonFile(self.root / STAGE / "snapshot.json")
        self._commits = _commits(self.root)
        # Ourselves as well: while Coursebook is developed, its version says nothing.
        self._sources = _digest(
            [*_tree(self.root), *_tree(Path(__file__).parent.parent, ()), sys.version, *installed_distributions()]
        )
        self._outputs = self._outputs_now()

    def matches(self) -> int | None:
        """The number of pages of the site if nothing has changed since it was built, else None."""
        try:
            saved = self._file.read()
        except JsonFile.DAMAGED:
            return None
        if saved.get("sources") != self._sources or time.time() > (saved.get("due") or float("inf")):
            return None
        if saved.get("outputs") != self._outputs or saved.get("site") != self._site():
            return None
        if saved.get("beyond") != self._beyond(saved.get("inputs", ()), saved.get("places", ())):
            return None
        if (saved.get("waits") and gpus_here()) or saved.get("commits", self._commits) != self._commits:
            return None
        return int(saved["pages"])

    def take_outputs(self) -> None:
        """Look at the outputs before the site is made of them: what comes while it is made isn't on it."""
        self._outputs = self._outputs_now()

    def save(
        self,
        pages: int,
        due: float | None,
        *,
        inputs: Iterable[str] = (),
        places: Iterable[str] = (),
        waits: bool = False,
        tells_dates: bool = False,
    ) -> None:
        """Remember that all fits together, as far as it can here.

        `due` is the time (seconds since 1970) from which outputs are too old; `inputs` are those of the pages, `places`
        the folders of packages that kernels with an environment of their own have; `waits` says that pages wait for a
        GPU, `tells_dates` that the site says when its pages were last committed.
        """
        # The walk sees the others.
        apart = sorted({name for name in inputs if any(part in INSTALLED for part in name.split("/"))})
        kernels = sorted(places)
        content = {
            "sources": self._sources,
            "outputs": self._outputs,
            "site": self._site(),
            "inputs": apart,
            "places": kernels,
            "beyond": self._beyond(apart, kernels),
            "pages": pages,
            "due": due,
            "waits": waits,
        }
        if tells_dates:
            content["commits"] = self._commits
        self._file.write(content)

    def forget(self) -> None:
        self._file.path.unlink(missing_ok=True)

    def _outputs_now(self) -> str:
        """The stored outputs, and what checks have found."""
        return _digest([*_tree(self.root / OUTPUTS, ()), *_content(self.root / CHECKS)])

    def _site(self) -> str:
        return _digest(list(_tree(self.root / SITE, ())))

    def _beyond(self, inputs: Sequence[str], places: Sequence[str]) -> str:
        """Inputs that lie among installed packages, and the packages of other environments."""
        return _digest([*(_row(self.root / name) for name in inputs), *installed_distributions(places)])


def _tree(folder: Path, left_out: Sequence[str] = MADE) -> Iterator[str]:
    """A line for each file below `folder` that belongs to the course."""
    for entry in walk_course(folder, left_out):
        if entry.is_dir():
            yield f"{entry.path} leads elsewhere: {time.time_ns()}"  # not followed, so never known to be the same
        else:
            with contextlib.suppress(FileNotFoundError):  # an editor's passing file
                yield f"{entry.path} {look(entry.stat(follow_symlinks=entry.is_file()))}"


def _row(path: Path) -> str:
    return f"{path} {look_at(path)}"


def _content(path: Path) -> Iterator[str]:
    """What a small file says: a check that finds the same again writes the file, and changes nothing."""
    with contextlib.suppress(FileNotFoundError):
        yield f"{path} {hashlib.sha256(path.read_bytes()).hexdigest()}"


def _commits(root: Path) -> str:
    """What differs after each commit: size and time of git's log of where HEAD was. Nothing without git."""
    for folder in (root, *root.parents):
        git = folder / ".git"
        try:
            if git.is_file():  # which a worktree has in place of the folder
                git = folder / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
            found = (git / "logs/HEAD").stat()
        except (OSError, ValueError):
            continue
        return f"{found.st_size} {found.st_mtime_ns}"
    return ""


def _digest(rows: list[str]) -> str:
    return hashlib.sha256("\n".join(rows).encode("utf-8", "surrogatepass")).hexdigest()
