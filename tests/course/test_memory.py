"""Cells that were read before: an unchanged page isn't parsed again, and nothing wrong is remembered."""

from __future__ import annotations

import pytest

from conftest import Tiny
from coursebook.course.course import Course
from coursebook.course.memory import FILE, remember
from coursebook.course.page import Page
from coursebook.ground.layout import STAGE


def test_only_what_changed_is_parsed(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    course = Course.load(tiny.cells("print('ü')", "2").root)
    remember(course.root, course.pages)
    parsed: list[str] = []
    read = Page.notebook
    monkeypatch.setattr(Page, "notebook", lambda page: (parsed.append(page.docname), read(page))[1])
    assert Course.load(tiny.root).pages == course.pages
    assert parsed == []
    assert [cell.source for cell in Course.load(tiny.cells("3").root).pages[1].cells] == ["3"]
    assert parsed == ["days/one"]


@pytest.mark.parametrize("damage", ["", "[]", '{"cells": 5}', "\x00", '{"readers": ["0"], "cells": {}}'])
def test_a_damaged_memory_is_none(tiny: Tiny, damage: str) -> None:
    course = Course.load(tiny.cells("1").root)
    remember(course.root, course.pages)
    (tiny.root / STAGE / FILE).write_text(damage)
    assert Course.load(tiny.root).pages == course.pages
