"""Devices: pages that ask for a GPU, on machines with and without one.

There is none where these tests usually run. A driver's tool that lists GPUs, and a torch that says it uses them, stand
in; all that decides is the generator's own.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from conftest import HEAD, Built, Tiny
from coursebook.cli import main
from coursebook.ground.gpus import gpus_here

kernel = pytest.mark.kernel
GPU_HEAD = HEAD.replace("---\n", "---\ncoursebook: {device: gpu}\n", 1)
LISTED = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aaaa1111-0000-0000-0000-000000000000)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bbbb2222-0000-0000-0000-000000000000)
"""
PARTS = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aaaa1111-0000-0000-0000-000000000000)
  MIG 3g.20gb     Device  0: (UUID: MIG-cccc3333-0000-0000-0000-000000000000)
  MIG 3g.20gb     Device  1: (UUID: MIG-dddd4444-0000-0000-0000-000000000000)
"""
TORCH = """\
import os, types

__version__ = "2.11.0"
visible = os.environ.get("CUDA_VISIBLE_DEVICES", "unset")
cuda = types.SimpleNamespace(
    used=False,
    is_available=lambda: bool(visible) and visible != "blind",
    is_initialized=lambda: cuda.used,
    get_device_name=lambda: "NVIDIA Test " + visible,
    max_memory_allocated=lambda: 3 * 2**30,
)

def compute(x):
    cuda.used = cuda.is_available()
    return 2 * x
