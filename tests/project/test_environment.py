"""The bootstrap: `scripts/build.py` on a checkout that has nothing yet, one that is current, and machines that lack
something. A tiny project stands for ours, with real virtual environments."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ROOT

PYPROJECT = """\
[build-system]
requires = ["flit_core>=3.11,<4"]
build-backend = "flit_core.buildapi"
[project]
name = "coursebook"
version = "0"
description = "Stands for the real one"
"""
MAIN = "import sys\nprint('built with', *sys.argv[1:])\nsys.exit('--fail' in sys.argv)\n"
LOCKS = ("requirements.txt", "requirements-dev.txt", "requirements-light.txt")
SCRIPTS = ("build.py", "environment.py", "supported.py")
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
Lock = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with our scripts, a package that prints its arguments, and a lock of one package."""
    root = tmp_path / "a checkout"
    (root / "scripts").mkdir(parents=True)
    for name in SCRIPTS:
        shutil.copy(ROOT / "scripts" / name, root / "scripts")
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "requirements.txt").write_text(entry("flit-core", (ROOT / "requirements.txt").read_text()))
    package = root / "src/coursebook"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(MAIN)
    return root


def entry(name: str, lock: str) -> str:
    """The rows of a package in a lock, with its hashes."""
    found = re.search(rf"^{name}==.*\n(?:[ ].*\n)+", lock, re.MULTILINE)
    assert found, name
    return found[0]


def wheel(index: Path, name: str, version: str, *needed: str) -> str:
    """Add to an index a package with nothing in it, which needs others; returns the hash that a lock has of it."""
    folder, notes = index / name, f"{name}-{version}.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    needs = "".join(f"Requires-Dist: {other}\n" for other in needed)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{notes}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
        archive.writestr(f"{notes}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{notes}/RECORD", "".join(f"{notes}/{file},,\n" for file in ("METADATA", "WHEEL", "RECORD")))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with (folder / "index.html").open("a") as page:
        page.write(f'<a href="{path.name}#sha256={digest}">{path.name}</a>\n')
    return f"--hash=sha256:{digest}"


