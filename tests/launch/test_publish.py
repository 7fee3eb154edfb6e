"""Branches of real remotes: what is on them afterwards, and that nothing else was touched; Binder's environment."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import threading
import tomllib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from conftest import ROOT, Tiny
from coursebook.cli import main
from coursebook.course.course import Course
from coursebook.ground import git_branch
from coursebook.ground.errors import CourseError
from coursebook.ground.git import Checkout, reason_of_git, without_secrets
from coursebook.ground.git_branch import ATTEMPTS, Published, publish_files
from coursebook.launch.branches import launch_branches

ONE = {"days/one.ipynb": b'{"cells": []}\n', "Übung 100 %/A & B.ipynb": b"{}", "README.md": b"# Generated\n"}
PASSWORD = "s3cr3t"


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout on the branch `main` with a course's sources, a remote `origin`, and somebody's name."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    root = tmp_path / "the course"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "remote.git")
    git(tmp_path, "init", "--quiet", "--initial-branch=main", root.name)
    for key, value in (("user.name", "Zoë"), ("user.email", "zoe@example.org")):
        git(root, "config", key, value)
    (root / "_toc.yml").write_text("root: index\n")
    (root / "index.md").write_text("# Home\n")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=The course")
    git(root, "remote", "add", "origin", "../remote.git")
    return root


@pytest.fixture
def remote(course: Path) -> Path:
    return course.parent / "remote.git"


def held(remote: Path, branch: str = "launch") -> dict[str, bytes]:
    """Every file of a branch with its bytes."""
    names = git(remote, "ls-tree", "-r", "-z", "--name-only", branch).split("\0")[:-1]
    return {
        name: subprocess.run(["git", "show", f"{branch}:{name}"], cwd=remote, check=True, capture_output=True).stdout
        for name in names
    }


def again(course: Path, files: dict[str, bytes], remote: str = "origin", **options: bool) -> Published:
    return publish_files(files, remote, "launch", "Notebooks\n", identity_from=course, **options)


def seen(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder, `.git` as well, with the time of its last change and its bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


@pytest.mark.processes
def test_first_then_nothing_then_what_differs(course: Path, remote: Path) -> None:
    first = again(course, ONE)
    assert first.added == tuple(sorted(ONE))
    assert (str(first), held(remote)) == ("3 added", ONE)
    assert git(remote, "log", "--format=%H %P|%an <%ae>|%cn|%B", "launch") == (
        f"{first.commit} |Zoë <zoe@example.org>|Zoë|Notebooks"
    )
    assert again(course, dict(reversed(ONE.items()))) == Published(first.commit)
    assert str(again(course, ONE)) == "nothing changed"

    two = {**ONE, "README.md": b"# Other\n", "labs/new.ipynb": b"{}", "binder/postBuild": b"#!/bin/sh\necho\n"}
    del two["days/one.ipynb"]
    second = again(course, two)
    assert second.added == ("binder/postBuild", "labs/new.ipynb")
    assert (second.changed, second.removed) == (("README.md",), ("days/one.ipynb",))
    assert held(remote) == two
    assert git(remote, "rev-list", "--parents", "-1", "launch") == f"{second.commit} {first.commit}"
    assert git(remote, "ls-tree", "launch", "binder/").startswith("100755"), "a script can be run"
    assert git(remote, "for-each-ref", "--format=%(refname)") == "refs/heads/launch"
    git(remote, "fsck", "--strict")


@pytest.mark.processes
def test_content_is_published_as_it_is(course: Path, remote: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (course.parent / "gitconfig").write_text("[core]\n\tautocrlf = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(course.parent / "gitconfig"))
    files = {".gitattributes": b"*.txt text\n", "a.txt": b"one\r\ntwo\n", "b.bin": bytes(range(256)), "empty": b""}
    again(course, files)
    assert held(remote) == files


@pytest.mark.processes
def test_a_dry_run_writes_nothing(course: Path, remote: Path) -> None:
    before = seen(remote)
    assert again(course, ONE, dry_run=True) == Published(None, added=tuple(sorted(ONE)))
    assert seen(remote) == before
    commit = again(course, ONE).commit
    before = seen(remote)
    assert again(course, {"README.md": b""}, dry_run=True).changed == ("README.md",)
    assert seen(remote) == before
    assert again(course, ONE, dry_run=True) == Published(commit)


@pytest.mark.processes
def test_the_checkout_is_untouched(course: Path, remote: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dirty, staged and untracked files stay, and git's own index isn't even refreshed; within a hook, too."""
    (course / "index.md").write_text("# Changed\n")
    (course / "new.md").write_text("# New\n")
    git(course, "add", "new.md")
    (course / "untracked").write_text("x")
    os.utime(course / "_toc.yml", (1, 1))  # git status would note that it looked
    before = seen(course)
    monkeypatch.setenv("GIT_DIR", str(course / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(course / ".git/index"))
    monkeypatch.setenv("GIT_WORK_TREE", str(course))
    tree = Checkout(course)
    assert tree.commit is not None
    assert re.fullmatch(r"[0-9a-f]{40} with changes that are not committed", tree.commit)
    again(course, ONE)
    again(course, {"a": b""})
    assert seen(course) == before
    monkeypatch.undo()
    assert held(remote) == {"a": b""}


@pytest.mark.processes
def test_hooks_of_the_user_have_no_part_in_it(course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = tmp_path / "hooks/pre-push"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    (tmp_path / "gitconfig").write_text(f"[core]\n\thooksPath = {hook.parent}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    assert again(course, ONE).commit


def _other(course: Path) -> Callable[[], None]:
    """Somebody else, who commits to the branch and pushes each time."""
    clone = course.parent / "other"
    git(course.parent, "clone", "--quiet", "remote.git", clone.name)
    for key, value in (("user.name", "Other"), ("user.email", "other@example.org")):
        git(clone, "config", key, value)

    def push() -> None:
        git(clone, "fetch", "--quiet")
        there = git(clone, "branch", "--remotes", "--list", "origin/launch")
        git(clone, "checkout", "--quiet", *(["--detach", "origin/launch"] if there else ["--orphan", "launch"]))
        (clone / "theirs").write_text(os.urandom(8).hex())
        git(clone, "add", ".")
        git(clone, "commit", "--quiet", "--message=Theirs")
        git(clone, "push", "--quiet", "origin", "HEAD:refs/heads/launch")

    return push


@pytest.mark.processes
@pytest.mark.parametrize("is_first", [True, False], ids=["first publication", "a later one"])
@pytest.mark.parametrize("times", [1, ATTEMPTS], ids=["once", "each time"])
def test_somebody_pushes_in_between(
    course: Path, remote: Path, monkeypatch: pytest.MonkeyPatch, is_first: bool, times: int
) -> None:
    if not is_first:
        again(course, ONE)
    push_of_others, left = _other(course), times
    push = git_branch._Branch.push

    def late(target: git_branch._Branch, commit: str, tip: str | None) -> bool:
        nonlocal left
        if left:
            left -= 1
            push_of_others()
        return push(target, commit, tip)

    monkeypatch.setattr(git_branch._Branch, "push", late)
    files = {**ONE, "new.ipynb": b"{}"}
    if times == ATTEMPTS:
        with pytest.raises(CourseError, match=f"somebody else pushed to 'launch' before each of {ATTEMPTS} attempts"):
            again(course, files)
        assert "theirs" in held(remote)
        return
    published = again(course, files)
    assert held(remote) == files
    assert published.removed == ("theirs",)
    assert "Theirs" in git(remote, "log", "--format=%s", "launch").splitlines(), "what they pushed stays in the history"


def _hook(remote: Path, name: str, script: str) -> None:
    path = remote / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.processes
@pytest.mark.skipif(os.name == "nt", reason="hooks are shell scripts")
def test_somebody_pushes_while_the_remote_takes_ours(course: Path, remote: Path) -> None:
    first = again(course, ONE).commit
    free = "env -u GIT_QUARANTINE_PATH -u GIT_OBJECT_DIRECTORY -u GIT_ALTERNATE_OBJECT_DIRECTORIES"
    nothing = git(remote, "hash-object", "-w", "-t", "tree", os.devnull)
    theirs = git(remote, "-c", "user.name=x", "-c", "user.email=x", "commit-tree", nothing, "-p", str(first), "-m", "x")
    _hook(remote, "pre-receive", f"[ -e done ] && exit 0; touch done; {free} git update-ref refs/heads/launch {theirs}")
    published = again(course, {"a": b""})
    assert (remote / "done").exists()
    assert git(remote, "rev-list", "--first-parent", "launch").splitlines() == [published.commit, theirs, first]


@pytest.mark.processes
@pytest.mark.skipif(os.name == "nt", reason="hooks are shell scripts")
def test_a_remote_that_refuses(course: Path, remote: Path) -> None:
    _hook(remote, "pre-receive", "echo 'launch is protected.' >&2; exit 1")
    with pytest.raises(CourseError) as caught:
        again(course, ONE)
    said = "origin: the push to 'launch' was refused (pre-receive hook declined): launch is protected."
    assert str(caught.value) == said
    assert git(remote, "for-each-ref") == ""


@pytest.mark.processes
@pytest.mark.parametrize(
    ("remote", "branch", "message"),
    [
        (
            "upstream",
            "launch",
            "upstream: neither a remote of the course's checkout (there are: gone, origin), nor a URL, nor",
        ),
        (".", "launch x", ".: 'launch x' can't be the name of a branch"),
        ("gone", "launch", "gone: git can't read from it: 'gone' does not appear to be a git repository"),
        ("file:///no/where", "launch", "file:///no/where: git can't read from it: '/no/where' does not appear to be"),
        (
            f"https://zoe:{PASSWORD}@localhost:9/x.git",
            "launch",
            "https://localhost:9/x.git: git can't read from it: unable to access 'https://localhost:9/x.git/': Failed",
        ),
        ("origin", "main", "origin: the course itself is on the branch 'main'; publish to a branch of its own"),
        ("../remote.git", "main", "../remote.git: the course itself is on the branch 'main'; publish to a"),
        ("origin", "sub", "origin: the branch 'sub' holds the sources of a course (docs/_toc.yml); publish to a"),
    ],
    ids=["typo", "name", "removed", "file", "unreachable", "own branch", "own branch by path", "sources in a folder"],
)
def test_what_cannot_be(course: Path, remote: str, branch: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    git(course, "remote", "add", "gone", "/no/where")
    git(course, "checkout", "--quiet", "-b", "sub")
    (course / "docs").mkdir()
    git(course, "mv", "_toc.yml", "docs/_toc.yml")
    git(course, "commit", "--quiet", "--message=Below docs")
    git(course, "push", "--quiet", "origin", "sub")
    git(course, "checkout", "--quiet", "main")
    monkeypatch.chdir(course)
    before = git(course, "ls-remote", "origin")
    with pytest.raises(CourseError) as caught:
        publish_files(ONE, remote, branch, "x", identity_from=course)
    assert str(caught.value).startswith(message)
    assert PASSWORD not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert git(course, "ls-remote", "origin") == before


@pytest.mark.processes
@pytest.mark.parametrize("name", ["", "/a", "a//b", "../a", "a/.git/config", "a/./b", "a/.GIT/x"])
def test_names_that_git_cannot_keep(course: Path, name: str) -> None:
    with pytest.raises(CourseError, match="git can't keep a file of this name"):
        again(course, {name: b""})


@pytest.mark.processes
def test_a_file_and_a_folder_of_one_name(course: Path) -> None:
    with pytest.raises(CourseError, match="a/b/c: a/b can't be both a file and a folder"):
        again(course, {"a/b/c": b"", "a/b": b""})


@pytest.mark.processes
def test_without_git(course: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CourseError, match=r"^git: the command isn't installed, or not on PATH$"):
        again(course, ONE)


@pytest.mark.processes
def test_a_course_that_is_no_checkout_and_nobody_known(course: Path, remote: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    assert Checkout(plain).commit is None
    again(plain, ONE, str(remote))
    assert (
        git(remote, "log", "--format=%an <%ae>|%cn", "launch") == "coursebook <coursebook@noreply.invalid>|coursebook"
    )


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://u:p@h/x.git", "https://h/x.git"),
        ("https://TOKEN@h/x.git", "https://h/x.git"),
        ("https://u:p/q?r@h/x.git", "https://h/x.git"),
        ("https://u:p'q r@h:8080/x", "https://h:8080/x"),
        ("https://u@mail.org:p@h/x", "https://h/x"),
        ("https://h/x.git?private_token=p", "https://h/x.git"),
        ("https://h/a@b.git", "https://h/a@b.git"),
        ("ssh://git@h:22/x", "ssh://h:22/x"),
        ("git@h:o/x.git", "git@h:o/x.git"),
        ("../a:b@c", "../a:b@c"),
    ],
)
def test_secrets_are_left_out(address: str, shown: str) -> None:
    assert without_secrets(address) == shown
    if "://" in address and " " not in address:
        assert reason_of_git(f"fatal: unable to access '{address}': no".encode()).startswith(
            f"unable to access '{shown}"
        )


class _Git(BaseHTTPRequestHandler):
    """Git's own server behind a password."""

    root: Path

    def do_GET(self) -> None:
        expected = "Basic " + base64.b64encode(f"zoe:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != expected:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        variables = {
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "REMOTE_USER": "zoe",
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        command = ["git", "http-backend"]
        done = subprocess.run(command, env=os.environ | variables, input=body, capture_output=True, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = [row.split(": ", 1) for row in head.decode().split("\r\n")]
        self.send_response(next((int(value.split()[0]) for name, value in fields if name == "Status"), 200))
        for name, value in fields:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(remote: Path) -> Iterator[str]:
    """The host of a server that lets zoe in, with the repository `remote.git`."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), type("Server", (_Git,), {"root": remote.parent}))
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.mark.processes
@pytest.mark.skipif(
    not shutil.which("git-http-backend", path=git(ROOT, "--exec-path")), reason="git has no server for HTTP here"
)
def test_a_server_with_a_password(course: Path, remote: Path, server: str) -> None:
    address = f"http://{server}/remote.git"
    wrongs = {
        address: "terminal prompts disabled",
        f"http://zoe:wr0ng@{server}/remote.git": "Authentication failed for",
    }
    for wrong, why in wrongs.items():
        with pytest.raises(CourseError) as caught:
            again(course, ONE, wrong)
        said = str(caught.value)
        assert said.startswith(f"{address}: git can't read from it: ")
        assert said.endswith("git must be let in without being asked: by a credential helper, a token or an SSH key")
        assert why in said
        assert "wr0ng" not in said

    git(remote, "config", "http.receivepack", "true")
    assert str(again(course, ONE, f"http://zoe:{PASSWORD}@{server}/remote.git")) == "3 added"
    # As CI leaves it in the checkout, which a repository elsewhere doesn't read.
    token = base64.b64encode(f"zoe:{PASSWORD}".encode()).decode()
    git(course, "config", f"http.http://{server}/.extraheader", f"Authorization: Basic {token}")
    git(course, "remote", "set-url", "origin", address)
    assert str(again(course, {"README.md": b"x"})) == "1 changed, 2 removed"
    assert held(remote) == {"README.md": b"x"}


@pytest.mark.kernel
def test_the_command(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Notebooks of the built site with what lies beside them, the environment apart, and what it says."""
    remote = tmp_path / "_build/remote.git"  # where no build looks for pages
    remote.parent.mkdir()
    git(tmp_path, "init", "--quiet", "--bare", str(remote))
    config = (tiny.root / "_config.yml").read_text().replace("title: A tiny course", "title: A <tiny> *course*")
    config = config.replace("config: {", "config: {html_extra_path: [extra], ") + "exclude_patterns: [extra/**]\n"
    config += "html: {baseurl: 'https://example.org/c/'}\nrepository: {url: 'https://github.com/x/c', branch: main}\n"
    tiny.write(
        {
            "_config.yml": config,
            "extra/notebooks/days/ü ä 5 %.ipynb": "{}",
            "extra/notebooks/days/figure.png": b"\x89PNG\r\n",
            "extra/notebooks/intro.html": "a page of a folder of this name",
            "binder/postBuild": b"#!/bin/sh\r\ntrue\r\n",
            "binder/.cache/x": "",
            "days/one.md": "---\ndescription: x\ncoursebook: {published: false}\n---\n# A draft\n",
        }
    )
    # What an author looked at isn't what is published.
    assert tiny.build("--drafts").code == 0
    draft = tiny.root / "_build/html/days/one.html"
    assert draft.exists()

    def command(*arguments: str) -> tuple[int, str, str]:
        tiny.capture()
        code = main(["publish-notebooks", str(remote), "--root", str(tiny.root), *arguments])
        return code, *tiny.capture()

    code, out, err = command("--dry-run")
    assert (code, err) == (0, "")
    assert not draft.exists()
    assert out.splitlines()[2:] == [
        "would be added binder: binder/postBuild",
        "would be published binder: 1 added",
        "would be added launch: README.md",
        "would be added launch: days/figure.png",
        "would be added launch: days/ü ä 5 %.ipynb",
        "would be published launch: 3 added",
    ]
    assert git(remote, "for-each-ref") == ""

    code, out, err = command()
    assert (code, err) == (0, "")
    launch, binder = held(remote), held(remote, "binder")
    assert out.startswith("nothing has changed: 2 pages, ")
    assert f"published launch: 3 added, commit {git(remote, 'rev-parse', 'launch')[:12]}" in out
    assert binder == {"binder/postBuild": b"#!/bin/sh\ntrue\n"}
    assert launch.pop("README.md").decode() == (
        "# A \\<tiny> \\*course\\*: the notebooks\n\n"
        "The notebooks of [A \\<tiny> \\*course\\*](<https://example.org/c/>), one for each page that has code.\n\n"
        "This branch is generated by Coursebook from [the course's sources](<https://github.com/x/c>): "
        "what is changed here is gone with the next publication.\n"
    )
    assert launch == {"days/ü ä 5 %.ipynb": b"{}", "days/figure.png": b"\x89PNG\r\n"}
    assert re.fullmatch(
        r"The notebooks of A <tiny> \*course\*\n\nMade by coursebook \S+\.", git(remote, "log", "--format=%B", "launch")
    )

    # Content changes: Binder's branch stays where it is, so that no image is built.
    before = git(remote, "rev-parse", "binder")
    tiny.write({"extra/notebooks/days/ü ä 5 %.ipynb": '{"cells": []}', "extra/notebooks/days/figure.png": None})
    tiny.write({"_config.yml": config + "# Another site\n"})  # Sphinx copies no files where no page has changed
    code, out, err = command("--environment-branch", "binder")
    assert (code, err) == (0, "")
    assert f"already published binder: nothing changed, commit {before[:12]}" in out
    assert "changed launch: days/ü ä 5 %.ipynb\nremoved launch: days/figure.png\n" in out
    assert "published launch: 1 changed, 1 removed, commit " in out
    assert git(remote, "rev-parse", "binder") == before

    said = "error launch: the notebooks and Binder's environment need a branch each\n"
    code, _, err = command("--environment-branch", "launch")
    assert (code, err) == (1, said)

    course = Course.load(tiny.root)
    shutil.rmtree(tiny.root / "binder")
    assert [branch.name for branch in launch_branches(course, "launch", None)] == ["launch"]
    with pytest.raises(CourseError, match=r"^binder: the folder with Binder's environment has no files$"):
        launch_branches(course, "launch", "binder")
    shutil.rmtree(tiny.root / "_build/html/notebooks")
    with pytest.raises(CourseError, match=r"^_build/html/notebooks: the site has no notebooks to publish; pages with"):
        launch_branches(course, "launch", None)


def _pins(path: Path, python: str) -> dict[str, str]:
    """The versions in a lock for Linux on an Intel processor."""
    system = {"sys_platform": "linux", "platform_machine": "x86_64", "implementation_name": "cpython"}
    system |= {"python_full_version": f"{python}.0", "python_version": python}
    rows = path.read_text(encoding="utf-8").splitlines()
    pins = [Requirement(row.removesuffix(" \\")) for row in rows if re.match(r"[\w.-]+==", row)]
    return {pin.name: str(pin.specifier) for pin in pins if pin.marker is None or pin.marker.evaluate(system)}


def test_binder_has_what_the_course_was_executed_with() -> None:
    """What both have is of one version, PyTorch without CUDA, and nothing that the course imports is left out."""
    runtime = (ROOT / "binder/runtime.txt").read_text().strip()
    assert re.fullmatch(r"python-3\.\d+", runtime), "all that repo2docker understands"
    python = runtime.removeprefix("python-")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert Requirement(f"x{project['requires-python']}").specifier.contains(python)
    binder, course = _pins(ROOT / "binder/requirements.txt", python), _pins(ROOT / "requirements.txt", python)
    assert binder["torch"] == course["torch"] + "+cpu"
    assert {name: version.removesuffix("+cpu") for name, version in binder.items() if name in course} == {
        name: course[name] for name in binder.keys() & course.keys()
    }, "run `python3 scripts/lock.py`"
    imported = {Requirement(row).name for row in project["optional-dependencies"]["course"]} - {"sphinx-exercise"}
    wanted = {
        Requirement(row).name for row in (ROOT / "binder/requirements.in").read_text().splitlines() if row[0] != "#"
    }
    assert imported | {"jupyterlab", "nbgitpuller", "ipykernel"} <= wanted <= binder.keys()
    assert not [name for name in binder if name.startswith(("nvidia", "cuda", "triton"))]
    assert "--extra-index-url https://download.pytorch.org/whl/cpu\n" in (ROOT / "binder/requirements.txt").read_text()
