"""Git, asked about a checkout or at work in a repository of its own: never a question, never a change of a checkout."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .errors import CourseError, plain

# Set while git runs a hook: they name a repository that isn't ours.
_ELSEWHERE = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR", "GIT_PREFIX", "GIT_NAMESPACE", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_IMPLICIT_WORK_TREE",
    "GIT_INTERNAL_SUPER_PREFIX", "GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE", "GIT_QUARANTINE_PATH",
)  # fmt: skip
# Nothing is asked, the index of a checkout isn't refreshed, and what git says can be understood here.
_QUIETLY = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
# How a checkout reaches its remotes: CI keeps the token of a job there.
_ACCESS = r"^(credential|http|url|ssh|protocol)\.|^core\.(sshcommand|askpass|gitproxy)$"
_SETTINGS = [
    ("core.hooksPath", os.devnull),  # the user's own hooks expect a working tree
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("i18n.commitEncoding", "utf-8"),
]


class Checkout:
    """The checkout that `root` lies in; `top` is its folder, None where there is no checkout.

    Raises CourseError when git is missing, or doesn't trust the checkout.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        done = run_git("rev-parse", "--show-toplevel", cwd=root)
        if done.returncode and b"dubious ownership" in done.stderr:
            raise CourseError(str(root), None, reason_of_git(done.stderr))
        self.top = Path(os.fsdecode(done.stdout).removesuffix("\n")) if done.returncode == 0 else None

    def ask(self, *arguments: str) -> str:
        """What git says; empty where it has no answer."""
        done = run_git(*arguments, cwd=self._root)
        return os.fsdecode(done.stdout).removesuffix("\n") if done.returncode == 0 else ""

    @property
    def branch(self) -> str:
        """The branch that is checked out; empty for none."""
        return self.ask("symbolic-ref", "--short", "--quiet", "HEAD")

    @property
    def commit(self) -> str | None:
        """The commit, and that there are changes beside it, as words; None where there is none."""
        commit = self.ask("rev-parse", "--verify", "--quiet", "HEAD")
        changes = self.ask("status", "--porcelain", "--", ".", ":(exclude)_build")
        return f"{commit}{' with changes that are not committed' if changes else ''}" if commit else None

    def remotes(self) -> dict[str, str]:
        """Where each remote of the checkout is, by its name."""
        names = self.ask("remote").splitlines() if self.top else []
        return {name: absolute(self.ask("remote", "get-url", "--push", name), self.top or self._root) for name in names}

    def environment(self) -> dict[str, str]:
        """Variables for git in another repository: who commits here, and how remotes are reached from here."""
        name, email = self.ask("config", "user.name"), self.ask("config", "user.email")
        found = {}
        for who in ("AUTHOR", "COMMITTER"):
            found[f"GIT_{who}_NAME"] = name or "coursebook"
            found[f"GIT_{who}_EMAIL"] = email or "coursebook@noreply.invalid"
        local = ("--local",) if self.top else ("--file", os.devnull)
        access = self.ask("config", *local, "--includes", "-z", "--get-regexp", _ACCESS).split("\0")[:-1]
        settings = [*((key, value) for key, _, value in (row.partition("\n") for row in access)), *_SETTINGS]
        first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
        for number, (key, value) in enumerate(settings, start=first):
            # In the environment, as a command line can be read by everybody on the machine.
            found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return found | _environment() | {"GIT_CONFIG_COUNT": str(first + len(settings))}