def run(
    root: Path, *arguments: str, python: str = sys.executable, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    command = [python, str(root / "scripts/build.py"), *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    return subprocess.run(command, cwd=cwd or root, env=environment, capture_output=True, text=True, check=False)


def without_uv() -> str:
    """PATH without the folders that hold uv, so that venv and pip are used."""
    folders = os.environ["PATH"].split(os.pathsep)
    return os.pathsep.join(f for f in folders if not shutil.which("uv", path=f))


@pytest.mark.kernel
@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_first_run_installs_and_the_next_does_not(project: Path, tool: str, tmp_path: Path) -> None:
    path = without_uv() if tool == "pip" else os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    first = run(project, "--lenient", PATH=path, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "making" in first.stdout
    assert ("and uv" in first.stdout) == (tool == "uv")
    assert f"built with build --root {project} --lenient" in first.stdout
    second = run(project, "--root", "elsewhere", PATH=path)
    assert second.stdout == "built with build --root elsewhere\n"
    assert run(project, "--fail", PATH=path).returncode == 1, "the command's exit code is ours"

    # Another lock: installed into the same environment.
    lock = project / "requirements.txt"
    lock.write_text(lock.read_text() + "# changed\n")
    third = run(project, PATH=path)
    assert third.returncode == 0, third.stderr
    assert "installing requirements.txt" in third.stdout
    assert "making" not in third.stdout

    # A lock that can't be installed, be it that a file isn't the one that was locked: a sentence; what was there still
    # works once the lock is mended.
    good, right = lock.read_text(), wheel(tmp_path / "index", "tiny", "1")
    index = dict.fromkeys(("UV_DEFAULT_INDEX", "PIP_INDEX_URL"), (tmp_path / "index").as_uri())
    for bad in ("flit-core==0.0.0.unheard-of", "tiny==1", f"tiny==1 --hash=sha256:{'0' * 64}"):
        lock.write_text(f"{bad}\n")
        refused = run(project, PATH=path, **index)
        assert refused.returncode == 1, bad
        assert "error: the packages could not be installed: the reason stands above" in refused.stderr
        assert "Traceback" not in refused.stderr
    lock.write_text(f"{good}tiny==1 {right}\n")
    mended = run(project, PATH=path, **index)
    assert mended.returncode == 0, mended.stderr
    assert "making" not in mended.stdout
    lock.write_text(good)

    # Cut off in the middle, or moved from under its interpreter: begun anew.
    (project / ".venv/coursebook-installing").touch()
    (project / ".venv/coursebook.json").unlink()
    (project / ".venv/left-over").touch()
    again = run(project, PATH=path)
    assert again.returncode == 0, again.stderr
    assert "was interrupted; beginning anew" in again.stdout
    assert not (project / ".venv/left-over").exists()
    python = next(p for name in ("bin/python", "Scripts/python.exe") if (p := project / ".venv" / name).exists())
    python.unlink()
    assert "making" in run(project, PATH=path).stdout


@pytest.mark.kernel
@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_a_killed_installation_recovers(project: Path) -> None:
    command = [sys.executable, str(project / "scripts/build.py")]
    process = subprocess.Popen(command, env={**os.environ, "PATH": without_uv()}, start_new_session=True)
    while not (project / ".venv/coursebook-installing").exists():
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    again = run(project)
    assert again.returncode == 0, again.stderr
    assert "built with build" in again.stdout


@pytest.mark.kernel
def test_two_at_once_install_once(project: Path) -> None:
    command = [sys.executable, str(project / "scripts/build.py")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("making" in text for text in said) == 1
    assert all("built with build" in text for text in said)


@pytest.mark.processes
def test_without_venv_the_running_python_is_used(project: Path) -> None:
    result = run(project, "--no-venv", "--lenient", PYTHONPATH=str(project / "src"))
    assert result.returncode == 0, result.stderr
    assert not (project / ".venv").exists()
    assert "--no-venv" not in result.stdout
    bare = run(project, "--no-venv", python=getattr(sys, "_base_executable", sys.executable), PYTHONNOUSERSITE="1")
    if bare.returncode:
        assert bare.stderr.startswith("error: --no-venv: ")
        assert "-m pip install --require-hashes -r requirements.txt" in bare.stderr


@pytest.mark.processes
def test_an_old_python_says_so(project: Path) -> None:
    old = next((p for v in range(6, 11) if (p := shutil.which(f"python3.{v}")) and _runs(p)), None)
    if old is None:  # none here: this one pretends
        probe = "import sys; sys.version_info = (3, 8, 0); sys.argv = ['scripts/build.py']; import supported"
        result = subprocess.run(
            [sys.executable, "-c", probe], cwd=project / "scripts", capture_output=True, text=True, check=False
        )
    else:
        result = run(project, python=old)
    assert result.returncode == 1
    assert result.stderr.startswith("error: this is Python 3.")
    assert "needs Python 3.11, 3.12 or 3.13" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def _runs(python: str) -> bool:
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


@pytest.mark.processes
@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param("FREE_GB = 10**9", "GB are free on the disk of", id="no disk space"),
        pytest.param(
            "shutil.which = lambda name: None\nfind = importlib.util.find_spec\n"
            "importlib.util.find_spec = lambda name: None if name == 'ensurepip' else find(name)",
            "this Python has no `ensurepip` module; install it (Debian and Ubuntu: `apt install python3.",
            id="no venv module",
        ),
    ],
)
def test_a_machine_that_lacks_something(project: Path, change: str, message: str) -> None:
    with (project / "scripts/environment.py").open("a") as script:
        script.write(f"\n{change}\n")
    result = run(project)
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (project / ".venv").exists()


@pytest.mark.processes
def test_a_checkout_without_its_lock(project: Path) -> None:
    (project / "requirements.txt").unlink()
    result = run(project)
    assert result.returncode == 1
    assert result.stderr.startswith("error: requirements.txt is missing in ")


def test_the_stamp_names_what_was_installed() -> None:
    stamp = ROOT / ".venv/coursebook.json"
    if not stamp.exists():
        pytest.skip("this checkout's environment was not made by scripts/test.py")
    assert {"requirements.txt", "project"} <= json.loads(stamp.read_text())["locks"].keys()


@pytest.fixture
def lock(tmp_path: Path) -> Lock:
    """scripts/lock.py in a checkout with our locks."""
    for name in ("pyproject.toml", *LOCKS):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "binder", tmp_path / "binder")
    (tmp_path / "scripts").mkdir()
    text = (ROOT / "scripts/lock.py").read_text()
    assert text.count(f'"{TORCH_INDEX}"') == 1
    (tmp_path / "scripts/lock.py").write_text(text.replace(TORCH_INDEX, (tmp_path / "pytorch").as_uri()))

    def lock(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(tmp_path / "scripts/lock.py"), *arguments]
        # Each index, and PyTorch's own, is a folder.
        variables = {**os.environ, "UV_DEFAULT_INDEX": (tmp_path / "index").as_uri()}
        return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)

    return lock


@pytest.mark.processes
def test_locks_are_checked(tmp_path: Path, lock: Lock) -> None:
    def check() -> subprocess.CompletedProcess[str]:
        return lock("--check")

    assert check().returncode == 0
    pyproject = tmp_path / "pyproject.toml"
    text = pyproject.read_text()
    pyproject.write_text(text.replace("torch==2.11.0", "torch==2.10.0"))
    assert check().returncode == 1
    assert "run `python3 scripts/lock.py`" in check().stderr
    pyproject.write_text(text + "\n[tool.something]\nelse = 1\n")
    assert check().returncode == 0, "only the requirements count"
    dev = tmp_path / "requirements-dev.txt"
    dev.write_text(dev.read_text().replace("torch==2.11.0", "torch==2.11.1"))
    assert "requirements-dev.txt don't follow" in check().stderr
    binder = tmp_path / "binder/requirements.txt"
    binder.write_text(binder.read_text().replace(rows := entry("six", binder.read_text()), rows.split(" ")[0] + "\n"))
    dev.write_text(dev.read_text().replace(entry("mypy", dev.read_text()), "mypy==1.0\n"))
    assert "error: mypy in requirements-dev.txt, six in binder/requirements.txt: no hash; run" in check().stderr


