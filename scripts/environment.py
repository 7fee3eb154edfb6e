"""The project's own environment, `.venv` (or a light one beside it), made or refreshed from the locks. Standard library
only.

Nothing happens while the locks are the ones that were installed. An installation that was interrupted is begun anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
# On Linux the registry's torch brings CUDA's libraries along, unpacked and in the installer's cache.
FREE_GB = 12 if sys.platform == "linux" else 4
# A lock without PyTorch, and the folder for what it installs.
LIGHT, FREE_GB_LIGHT = "requirements-light.txt", 2
VENV_LIGHT = ROOT / ".venv-light"


class Stop(Exception):
    """What keeps the environment from being made, in one sentence."""


@contextlib.contextmanager
def sentences() -> Iterator[None]:
    """Turns what a user can put right into one sentence and exit code 1, Ctrl-C into 130."""
    try:
        yield
    except Stop as reason:
        sys.exit(f"error: {reason}")
    except KeyboardInterrupt:
        sys.exit(130)


def run(command: Sequence[str], *, cwd: Path | None = None) -> int:
    """Run `command` in the foreground and return its exit code; Ctrl-C is left to the command."""
    process = subprocess.Popen(command, cwd=cwd)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def ensure(locks: Sequence[str], *, use_venv: bool = True, venv: Path = VENV) -> Path:
    """The Python that has everything in `locks` (files below the root) and this project installed.

    With `use_venv` it is that of `venv`, which is made or refreshed if need be; otherwise, and where
    COURSEBOOK_NO_VENV=1 is set, the running one, which is only checked. Raises Stop.
    """
    if not use_venv or os.environ.get("COURSEBOOK_NO_VENV") == "1":
        missing = [
            name for name in ("jupyter_book", "myst_nb", "rich", "coursebook") if not importlib.util.find_spec(name)
        ]
        if missing:
            raise Stop(
                f"--no-venv: {sys.executable} does not have {', '.join(missing)}; install into it with "
                f"`{sys.executable} -m pip install --require-hashes -r requirements.txt` and "
                f"`{sys.executable} -m pip install --no-build-isolation --no-deps -e .`"
            )
        return Path(sys.executable)
    wanted = {name: _digest(ROOT / name) for name in locks}
    wanted["project"] = _project_digest()
    if _is_current(venv, wanted):
        return _python(venv)
    with _lock():
        if not _is_current(venv, wanted):  # another command may have made it while this one waited
            _install(venv, locks, wanted)
    return _python(venv)


def _python(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _stamp(venv: Path) -> Path:
    return venv / "coursebook.json"


def _begun(venv: Path) -> Path:
    return venv / "coursebook-installing"


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise Stop(f"{path.name} is missing in {ROOT}; is the checkout complete? `git status` tells") from None


def _project_digest() -> str:
    """Of what an editable installation takes from pyproject.toml: names, entry points, the build backend."""
    _digest(ROOT / "pyproject.toml")
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return hashlib.sha256(json.dumps([data["project"], data["build-system"]], sort_keys=True).encode()).hexdigest()


def _is_current(venv: Path, wanted: dict[str, str]) -> bool:
    try:
        stamp = json.loads(_stamp(venv).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    installed = stamp.get("locks", {})
    return all(installed.get(name) == digest for name, digest in wanted.items()) and _works(venv)


def _works(venv: Path) -> bool:
    """Whether .venv has a Python that runs: a moved folder or an upgraded system leaves one that doesn't."""
    if not _python(venv).exists():
        return False
    probe = [str(_python(venv)), "-c", "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def _install(venv: Path, locks: Sequence[str], wanted: dict[str, str]) -> None:
    started = time.monotonic()
    uv = shutil.which("uv")
    is_new = _begun(venv).exists() or not _works(venv)
    if is_new:
        _check_machine(uv, FREE_GB if venv == VENV else FREE_GB_LIGHT)
        if _begun(venv).exists():
            _say("the last installation was interrupted; beginning anew")
        _say(f"making {venv} with Python {sys.version.split()[0]}" + (" and uv" if uv else ""))
        if venv.is_symlink() or venv.is_file():
            venv.unlink()
        shutil.rmtree(venv, ignore_errors=True)
        make = (
            [uv, "venv", "--quiet", "--python", sys.executable, str(venv)]
            if uv
            else [sys.executable, "-m", "venv", str(venv)]
        )
        _step(make, "the virtual environment could not be made")
    _stamp(venv).unlink(missing_ok=True)
    _begun(venv).touch()
    install = (
        [uv, "pip", "install", "--python", str(_python(venv))]
        if uv
        else [str(_python(venv)), "-m", "pip", "install", "--disable-pip-version-check"]
    )
    files = [part for name in locks for part in ("-r", str(ROOT / name))]
    is_large = is_new and venv == VENV and sys.platform == "linux"
    cost = " (about 5 GB with CUDA's libraries; a few minutes)" if is_large else ""
    _say("installing " + " and ".join(locks) + cost)
    try:
        # Nothing is taken but the files that were there when the lock was compiled.
        _step([*install, "--require-hashes", *files], "the packages could not be installed")
        # Not isolated: the build backend is in the lock, so nothing unlocked is downloaded.
        project = ["--no-build-isolation", "--no-deps", "-e", str(ROOT)]
        _step([*install, "--quiet", *project], "the project could not be installed")
    except Stop:
        if not is_new:  # refused, not cut off: what was installed before still works
            _begun(venv).unlink()
        raise
    passing = _stamp(venv).with_suffix(".new")
    passing.write_text(json.dumps({"locks": wanted}, indent=1), encoding="utf-8")
    passing.replace(_stamp(venv))
    _begun(venv).unlink()
    _say(f"the environment is ready after {time.monotonic() - started:.0f} s")


def _check_machine(uv: str | None, needed: int) -> None:
    if not uv:
        for name in ("venv", "ensurepip"):
            if importlib.util.find_spec(name) is None:
                version = f"{sys.version_info.major}.{sys.version_info.minor}"
                raise Stop(
                    f"this Python has no `{name}` module; install it (Debian and Ubuntu: `apt install "
                    f"python{version}-venv`) or install uv, then run the same command again"
                )
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < needed:
        raise Stop(f"{free:.1f} GB are free on the disk of {ROOT}, and the installation takes up to {needed} GB")


def _step(command: Sequence[str], problem: str) -> None:
    try:
        code = subprocess.run(command, check=False).returncode
    except OSError as error:
        raise Stop(f"{problem}: {command[0]}: {error.strerror}") from None
    if code:
        free = shutil.disk_usage(ROOT).free / 1e9
        why = f"only {free:.1f} GB are left on the disk" if free < 1 else "the reason stands above"
        raise Stop(f"{problem}: {why}; run the same command again when that is mended")


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    """One installation at a time; a second command waits. The system frees the lock when its holder ends."""
    with (ROOT / ".venv.lock").open("w") as handle:
        if sys.platform == "win32":  # mypy knows this spelling
            import msvcrt

            while True:
                try:
                    msvcrt.locking(handle.fileno(), msvcrt.LK_LOCK, 1)  # gives up after 10 s
                    break
                except OSError:
                    continue
        else:
            import fcntl

            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _say("another command is installing; waiting for it")
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _say(text: str) -> None:
    print(f"• {text}" if (sys.stdout.encoding or "").lower().startswith("utf") else f"- {text}", flush=True)
