"""A branch of a git remote that holds exactly the files it is given: one commit more when something differs, else none.

Git does it in a repository that is gone afterwards: nobody's working tree, index or branches are touched. A push is
never forced, so that what others pushed stays in the history.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import CourseError
from .git import Checkout, Repository, absolute, is_path, reason_of_git, without_secrets

SOURCES = "_toc.yml"  # a branch with a file of this name holds a course, not what was made from one
ATTEMPTS = 5
_FETCHED = "refs/coursebook/fetched"
_LOCKED_OUT = re.compile(
    r"authenti|authoriz|permission|denied|could not read (username|password)|\b40[13]\b|host key", re.IGNORECASE
)


@dataclass(frozen=True)
class Published:
    """What has become of a branch: the `commit` that it is at (None after a dry run that found a difference, and where
    there is no branch), and which files were added, changed and removed for that."""

    commit: str | None
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether the branch held something else before."""
        return bool(self.added or self.changed or self.removed)

    def __str__(self) -> str:
        counts = [("added", self.added), ("changed", self.changed), ("removed", self.removed)]
        return ", ".join(f"{len(names)} {what}" for what, names in counts if names) or "nothing changed"


def publish_files(
    files: Mapping[str, bytes],
    remote: str,
    branch: str,
    message: str,
    *,
    identity_from: Path,
    dry_run: bool = False,
) -> Published:
    """Make `branch` of `remote` contain exactly `files`, by their paths with slashes, in one commit with `message`.

    `remote` is a URL, a path, or the name of a remote of the checkout at `identity_from`, whose git configuration also
    says who commits. Nothing is pushed where nothing differs, or in a dry run. Raises CourseError when git is missing,
    can't reach the remote, isn't let in or is refused, and when the branch holds a course's sources.
    """
    _check_names(files)
    with _reached(remote, branch, identity_from) as target:
        tree = target.repository.tree(files)
        return target.update(lambda tip: tree, message, dry_run=dry_run)


def update_file(
    name: str,
    change: Callable[[bytes | None], bytes],
    remote: str,
    branch: str,
    message: str,
    *,
    identity_from: Path,
) -> Published:
    """Make `branch` of `remote` contain one file, `name`, which is what `change` makes of the one that is there (None:
    there is none). It is asked again when somebody else was quicker. Otherwise as `publish`."""
    _check_names({name: b""})
    with _reached(remote, branch, identity_from) as target:
        return target.update(
            lambda tip: target.repository.tree({name: change(target.repository.file(tip, name) if tip else None)}),
            message,
        )


def fetch_file(name: str, remote: str, branch: str, *, identity_from: Path) -> bytes | None:
    """A file on a branch of `remote`; None where there is no such file or branch. Raises CourseError as `publish`."""
    with _reached(remote, branch, identity_from) as target:
        tip = target.fetch()
        return target.repository.file(tip, name) if tip else None


@contextlib.contextmanager
def _reached(remote: str, branch: str, identity_from: Path) -> Iterator[_Branch]:
    """The branch, in a repository of its own that is gone afterwards."""
    checkout = Checkout(identity_from)
    with tempfile.TemporaryDirectory(prefix="coursebook-", ignore_cleanup_errors=True) as folder:
        repository = Repository(Path(folder), checkout.environment())
        target = _Branch(repository, *_find(remote, checkout), branch)
        if branch == checkout.branch and target.address in checkout.remotes().values():
            raise target.error(f"the course itself is on the branch {branch!r}; publish to a branch of its own")
        yield target


