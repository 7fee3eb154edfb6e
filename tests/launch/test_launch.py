"""Addresses at which notebooks open: right for any repository, or none at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import nbformat
import pytest

from conftest import ROOT, Tiny, until
from coursebook.cli import main
from coursebook.course.course import Course
from coursebook.course.repository import Repository
from coursebook.launch.following import Button, execute
from coursebook.launch.services import Launcher

ALL = {
    "colab_url": "https://colab.research.google.com/",
    "binderhub_url": "https://mybinder.org",
    "jupyterhub_url": "https://hub.example.org/",
    "jupyterlite_url": "https://lite.example.org/lab/index.html",
    "deepnote_url": "https://deepnote.com",
    "notebook_interface": "jupyterlab",
}


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("https://github.com/o/r", "https://github.com/o/r"),
        ("https://github.com/o/r/", "https://github.com/o/r"),
        ("https://github.com/o/r.git", "https://github.com/o/r"),
        ("https://github.com/o/r.git/", "https://github.com/o/r"),
        ("git@github.com:o/r.git", "https://github.com/o/r"),
        ("ssh://git@gitlab.com/g/s/r", "https://gitlab.com/g/s/r"),
        ("https://me:secret@gitlab.com/g/s/r.git", "https://gitlab.com/g/s/r"),
        ("http://git.example.org:3000/o/r", "http://git.example.org:3000/o/r"),
        ("", None),
        ("https://github.com", None),
        ("https://github.com/o", None),
        ("o/r", None),
        ("javascript:alert(1)//o/r", None),
        ("http://[broken/o/r", None),
    ],
)
def test_repositories_in_every_spelling(written: str, address: str | None) -> None:
    repository = Repository.read(written)
    assert (repository and repository.address) == address


def _addresses(repository: str, docname: str = "labs/digits", **services: str) -> dict[str, str]:
    read = Repository.read(repository)
    assert read is not None
    return dict(Launcher(read, {**ALL, **services}, "launch", "binder").addresses(docname))


def _pulled(query: str) -> dict[str, str]:
    """What nbgitpuller is asked for by the part of an address after `git-pull?`."""
    return {key: value for key, (value,) in parse_qs(query, strict_parsing=True).items()}


@pytest.mark.parametrize("docname", ["labs/digits", "days/deep er/übung 5%", "a/b/c/d", "q?a=1&b#c"])
def test_each_service(docname: str) -> None:
    found = _addresses("https://github.com/o/r.git", docname)
    assert list(found) == ["Colab", "Binder", "JupyterHub", "JupyterLite", "Deepnote"]
    colab = urlsplit(found["Colab"])
    assert unquote(colab.path) == f"/github/o/r/blob/launch/{docname}.ipynb"
    assert not colab.query
    assert not colab.fragment
    opened = {"repo": "https://github.com/o/r", "branch": "launch", "urlpath": f"lab/tree/r/{docname}.ipynb"}
    hub = urlsplit(found["JupyterHub"])
    assert hub.path == "/hub/user-redirect/git-pull"
    assert _pulled(hub.query) == opened
    binder = urlsplit(found["Binder"])
    assert binder.path == "/v2/gh/o/r/binder"
    (wanted,) = parse_qs(binder.query, strict_parsing=True)["urlpath"]
    assert wanted.startswith("git-pull?")
    assert _pulled(wanted.removeprefix("git-pull?")) == opened
    assert parse_qs(urlsplit(found["JupyterLite"]).query) == {"path": [f"{docname}.ipynb"]}


def test_where_the_repository_is() -> None:
    gitlab = _addresses("https://gitlab.com/group/sub/r")
    assert "Colab" not in gitlab
    assert "Deepnote" not in gitlab
    assert gitlab["Binder"].startswith("https://mybinder.org/v2/gl/group%2Fsub%2Fr/binder?")
    own = _addresses("https://git.example.org:3000/o/r")
    assert own["Binder"].startswith("https://mybinder.org/v2/git/https%3A%2F%2Fgit.example.org%3A3000%2Fo%2Fr/binder?")
    assert _addresses("https://github.com/o/r", colab_url="").keys() == ALL.keys() - ALL.keys() | {
        "Binder",
        "JupyterHub",
        "JupyterLite",
        "Deepnote",
    }


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("launch_buttons: {colab_url: 'javascript:alert(1)'}\n", "colab_url takes an address like https://"),
        ("launch_buttons: {colab_url: 'https://c.org'}\n", "colab_url needs the course's repository under repository"),
        (
            "launch_buttons: {colab_url: 'https://c.org', notebook_interface: notepad}\nrepository: {url: 'https://github.com/o/r'}\n",
            "notebook_interface takes one of classic, jupyterlab, retrolab, not 'notepad'",
        ),
    ],
)
def test_what_cannot_work_is_said(tiny: Tiny, more: str, said: str) -> None:
    tiny.write({"_config.yml": (tiny.root / "_config.yml").read_text() + more})
    built = tiny.build()
    assert built.code == 1
    line = (tiny.root / "_config.yml").read_text().splitlines().index(more.splitlines()[0]) + 1
    assert f"error _config.yml:{line}: " in built.err
    assert said in built.err


@pytest.mark.kernel
def test_every_button_is_followed_and_notebooks_run_in_a_fresh_environment(
    tiny: Tiny, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Against a repository on this machine; the notebook installs what it needs with its own first cell."""
    bare = tmp_path_factory.mktemp("remote")
    subprocess.run(["git", "init", "--quiet", "--bare", str(bare)], check=True)
    config = (tiny.root / "_config.yml").read_text() + (
        "repository: {url: 'https://github.com/o/r'}\n"
        "launch_buttons: {colab_url: 'https://c.org', binderhub_url: 'https://b.org', jupyterhub_url: 'https://h.org'}\n"
    )
    name = "days/ü b%.md"
    tiny.write({"_config.yml": config, "binder/requirements.txt": "nbgitpuller\n", "days/one.md": None})
    tiny.write({"_toc.yml": f"format: jb-book\nroot: index\nchapters:\n  - file: {name}\n"})
    tiny.cells("import filelock\nprint(filelock.__version__)", name=name)
    arguments = ["check-launch", "--remote", str(bare), "--root", str(tiny.root)]

    def check(*more: str) -> tuple[int, list[str]]:
        tiny.capture()
        code = main([*arguments, *more])
        out, err = tiny.capture()
        assert err == ""
        return code, [line for line in out.splitlines() if line.startswith(("works", "broken"))]

    nowhere = "there is no branch 'launch' at https://github.com/o/r"
    page = "days/ü b%"
    assert check() == (
        1,
        [
            f"broken {page}, colab: {nowhere}",
            f"broken {page}, binder: {nowhere}",
            f"broken {page}, jupyterhub: {nowhere}",
            f"works {page}, download",
        ],
    )
    assert main(["publish-notebooks", str(bare), "--root", str(tiny.root)]) == 0
    everything = [f"works {page}, {service}" for service in ("colab", "binder", "jupyterhub", "download")]
    assert check("--run") == (0, [*everything, f"works {page}, run"])

    # The page goes on, and its notebook on the branch doesn't.
    tiny.cells("x = 1", name=name)
    code, lines = check()
    assert code == 1
    stale = f"{page}.ipynb on the branch 'launch' is not the site's; `coursebook publish-notebooks` renews it"
    assert lines[0] == f"broken {page}, colab: {stale}"
    assert lines[3] == f"works {page}, download"

    # What isn't a notebook, and an environment that is gone.
    work = tmp_path_factory.mktemp("work")
    git = ["git", "-C", str(work), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", "clone", "--quiet", "--branch", "launch", str(bare), str(work)], check=True)
    (work / f"{page}.ipynb").write_text("{}")
    subprocess.run([*git, "commit", "--quiet", "--all", "--message", "broken"], check=True)
    subprocess.run([*git, "push", "--quiet", "origin", "launch", ":binder"], check=True)
    code, lines = check()
    assert lines[0].startswith(f"broken {page}, colab: {page}.ipynb on the branch 'launch': not a notebook (")


@pytest.mark.kernel
def test_a_notebook_has_its_time_as_a_whole(tmp_path: Path) -> None:
    cells = [nbformat.v4.new_code_cell("import time; time.sleep(1)") for _ in range(8)]
    mark = "import os\nopen('kernel', 'w').write(str(os.getpid()))"
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(mark), *cells])
    nbformat.write(made, tmp_path / "one.ipynb")
    assert execute(Path(sys.executable), tmp_path / "one.ipynb", seconds=5) == "the notebook takes longer than 5 s"
    if (kernel := tmp_path / "kernel").exists():
        assert until(lambda: not Path(f"/proc/{kernel.read_text()}").exists()), "its kernel ends as well"
    made.cells = [nbformat.v4.new_code_cell("1 / 0")]
    nbformat.write(made, tmp_path / "one.ipynb")
    assert execute(Path(sys.executable), tmp_path / "one.ipynb").startswith("the notebook failed: ZeroDivisionError")


