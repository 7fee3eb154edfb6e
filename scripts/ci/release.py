#!/usr/bin/env python3
"""Make a release of the package: check that the tag fits, build sdist and wheel, and hand them out.

python3 scripts/ci/release.py check TAG     the tag is the version, on main, and CHANGELOG.md tells of it
python3 scripts/ci/release.py build         sdist and wheel, in dist/
python3 scripts/ci/release.py publish TAG   a release on GitHub with what is in dist/ and what CHANGELOG.md tells
python3 scripts/ci/release.py upload        what is in dist/ to PyPI, by the identity of the job

What builds and uploads comes from requirements-dev.txt, with its hashes, into an environment that is gone afterwards.
With COURSEBOOK_NO_VENV=1 it is the Python that runs this.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import supported  # noqa: F401  first: under an old Python it says so and ends

# isort: split
import environment
from environment import ROOT, Stop
from github import api, git

DIST = ROOT / "dist"
BUILD = (
    "import sys; from flit_core.buildapi import build_sdist, build_wheel; "
    "print(build_sdist(sys.argv[1]), build_wheel(sys.argv[1]))"
)


def main(arguments: "list[str]") -> int:
    """0 when it is done, 1 and a sentence otherwise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("check", "build", "publish", "upload"))
    parser.add_argument("tag", nargs="?", default=os.environ.get("GITHUB_REF_NAME", ""), metavar="TAG")
    options = parser.parse_args(arguments)
    with environment.sentences():
        if options.what in ("check", "publish"):
            check(options.tag)
        if options.what == "build":
            build()
        elif options.what == "publish":
            publish(options.tag)
        elif options.what == "upload":
            upload()
        return 0


def version() -> str:
    text = (ROOT / "src/coursebook/__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise Stop("src/coursebook/__init__.py names no __version__")
    return found[1]


def check(tag: str) -> None:
    """Raises Stop for a tag that is no release of the sources here."""
    if tag != f"v{version()}":
        raise Stop(f"the tag {tag!r} is not v{version()}, the version in src/coursebook/__init__.py")
    notes(version())
    try:
        git("merge-base", "--is-ancestor", "HEAD", "origin/main", cwd=ROOT)
    except Stop:
        raise Stop(f"{tag} is not on main: a release is made of what was tested there") from None
    print(f"{tag} is a release of {git('rev-parse', 'HEAD', cwd=ROOT)}")


def notes(wanted: str) -> str:
    """What CHANGELOG.md says of a version. Raises Stop where it has no section of that name."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {re.escape(wanted)}\b.*\n((?:(?!## ).*\n?)*)", text, re.MULTILINE)
    if section is None or not section[1].strip():
        raise Stop(f"CHANGELOG.md has no section `## {wanted}` that says what is in it")
    return section[1].strip() + "\n"


def build() -> None:
    """The same sources give the same bytes: what is in the archives is as old as the commit."""
    DIST.mkdir(exist_ok=True)
    if left := sorted(path.name for path in DIST.iterdir()):
        raise Stop(f"dist/ is not empty: {', '.join(left)}")
    epoch = git("log", "-1", "--format=%ct", cwd=ROOT)
    with tools("flit-core") as python:
        run([python, "-c", BUILD, str(DIST)], SOURCE_DATE_EPOCH=epoch)


def publish(tag: str) -> None:
    """One release for a tag: what is there already is left as it is."""
    files = built()
    if api("GET", f"/releases/tags/{tag}", missing={}):
        raise Stop(f"there is a release {tag} already; a mistake in it is mended by the next version")
    text = DIST.parent / "_build/release-notes.md"
    text.parent.mkdir(exist_ok=True)
    text.write_text(notes(version()), encoding="utf-8")
    repository = os.environ.get("GITHUB_REPOSITORY")
    command = ["gh", "release", "create", tag, *map(str, files), "--verify-tag", "--title", tag]
    command += ["--notes-file", str(text), *(["--repo", repository] if repository else [])]
    run(command)


def upload() -> None:
    """uv proves to PyPI which job of which repository it is: https://docs.pypi.org/trusted-publishers"""
    files = built()
    with tools("uv") as python:
        run([python, "-m", "uv", "publish", "--trusted-publishing", "always", *map(str, files)])


def built() -> "list[Path]":
    """The sdist and the wheel of this version, and nothing else. Raises Stop."""
    wanted = [DIST / f"coursebook-{version()}.tar.gz", DIST / f"coursebook-{version()}-py3-none-any.whl"]
    if not DIST.is_dir() or sorted(DIST.iterdir()) != sorted(wanted):
        raise Stop(f"dist/ has to have {' and '.join(path.name for path in wanted)}, and nothing else")
    return wanted


@contextmanager
def tools(*names: str) -> "Iterator[str]":
    """A Python that has these packages, as they are locked."""
    if os.environ.get("COURSEBOOK_NO_VENV") == "1":
        yield sys.executable
        return
    lock = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
    entries = [re.search(rf"^{name}==.*\n(?:    .*\n)*", lock, re.MULTILINE) for name in names]
    if not all(entries):
        raise Stop(f"requirements-dev.txt lacks {' or '.join(names)}")
    with tempfile.TemporaryDirectory(prefix="coursebook-") as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text("".join(entry[0] for entry in entries if entry), encoding="utf-8")
        run([python, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--requirement", str(wanted)])
        yield python


def run(command: "list[str]", **variables: str) -> None:
    try:
        code = subprocess.run(command, cwd=ROOT, env={**os.environ, **variables}, check=False).returncode
    except FileNotFoundError:
        raise Stop(f"`{command[0]}` isn't installed") from None
    if code:
        raise Stop(f"{' '.join(command[:3])} ended with status {code}; the reason stands above")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
