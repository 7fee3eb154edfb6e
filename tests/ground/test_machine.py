"""What a container leaves of the machine, as Linux tells it in files: here in made-up ones."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coursebook.ground.machine import cores, descendants, free_memory, resident_memory

GB = 10**9
HOST = {"proc/meminfo": "MemTotal: 64000000 kB\nMemAvailable: 40000000 kB\n"}
FREE = 40_000_000 * 1024
V2 = {"proc/self/cgroup": "0::/\n"}
V1 = {"proc/self/cgroup": "9:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/\n"}


def machine(folder: Path, files: dict[str, str]) -> tuple[Path, Path]:
    for name, text in {**HOST, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "proc", folder / "cgroup"


@pytest.mark.parametrize(
    ("files", "allowed"),
    [
        ({}, 64),
        ({**V2, "cgroup/cpu.max": "max 100000\n"}, 64),
        ({**V2, "cgroup/cpu.max": "200000 100000\n"}, 2),
        ({**V2, "cgroup/cpu.max": "150000 100000\n"}, 2),
        ({**V2, "cgroup/cpu.max": "10000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/a/b\n", "cgroup/a/b/cpu.max": "max 100000\n", "cgroup/a/cpu.max": "3 1\n"}, 3),
        ({**V1, "cgroup/cpu/cpu.cfs_quota_us": "-1\n", "cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 64),
        ({**V1, "cgroup/cpu/cpu.cfs_quota_us": "200000\n", "cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 2),
        ({**V1, "cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "250000\n",
          "cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n"}, 3),
        ({**V2, "cgroup/cpu.max": "\x00 nonsense"}, 64),
    ],
    ids=["none", "no limit", "two", "a part", "less than one", "the group above", "no limit in version 1",
         "version 1 within its container", "version 1 on the host", "not to be read"],
)  # fmt: skip
def test_cores_are_those_of_the_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], allowed: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    assert cores(*machine(tmp_path, files)) == allowed


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, FREE),
        ({**V2, "cgroup/memory.max": "max\n", "cgroup/memory.current": f"{9 * GB}\n"}, FREE),
        ({**V2, "cgroup/memory.max": f"{8 * GB}\n", "cgroup/memory.current": f"{3 * GB}\n"}, 5 * GB),
        ({**V2, "cgroup/memory.max": f"{8 * GB}\n", "cgroup/memory.current": f"{7 * GB}\n",
          "cgroup/memory.stat": f"anon {4 * GB}\nactive_file {GB}\ninactive_file {2 * GB}\n"}, 4 * GB),
        ({**V2, "cgroup/memory.max": "max\n", "cgroup/memory.high": f"{4 * GB}\n",
          "cgroup/memory.current": f"{3 * GB}\n"}, GB),
        ({**V2, "cgroup/memory.max": f"{4 * GB}\n", "cgroup/memory.current": f"{5 * GB}\n"}, 0),
        ({"proc/self/cgroup": "0::/a/b\n", "cgroup/a/b/memory.max": "max\n", "cgroup/a/b/memory.current": "1\n",
          "cgroup/a/memory.max": f"{8 * GB}\n", "cgroup/a/memory.current": f"{6 * GB}\n"}, 2 * GB),
        ({**V1, "cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
          "cgroup/memory/memory.usage_in_bytes": "1\n"}, FREE),
        ({**V1, "cgroup/memory/docker/abc/memory.limit_in_bytes": f"{8 * GB}\n",
          "cgroup/memory/docker/abc/memory.usage_in_bytes": f"{6 * GB}\n",
          "cgroup/memory/docker/abc/memory.stat":
              f"active_file 5\ntotal_active_file {GB}\ntotal_inactive_file {GB}\n"}, 4 * GB),
    ],
    ids=["none", "no limit", "a limit", "caches are given back", "where it is slowed down", "more than allowed",
         "the group above", "no limit in version 1", "version 1"],
)  # fmt: skip
def test_free_memory_is_that_of_the_container(tmp_path: Path, files: dict[str, str], free: float) -> None:
    assert free_memory(*machine(tmp_path, files)) == free


def test_a_system_that_does_not_tell_limits_nothing(tmp_path: Path) -> None:
    assert free_memory(tmp_path / "proc", tmp_path / "cgroup") == math.inf
    assert cores(tmp_path / "proc", tmp_path / "cgroup") >= 1
    assert resident_memory(1, tmp_path / "proc") == 0
    assert descendants(1, tmp_path / "proc") == []


@pytest.mark.processes
@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells of processes in /proc")
def test_what_a_process_has_started_is_found_beyond_its_session() -> None:
    code = "import subprocess\nsubprocess.run(['sh', '-c', 'echo; read x'], start_new_session=True)"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # the shell runs
        found = descendants(process.pid)
        assert resident_memory(process.pid) > 2**20
        process.stdin.close()
    assert found
