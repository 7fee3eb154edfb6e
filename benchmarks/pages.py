#!/usr/bin/env python3
"""Coursebook beside plain Jupyter Book on the same made-up course, in one run.

    .venv/bin/python benchmarks/pages.py [--pages 20]

Each page imports torch, torchvision, matplotlib and scikit-learn, trains a linear model on the digits for 300 steps and
draws a figure. Measured: everything executed, nothing changed, a sentence added and a cell changed on one page.
The machine's noise falls on both alike; read the ratios.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAGE = """\
---
file_format: mystnb
kernelspec: {{name: python3, display_name: Python 3}}
---

# Page {number}

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
CONFIG = """\
title: Benchmark
execute: {{execute_notebooks: cache, timeout: 600}}
sphinx:
  {extension}
  config: {{nb_merge_streams: true}}
"""


def make(root: Path, pages: int, extension: str) -> None:
    (root / "pages").mkdir(parents=True)
    (root / "_config.yml").write_text(CONFIG.format(extension=extension))
    chapters = "".join(f"  - file: pages/p{number:03}\n" for number in range(pages))
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: index\nchapters:\n{chapters}")
    (root / "index.md").write_text("# Home\n")
    for number in range(pages):
        (root / f"pages/p{number:03}.md").write_text(PAGE.format(number=number))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=20)
    arguments = parser.parse_args()
    commands = {
        "jupyter-book": [str(Path(sys.executable).with_name("jupyter-book")), "build", "."],
        "coursebook": [sys.executable, "-m", "coursebook", "build"],
    }
    with tempfile.TemporaryDirectory() as folder:
        roots = {name: Path(folder) / name for name in commands}
        for name, root in roots.items():
            make(root, arguments.pages, f"extra_extensions: [{'coursebook' if name == 'coursebook' else ''}]")
        steps = {
            "everything executed": None,
            "nothing changed": None,
            "one sentence added": ("# Page 3\n", "# Page 3\n\nOne more sentence.\n"),
            "one cell changed": ("range(300)", "range(301)"),
        }
        print(f"{arguments.pages} pages, {os.cpu_count()} cores, seconds\n")
        print("| | " + " | ".join(commands) + " | ratio |\n| --- | ---: | ---: | ---: |")
        for step, edit in steps.items():
            took = {}
            for name, command in commands.items():
                if edit:
                    page = roots[name] / "pages/p003.md"
                    page.write_text(page.read_text().replace(*edit))
                started = time.perf_counter()
                result = subprocess.run(command, cwd=roots[name], capture_output=True, text=True, check=False)
                took[name] = time.perf_counter() - started
                if result.returncode:
                    print(result.stdout[-3000:], result.stderr[-3000:], file=sys.stderr)
                    return 1
            shown = " | ".join(f"{took[name]:.1f}" for name in commands)
            print(f"| {step} | {shown} | {took['jupyter-book'] / took['coursebook']:.1f} |", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
