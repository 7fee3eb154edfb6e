#!/usr/bin/env python3
"""Compile requirements.txt and requirements-dev.txt, the universal locks, from pyproject.toml with uv.

python3 scripts/lock.py            add what is new, keep every version that still fits
python3 scripts/lock.py --upgrade  take the newest versions
python3 scripts/lock.py --check    exit 1 if the locks were compiled from another pyproject.toml, or edited
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The second is the first and what the tests and linters need, with every common version the same.
LOCKS = {
    "requirements.txt": ["--extra", "course", "--extra", "live", "--group", "build"],
    "requirements-dev.txt": [
        *("--extra", "course", "--extra", "live"),
        *("--group", "build", "--group", "test", "--group", "lint"),
    ],
}
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
    return 0


def check() -> int:
    """0 if each lock says that it follows from pyproject.toml as it is, 1 and a sentence otherwise."""
    stale = []
    for name in LOCKS:
        path = ROOT / name
        header, _, body = path.read_text(encoding="utf-8").partition("\n") if path.exists() else ("", "", "")
        if header + "\n" != HEADER.format(digest(body)):
            stale.append(name)
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
