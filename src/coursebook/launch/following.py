"""Do the buttons work? Each is read from the built page and followed: to the branch, to the notebook on it, to a run.

Services themselves aren't asked: what they need is a branch that is there, with a notebook that can be read, and that
is what breaks.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urljoin, urlsplit

import nbformat
from bs4 import BeautifulSoup

from ..course import Course
from ..ground import SITE, Checkout, CourseError, Repository, plain, reason_of_git
from .branches import ENVIRONMENT

_DOWNLOAD, _LAUNCH = "btn-download-notebook-button", "btn-launch-"
# The hosts of Binder's short names.
_PROVIDERS = {"gh": "https://github.com", "gl": "https://gitlab.com"}
SECONDS = 1800  # for one notebook, with the installation of what it needs


@dataclass(frozen=True)
class Target:
    """What a button leads to: `path` on `branch` of `repository`; `environment` is the branch with Binder's."""

    repository: str
    branch: str
    path: str
    environment: str = ""


@dataclass(frozen=True)
class Button:
    """A button of a page, as it is on the site."""

    docname: str
    service: str
    address: str

    def target(self) -> Target | None:
        """Where it leads; None for services that take a notebook from somewhere else than a branch.

        Raises ValueError when the address isn't one of that service.
        """
        parts = urlsplit(self.address)
        query = {key: values[-1] for key, values in parse_qs(parts.query, strict_parsing=bool(parts.query)).items()}
        match self.service:
            case "colab":
                return _github(parts.path.partition("/github/")[2])
            case "deepnote":
                return _github(urlsplit(query["url"]).path.lstrip("/"))
            case "jupyterhub":
                return _pulled(query)
            case "binder":
                kind, *place, environment = parts.path.partition("/v2/")[2].split("/")
                repository = unquote("/".join(place))
                repository = f"{_PROVIDERS[kind]}/{repository}" if kind in _PROVIDERS else repository
                pull = query["urlpath"].partition("?")[2]
                found = _pulled({key: values[-1] for key, values in parse_qs(pull, strict_parsing=True).items()})
                if found.repository != repository:
                    raise ValueError(f"{repository} is not {found.repository}")
                return Target(repository, found.branch, found.path, unquote(environment))
        return None


def _github(place: str) -> Target:
    owner, name, blob, branch, path = place.split("/", 4)
    if blob != "blob":
        raise ValueError(place)
    return Target(f"https://github.com/{unquote(owner)}/{unquote(name)}", unquote(branch), unquote(path))


def _pulled(query: Mapping[str, str]) -> Target:
    """What nbgitpuller is told: the notebook lies in a folder of the repository's name."""
    repository = query["repo"]
    _, found, path = query["urlpath"].partition(f"/{repository.rpartition('/')[2]}/")
    if not found:
        raise ValueError(query["urlpath"])
    return Target(repository, query["branch"], path)


@dataclass(frozen=True)
class Finding:
    """What came of following a button; `problem` is empty where it works."""

    docname: str
    service: str
    problem: str


def check_launch(
    course: Course, tell: Callable[[Finding], None], *, remote: str | None = None, run: bool = False
) -> list[Finding]:
    """Follow every button of the built site of `course`; `tell` hears of each.

    `remote` is looked at in place of the repository that buttons name (before it is public, say). With `run`, each
    notebook is executed as well, with nothing installed but Jupyter. Raises CourseError when there is no site.
    """
    site = course.root / SITE
    if not (site / "index.html").is_file():
        raise CourseError(SITE, None, "there is no site to check; `coursebook build` makes one")
    found: list[Finding] = []

    def note(docname: str, service: str, problem: str) -> None:
        found.append(Finding(docname, service, problem))
        tell(found[-1])

    with tempfile.TemporaryDirectory(prefix="coursebook-", ignore_cleanup_errors=True) as folder:
        branches = _Branches(Path(folder), course.root, remote)
        for page in course.executed_pages():
            for button in _buttons(site, page.docname):
                note(page.docname, button.service, _follow(button, site, branches))
        if run:
            for docname, problem in _run(site, Path(folder)):
                note(docname, "run", problem)
    return found


def _buttons(site: Path, docname: str) -> Iterator[Button]:
    path = site / f"{docname}.html"
    if not path.is_file():  # not released
        return
    soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    for link in soup.select(f"a.{_DOWNLOAD}, a[class*={_LAUNCH}]"):
        classes: list[str] = list(link.get("class") or [])
        service = next((name.removeprefix(_LAUNCH) for name in classes if name.startswith(_LAUNCH)), "")
        if service != "buttons":
            yield Button(docname, service or "download", str(link.get("href")))


