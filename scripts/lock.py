#!/usr/bin/env python3
"""Compile requirements.txt and requirements-dev.txt, the universal locks, from pyproject.toml with uv, and from
binder/requirements.in what Binder installs, in the same versions.

python3 scripts/lock.py            add what is new, keep every version that still fits
python3 scripts/lock.py --upgrade  take the newest versions
python3 scripts/lock.py --check    exit 1 if the locks were compiled from another pyproject.toml, or edited
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The second is the first and what the tests and linters need, with every common version the same.
LOCKS = {
    "requirements.txt": ["--extra", "course", "--extra", "live", "--group", "build"],
    "requirements-dev.txt": [
        *("--extra", "course", "--extra", "live", "--extra", "canary", "--extra", "cluster"),
        *("--group", "build", "--group", "test", "--group", "lint"),
    ],
}
BINDER = Path("binder/requirements.txt")
BINDER_HEADER = """\
# Compiled from requirements.in and the course's lock: change the first, then run `python3 scripts/lock.py`.
# PyTorch without CUDA, from its own index: Binder has no GPU, and the image is a fifth of the size.
--extra-index-url https://download.pytorch.org/whl/cpu
"""
HEADER = "# Compiled from pyproject.toml: change that, then run `python3 scripts/lock.py`. sha256 {}\n"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the locks are not current")
    arguments = parser.parse_args(argv)
    if arguments.check:
        return check()
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        print("error: uv compiles the locks and is not installed; `pip install uv`", file=sys.stderr)
        return 1
    for name, what in LOCKS.items():
        constraint = [] if name == "requirements.txt" else ["-c", "requirements.txt"]
        command = [uv, "pip", "compile", "pyproject.toml", "--universal", "--python-version", "3.11", "--quiet"]
        command += [
            "--no-header",
            "--output-file",
            name,
            *what,
            *constraint,
            *(["--upgrade"] if arguments.upgrade else []),
        ]
        if code := subprocess.run(command, cwd=ROOT, check=False).returncode:
            return code
        path = ROOT / name
        body = "".join(
            row for row in path.read_text(encoding="utf-8").splitlines(True) if not row.startswith("# Compiled")
        )
        path.write_text(HEADER.format(digest(body)) + body, encoding="utf-8")
    return lock_binder(uv, upgrade=arguments.upgrade)


def lock_binder(uv: str, *, upgrade: bool) -> int:
    """Compile what Binder installs, for the one system that it has; returns uv's exit code."""
    path = ROOT / BINDER
    earlier = path.read_text(encoding="utf-8") if path.exists() and not upgrade else ""
    with tempfile.TemporaryDirectory() as folder:
        # Versions that still fit are kept, and an index that only Binder asks isn't asked here.
        output = Path(folder) / "requirements.txt"
        output.write_text("".join(f"{name}=={version}\n" for name, version in pins(earlier)), encoding="utf-8")
        python = (path.parent / "runtime.txt").read_text(encoding="utf-8").strip().removeprefix("python-")
        command = [uv, "pip", "compile", str(path.with_suffix(".in")), "--constraint", "requirements.txt", "--quiet"]
        command += ["--python-version", python, "--python-platform", "x86_64-manylinux_2_28", "--output-file"]
        if code := subprocess.run([*command, str(output)], cwd=ROOT, check=False).returncode:
            return code
        found = pins(output.read_text(encoding="utf-8"))
    rows = [
        f"{name}=={version}{'+cpu' if name in ('torch', 'torchvision') else ''}\n"
        for name, version in found
        if not name.startswith(("nvidia", "cuda", "triton"))
    ]
    path.write_text(BINDER_HEADER + "".join(rows), encoding="utf-8")
    return 0


def pins(text: str) -> list[tuple[str, str]]:
    """Names and versions in a lock; a name has several versions where markers choose one."""
    return re.findall(r"^([\w.-]+)==([^\s;+]+)", text, re.MULTILINE)


def check() -> int:
    """0 if each lock says that it follows from pyproject.toml as it is, 1 and a sentence otherwise."""
    stale = []
    for name in LOCKS:
        path = ROOT / name
        header, _, body = path.read_text(encoding="utf-8").partition("\n") if path.exists() else ("", "", "")
        if header + "\n" != HEADER.format(digest(body)):
            stale.append(name)
    if (ROOT / BINDER).exists():
        known = pins((ROOT / "requirements.txt").read_text(encoding="utf-8"))
        names = {name for name, _ in known}
        ours = pins((ROOT / BINDER).read_text(encoding="utf-8"))
        if any(name in names and (name, version) not in known for name, version in ours):
            stale.append(BINDER.as_posix())
    if stale:
        print(
            f"error: {' and '.join(stale)} don't follow from pyproject.toml; run `python3 scripts/lock.py`",
            file=sys.stderr,
        )
    return bool(stale)


def digest(body: str) -> str:
    """sha256 over the requirements in pyproject.toml and the lock's own lines."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = data["project"]
    wanted = [
        project["requires-python"],
        project["dependencies"],
        project["optional-dependencies"],
        data["dependency-groups"],
    ]
    return hashlib.sha256((json.dumps(wanted, sort_keys=True) + body).encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