class Repository:
    """A bare repository of its own in the empty folder `folder`, which `environment` says how to work in."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = {**environment, "GIT_INDEX_FILE": str(folder / "index")}
        self.run("init", "--quiet", "--bare", str(folder / "git"))

    def attempt(self, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run git, whatever comes of it."""
        # The repository is named, as git may be told to use no bare one that it finds by itself.
        command = ["--git-dir", str(self._folder / "git"), *arguments]
        return run_git(*command, cwd=self._folder, data=data, environment=self._environment)

    def run(self, *arguments: str, data: bytes = b"") -> bytes:
        """Run git and return what it said. Raises CourseError when it fails."""
        done = self.attempt(*arguments, data=data)
        if done.returncode:
            raise CourseError("git", None, f"git {arguments[0]} failed: {reason_of_git(done.stderr)}")
        return done.stdout

    def tree(self, files: Mapping[str, bytes]) -> str:
        """The tree of exactly `files`; what begins with `#!` can be run."""
        for number, content in enumerate(files.values()):
            (self._folder / str(number)).write_bytes(content)  # by number: the system may not know a name
        numbers = "".join(f"{number}\n" for number in range(len(files))).encode()
        objects = self.run("hash-object", "-w", "--no-filters", "--stdin-paths", data=numbers).split()
        modes = (b"100755" if content.startswith(b"#!") else b"100644" for content in files.values())
        rows = (b"%s %s\t%s\0" % row for row in zip(modes, objects, map(os.fsencode, files), strict=True))
        self.run("update-index", "-z", "--index-info", data=b"".join(rows))
        return self.run("write-tree").decode().strip()

    def file(self, tree: str, name: str) -> bytes | None:
        """A file of a tree or commit; None where it has none of that name."""
        entry = self.entries(tree).get(name)
        return self.run("cat-file", "blob", entry.split()[2].decode()) if entry else None

    def entries(self, tree: str) -> dict[str, bytes]:
        """The files of a tree or commit by their names, each with its mode and object."""
        rows = (row.partition(b"\t") for row in self.run("ls-tree", "-r", "-z", tree).split(b"\0")[:-1])
        return {os.fsdecode(name): entry for entry, _, name in rows}


def commit_of(root: Path) -> str:
    """The commit that was checked out, marked where files had been changed since; empty where git doesn't know."""
    told = ask_git(root, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    return os.fsdecode(told or b"").strip()


def ask_git(root: Path, *arguments: str, seconds: float = 20) -> bytes | None:
    """What git says in `root`; None where it isn't there, has no answer, or needs longer than that."""
    try:
        done = run_git(*arguments, cwd=root, seconds=seconds)
    except (CourseError, OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def run_git(
    *arguments: str,
    cwd: Path,
    data: bytes = b"",
    environment: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run git in `cwd`. Raises CourseError when there is no git, TimeoutExpired when it takes longer than `seconds`."""
    command, variables = ["git", *arguments], environment or _environment()
    try:
        return subprocess.run(
            command, cwd=cwd, env=variables, input=data, capture_output=True, check=False, timeout=seconds
        )
    except FileNotFoundError as error:
        if error.filename != "git":
            raise
        raise CourseError("git", None, "the command isn't installed, or not on PATH") from None


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _ELSEWHERE} | _QUIETLY


def is_path(address: str) -> bool:
    """Whether git takes the address of a remote for a path; if not, it is a URL, or `host:path`."""
    before, colon, _ = address.partition(":")
    return not colon or "/" in before or (os.name == "nt" and len(before) == 1)


def absolute(address: str, base: Path) -> str:
    """The address of a remote, as other folders than `base` know it."""
    return str((base / address).resolve()) if is_path(address) else address


def reason_of_git(stderr: bytes) -> str:
    """What git said, in one line without secrets: the remote's own words if there are any, else git's first."""
    rows = [plain(row).strip() for row in stderr.decode("utf-8", "replace").splitlines()]
    rows = [row for row in rows if row and not row.lower().startswith(("warning:", "hint:", "**"))]
    remote = " ".join(row.removeprefix("remote:").strip() for row in rows if row.startswith("remote:")).strip()
    first = next((re.sub(r"^(fatal|error): ", "", row) for row in rows), "git gave no reason")
    return " ".join(re.sub(r"\w+://\S+", lambda url: without_secrets(url[0]), remote or first).split())


def without_secrets(url: str) -> str:
    """The URL without user, password and query."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url
    host, slash, path = rest.partition("/")
    if "@" in path and ":" in host:  # a slash in a password: rather too much is left out than too little
        host, slash, path = rest.rpartition("@")[2].partition("/")
    return scheme + mark + host.rpartition("@")[2] + slash + path.partition("?")[0]
