"""Why outputs aren't current: each kind in words, and none of them read again by the program."""

from __future__ import annotations

from typing import get_args

import pytest

from coursebook.outputs.reasons import Kind, Reason

SAID = {
    Reason("missing"): "never executed",
    Reason("cells", "4"): "cell 4 changed",
    Reason("cells", "1 2 5"): "cells 1, 2 and 5 changed",
    Reason("cells", then="3", now="4"): "1 cell added",
    Reason("cells", then="12", now="9"): "3 cells removed",
    Reason("language"): "the kernel's language changed",
    Reason("input", "data/a b.csv", now="is gone"): "data/a b.csv is gone",
    Reason("import", "days/numpy.py"): "days/numpy.py would be imported",
    Reason("package", "torch", "2.11.0+cu130", "2.12.1"): "torch 2.11 -> 2.12",
    Reason("package", "torch", "2.11.0"): "torch 2.11.0 is not installed",
    Reason("device", then="cpu", now="gpu"): "ran on cpu, wants gpu",
    Reason("untouched"): "asks for a GPU, and never touched the one it was given",
    Reason("altered"): "outputs altered since they were executed",
    Reason("due", then="12", now="7"): "executed 12 days ago, at most 7 allowed",
    Reason("failed", "days/one.md:7: the cell raised ValueError"): "days/one.md:7: the cell raised ValueError",
    Reason("unreadable", "cut off"): "cut off",
}


@pytest.mark.parametrize(("reason", "said"), SAID.items(), ids=lambda value: str(value)[:40])
def test_what_is_said(reason: Reason, said: str) -> None:
    assert str(reason) == said


def test_every_kind_is_said() -> None:
    assert {reason.kind for reason in SAID} == {*get_args(Kind)}