@pytest.mark.processes
def test_every_locked_package_has_its_hashes(tmp_path: Path, lock: Lock) -> None:
    pyproject, index, pytorch = (tmp_path / name for name in ("pyproject.toml", "index", "pytorch"))
    groups = "".join(f"{name} = []\n" for name in ("build", "test", "lint"))
    extras = "".join(f"{name} = []\n" for name in ("live", "canary", "cluster"))
    pyproject.write_text(
        f'{PYPROJECT}requires-python = ">=3.11"\ndependencies = ["one"]\n[project.optional-dependencies]\n'
        f'course = ["torch==2.0"]\n{extras}[dependency-groups]\n{groups}'
    )
    (tmp_path / "binder/requirements.in").write_text("torch\ntwo\n")
    one, two = wheel(index, "one", "1.0", "two"), wheel(index, "two", "1.0")
    cuda, triton = wheel(index, "torch", "2.0", "triton"), wheel(index, "triton", "3.0")
    for name in (*LOCKS, "binder/requirements.txt"):
        (tmp_path / name).unlink()

    def locked(name: str) -> dict[str, str]:
        text = re.sub(r" \\\n +", " ", (tmp_path / name).read_text())
        return dict(row.split(" ", 1) for row in text.splitlines() if "==" in row)

    done = lock()
    assert done.returncode == 1
    assert "torch" in done.stderr, "uv says what its index doesn't have"
    cpu = wheel(pytorch, "torch", "2.0+cpu")
    done = lock()
    assert (done.returncode, done.stderr) == (0, "")
    ours = {"one==1.0": one, "torch==2.0": cuda, "triton==3.0": triton, "two==1.0": two}
    assert locked("requirements.txt") == locked("requirements-dev.txt") == ours
    assert locked("requirements-light.txt") == {"one==1.0": one, "two==1.0": two}
    assert locked("binder/requirements.txt") == {"torch==2.0+cpu": cpu, "two==1.0": two}
    assert "file:" not in (tmp_path / "requirements.txt").read_text(), "no index"
    assert lock("--check").returncode == 0
    assert lock("--without-cuda").stdout.count("--hash") == 3
    # What is locked is kept, and PyTorch's own index isn't asked for what is known of it, except for another Python.
    wheel(index, "two", "2.0")
    shutil.rmtree(pytorch)
    again = lock()
    assert (again.returncode, again.stderr) == (0, "")
    assert locked("requirements.txt") == ours
    assert locked("binder/requirements.txt") == {"torch==2.0+cpu": cpu, "two==1.0": two}
    (tmp_path / "binder/runtime.txt").write_text("python-3.13\n")
    other = lock()
    assert other.returncode == 1
    assert "torch" in other.stderr
    assert locked("binder/requirements.txt")["torch==2.0+cpu"] == cpu


def test_the_light_lock_is_light() -> None:
    """The fast tests' own: without PyTorch and what comes with it, in the versions of the others."""
    light, dev = ((ROOT / name).read_text() for name in ("requirements-light.txt", "requirements-dev.txt"))
    pins = [re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE) for text in (light, dev)]
    assert set(pins[0]) < set(pins[1])
    assert not {name for name, _ in pins[0]} & {"torch", "torchvision", "numpy", "matplotlib", "scikit-learn"}
    assert "pytest" in dict(pins[0])


@pytest.mark.processes
def test_what_is_installed_without_cuda(lock: Lock) -> None:
    """README pipes it into uv: all of the lock but CUDA, and Binder's PyTorch, each with its hashes."""
    command = "python3 scripts/lock.py --without-cuda | uv pip install --require-hashes --torch-backend cpu -r -\n"
    assert command in (ROOT / "README.md").read_text()
    printed = lock("--without-cuda").stdout
    names = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    cuda = [name for name in names if name.startswith(("nvidia-", "cuda-", "triton"))]
    assert len(cuda) > 10
    rows = re.findall(r"^([\w.-]+)==(\S+)(.*\n(?:[ ]+--hash=sha256:[0-9a-f]{64}.*\n)+)", printed, re.MULTILINE)
    assert sorted(row[0] for row in rows) == sorted(name for name in names if name not in cuda)
    assert [row[0] for row in rows if "+cpu" in row[1]] == ["torch", "torchvision"]


def test_nothing_locked_makes_every_build_wait() -> None:
    """jsonschema imports rfc3987-syntax where it is installed, which parses a grammar then: a second for each build."""
    for name in LOCKS:
        assert "rfc3987-syntax" not in (ROOT / name).read_text(), name
