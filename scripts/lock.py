#!/usr/bin/env python3
"""Compile requirements.txt, requirements-dev.txt and requirements-light.txt, the universal locks, from pyproject.toml
with uv, and from binder/requirements.in what Binder installs, in the same versions. Each package has the hashes of its
files.

python3 scripts/lock.py                 add what is new, keep every version that still fits
python3 scripts/lock.py --upgrade       take the newest versions
python3 scripts/lock.py --check         exit 1 if the locks were compiled from another pyproject.toml, or edited, or if
                                        a package has no hash
python3 scripts/lock.py --without-cuda  print requirements.txt with Binder's PyTorch instead of CUDA's
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
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The second is the first and what the tests and linters need, the third what the fast tests need, which is no PyTorch;
# with every common version the same.
LOCKS = {
    "requirements.txt": ["--extra", "course", "--extra", "live", "--group", "build"],
    "requirements-dev.txt": [
        *("--extra", "course", "--extra", "live", "--extra", "canary", "--extra", "cluster"),
        *("--group", "build", "--group", "test", "--group", "lint"),
    ],
    "requirements-light.txt": ["--extra", "cluster", "--group", "build", "--group", "test"],
}
BINDER = Path("binder/requirements.txt")
# What is on PyTorch's own index without CUDA, and what is CUDA's.
TORCH = ("torch", "torchvision")
CUDA = ("nvidia", "cuda", "triton")
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
BINDER_HEADER = f"""\
# Compiled from requirements.in and the course's lock: change the first, then run `python3 scripts/lock.py`.
# For Python {{}} on Linux on an Intel or AMD processor.
# PyTorch without CUDA, from its own index: Binder has no GPU, and the image is a fifth of the size.
--extra-index-url {TORCH_INDEX}
"""
HEADER = "# Compiled from pyproject.toml: change that, then run `python3 scripts/lock.py`. sha256 {}\n"
# The running Python will do: without it uv looks for one of the version that is locked for.
COMPILE = ("pip", "compile", "--generate-hashes", "--no-header", "--quiet", "--python", sys.executable)
# A package with its marker, and the indented rows below it: its hashes, and who wants it.
ENTRY = re.compile(r"^([\w.-]+)==([^\s;]+).*\n(?:[ ].*\n)*", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}(?=\s)")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the locks are not current")
    parser.add_argument("--without-cuda", action="store_true", help="print what to install for PyTorch without CUDA")
    arguments = parser.parse_args(argv)
    if arguments.check:
        return check()
    if arguments.without_cuda:
        sys.stdout.write(without_cuda())
        return 0
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        print("error: uv compiles the locks and is not installed; `pip install uv`", file=sys.stderr)
        return 1
    compiled: list[str] = []
    for name, what in LOCKS.items():
        constraint = [part for earlier in compiled for part in ("-c", earlier)]
        command = [uv, *COMPILE, "pyproject.toml", "--universal", "--python-version", "3.11", "--output-file", name]
        command += [*what, *constraint, *(["--upgrade"] if arguments.upgrade else [])]
        if code := subprocess.run(command, cwd=ROOT, check=False).returncode:
            return code
        path = ROOT / name
        body = "".join(
            row for row in path.read_text(encoding="utf-8").splitlines(True) if not row.startswith("# Compiled")
        )
        path.write_text(HEADER.format(digest(body)) + body, encoding="utf-8")
        compiled.append(name)
    return lock_binder(uv, upgrade=arguments.upgrade)


def lock_binder(uv: str, *, upgrade: bool) -> int:
    """Compile what Binder installs, for the one system that it has; returns uv's exit code."""
    path = ROOT / BINDER
    python = (path.parent / "runtime.txt").read_text(encoding="utf-8").strip().removeprefix("python-")
    system = ["--python-version", python, "--python-platform", "x86_64-manylinux_2_28", "--no-annotate"]
    header = BINDER_HEADER.format(python)
    earlier = path.read_text(encoding="utf-8") if path.exists() else ""
    with tempfile.TemporaryDirectory() as folder:
        # Versions that still fit are kept, and an index that only Binder asks isn't asked here.
        output = Path(folder) / "requirements.txt"
        kept = "" if upgrade else "".join(f"{name}=={version}\n" for name, version in pins(earlier))
        output.write_text(kept, encoding="utf-8")
        command = [uv, *COMPILE, str(path.with_suffix(".in")), "--constraint", "requirements.txt", *system]
        if code := subprocess.run([*command, "--output-file", str(output)], cwd=ROOT, check=False).returncode:
            return code
        found = entries(output.read_text(encoding="utf-8"))
    # The hashes of another Python's files would not do.
    known = entries(earlier) if earlier.startswith(header) else {}
    rows = []
    for name, version in found:
        if name in TORCH:
            wanted = f"{version.partition('+')[0]}+cpu"  # where the machine's own index has it, it comes with its label
            entry = known.get((name, wanted)) or ask_torch(uv, f"{name}=={wanted}\n", system)
            if entry is None:
                return 1
            rows.append(entry)
        elif not name.startswith(CUDA):
            rows.append(found[name, version])
    path.write_text(header + "".join(rows), encoding="utf-8")
    return 0


