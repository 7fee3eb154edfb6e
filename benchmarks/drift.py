#!/usr/bin/env python3
"""Does `coursebook verify` find what changed, and nothing else? In real kernels.

    .venv/bin/python benchmarks/drift.py                planted changes that must be found, harmless ones that must not
    .venv/bin/python benchmarks/drift.py --repeat 10    the course of this repository, executed so often, warm and cold

The pairs are those of tests/compare/planted.py: a cell as it was published, and as it came out later. With `--repeat`
a copy of the course is executed once on this machine, so that no other processor's digits are compared with this one's,
and then verified again and again; the longest-running pages decide how long that takes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/compare"))

from coursebook.build.updating import bring_up_to_date  # noqa: E402
from coursebook.course.course import Course  # noqa: E402
from coursebook.drift.judging import PageDrift  # noqa: E402
from coursebook.drift.verification import verify  # noqa: E402
from coursebook.execute.events import Event  # noqa: E402
from coursebook.execute.executor import ExecutionOptions  # noqa: E402
from coursebook.outputs.decisions import Decision  # noqa: E402
from planted import HARMLESS, PLANTED, Pair  # noqa: E402

CONFIG = "title: Pairs\nauthor: x\nsphinx: {extra_extensions: [coursebook], config: {}}\n"
HEAD = "---\nfile_format: mystnb\nkernelspec: {name: python3, display_name: Python 3}\n---\n\n# Pairs\n"
SVG = "%config InlineBackend.figure_formats = ['svg']\nimport matplotlib.pyplot"


class Quiet:
    """Hears of executions, and says nothing."""

    def to_execute(self, pages: Sequence[tuple[str, int, float | None]], slots: int) -> None: ...
    def waits(self, decision: Decision) -> None: ...
    def tell(self, event: Event) -> None: ...
    def rendering(self, pages: int) -> None: ...
    def notice(self, text: str) -> None: ...
    def log(self, line: str) -> None: ...


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--repeat", type=int, default=0, metavar="N", help="verify the course of this repository N times"
    )
    parser.add_argument("--pages", nargs="*", default=None, metavar="PAGE", help="with --repeat, only these")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.repeat:
            return repeat(Path(folder), arguments.repeat, arguments.pages)
        return planted(Path(folder))


def planted(root: Path) -> int:
    pairs = {"planted": PLANTED, "harmless": HARMLESS}
    (root / "_config.yml").write_text(CONFIG, encoding="utf-8")
    toc = "format: jb-book\nroot: planted\nchapters:\n  - file: harmless\n"
    (root / "_toc.yml").write_text(toc, encoding="utf-8")
    for name, group in pairs.items():
        cells = [SVG, *(f"_ = get_ipython().run_cell(open('{name}-{n}.txt').read())" for n in range(len(group)))]
        fences = "\n".join(f"```{{code-cell}} python\n{cell}\n```\n" for cell in cells)
        (root / f"{name}.md").write_text(f"{HEAD}\n{fences}", encoding="utf-8")
    _write(root, {name: [pair.old for pair in group] for name, group in pairs.items()})
    _, errors = bring_up_to_date(Course.load(root), Quiet(), ExecutionOptions())
    if errors:
        raise errors[0]
    _write(root, {name: [pair.new for pair in group] for name, group in pairs.items()})
    drifts = {drift.page.docname: drift for drift in verify(Course.load(root), Quiet(), ExecutionOptions())}
    missed = _told("planted changes found", PLANTED, drifts["planted"], is_found="changed")
    alarms = _told("harmless changes passed over", HARMLESS, drifts["harmless"], is_found="same or within tolerance")
    return int(bool(missed or alarms))


def _write(root: Path, sources: dict[str, list[str]]) -> None:
    for name, group in sources.items():
        for number, source in enumerate(group):
            (root / f"{name}-{number}.txt").write_text(source, encoding="utf-8")


def _told(what: str, pairs: Sequence[Pair], drift: PageDrift, is_found: str) -> list[str]:
    """Print how many pairs came out as they must, and those that didn't; returns their names."""
    cells = drift.cells[1:]
    wrong = [
        pair.name
        for pair, cell in zip(pairs, cells, strict=True)
        if cell.comparison.verdict not in is_found.split(" or ")
    ]
    print(f"{what}: {len(pairs) - len(wrong)} of {len(pairs)}", flush=True)
    for name in wrong:
        print(f"  not: {name}")
    return wrong


def repeat(folder: Path, times: int, pages: Sequence[str] | None) -> int:
    root = folder / "course"
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")[
        :-1
    ]
    for name in map(os.fsdecode, names):
        if not name.startswith(("tests/", "src/", "scripts/")):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, root / name)
    course = Course.load(root)
    docnames = set(pages) if pages else None
    _, errors = bring_up_to_date(course, Quiet(), ExecutionOptions(force=True, provisional=True), docnames)
    if errors:
        raise errors[0]
    total: Counter[str] = Counter()
    for number in range(times):
        started, is_cold = time.perf_counter(), bool(number % 2)
        drifts = verify(course, Quiet(), ExecutionOptions(cold=is_cold), docnames)
        total += Counter(drift.verdict for drift in drifts)
        how = "cold" if is_cold else "warm"
        told = ", ".join(f"{count} {verdict}" for verdict, count in Counter(d.verdict for d in drifts).items())
        print(f"{number + 1:2} {how} {time.perf_counter() - started:6.1f} s: {told}", flush=True)
        for drift in drifts:
            if drift.verdict not in ("same", "within tolerance", "skipped"):
                for cell in drift.changed:
                    why = cell.failed_claim or "; ".join(d.why for d in cell.comparison.differences)
                    print(f"   {drift.page.docname}, cell {cell.cell.number}: {why[:200]}")
                print(f"   {drift.page.docname}: {drift.failure[:300]}" if drift.failure else "", end="")
    print(f"{times} executions: " + ", ".join(f"{count} pages {verdict}" for verdict, count in total.items()))
    return int(any(verdict in total for verdict in ("changed", "failed")))


if __name__ == "__main__":
    sys.exit(main())
