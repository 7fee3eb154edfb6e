"""Numbers in options are such as can be reckoned with."""

from __future__ import annotations

import pytest

from conftest import CONFIG, Tiny
from coursebook.course.course import Course
from coursebook.ground.errors import CourseErrors

ENDLESS = (".inf", "-.inf", ".nan", "1.0e+300", f"1{'0' * 400}")


def load(tiny: Tiny) -> str:
    """What is wrong with the course, in words."""
    try:
        Course.load(tiny.root)
    except CourseErrors as group:
        return "\n".join(map(str, group.exceptions))
    return ""


@pytest.mark.parametrize("value", ENDLESS, ids=lambda value: value[:8])
@pytest.mark.parametrize("key", ["timeout", "max_output", "tolerance", "cell"])
def test_of_a_page(tiny: Tiny, key: str, value: str) -> None:
    option = f"{{tolerance: {{numbers: {value}}}}}"
    head = f"{{{key}: {value}}}" if key in ("timeout", "max_output") else option if key == "tolerance" else "{}"
    cell = f":coursebook: {option}\n1" if key == "cell" else "1"
    tiny.cells(cell, head=f"---\ncoursebook: {head}\nfile_format: mystnb\nkernelspec: {{name: python3}}\n---\n")
    assert "days/one.md:" in load(tiny)
    assert " a number" in load(tiny)


@pytest.mark.parametrize("value", ENDLESS, ids=lambda value: value[:8])
@pytest.mark.parametrize("key", ["coursebook_max_age", "coursebook_jobs", "timeout"])
def test_of_the_course(tiny: Tiny, key: str, value: str) -> None:
    if key == "timeout":
        config = CONFIG.replace("timeout: 60", f"timeout: {value}")
    else:
        given = f"{{drift: {value}}}" if key == "coursebook_jobs" else value
        config = CONFIG.replace("config: {", f"config: {{{key}: {given}, ")
    problem = load(tiny.write({"_config.yml": config}))
    assert problem.startswith("_config.yml:")
    assert f"{key}`" in problem
    assert "\n" not in problem


def test_what_is_allowed(tiny: Tiny) -> None:
    config = CONFIG.replace("timeout: 60", "timeout: -1").replace("config: {", "config: {coursebook_max_age: 1.0e+6, ")
    head = "---\ncoursebook: {timeout: 0.5, max_output: 1000000000, tolerance: {numbers: 0}}\nfile_format: mystnb\n"
    tiny.write({"_config.yml": config}).cells("1", head=f"{head}kernelspec: {{name: python3}}\n---\n")
    assert load(tiny) == ""