@pytest.mark.site
def test_every_button_of_the_course_works(site: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path)], check=True)
    assert main(["publish-notebooks", str(tmp_path), "--root", str(ROOT)]) == 0
    capfd.readouterr()
    assert main(["check-launch", "--remote", str(tmp_path), "--root", str(ROOT)]) == 0
    works = [line.removeprefix("works ") for line in capfd.readouterr().out.splitlines() if line.startswith("works ")]
    pages = [page.docname for page in Course.load(ROOT).executed_pages()]
    assert works == [f"{page}, {service}" for page in pages for service in ("colab", "binder", "download")]


@pytest.mark.parametrize(
    ("service", "address"),
    [
        ("colab", "https://c.org/github/o/r"),
        ("colab", "https://c.org/github/o/r/tree/launch/a.ipynb"),
        ("jupyterhub", "https://h.org/hub/user-redirect/git-pull?repo=https://github.com/o/r&branch=x&urlpath=lab"),
        ("jupyterhub", "https://h.org/hub/user-redirect/git-pull?branch=x"),
        (
            "binder",
            "https://b.org/v2/gh/o/other/binder?urlpath=git-pull%3Frepo%3Dhttps%253A%252F%252Fgithub.com%252Fo%252Fr",
        ),
        ("deepnote", "https://d.org/launch"),
    ],
)
def test_an_address_that_is_none(service: str, address: str) -> None:
    with pytest.raises((KeyError, ValueError)):
        Button("days/one", service, address).target()


@pytest.mark.parametrize(
    "repository", ["https://github.com/o/r", "https://gitlab.com/g/s/r", "https://git.example.org/ü r"]
)
@pytest.mark.parametrize("docname", ["labs/digits", "days/deep er/übung 5%"])
def test_what_is_made_is_understood(repository: str, docname: str) -> None:
    for name, address in _addresses(repository, docname).items():
        target = Button(docname, name.lower(), address).target()
        if name == "JupyterLite":
            assert target is None
        else:
            assert target is not None
            assert (target.repository, target.branch, target.path) == (repository, "launch", f"{docname}.ipynb")
            assert target.environment == ("binder" if name == "Binder" else "")
