"""A course that came about in steps is the course that is built from nothing: its site, its outputs, its status.

Hypothesis makes the courses and the steps, and looks for the shortest way to a difference. A few steps in an ordinary
run; with `-m long` a thousand, or as many as COURSEBOOK_STEPS says, which is what a scheduled job asks for.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, note, settings, strategies as st

from changing import STEPS, Course, Workshop, happen

kernel = pytest.mark.kernel
STEPS_AT_LEAST = int(os.environ.get("COURSEBOOK_STEPS", "1000"))
A_COURSE = 8  # steps at most
# Each of them is followed by a build in half of the cases: what two changes do together is seen as well.
STEP = st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 5), st.integers(0, 9), st.booleans())
KINDS = {"imports": st.integers(0, 5), "styles": st.integers(0, 2), "deep": st.integers(0, 2), "links": st.booleans()}
HOW = settings(
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@contextmanager
def workshop(course: Course) -> Iterator[Workshop]:
    folder = Path(tempfile.mkdtemp(prefix="in-steps-"))
    try:
        yield Workshop(folder / "steps", course)
    finally:
        shutil.rmtree(folder)


def differences(a: dict[str, bytes], b: dict[str, bytes]) -> list[str]:
    """What isn't the same, each with the place where it begins to differ."""
    found = []
    for name in sorted(a.keys() | b.keys()):
        one, other = a.get(name), b.get(name)
        if one is None or other is None:
            found.append(f"{name}: only {'from nothing' if one is None else 'in steps'}")
        elif one != other:
            at = next((n for n, pair in enumerate(zip(one, other, strict=False)) if len(set(pair)) > 1), 0)
            here, there = one[max(0, at - 60) : at + 60], other[max(0, at - 60) : at + 60]
            found.append(f"{name}: in steps {here!r}, from nothing {there!r}")
    return found


def in_steps_and_from_nothing(first: Course, taken: list[tuple[str, int, int, bool]]) -> list[str]:
    """Where a course that takes these steps differs from the same course built from nothing."""
    with workshop(first) as shop:
        shop.build()
        for name, which, how, is_built in taken:
            happen(shop, (name, which, how))
            if is_built:
                shop.build()
        shop.build()
        found = []
        _, said = shop.run("execute", "--jobs", "1")
        if not said.startswith("executed 0 pages"):
            found.append(f"pages are executed again though nothing has changed: {said}")
        said = shop.build()
        # What lies behind a link is looked at, but nobody walks there: with one, a build is never nothing.
        is_due = shop.course.waits_for(shop.day)  # days that, to the clock, are long past
        if not said.startswith("nothing has changed") and not first.links and not is_due:
            found.append(f"another build had something to do: {said}")
        other = shop.anew(shop.root.parent.parent / "nothing")
        other.build()
        return found + differences(shop.made(), other.made())


@kernel
@pytest.mark.timeout(900)
@settings(HOW, max_examples=2, derandomize=True)
@given(**KINDS, taken=st.lists(STEP, min_size=1, max_size=A_COURSE))
def test_in_steps_as_from_nothing(taken: list[tuple[str, int, int, bool]], **kinds: int) -> None:
    note(f"{taken}")
    assert (found := in_steps_and_from_nothing(Course.first(**kinds), taken)) == [], "\n".join(found)


@kernel
@pytest.mark.long
@pytest.mark.timeout(900 + 60 * STEPS_AT_LEAST)
@settings(HOW, max_examples=max(STEPS_AT_LEAST // A_COURSE, 1))
@given(**KINDS, taken=st.lists(STEP, min_size=A_COURSE, max_size=A_COURSE))
def test_many_steps_as_from_nothing(taken: list[tuple[str, int, int, bool]], **kinds: int) -> None:
    note(f"{taken}")
    assert (found := in_steps_and_from_nothing(Course.first(**kinds), taken)) == [], "\n".join(found)