def ask_torch(uv: str, wanted: str, system: Sequence[str]) -> str | None:
    """The rows of a package on PyTorch's own index; None, and uv says why, if they can't be had."""
    command = [uv, *COMPILE, "-", "--no-deps", "--index", TORCH_INDEX, *system]
    done = subprocess.run(command, cwd=ROOT, input=wanted, stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def without_cuda() -> str:
    """requirements.txt without CUDA's packages, and with PyTorch as Binder has it, for Linux on an Intel processor."""
    ours = entries((ROOT / "requirements.txt").read_text(encoding="utf-8"))
    binder = entries((ROOT / BINDER).read_text(encoding="utf-8"))
    rows = [row for (name, _), row in ours.items() if not name.startswith(CUDA) and name not in TORCH]
    return "".join([*rows, *(row for (name, _), row in binder.items() if name in TORCH)])


def entries(text: str) -> dict[tuple[str, str], str]:
    """The rows of each package in a lock, by name and version."""
    return {(found[1], found[2]): found[0] for found in ENTRY.finditer(text)}


def pins(text: str) -> list[tuple[str, str]]:
    """Names and versions in a lock; a name has several versions where markers choose one."""
    return re.findall(r"^([\w.-]+)==([^\s;+]+)", text, re.MULTILINE)


def check() -> int:
    """0 if each lock says that it follows from pyproject.toml as it is and has hashes, 1 and a sentence otherwise."""
    stale = []
    bare = []
    for name in LOCKS:
        path = ROOT / name
        header, _, body = path.read_text(encoding="utf-8").partition("\n") if path.exists() else ("", "", "")
        if header + "\n" != HEADER.format(digest(body)):
            stale.append(name)
        bare += without_hash(path)
    if (ROOT / BINDER).exists():
        known = pins((ROOT / "requirements.txt").read_text(encoding="utf-8"))
        names = {name for name, _ in known}
        ours = pins((ROOT / BINDER).read_text(encoding="utf-8"))
        if any(name in names and (name, version) not in known for name, version in ours):
            stale.append(BINDER.as_posix())
        bare += without_hash(ROOT / BINDER)
    if bare:
        print(f"error: {', '.join(bare)}: no hash; run `python3 scripts/lock.py`", file=sys.stderr)
    if stale:
        print(
            f"error: {' and '.join(stale)} don't follow from pyproject.toml; run `python3 scripts/lock.py`",
            file=sys.stderr,
        )
    return bool(stale or bare)


def without_hash(path: Path) -> list[str]:
    """The packages of a lock that have no hash: what an installer would take from anybody."""
    rows = entries(path.read_text(encoding="utf-8")) if path.exists() else {}
    name = path.relative_to(ROOT).as_posix()
    return [f"{package} in {name}" for (package, _), row in rows.items() if not HASH.search(row)]


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