"""
USES = "import torch\nprint('computed', torch.compute(21))"
CPU_SAYS = "import torch\nprint('on', repr(torch.visible))"


@pytest.fixture
def machine(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    tiny.write({"days/torch.py": TORCH, "_config.yml": (tiny.root / "_config.yml").read_text()})
    return Machine(tiny, tmp_path_factory.mktemp("bin"), monkeypatch)


class Machine:
    """A tiny course on a machine whose driver lists what `has` was told."""

    def __init__(self, tiny: Tiny, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tiny, self._folder = tiny, folder
        monkeypatch.setenv("PATH", str(folder), prepend=":")
        self.has("")

    def has(self, listed: str) -> Machine:
        tool = self._folder / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\ncat <<'LISTED'\n{listed}LISTED\n" + ("" if listed else "exit 9\n"))
        tool.chmod(0o755)
        return self

    def run(self, *arguments: str) -> Built:
        self.tiny.capture()
        code = main([arguments[0], "--root", str(self.tiny.root), *arguments[1:]])
        return Built(code, *self.tiny.capture())

    def row(self, docname: str = "days/one") -> dict[str, Any]:
        rows = {row["page"]: row for row in json.loads(self.run("status", "--json").out)}
        return rows[docname]

    @property
    def file(self) -> Path:
        return self.tiny.root / "outputs/days/one.ipynb"

    def said(self, docname: str = "days/one") -> str:
        return re.sub(r"<[^>]+>", "", self.tiny.html(docname))


@pytest.mark.processes
@pytest.mark.parametrize(
    ("listed", "visible", "found"),
    [
        pytest.param(LISTED, None, ["GPU-aaaa1111", "GPU-bbbb2222"], id="all"),
        pytest.param(LISTED, "1", ["GPU-bbbb2222"], id="by index"),
        pytest.param(LISTED, "1,0", ["GPU-bbbb2222", "GPU-aaaa1111"], id="in the order given"),
        pytest.param(LISTED, "GPU-bbbb", ["GPU-bbbb2222"], id="by the beginning of its identifier"),
        pytest.param(LISTED, "0,-1,1", ["GPU-aaaa1111"], id="until one that there isn't"),
        pytest.param(LISTED, "", [], id="none allowed"),
        pytest.param(LISTED, "7", [], id="none of that index"),
        pytest.param(PARTS, None, ["MIG-cccc3333", "MIG-dddd4444"], id="parts"),
        pytest.param(PARTS, "MIG-dddd", ["MIG-dddd4444"], id="one part"),
        pytest.param("", None, [], id="no driver"),
        pytest.param("No devices were found\n", None, [], id="no devices"),
    ],
)
def test_the_gpus_of_a_machine(
    machine: Machine, listed: str, visible: str | None, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.has(listed)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [name[:12] for name in gpus_here()] == found


@pytest.mark.processes
def test_without_the_tool_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus_here() == ()


@kernel
def test_a_gpu_page_proves_what_it_ran_on(machine: Machine) -> None:
    machine.has(LISTED).tiny.cells(USES, head=GPU_HEAD)
    built = machine.run("build")
    assert built.code == 0, built.err
    row = machine.row()
    assert row["state"] == "current"
    assert row["provenance"]["device"] == "gpu"
    assert row["provenance"]["device_name"] == "NVIDIA Test GPU-aaaa1111-0000-0000-0000-000000000000"
    assert row["provenance"]["device_memory"] == 3 * 2**30
    assert "NVIDIA Test GPU-aaaa1111" in machine.said()
    assert "3.0 GiB" in machine.said("freshness")
    assert "outputs-notice" not in machine.tiny.html()


@kernel
def test_good_gpu_outputs_are_kept_where_there_is_no_gpu(machine: Machine) -> None:
    machine.has(LISTED).tiny.cells(USES, head=GPU_HEAD)
    assert machine.run("build").code == 0
    good = machine.file.read_bytes()
    machine.has("")
    assert "nothing has changed" in machine.run("build").out
    machine.tiny.cells(USES.replace("21", "22"), head=GPU_HEAD)
    for arguments in ([], ["--provisional"], ["--force", "--provisional"]):
        built = machine.run("build", *arguments)
        assert built.code == 0, built.err
        assert "kept days/one: stale: cell 1 changed; it asks for a GPU, and there is none" in built.out
        assert machine.file.read_bytes() == good
    assert "computed 42" in machine.said(), "the last good outputs are shown"
    notice = "These outputs are out of date: cell 1 changed. Shown are those of "
    assert notice in machine.said()
    assert "stale cell 1 changed" in machine.said("freshness")
    status = machine.run("status", "--check")
    assert status.code == 1
    assert "stale: cell 1 changed (waits for a GPU)" in status.out
    assert machine.has(LISTED).run("build").code == 0
    assert "computed 44" in machine.said()
    assert "outputs-notice" not in machine.tiny.html()


@kernel
def test_provisional_outputs(machine: Machine) -> None:
    machine.tiny.cells(USES, head=GPU_HEAD)
    built = machine.run("build")
    assert built.code == 0, built.err
    assert "kept days/one: missing: never executed; it asks for a GPU" in built.out
    assert "This page has not been executed yet. It asks for a GPU" in machine.said()
    assert "computed" not in machine.said().replace("'computed'", "")
    built = machine.run("build", "--provisional")
    assert built.code == 0, built.err
    assert machine.row()["provenance"]["device"] == "cpu"
    assert "provisional: ran on cpu, wants gpu" in machine.run("status").out
    assert "These outputs are provisional." in machine.said()
    assert "computed 42" in machine.said()
    assert "executing" not in machine.run("build", "--provisional").out, "once is enough"
    machine.run("build")
    assert "nothing has changed" in machine.run("build").out, "waiting for a GPU is nothing to do"
    machine.has(LISTED)
    assert "executing" in machine.run("build").out, "until there is one"
    machine.has("")
    machine.tiny.write({"outputs/days/one.ipynb": None})
    assert machine.run("build", "--provisional").code == 0
    before = machine.file.read_bytes()
    machine.tiny.cells(USES.replace("21", "22"), head=GPU_HEAD)
    assert machine.run("build").code == 0
    assert machine.file.read_bytes() == before
    assert machine.run("build", "--provisional").code == 0
    assert "computed 44" in machine.said(), "provisional outputs are replaced by newer provisional ones"
    assert machine.has(LISTED).run("build").code == 0
    assert machine.row()["state"] == "current"
    assert "outputs-notice" not in machine.tiny.html()


@kernel
def test_device_options(machine: Machine) -> None:
    machine.tiny.cells(USES, head=GPU_HEAD)
    for command in ("build", "execute"):
        failed = machine.run(command, "--device", "gpu")
        assert failed.code == 1
        assert "error --device gpu: no GPU here" in failed.err
        assert "executing" not in failed.out
    machine.has(LISTED)
    assert "there is none" in machine.run("execute", "--device", "cpu").out
    assert not machine.file.exists()
    assert machine.run("execute", "--device", "gpu").code == 0
    assert machine.row()["state"] == "current"


@kernel
def test_a_page_that_never_touches_its_gpu_is_reported_once(machine: Machine) -> None:
    machine.has(LISTED).tiny.cells("import torch\nprint('idle')", head=GPU_HEAD)
    built = machine.run("build")
    assert built.code == 0, built.err
    assert "warning days/one.md: asks for a GPU, and never touched the one it was given" in built.out
    row = machine.row()
    assert (row["state"], row["executes"], row["provenance"]["device"]) == ("provisional", False, "cpu")
    assert "executing" not in machine.run("build").out


@kernel
def test_a_torch_that_finds_no_gpu_fails_the_page_and_keeps_its_outputs(machine: Machine) -> None:
    machine.has(LISTED).tiny.cells(USES, head=GPU_HEAD)
    assert machine.run("build").code == 0
    good = machine.file.read_bytes()
    machine.tiny.write({"days/torch.py": TORCH.replace('"blind"', "visible")})
    built = machine.run("build")
    assert built.code == 1
    assert "torch finds none in its kernel" in built.err
    assert machine.file.read_bytes() == good
    assert machine.row()["state"] == "failed"


@kernel
def test_one_page_a_gpu_and_none_for_the_others(machine: Machine) -> None:
    tiny = machine.has(LISTED).tiny
    names = ["days/one", "days/two", "days/three"]
    nap = "import time\nstart = time.time()\ntime.sleep(1)\nprint(start, time.time(), torch.visible)"
    for name in names:
        tiny.cells(f"{USES}\n{nap}", name=f"{name}.md", head=GPU_HEAD)
    tiny.cells(CPU_SAYS, name="days/cpu.md")
    toc = "format: jb-book\nroot: index\nchapters:\n" + "".join(f"  - file: {n}\n" for n in [*names, "days/cpu"])
    tiny.write({"_toc.yml": toc})
    executed = machine.run("execute", "--jobs", "4")
    assert executed.code == 0, executed.err
    when: dict[str, list[tuple[float, float]]] = {}
    for name in names:
        notebook = json.loads((tiny.root / f"outputs/{name}.ipynb").read_text())
        start, end, gpu = notebook["cells"][1]["outputs"][0]["text"].split("\n")[1].split()
        when.setdefault(gpu, []).append((float(start), float(end)))
    assert sorted(len(times) for times in when.values()) == [1, 2], "both are used"
    (first, second) = sorted(max(when.values(), key=len))
    assert first[1] <= second[0], "one page after another on one GPU"
    notebook = json.loads((tiny.root / "outputs/days/cpu.ipynb").read_text())
    assert notebook["cells"][1]["outputs"][0]["text"] == "on ''\n", "a page that asks for none doesn't see one"


@kernel
def test_a_page_that_no_longer_asks_for_a_gpu_is_executed_without_one(machine: Machine) -> None:
    machine.has(LISTED).tiny.cells(USES, head=GPU_HEAD)
    assert machine.run("build").code == 0
    machine.tiny.cells(USES)
    assert machine.row()["reasons"] == ["ran on gpu, wants cpu"]
    assert machine.run("build").code == 0
    assert machine.row()["provenance"]["device"] == "cpu"


@pytest.mark.sphinx
def test_an_unknown_device_is_named(tiny: Tiny) -> None:
    built = tiny.cells("1", head=GPU_HEAD.replace("gpu", "tpu")).build()
    assert built.code == 1
    assert "error days/one.md:2: `device` takes `cpu` or `gpu`, not 'tpu'" in built.err
