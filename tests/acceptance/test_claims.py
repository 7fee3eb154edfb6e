"""The course on a copy: its claims made false, its notebooks beside its pages."""

from __future__ import annotations

import ast
import difflib
import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
import pytest

from conftest import ROOT, execute_notebooks
from coursebook.cli import main
from coursebook.course.cell import Cell
from coursebook.course.course import Course
from coursebook.course.page import Page

pytestmark = [pytest.mark.kernel, pytest.mark.site]


class _Falsified(ast.NodeTransformer):
    """Each claim made false: where that is noticed, the cell goes on, and where it isn't, the page ends."""

    def __init__(self) -> None:
        self.number = 0

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        false = ast.Assert(ast.UnaryOp(ast.Not(), node.test), node.msg)
        self.number += 1
        claim = ast.unparse(false).replace("\n", "\n    ")
        return ast.parse(
            f"try:\n    {claim}\nexcept AssertionError:\n    falsified.add({self.number})\n"
            f"else:\n    raise RuntimeError('not noticed, in line {node.lineno} of its cell')"
        ).body[0]


def _falsified(cell: Cell, *, on_gpu: bool) -> list[str]:
    falsified = _Falsified()
    tree = falsified.visit(ast.parse(cell.source))
    # A claim in a loop that is never gone through would notice nothing.
    if on_gpu:  # where some claims are for a GPU, others for a CPU
        return ["falsified = set()", *ast.unparse(tree).splitlines()]
    end = f"if len(falsified) != {falsified.number}: raise RuntimeError(f'reached {{falsified}}')"
    return ["falsified = set()", *ast.unparse(tree).splitlines(), end]


def _with_false_claims(page: Page, *, fails: bool) -> tuple[str, int]:
    """The text of `page` with every claim made false, each noticed and passed over.

    If it `fails`, one more claim is false, and that isn't passed over; its line comes with the text.
    """
    claims = [cell for cell in page.cells if "claim" in cell.tags]
    rows, line = page.text.splitlines(), 0
    for cell in reversed(claims):
        new = _falsified(cell, on_gpu=page.options.device == "gpu")
        if fails and cell is claims[0]:
            new.append("assert len(falsified) < 0, 'made false'")
            line = cell.line + len(new) - 1
        rows[cell.line - 1 : cell.line - 1 + len(cell.source.splitlines())] = new
    return "\n".join(rows) + "\n", line


def test_the_course_on_a_copy(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Every claim is made false and notices; and the pages' notebooks, which have no claims, say what the pages say.

    The pages are executed in warm kernels beside one another, the notebooks by plain Jupyter in cold ones: the same
    text and the same figures, cell for cell.
    """
    course, there = tmp_path / "course", tmp_path / "notebooks"
    course.mkdir()
    for name in ("_config.yml", "_toc.yml", "index.md"):
        shutil.copy(ROOT / name, course)
    for name in ("days", "labs", "guide", "assets"):
        shutil.copytree(ROOT / name, course / name)
    pages = Course.load(course).executed_pages()
    for page in pages:
        text, _ = _with_false_claims(page, fails=False)
        (course / page.path).write_text(text, encoding="utf-8")
    # labs/gpu measures times, which can't be compared: it is the one that fails.
    failing = next(page for page in pages if page.docname == "labs/gpu")
    text, line = _with_false_claims(failing, fails=True)
    (course / failing.path).write_text(text, encoding="utf-8")
    # Without a GPU, which would take its pages.
    arguments = ["--root", str(course)]
    assert main(["execute", *arguments, "--device", "cpu", "--provisional"]) == 1
    said = capfd.readouterr().err
    assert re.findall(r"^error (.*)", said, re.M) == [f"labs/gpu.md:{line}: the cell raised AssertionError: made false"]

    (course / failing.path).write_text(failing.text, encoding="utf-8")
    # Its claims are about times, and other tests run beside it: one of three times is quiet enough.
    assert any(main(["execute", *arguments, "--device", "cpu", "--provisional"]) == 0 for _ in range(3))
    assert main(["notebooks", str(there), "--outputs", *arguments]) == 0
    paths = sorted(there.rglob("*.ipynb"))
    assert len(paths) == len(pages)
    warm = {path: path.read_text(encoding="utf-8") for path in paths}
    with ThreadPoolExecutor(2) as both:
        list(both.map(lambda half: execute_notebooks(*half), (paths[::2], paths[1::2])))
    for path in paths:
        assert "falsified" not in warm[path]
        if path.stem != "gpu":
            _say_the_same(path, nbformat.reads(warm[path], 4), nbformat.read(path, 4))  # type: ignore[no-untyped-call]


def _say_the_same(path: Path, warm: nbformat.NotebookNode, cold: nbformat.NotebookNode) -> None:
    compared = 0
    for a, b in zip(warm["cells"], cold["cells"], strict=True):
        if a["cell_type"] != "code" or not a["id"].startswith("cell-"):
            continue
        # Text, and figures byte for byte. Lines, because pytest would show a whole figure for one digit.
        said = [json.dumps(_shown(cell["outputs"]), indent=0, sort_keys=True) for cell in (a, b)]
        lines = [text.replace("\\n", "\n").splitlines() for text in said]
        different = list(difflib.unified_diff(*lines, "warm", "cold", n=0, lineterm=""))[:20]
        assert not different, f"{a['id']} of {path.name}: {different}"
        compared += bool(a["outputs"])
    assert compared > 5, path


def _shown(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a reader sees: streams come in pieces, as they were sent."""
    shown: list[dict[str, Any]] = []
    for output in outputs:
        if shown and output["output_type"] == "stream" and shown[-1].get("name") == output["name"]:
            shown[-1]["text"] += output["text"]
        else:
            shown.append({key: value for key, value in output.items() if key not in ("execution_count", "metadata")})
    return shown
