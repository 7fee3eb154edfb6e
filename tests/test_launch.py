"""Addresses at which notebooks open: right for any repository, or none at all."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from conftest import Tiny
from coursebook.launch import Launcher, Repository

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
