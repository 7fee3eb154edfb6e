"""The canary: an environment of its own with other versions of packages, in which pages are verified.

uv resolves and installs it: what is asked for in the versions asked for, and all else as it is installed here, where
that still fits. The course's own environment isn't touched.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ..course import Course, imported_modules
from ..ground import STAGE, CourseError
from ..outputs import Store, distributions_of

FOLDER = f"{STAGE}/canary"
US = "coursebook"
_DONE = "coursebook-canary"


def canary_environment(course: Course, wanted: Sequence[str], say: Callable[[str], None]) -> Path:
    """The Python of an environment with the packages `wanted`, like `torch==2.15.*` or `numpy`, for the newest.

    It is kept below `_build` and used again as long as it would come out the same; earlier ones are removed. Raises
    CourseError for a requirement that can't be read or met, and where uv is missing.
    """
    requirements = [_requirement(text) for text in wanted]
    uv = _uv()
    folder = course.root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    say("resolving the versions with uv")
    resolved = _resolve(uv, course, requirements, folder)
    ours = _source_of(distribution(US))
    name = hashlib.sha256("\n".join([sys.version, *resolved, *ours]).encode()).hexdigest()[:12]
    place = folder / name
    python = place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not (place / _DONE).is_file():
        for other in folder.iterdir():
            if other.is_dir():
                shutil.rmtree(other)
        say(f"installing {len(resolved)} packages beside the course's own environment")
        _run(uv, ["venv", "--quiet", "--python", sys.executable, str(place)])
        lock = folder / "requirements.txt"
        _run(uv, ["pip", "install", "--quiet", "--python", str(python), "--no-deps", "--requirement", str(lock)])
        _run(uv, ["pip", "install", "--quiet", "--python", str(python), "--no-deps", *ours])
        (place / _DONE).write_text("\n".join(resolved) + "\n", encoding="utf-8")
    return python


def _requirement(text: str) -> Requirement:
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        raise CourseError(
            "--packages", None, f"{text!r} is no requirement ({reason}); it takes some like torch==2.15.* or numpy"
        ) from None


def _uv() -> str:
    beside = shutil.which("uv", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("uv")
    if found is None:
        raise CourseError("--packages", None, "needs uv, which isn't installed; `pip install 'coursebook[canary]'`")
    return found


def _resolve(uv: str, course: Course, wanted: Iterable[Requirement], folder: Path) -> list[str]:
    """The lines of a lock, in `folder / requirements.txt`: names and versions of everything there will be."""
    asked = {canonicalize_name(requirement.name): str(requirement) for requirement in wanted}
    names = {canonicalize_name(name) for name in [*_imported(course), *_needed(distribution(US))]} - asked.keys()
    installed = {canonicalize_name(found.name): found.version for found in distributions()}
    lock, wishes = folder / "requirements.txt", folder / "requirements.in"
    wishes.write_text("\n".join([*asked.values(), *sorted(names & installed.keys())]) + "\n", encoding="utf-8")
    # uv keeps the versions that it finds in its output, where they still fit.
    kept = {name: version for name, version in installed.items() if name not in asked and name != US}
    lock.write_text("".join(f"{name}=={kept[name]}\n" for name in sorted(kept)), encoding="utf-8")
    command = ["pip", "compile", "--quiet", "--no-header", "--no-annotate", "--python", sys.executable]
    _run(uv, [*command, "--output-file", str(lock), str(wishes)])
    return [row for row in lock.read_text(encoding="utf-8").splitlines() if re.match(r"[\w.-]+==", row)]


def _imported(course: Course) -> set[str]:
    """The distributions that the course's pages import, as they stand and as they were executed."""
    store, found = Store(course.root), set[str]()
    for page in course.executed_pages():
        found |= distributions_of(imported_modules(page.cells)).keys()
        try:
            stored = store.read(page.docname)
        except CourseError:
            continue
        found |= stored.provenance.packages.keys() if stored else set()
    return found


def _needed(ours: Distribution) -> set[str]:
    """What we need ourselves, without extras."""
    requirements = (Requirement(text) for text in ours.requires or [])
    return {r.name for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})}


def _source_of(ours: Distribution) -> list[str]:
    """What has uv install us as we are installed here: from the same folder or repository, or in the same version."""
    told = json.loads(ours.read_text("direct_url.json") or "{}")
    address = str(told.get("url", ""))
    if "vcs_info" in told:
        return [f"{US} @ {told['vcs_info']['vcs']}+{address}@{told['vcs_info']['commit_id']}"]
    if address:
        is_editable = told.get("dir_info", {}).get("editable", False)
        return ["--editable", url2pathname(urlsplit(address).path)] if is_editable else [f"{US} @ {address}"]
    return [f"{US}=={ours.version}"]


def _run(uv: str, arguments: Sequence[str]) -> None:
    try:
        done = subprocess.run([uv, *arguments], capture_output=True, text=True, check=False)
    except OSError as error:
        raise CourseError("--packages", None, f"uv can't be started: {error.strerror}") from None
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise CourseError("--packages", None, f"uv can't make the environment: {said[:1500]}")