def _follow(button: Button, site: Path, branches: _Branches) -> str:
    """What is wrong with a button, or nothing."""
    offered = site / unquote(urljoin(f"{button.docname}.html", button.address))
    if button.service == "download":
        return _unreadable(offered.read_bytes()) if offered.is_file() else f"{button.address} is not on the site"
    try:
        target = button.target()
    except (KeyError, ValueError):
        return f"{button.address} is not an address of that service"
    if target is None:
        return ""
    if problem := branches.problem(target.repository, target.branch):
        return problem
    files = branches.files(target.repository, target.branch)
    if target.path not in files:
        return f"{target.path} is not on the branch {target.branch!r}; `coursebook publish-notebooks` puts it there"
    data = files[target.path]()
    if problem := _unreadable(data):
        return f"{target.path} on the branch {target.branch!r}: {problem}"
    ours = site / "notebooks" / target.path
    if not ours.is_file() or ours.read_bytes() != data:
        return (
            f"{target.path} on the branch {target.branch!r} is not the site's; `coursebook publish-notebooks` renews it"
        )
    if target.environment:
        if problem := branches.problem(target.repository, target.environment):
            return problem
        if not any(
            name.startswith(f"{ENVIRONMENT}/") for name in branches.files(target.repository, target.environment)
        ):
            return f"the branch {target.environment!r} has no folder {ENVIRONMENT}/, from which Binder builds"
    return ""


def _unreadable(data: bytes) -> str:
    try:
        nbformat.validate(nbformat.reads(data.decode(), as_version=4))  # type: ignore[no-untyped-call]
    except Exception as problem:  # nbformat raises whatever its JSON and schema readers raise
        return f"not a notebook ({str(problem).splitlines()[0][:120]})"
    return ""


class _Branches:
    """The branches that buttons lead to, each fetched once."""

    def __init__(self, folder: Path, root: Path, remote: str | None) -> None:
        checkout = Checkout(root)
        self._remote = checkout.remotes().get(remote, remote) if remote else None
        self._repository = Repository(folder, checkout.environment())
        self._known: dict[tuple[str, str], str | dict[str, Callable[[], bytes]]] = {}

    def problem(self, address: str, branch: str) -> str:
        found = self._fetch(address, branch)
        return found if isinstance(found, str) else ""

    def files(self, address: str, branch: str) -> dict[str, Callable[[], bytes]]:
        found = self._fetch(address, branch)
        return {} if isinstance(found, str) else found

    def _fetch(self, address: str, branch: str) -> str | dict[str, Callable[[], bytes]]:
        key = (self._remote or address, branch)
        if key not in self._known:
            name = f"refs/coursebook/{len(self._known)}"
            wanted = f"+refs/heads/{branch}:{name}"
            done = self._repository.attempt("fetch", "--quiet", "--no-tags", "--depth", "1", "--", key[0], wanted)
            if done.returncode:
                why = reason_of_git(done.stderr)
                self._known[key] = (
                    f"there is no branch {branch!r} at {address}" if "couldn't find remote ref" in why else why
                )
            else:
                entries = self._repository.entries(name)
                self._known[key] = {path: self._reader(entry.split()[2]) for path, entry in entries.items()}
        return self._known[key]

    def _reader(self, blob: bytes) -> Callable[[], bytes]:
        return lambda: self._repository.run("cat-file", "blob", blob.decode())


def _run(site: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """Execute each notebook of the site in an environment that has nothing but Jupyter; tells what went wrong.

    Notebooks that install the same share one: what one of them brings, the others bring as well.
    """
    environments: dict[str, Path] = {}
    for path in sorted((site / "notebooks").rglob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        first = next((cell["source"] for cell in notebook["cells"] if cell.get("id") == "install"), "")
        if first not in environments:
            environments[first] = _environment(folder / f"environment-{len(environments)}")
        python = environments[first]
        copy = folder / "run" / path.relative_to(site / "notebooks")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
        docname = path.relative_to(site / "notebooks").with_suffix("").as_posix()
        yield docname, execute(python, copy)


def execute(python: Path, notebook: Path, seconds: float = SECONDS) -> str:
    """Execute a notebook where it lies, by the Jupyter of an environment; what went wrong, or nothing."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "JUPYTER", "VIRTUAL_"))}
    # Its own --timeout is for a cell.
    command = [str(python), "-m", "jupyter", "execute", "--inplace", notebook.name]
    with subprocess.Popen(
        command, cwd=notebook.parent, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=clean
    ) as process:
        try:
            _, said = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            return f"the notebook takes longer than {seconds:g} s"
        except BaseException:
            _end(process)
            raise
    rows = [row for row in plain(said).splitlines() if row.strip()]
    return f"the notebook failed: {rows[-1] if rows else 'Jupyter gave no reason'}" if process.returncode else ""


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()  # Jupyter ends its kernel then
    try:
        process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()


def _environment(folder: Path) -> Path:
    """A fresh environment with Jupyter's kernel and what executes notebooks; the path of its Python."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "ipykernel", "nbclient"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise CourseError("pip", None, f"an environment to run notebooks in can't be made: {last}")
    return python
