"""The course's claims: each of them is made false on a copy, and is seen to notice."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

import pytest

from conftest import ROOT
from coursebook.cli import main
from coursebook.course import Course
from coursebook.page import Cell, Page

pytestmark = [pytest.mark.kernel, pytest.mark.site]


class _Falsified(ast.NodeTransformer):
    """Each claim made false: where that is noticed, the cell goes on, and where it isn't, the page ends."""

    def __init__(self) -> None:
        self.first: ast.stmt | None = None
        self.number = 0

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        false = ast.Assert(ast.UnaryOp(ast.Not(), node.test), node.msg)
        self.first = self.first or false
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


def _with_false_claims(page: Page) -> tuple[str, int]:
    """The text of `page` with every claim made false, and the line of the one that ends the page: the first claim of
    the last of its cells."""
    claims = [cell for cell in page.cells if "claim" in cell.tags and re.search(r"^ *assert ", cell.source, re.M)]
    rows = page.text.splitlines()
    last_line = 0
    for cell in reversed(claims):
        new = _falsified(cell, on_gpu=page.options.device == "gpu")
        if cell is claims[-1]:
            first = next(node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Assert))
            indented = first.col_offset > 0  # in a loop or a function, whose names it needs
            false = "assert False" if indented else f"assert not ({ast.unparse(first.test)})"
            new.append(false)
            added = len(new)
        rows[cell.line - 1 : cell.line - 1 + len(cell.source.splitlines())] = new
        if cell is not claims[-1]:
            last_line += len(new) - len(cell.source.splitlines())
    return "\n".join(rows) + "\n", last_line + claims[-1].line + added - 1


def test_every_claim_of_the_course_notices(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("_config.yml", "_toc.yml", "index.md"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("days", "labs", "guide", "assets"):
        shutil.copytree(ROOT / name, tmp_path / name)
    lines = {}
    for page in Course.load(tmp_path).executed_pages():
        text, line = _with_false_claims(page)
        (tmp_path / page.path).write_text(text, encoding="utf-8")
        lines[page.path.as_posix()] = line
    assert len(lines) == 10
    assert main(["execute", "--root", str(tmp_path), "--device", "cpu", "--provisional"]) == 1
    said = re.findall(r"^error (\S+):(\d+): the cell raised (\w+)", capfd.readouterr().err, re.M)
    assert {path: (int(line), error) for path, line, error in said} == {
        path: (line, "AssertionError") for path, line in lines.items()
    }
