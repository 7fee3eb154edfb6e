#!/usr/bin/env python3
"""Pages on a Dask cluster of this machine: what a second worker brings, what the way there costs, and a simulation.

    .venv/bin/python benchmarks/cluster.py             8 pages that compute for 2 s, then what each page costs
    .venv/bin/python benchmarks/cluster.py --simulate  the same, and how long larger courses would take

Everything is executed in one run on one machine, by real schedulers and workers with one thread each. The cells compute
in one thread, so that a second worker can bring a second core and nothing else. Before each measured run comes another:
what is measured is a cluster that has imported what it needs.

With `--simulate` the code's own schedule is played through for more pages and workers than there are here. The pages
take the seconds that are recorded in `outputs/`, drawn with a fixed seed; the rest was measured just before. Nothing of
that table has been executed.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = """\
---
file_format: mystnb
kernelspec: {{name: python3, display_name: Python 3}}
---

# Page {number}

```{{code-cell}} python
print(sum(number * number for number in range({rounds})))
```
"""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Costs:
    """Seconds: what a command costs `once`, and each page beside its own time, on its worker (`there`) and here."""

    once: float
    there: float
    here: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulate", action="store_true", help="play through 30, 300 and 3,000 pages as well")
    arguments = parser.parse_args()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores{load}; seconds\n")
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder))
        costs = measure(Path(folder))
    if arguments.simulate:
        simulate(recorded(ROOT / "outputs"), costs)
    return 0


def compare(folder: Path) -> None:
    """Two workers beside one, and beside this machine without a cluster."""
    root = make(folder / "compute", 8, rounds_for(2.0))
    took = {}
    for workers in (1, 2):
        with cluster(folder / f"{workers} workers", workers) as address:
            timed(root, "--cluster", address)
            took[f"{workers} Dask worker{'s' if workers > 1 else ''}"] = timed(root, "--cluster", address)
    for jobs in (1, 2):
        took[f"no cluster, --jobs {jobs}"] = timed(root, "--jobs", str(jobs))
    print("| 8 pages that compute for 2 s each | seconds | |\n| --- | ---: | ---: |")
    for what, seconds in took.items():
        print(f"| {what} | {seconds:.1f} | {took['1 Dask worker'] / seconds:.2f}x |", flush=True)


def measure(folder: Path) -> Costs:
    """What it costs to execute pages that do nothing, from the difference between few and many."""
    few, many = make(folder / "few", 4, 1), make(folder / "many", 44, 1)
    between = 40
    with cluster(folder / "workers", 2) as address:
        timed(few, "--cluster", address)
        used = [cpu()]
        first = timed(few, "--cluster", address)
        used.append(cpu())
        second = timed(many, "--cluster", address)
        used.append(cpu())
    local = timed(many, "--jobs", "2") - timed(few, "--jobs", "2")
    page = 2 * (second - first) / between  # of a worker's time
    own = statistics.median(recorded(many / "outputs"))  # the first ones wait for the fork server
    here = ((used[2] - used[1]) - (used[1] - used[0])) / between
    print(f"\n| {between} more pages that do nothing | seconds for each page |\n| --- | ---: |")
    print(f"| 2 Dask workers | {(second - first) / between:.3f} |\n| no cluster, --jobs 2 | {local / between:.3f} |")
    print(f"| the cluster's overhead | {(second - first - local) / between:.3f} |")
    costs = Costs(first - 2 * page, max(0.0, page - own), here)
    print(
        f"\nA command on a cluster costs {costs.once:.1f} s once; each page keeps its worker {costs.there:.3f} s "
        f"longer than it takes, and this machine busy for {costs.here:.3f} s."
    )
    return costs


def simulate(seconds: Sequence[float], costs: Costs) -> None:
    """A table of what courses of other sizes would take on other clusters."""
    chance = random.Random(8)
    print(
        f"\nSimulated, not executed: longest first, pages of {min(seconds):.1f} to {max(seconds):.1f} s as recorded in "
        f"outputs/ ({len(seconds)} of them, resampled), with the costs measured above; seconds.\n\n"
        "| pages | workers | simulated | lower bound | ratio |\n| ---: | ---: | ---: | ---: | ---: |"
    )
    for pages in (30, 300, 3000):
        drawn = chance.choices(seconds, k=pages)
        for workers in (1, 8, 64):
            took, bound = makespan(drawn, workers, costs), max(sum(drawn) / workers, max(drawn))
            print(f"| {pages:,} | {workers} | {took:,.0f} | {bound:,.0f} | {took / bound:.2f} |")
    print(
        "\nThe lower bound is what no schedule can beat: all the pages' seconds over the workers, or the longest page."
    )


def makespan(seconds: Sequence[float], workers: int, costs: Costs) -> float:
    """The seconds until all is stored, as `execute.dispatch` does it.

    The longest page that is left goes to the worker that becomes free first. This machine takes one answer after
    another and hands out a page for each.
    """
    free = [costs.once] * workers
    clock = end = costs.once
    for page in sorted(seconds, reverse=True):
        clock = max(clock, heapq.heappop(free)) + costs.here
        done = clock + page + costs.there
        heapq.heappush(free, done)
        end = max(end, done)
    return end + costs.here


def recorded(folder: Path) -> list[float]:
    """The seconds of each page whose outputs lie below `folder`."""
    stored = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.ipynb")))
    return [float(notebook["metadata"]["coursebook"]["provenance"]["seconds"]) for notebook in stored]


def rounds_for(seconds: float) -> int:
    """How many rounds of the page's sum take about so long here."""
    rounds, started = 10**6, time.perf_counter()
    sum(number * number for number in range(rounds))
    return int(rounds * seconds / (time.perf_counter() - started))


def make(root: Path, pages: int, rounds: int) -> Path:
    (root / "pages").mkdir(parents=True)
    (root / "_config.yml").write_text("title: Benchmark\n")
    chapters = "".join(f"  - file: pages/p{number:03}\n" for number in range(pages))
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: index\nchapters:\n{chapters}")
    (root / "index.md").write_text("# Home\n")
    for number in range(pages):
        (root / f"pages/p{number:03}.md").write_text(PAGE.format(number=number, rounds=rounds))
    return root


@contextlib.contextmanager
def cluster(folder: Path, workers: int) -> Iterator[str]:
    """A scheduler with so many workers of one thread; gives its address."""
    folder.mkdir()
    processes = [start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(folder / "file"))]
    try:
        while not (folder / "file").exists() or not (folder / "file").read_text().endswith("}"):
            time.sleep(0.1)
        address = str(json.loads((folder / "file").read_text())["address"])
        for _ in range(workers):
            options = ("--nthreads", "1", "--no-nanny", "--local-directory", str(folder))
            processes.append(start("worker", address, *options))
        from distributed import Client

        with Client(address) as client:
            client.wait_for_workers(workers, timeout=60)
        yield address
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(30)


def start(what: str, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"distributed.cli.dask_{what}", "--no-dashboard", *arguments]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=quiet, stderr=quiet, env={**os.environ, **ONE_THREAD})


def timed(root: Path, *arguments: str) -> float:
    """The seconds that `coursebook execute` takes for every page of a course."""
    command = [sys.executable, "-m", "coursebook", "execute", "--force", "--root", str(root), *arguments]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **ONE_THREAD})
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return time.perf_counter() - started


def cpu() -> float:
    """The processor's seconds that commands have used so far which have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
