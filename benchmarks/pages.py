#!/usr/bin/env python3
"""Coursebook beside plain Jupyter Book on the same made-up course, in one run.

    .venv/bin/python benchmarks/pages.py              20 pages that train a model: the table of README and guide
    .venv/bin/python benchmarks/pages.py --pages 5    fewer
    .venv/bin/python benchmarks/pages.py --scale      one page changed among 10, 50 and 200

Each page imports torch, torchvision, matplotlib and scikit-learn, trains a linear model on the digits for 300 steps
and draws a figure; with `--scale` pages print a number instead, since there it is the other pages that matter. The
machine's noise falls on both: read the ratios. It matters most whether the installed packages have bytecode, so that
is printed: where they don't and Python is told not to write any, plain Jupyter Book compiles torch for every page.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HEAD = """\
---
file_format: mystnb
kernelspec: {{name: python3, display_name: Python 3}}
---

# Page {number}

"""
PAGE = (
    HEAD
    + """\
```{{code-cell}} python
import matplotlib.pyplot as plt
import torch
import torchvision
from sklearn.datasets import load_digits
```

```{{code-cell}} python
torch.manual_seed({number})
X, y = (torch.tensor(a) for a in load_digits(return_X_y=True))
model = torch.nn.Linear(64, 10)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
losses = []
for step in range(300):
    loss = torch.nn.functional.cross_entropy(model(X.float()), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(f"{{losses[-1]:.3f}}")
```

```{{code-cell}} python
plt.plot(losses)
plt.show()
```
"""
)
LIGHT = HEAD + "```{{code-cell}} python\nprint({number} * 300)\n```\n"
IMPORTS = "import matplotlib.pyplot, sklearn.datasets, torch, torchvision"
CONFIG = """\
title: Benchmark
execute: {{execute_notebooks: cache, timeout: 600}}
sphinx:
  {extension}
  config: {{nb_merge_streams: true}}
"""
COMMANDS = {
    "jupyter-book": [str(Path(sys.executable).with_name("jupyter-book")), "build", "."],
    "coursebook": [sys.executable, "-m", "coursebook", "build"],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=20)
    parser.add_argument("--scale", action="store_true", help="one page changed among 10, 50 and 200")
    arguments = parser.parse_args()
    package = importlib.util.find_spec("torch")
    if package is None or package.origin is None:
        sys.exit("error: torch is not installed here; run this with the Python of .venv")
    compiled = Path(importlib.util.cache_from_source(package.origin)).exists()
    print(
        f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, installed packages with{'' if compiled else 'out'} "
        f"bytecode{', PYTHONDONTWRITEBYTECODE set' if sys.dont_write_bytecode else ''}; seconds\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        (scale if arguments.scale else compare)(Path(folder), arguments.pages)
    return 0


def compare(folder: Path, pages: int) -> None:
    """The four steps of an author's day, and how far the first is from what it can't do without."""
    roots = make(folder, pages, PAGE)
    header(f"{pages} pages")
    executed = row("everything executed", roots)["coursebook"]
    cells = work(roots["coursebook"])
    row("nothing changed", roots)
    row("one sentence added", roots, ("# Page 3\n", "# Page 3\n\nOne more sentence.\n"))
    row("one cell changed", roots, ("range(300)", "range(301)"))
    imports = timed([sys.executable, "-c", IMPORTS], folder)
    shutil.rmtree(roots["coursebook"] / "_build")
    rendering = timed(COMMANDS["coursebook"], roots["coursebook"])
    cores = os.cpu_count() or 1
    floor = imports + cells / cores + rendering
    print(
        f"\nThe floor of the first line: imports once {imports:.1f}, the cells' own work {cells:.1f} over {cores} "
        f"cores, rendering {rendering:.1f}: {floor:.1f} in all. Coursebook took {executed / floor:.2f} times that."
    )


def scale(folder: Path, pages: int) -> None:
    """One page changed, in courses of different size."""
    header("one page's code changed among")
    for number in (10, 50, 200):
        roots = make(folder / str(number), number, LIGHT)
        for name in COMMANDS:
            timed(COMMANDS[name], roots[name])
        row(str(number), roots, ("* 300", "* 301"))


def make(folder: Path, pages: int, page: str) -> dict[str, Path]:
    """The same course for each command, in folders of their own."""
    roots = {name: folder / name for name in COMMANDS}
    for name, root in roots.items():
        (root / "pages").mkdir(parents=True)
        extension = f"extra_extensions: [{'coursebook' if name == 'coursebook' else ''}]"
        (root / "_config.yml").write_text(CONFIG.format(extension=extension))
        chapters = "".join(f"  - file: pages/p{number:03}\n" for number in range(pages))
        (root / "_toc.yml").write_text(f"format: jb-book\nroot: index\nchapters:\n{chapters}")
        (root / "index.md").write_text("# Home\n")
        for number in range(pages):
            (root / f"pages/p{number:03}.md").write_text(page.format(number=number))
    return roots


def header(what: str) -> None:
    print(f"| {what} | {' | '.join(COMMANDS)} | ratio |\n| --- | ---: | ---: | ---: |", flush=True)


def row(step: str, roots: dict[str, Path], edit: tuple[str, str] | None = None) -> dict[str, float]:
    """Run each command, after an edit of page 3, and print what they took."""
    took = {}
    for name, root in roots.items():
        if edit:
            page = root / "pages/p003.md"
            page.write_text(page.read_text().replace(*edit))
        took[name] = timed(COMMANDS[name], root)
    shown = " | ".join(f"{seconds:.1f}" for seconds in took.values())
    print(f"| {step} | {shown} | {took['jupyter-book'] / took['coursebook']:.1f} |", flush=True)
    return took


def timed(command: list[str], folder: Path) -> float:
    started = time.perf_counter()
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if result.returncode:
        sys.exit(f"error: {' '.join(command)} failed\n{result.stdout[-3000:]}{result.stderr[-3000:]}")
    return seconds


def work(root: Path) -> float:
    """The seconds that the cells took by themselves, as recorded in the stored outputs."""
    stored = [json.loads(path.read_text(encoding="utf-8")) for path in (root / "outputs").rglob("*.ipynb")]
    return sum(sum(notebook["metadata"]["coursebook"]["provenance"]["cell_seconds"]) for notebook in stored)


if __name__ == "__main__":
    sys.exit(main())
