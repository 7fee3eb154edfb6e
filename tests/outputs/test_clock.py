"""Clocks that are wrong or elsewhere: what was executed in the future is current, and time zones have no effect."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from conftest import CONFIG, Tiny
from coursebook.cli import main

pytestmark = pytest.mark.kernel
STORED = "outputs/days/one.ipynb"


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Stored outputs of a page with a cell, executed now."""
    course = Tiny(tmp_path_factory.mktemp("executed"), lambda: ("", ""))
    course.write({"_config.yml": CONFIG, "_toc.yml": "format: jb-book\nroot: days/one\n"}).cells("print(6 * 7)")
    assert main(["execute", "--root", str(course.root)]) == 0
    return (course.root / STORED).read_text()


@pytest.fixture
def course(tiny: Tiny) -> Tiny:
    """A course whose outputs may be 30 days old."""
    config = CONFIG.replace("heading_anchors: 3", "heading_anchors: 3, coursebook_max_age: 30")
    return tiny.write({"_config.yml": config}).cells("print(6 * 7)")


@pytest.fixture(params=["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the computer is: its clock shows something else, and its time is the same."""
    monkeypatch.setenv("TZ", request.param)
    if hasattr(time, "tzset"):
        time.tzset()
    yield request.param
    monkeypatch.undo()
    if hasattr(time, "tzset"):
        time.tzset()


def store(course: Tiny, text: str, executed: str) -> None:
    """Store outputs as if they had been executed then."""
    notebook = json.loads(text)
    notebook["metadata"]["coursebook"]["provenance"]["executed"] = executed
    course.write({STORED: json.dumps(notebook)})


def state(course: Tiny) -> str:
    course.capture()
    assert main(["status", "--root", str(course.root), "--json"]) == 0
    return str(json.loads(course.capture()[0])[0]["state"])


@pytest.mark.parametrize(
    ("days", "expected"),
    [(30 + 1 / 24, "due"), (30 - 1 / 24, "current"), (-1 / 24, "current"), (-400, "current")],
    ids=["an hour too old", "an hour left", "an hour ahead", "a year ahead"],
)
def test_age_is_the_same_everywhere(course: Tiny, executed: str, zone: str, days: float, expected: str) -> None:
    then = datetime.now(UTC) - timedelta(days=days)
    for offset in (timedelta(), timedelta(hours=13)):  # the outputs may come from elsewhere as well
        local = (then + offset).replace(tzinfo=None).isoformat(timespec="seconds")
        hours = int(offset.total_seconds() // 3600)
        store(course, executed, f"{local}+{hours:02}:00")
        assert state(course) == expected


@pytest.mark.parametrize("when", ["2999-01-01T00:00:00+00:00", "9999-12-31T23:59:59-12:00"], ids=["far", "last"])
def test_outputs_from_the_future_are_shown_and_kept(course: Tiny, executed: str, when: str) -> None:
    store(course, executed, when)
    built = course.build()
    assert built.code == 0, built.err
    assert "0 of them executed" in built.out
    assert "nothing has changed" in course.build().out
    failing = course.cells("1 / 0").build()
    assert failing.code == 1
    assert "Traceback" not in failing.err.partition("ZeroDivisionError")[0]
    assert state(course) == "failed", "the outputs are of other code, whenever they were made"
    mended = course.cells("print(6 * 7)", "print('mended')").build()
    assert mended.code == 0, mended.err
    assert "mended" in course.html()
    assert json.loads((course.root / STORED).read_text())["metadata"]["coursebook"]["provenance"]["executed"] < "2100"


def test_a_time_that_is_none_is_named_and_kept(course: Tiny, executed: str) -> None:
    store(course, executed, "yesterday")
    before = (course.root / STORED).read_bytes()
    assert state(course) == "unreadable"
    built = course.build()
    assert built.code == 1
    assert built.err == (
        f"error {STORED}: not outputs that Coursebook wrote, or cut off; "
        "remove the file to have the page executed again\n"
    )
    assert (course.root / STORED).read_bytes() == before


def test_time_zones_have_no_effect_on_what_is_stored(course: Tiny, executed: str, zone: str) -> None:
    before = datetime.now(UTC)
    assert main(["execute", "--root", str(course.root)]) == 0
    provenance = json.loads((course.root / STORED).read_text())["metadata"]["coursebook"]["provenance"]
    assert provenance["executed"].endswith("+00:00")
    assert abs(datetime.fromisoformat(provenance["executed"]) - before) < timedelta(minutes=1)
    assert state(course) == "current"
