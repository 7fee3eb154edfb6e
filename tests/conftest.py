"""Tiny real courses: a course is a few files in a temporary folder, built by the real command."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import zygote
from coursebook.cli import main
from coursebook.execute import fork_client
from coursebook.execute.local import _kernel_environment
from coursebook.ground.layout import STAGE
from coursebook.ground.machine import free_memory
from coursebook.site import process

ROOT = Path(__file__).parent.parent
# Temporary folders lie in memory where there is room for them: a disk is busy for minutes with what is soon gone.
MEMORY = Path("/dev/shm")
if MEMORY.is_dir() and "PYTEST_DEBUG_TEMPROOT" not in os.environ:
    _system = os.statvfs(MEMORY)
    _room = min(_system.f_bavail * _system.f_frsize, free_memory())
    if _room > 10e9 and not _system.f_flag & os.ST_NOEXEC and os.access(MEMORY, os.W_OK):
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(MEMORY)
TEMPORARY = os.path.realpath(os.environ.get("PYTEST_DEBUG_TEMPROOT") or tempfile.gettempdir())
# Where Python may not write bytecode, each command would compile Sphinx again, and each kernel what it imports.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", "") and "PYTHONPYCACHEPREFIX" not in os.environ:
    os.environ["PYTHONPYCACHEPREFIX"] = _kept = str(ROOT / STAGE / "bytecode")
    if "PYTEST_XDIST_WORKER" not in os.environ:  # that of earlier tests' own modules and environments
        shutil.rmtree(_kept + TEMPORARY, ignore_errors=True)
# In the background of a shell that is no terminal's nobody hears Ctrl-C, nor does what is started from there: the
# commands under test could not be interrupted.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
CHROMIUM = next((p for p in ("chromium", "chromium-browser", "google-chrome") if shutil.which(p)), None)

# What takes its time: whoever has none of these markers is fast, and gets the marker that says so.
SLOW = ("processes", "figures", "sphinx", "kernel", "cluster", "site", "browser", "long")
LONGEST = (
    "test_the_course_on_a_copy",
    "test_every_button_is_followed_and_notebooks_run_in_a_fresh_environment",
    "test_first_run_installs_and_the_next_does_not",
    "test_every_command_of_the_guide_works",
    "test_outputs_are_proposed_in_one_pull_request",
)

CONFIG = """\
title: A tiny course
author: Somebody
copyright: "2026"
execute: {execute_notebooks: cache, timeout: 60, raise_on_error: true}
parse: {myst_enable_extensions: [amsmath, colon_fence, dollarmath]}
sphinx:
  extra_extensions: [coursebook]
  recursive_update: true
  config: {myst_heading_anchors: 3}
