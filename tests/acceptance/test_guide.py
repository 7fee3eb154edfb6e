"""Every command in the guide to writing, outputs, drift, jobs and clusters is run, in the order in which it stands."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import CONFIG, HEAD, ROOT, until
from coursebook.cli import main

pytestmark = pytest.mark.kernel
PAGES = ("authoring", "outputs", "drift", "ci", "cluster")
SERVES = re.compile("Scheduler at|Registered to")
BIN = Path(sys.executable).parent
# What takes minutes, or a network that tests don't have, is run in a smaller size; `tests` says where the rest is.
INSTEAD = {
    "coursebook verify --packages torch numpy": "coursebook verify --packages toolz locket",
    'coursebook verify --packages "torch==2.15.*" --report _build/canary': "coursebook verify --packages toolz==1.0.0 "
    "--report _build/canary",
}
ADDRESS = re.compile(r"\b(10\.0\.0\.1|127\.0\.0\.1):8786\b")  # of the guide's scheduler, which is run on any free port
ELSEWHERE = {
    ".venv/bin/python benchmarks/pages.py": "builds forty times",
    ".venv/bin/python benchmarks/pages.py --scale": "builds courses of 200 pages",
    ".venv/bin/python benchmarks/cluster.py": "takes minutes",
    ".venv/bin/python benchmarks/cluster.py --simulate": "is run by test_cluster.py",
    ".venv/bin/python benchmarks/drift.py": "its pairs are those of test_compare.py",
    ".venv/bin/python benchmarks/drift.py --repeat 10": "takes a quarter of an hour",
    "python3 scripts/test.py -m long tests/acceptance/test_kill.py": "is that test, for longer",
}
# Without a GPU this is what they must say; with one they must work.
FAILS_WITHOUT_GPU = {"coursebook execute --device gpu": "no GPU here"}


def commands(name: str) -> list[str]:
    text = (ROOT / "guide" / f"{name}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    rows = [re.sub(r"\s+#.*", "", row).strip() for block in blocks for row in block.splitlines()]
    return [row for row in rows if row]


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course with the names of this repository's pages, its scripts, and its history in git."""
    root = tmp_path / "course"
    (root / "days").mkdir(parents=True)
    (root / "labs").mkdir()
    (root / "_config.yml").write_text(CONFIG, encoding="utf-8")
    chapters = "".join(f"  - file: {name}\n" for name in ("days/day08", "days/day09", "labs/digits"))
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: index\nchapters:\n{chapters}", encoding="utf-8")
    (root / "index.md").write_text("# Home\n\nWelcome.\n", encoding="utf-8")
    for number, name in enumerate(("days/day08", "days/day09", "labs/digits")):
        source = f"import toolz\nprint({number})"
        text = f"{HEAD}# Page {number}\n\n```{{code-cell}} python\n{source}\n```\n"
        (root / f"{name}.md").write_text(text, encoding="utf-8")
    shutil.copytree(ROOT / "scripts", root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".github", "pyproject.toml", "requirements.txt"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, root / name)
    (root / ".gitignore").write_text("/_build/\n*.pyc\n*.tar.gz\n", encoding="utf-8")
    assert main(["execute", "--root", str(root)]) == 0
    origin = tmp_path / "origin.git"
    git(tmp_path, "init", "--quiet", "--bare", str(origin))
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "-A")
    git(root, "commit", "--quiet", "-m", "x")
    git(root, "remote", "add", "origin", str(origin))
    git(root, "push", "--quiet", "origin", "main")
    git(root, "fetch", "--quiet", "origin")
    return root


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=x", "-c", "user.email=x@x")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def environment(root: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "CUDA_VISIBLE_DEVICES": "",
        "COURSEBOOK_NO_VENV": "1",  # one of its own takes minutes to install, and is test_environment.py's
        "HOME": str(root.parent),
    }


@contextlib.contextmanager
def servers(root: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Commands that serve until they are ended."""
    started: list[subprocess.Popen[bytes]] = []
    try:
        yield started
    finally:
        for process in reversed(started):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


@pytest.mark.skipif(os.name == "nt", reason="the commands are those of a Unix shell")
@pytest.mark.parametrize("name", PAGES)
def test_every_command_of_the_guide_works(name: str, course: Path) -> None:
    run = [command for command in commands(name) if command not in ELSEWHERE]
    assert run
    is_served = {command: command.startswith(".venv/bin/dask ") for command in run}
    # The servers stand below what is first told of executing on them.
    run.sort(key=lambda command: not is_served[command])
    port = free_port()
    with servers(course) as started:
        for command in run:
            words = ADDRESS.sub(f"127.0.0.1:{port}", INSTEAD.get(command, command)).replace(
                "--port 8786", f"--port {port}"
            )
            assert "8786" not in words
            if is_served[command]:
                log = course.parent / f"server-{len(started)}.log"
                with log.open("wb") as file:
                    process = subprocess.Popen(
                        words.replace(".venv/bin/", f"{BIN}/"), shell=True, cwd=course, env=environment(course),
                        stdout=file, stderr=file, start_new_session=True,
                    )  # fmt: skip
                started.append(process)
                assert until(lambda log=log: SERVES.search(log.read_text())), log.read_text()  # type: ignore[misc]
                continue
            done = subprocess.run(
                words, shell=True, cwd=course, env=environment(course), capture_output=True, text=True, timeout=300,
                check=False,
            )  # fmt: skip
            if command in FAILS_WITHOUT_GPU:
                assert FAILS_WITHOUT_GPU[command] in done.stderr, (command, done.stderr)
                assert done.returncode == 1
                continue
            if "--packages" in words and done.returncode and "can't make the environment" in done.stderr:
                assert not os.environ.get("CI"), done.stderr
                continue  # no network
            assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])


def test_nothing_is_left_out_that_the_guide_no_longer_has() -> None:
    told = {command for name in PAGES for command in commands(name)}
    assert told >= {*INSTEAD, *ELSEWHERE, *FAILS_WITHOUT_GPU}