@dataclass(frozen=True)
class _Branch:
    """The branch `name` at `address`, which errors call `shown`."""

    repository: Repository
    address: str
    shown: str
    name: str

    def __post_init__(self) -> None:
        if self.repository.attempt("check-ref-format", self._ref).returncode:
            raise self.error(f"{self.name!r} can't be the name of a branch")

    @property
    def _ref(self) -> str:
        return f"refs/heads/{self.name}"

    def error(self, problem: str) -> CourseError:
        return CourseError(self.shown, None, problem)

    def fetch(self) -> str | None:
        """Fetch the branch's last commit, and return it; None where the remote has no such branch."""
        if self._tip() is None:
            return None
        done = self.repository.attempt(
            "fetch", "--quiet", "--depth=1", "--no-tags", "--", self.address, f"+{self._ref}:{_FETCHED}"
        )
        if done.returncode:
            raise self._failure(f"git can't fetch the branch {self.name!r}", done.stderr)
        return self.repository.run("rev-parse", "--verify", _FETCHED).decode().strip()

    def update(self, make: Callable[[str | None], str], message: str, *, dry_run: bool = False) -> Published:
        """Make the branch hold the tree that `make` makes for its last commit (None: there is no branch)."""
        repository = self.repository
        for attempt in range(ATTEMPTS):
            time.sleep(0.1 * attempt)  # s; whoever was quicker may not be done yet
            tip = self.fetch()
            held = repository.entries(tip) if tip else {}
            if sources := [name for name in held if name.rpartition("/")[2] == SOURCES]:
                holds = f"the branch {self.name!r} holds the sources of a course ({sources[0]})"
                raise self.error(f"{holds}; publish to a branch of its own")
            tree = make(tip)
            wanted = repository.entries(tree)
            difference = (
                tuple(sorted(wanted.keys() - held.keys())),
                tuple(sorted(name for name in wanted.keys() & held.keys() if wanted[name] != held[name])),
                tuple(sorted(held.keys() - wanted.keys())),
            )
            if dry_run or not any(difference):
                return Published(None if any(difference) else tip, *difference)
            parent = ["-p", tip] if tip else []
            commit = repository.run("commit-tree", tree, *parent, data=message.encode()).decode().strip()
            if self.push(commit, tip):
                return Published(commit, *difference)
        problem = f"somebody else pushed to {self.name!r} before each of {ATTEMPTS} attempts; run the command again"
        raise self.error(problem)

    def push(self, commit: str, tip: str | None) -> bool:
        """Whether the branch, last seen at `tip`, is at `commit` now; False when somebody else was quicker."""
        done = self.repository.attempt("push", "--porcelain", "--", self.address, f"{commit}:{self._ref}")
        if done.returncode == 0:
            return True
        now = self._tip()
        if now == tip and b".lock': File exists" not in done.stderr:
            # Nobody was: it is the remote that doesn't want it.
            rows = [row.split("\t") for row in done.stdout.decode("utf-8", "replace").splitlines()]
            status = next((f" {row[-1].removeprefix('[remote rejected] ')}" for row in rows if row[0] == "!"), "")
            raise self._failure(f"the push to {self.name!r} was refused{status}", done.stderr)
        return now == commit  # the connection may have broken after the push

    def _tip(self) -> str | None:
        """The commit that the branch is at; None where the remote has no such branch."""
        done = self.repository.attempt("ls-remote", "--", self.address, self._ref)
        if done.returncode:
            raise self._failure("git can't read from it", done.stderr)
        rows = [row.split("\t") for row in done.stdout.decode().splitlines()]
        return next((commit for commit, ref in rows if ref == self._ref), None)

    def _failure(self, what: str, stderr: bytes) -> CourseError:
        said = reason_of_git(stderr.replace(self.address.encode(), self.shown.encode()))
        hint = "; git must be let in without being asked: by a credential helper, a token or an SSH key"
        return self.error(f"{what}: {said}{hint if _LOCKED_OUT.search(said) else ''}")


def _find(remote: str, checkout: Checkout) -> tuple[str, str]:
    """Where `remote` is, and how it may be called: without its secrets."""
    remotes = checkout.remotes()
    if remote in remotes:
        return remotes[remote], remote
    if is_path(remote) and not Path(remote).exists():
        there = f" (there are: {', '.join(remotes)})" if remotes else ""
        raise CourseError(remote, None, f"neither a remote of the course's checkout{there}, nor a URL, nor a folder")
    return absolute(remote, Path()), without_secrets(remote)


def _check_names(files: Mapping[str, bytes]) -> None:
    for name in files:
        parts = name.split("/")
        if any(part in ("", ".", "..") or part.lower() == ".git" or "\0" in part for part in parts):
            raise CourseError(name, None, "git can't keep a file of this name")
        if above := next((p for n in range(1, len(parts)) if (p := "/".join(parts[:n])) in files), None):
            raise CourseError(name, None, f"{above} can't be both a file and a folder")