"""
TOC = "format: jb-book\nroot: index\nchapters:\n  - file: days/one\n"
HEAD = "---\nfile_format: mystnb\nkernelspec: {name: python3, display_name: Python 3}\n---\n"
FILES = {
    "_config.yml": CONFIG,
    "_toc.yml": TOC,
    "index.md": "# Home\n\nWelcome.\n",
    "days/one.md": "# Day one\n\n## A section\n\nText with $x^2$.\n",
}


@dataclass
class Built:
    """What the command said: exit code, standard output and standard error."""

    code: int
    out: str
    err: str


@dataclass
class Tiny:
    """A course in `root`; `write` adds or replaces files, `build` runs `coursebook build` on it."""

    root: Path
    capture: Callable[[], tuple[str, str]]

    def write(self, files: dict[str, str | bytes | None]) -> Tiny:
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink()
            elif isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(content, encoding="utf-8")
        return self

    def cells(self, *sources: str, name: str = "days/one.md", head: str = HEAD) -> Tiny:
        """Replace a page by one with these code cells."""
        fences = "\n".join(f"```{{code-cell}} python\n{source}\n```\n" for source in sources)
        return self.write({name: f"{head}# Day one\n\n{fences}"})

    def build(self, *arguments: str) -> Built:
        self.capture()
        code = main(["build", "--root", str(self.root), *arguments])
        return Built(code, *self.capture())

    def start(self, command: str = "build", *arguments: str) -> subprocess.Popen[str]:
        """The command in a process of its own, which leads a group, as a terminal has it."""
        return subprocess.Popen(
            [sys.executable, "-m", "coursebook", command, "--root", str(self.root), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "COURSE_UNDER_TEST": str(self.root)},
        )

    def processes(self) -> dict[int, str]:
        """What runs of the started commands, be it a kernel or what a cell has started: command lines by number."""
        mark, found = f"COURSE_UNDER_TEST={self.root}".encode(), {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                # A process that has ended and is not yet forgotten has neither.
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
        return found

    def html(self, docname: str = "days/one") -> str:
        return (self.root / "_build/html" / f"{docname}.html").read_text(encoding="utf-8")

    def site(self) -> dict[str, bytes]:
        """Every file of the built site with its bytes."""
        html = self.root / "_build/html"
        return {p.relative_to(html).as_posix(): p.read_bytes() for p in html.rglob("*") if p.is_file()}


@pytest.fixture(scope="session", autouse=True)
def forked_instead() -> Iterator[None]:
    """Processes that render, and fork servers, are forked from one that has imported what they need, see zygote.py."""
    renderers = zygote.Zygote(zygote.RENDERER, ["-P"])
    servers = zygote.Zygote(zygote.FORK_SERVER, PYDEVD_DISABLE_FILE_VALIDATION="1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "Popen", zygote.popen_of(renderers, lambda: must_be("sphinx", "kernel", "site")))
        patch.setattr(fork_client, "Popen", zygote.popen_of(servers, lambda: must_be("kernel", "site")))
        yield
    renderers.close()
    servers.close()


# The test that runs, for those who must know whether it may do what it does.
_running: list[pytest.Item] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[object]:
    _running[:] = [item]
    try:
        return (yield)
    finally:
        _running.clear()


def must_be(*names: str) -> None:
    """Fail the test that runs if it has none of these markers: without, it would be taken for a fast one."""
    if _running and not any(_running[0].get_closest_marker(name) for name in names):
        pytest.fail(f"what it does is for tests that are marked {' or '.join(names)}")


@sys.addaudithook
def _starts(event: str, arguments: tuple[object, ...]) -> None:
    if event == "subprocess.Popen" and sys.platform == "linux" and arguments[0] != "uname":  # Python's own question
        must_be(*SLOW)


def until(happened: Callable[[], object], seconds: float = 30.0) -> bool:
    """Whether it has happened before so many seconds are over; returns as soon as it has."""
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def execute_notebooks(*paths: Path) -> None:
    """Have plain Jupyter execute notebooks where they lie, each in a kernel that knows nothing of us."""
    folder = paths[0].parent
    done = subprocess.run(
        [sys.executable, "-P", "-m", "jupyter", "execute", "--inplace", *map(str, paths)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        # As the pages' kernels have it: as many threads, and the same sums in MKL; no GPU.
        env={**os.environ, **_kernel_environment(folder, slots=2), "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture
def tiny(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tiny:
    monkeypatch.setenv("COLUMNS", "1000")
    return Tiny(tmp_path, lambda: tuple(capfd.readouterr())).write(dict(FILES))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def site() -> Path:
    """The course of this repository, built; outputs that are current are not executed again."""
    code = main(["build", "--root", str(ROOT)])
    assert code == 0, "the course does not build"
    return ROOT / "_build/html"


def pytest_collection_finish() -> None:
    """What stands now is no garbage: collectors, of which IPython calls one for each cell, needn't look at it again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Fast tests first; what needs a browser is skipped where there is none, but never in CI. What only repetition
    shows is left out unless it is asked for."""
    if "long" not in config.option.markexpr:
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("long")])
        items[:] = [item for item in items if not item.get_closest_marker("long")]
    for item in items:
        if "site" in getattr(item, "fixturenames", ()):
            item.add_marker("site")
    rank = {name: number for number, name in enumerate(SLOW, 1)}
    items.sort(key=lambda item: max((rank[m.name] for m in item.iter_markers() if m.name in rank), default=0))
    for item in items:
        if not any(item.get_closest_marker(name) for name in SLOW):
            item.add_marker("fast")
    if os.environ.get("PYTEST_XDIST_WORKER"):
        # Several at a time: the longest begin at once, or they are all that still runs at the end.
        items.sort(key=lambda item: getattr(item, "originalname", item.name) not in LONGEST)
    if CHROMIUM is None and not os.environ.get("CI"):
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason="Chromium is not installed"))
