"""What isn't released is nowhere in the output; the schedule and the calendar say what is to come."""

from __future__ import annotations

import datetime
import json
import re
import subprocess
import sys
import zlib
import zoneinfo
from html import unescape
from pathlib import Path

import pytest
from icalendar import Calendar

from conftest import CONFIG, FILES, Tiny
from coursebook.site.sphinx.options_out import without_options

pytestmark = pytest.mark.kernel
TOC = (
    "format: jb-book\nroot: index\nparts:\n"
    "  - caption: Days\n    chapters:\n      - file: days/one\n      - file: days/two\n"
    "        sections:\n          - file: days/below\n"
    "  - caption: Labs\n    chapters:\n      - file: labs/late\n"
)
PAGE = """\
---
file_format: mystnb
kernelspec: {{name: python3, display_name: Python 3}}
description: "Wombat of {name}"
coursebook:
  {options}
---

({name}-label)=
# Day {name}: Marsupials

$$
x
$$ ({name}-eq)

```{{code-cell}} python
print('wombat' + ' {name}')
```
"""
TWO = "release: 2027-02-10\n  date: 2027-02-11\n  due: {Essay: 2027-02-20}"
INDEX = """\
# Home

[the page](days/two.md), {doc}`days/two`, [](days/two.md), [by label](#two-label), {ref}`ref <two-label>`,
[a section](days/two.md#day-two-marsupials), {eq}`two-eq`.

```{schedule}
```
"""
EXERCISES = """\
---
file_format: mystnb
kernelspec: {name: python3, display_name: Python 3}
coursebook: {solutions: 2027-03-01}
---

# Day one: Exercises

```{exercise}
:label: one-ex

How many are there?
```

```{solution} one-ex
:label: one-sol
:class: dropdown

There are 4711 tachyglossi.
```

````{exercise-start}
:label: two-ex
````

Compute it.

````{exercise-end}
````

````{solution-start} two-ex
:label: two-sol
:class: dropdown
````

```{code-cell} python
print('echidna' * 3)
```

````{solution-end}
````

The end.
"""


def everything(root: Path, *, sources: bool = True) -> str:
    """Every file of the built site as text, packed ones unpacked; without `sources` not the Markdown that it offers."""
    parts = []
    for path in sorted((root / "_build/html").rglob("*")):
        if path.is_file() and (sources or "_sources" not in path.parts):
            raw = path.read_bytes()
            if path.name == "objects.inv":
                raw = zlib.decompress(raw.split(b"\n", 4)[4])
            parts.append(f"{path.relative_to(root)}\n{raw.decode('utf-8', 'replace')}")
    return "\n".join(parts)


def said(tiny: Tiny, docname: str = "index") -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", tiny.html(docname))))


@pytest.fixture
def course(tiny: Tiny) -> Tiny:
    config = CONFIG.replace("extra_extensions: [coursebook]", "extra_extensions: [coursebook, sphinx_exercise]")
    return tiny.write(
        {
            "_config.yml": config,
            "_toc.yml": TOC,
            "index.md": INDEX,
            "days/one.md": PAGE.format(name="one", options="date: 2027-02-01"),
            "days/two.md": PAGE.format(name="two", options=TWO),
            "days/below.md": "# Below\n",
            "labs/late.md": PAGE.format(name="late", options="published: false\n  date: 2027-04-01"),
        }
    )


def test_an_unreleased_page_is_nowhere(course: Tiny) -> None:
    built = course.build("--as-of", "2027-02-05")
    assert built.code == 0, built.err
    text = everything(course.root)
    assert "wombat one" in text
    for word in ("wombat two", "wombat late", "Wombat of two", "two.html", "late.html", "Essay", "late-label"):
        assert word not in text, word
    text = everything(course.root, sources=False)  # the home page's own source has its links
    for word in ("days/two", "labs/late", "two-label"):
        assert word not in text, word
    assert "Below" in text, "what stands below an unreleased page is still there"
    home = said(course)
    assert "the page (from Wed, Feb 10, 2027), Day two: Marsupials (from Wed, Feb 10, 2027)" in home
    assert "by label (from Wed, Feb 10, 2027), ref (from Wed, Feb 10, 2027), a section (from" in home
    assert "Day two (from Wed, Feb 10, 2027)" in home, "the schedule announces it"
    assert "late" not in home.lower(), "a draft isn't announced"


def test_from_its_day_on_a_page_is_there(course: Tiny) -> None:
    built = course.build("--as-of", "2027-02-10")
    assert built.code == 0, built.err
    assert "wombat two" in said(course, "days/two")
    assert 'href="days/two.html"' in course.html("index")
    assert "wombat late" not in everything(course.root)
    built = course.build("--as-of", "2027-02-05")
    assert built.code == 0, built.err
    assert "wombat two" not in everything(course.root), "and back again"
    built = course.build("--drafts")
    assert built.code == 0, built.err
    assert "wombat late" in said(course, "labs/late")


def test_links_to_an_unreleased_notebook_become_text_as_well(course: Tiny) -> None:
    text = "(nb-label)=\nNotebook $x$\n============\n\n```{figure} a.svg\n:name: nb-fig\nA.\n```\n\n$$\nx\n$$ (nb-eq)\n"
    cells = [
        {
            "cell_type": "code",
            "id": "a",
            "metadata": {},
            "source": "# no title",
            "outputs": [],
            "execution_count": None,
        },
        {"cell_type": "markdown", "id": "b", "metadata": {}, "source": text},
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    meta = {"kernelspec": kernel, "coursebook": {"release": "2027-02-10"}}
    notebook = json.dumps({"cells": cells, "metadata": meta, "nbformat": 4, "nbformat_minor": 5})
    index = "# Home\n\n{ref}`nb-label`, {numref}`nb-fig`, {eq}`nb-eq`, {doc}`days/two`.\n"
    course.write({"days/two.md": None, "days/two.ipynb": notebook, "index.md": index})
    built = course.build("--as-of", "2027-02-05")
    assert built.code == 0, built.err
    assert ", ".join(["Notebook $x$ (from Wed, Feb 10, 2027)"] * 4) in said(course)


def test_plain_jupyter_book_leaves_it_out_as_well(course: Tiny) -> None:
    text = (course.root / "days/two.md").read_text().replace("release: 2027-02-10", "release: 2999-01-01")
    course.write({"days/two.md": text})
    book = Path(sys.executable).with_name("jupyter-book")
    plain = subprocess.run([book, "build", "."], cwd=course.root, capture_output=True, text=True, check=False)
    assert plain.returncode == 0, plain.stderr
    assert "WARNING: " not in plain.stderr
    text = everything(course.root)
    assert "wombat two" not in text
    assert "wombat late" not in text
    assert "the page (from Tue, Jan 1, 2999)" in said(course)


def test_solutions_have_their_own_day(course: Tiny) -> None:
    course.write({"days/one.md": EXERCISES, "index.md": "# Home\n"})
    built = course.build("--as-of", "2027-02-28")
    assert built.code == 0, built.err
    text = everything(course.root)
    assert "How many are there?" in text
    assert "The end." in text
    for word in ("tachyglossi", "echidna"):
        assert word not in text, word
    assert said(course, "days/one").count("The solution will be here from Mon, Mar 1, 2027.") == 2
    built = course.build("--as-of", "2027-03-01")
    assert built.code == 0, built.err
    assert "4711 tachyglossi" in said(course, "days/one")
    assert "echidnaechidnaechidna" in said(course, "days/one")
    assert (course.root / "_build/html/_sources/days/one.md").exists()


def test_the_next_class_is_marked_and_the_calendar_has_the_dates(course: Tiny) -> None:
    agenda = "\n```{agenda}\n- 10:20-10:25am: In\n- 10:25-11:50am: Out\n```\n"
    zone = CONFIG.replace("config: {", "config: {coursebook_timezone: Europe/Zurich, ")
    course.write({"days/one.md": (course.root / "days/one.md").read_text() + agenda, "_config.yml": zone})
    assert course.build("--as-of", "2027-02-01").code == 0
    rows = re.findall(r"<tr class=\"([^\"]*)\">(.*?)</tr>", course.html("index"), re.DOTALL)
    assert [("next-class" in classes, "Day one" in row) for classes, row in rows if "<td>" in row] == [
        (True, True),
        (False, False),
    ]
    built = course.build("--as-of", "2027-02-15")
    assert built.code == 0, built.err
    assert "next-class" not in course.html("index")
    first = (course.root / "_build/html/calendar.ics").read_bytes()
    events = {str(e["SUMMARY"]): e for e in Calendar.from_ical(first).walk("VEVENT")}
    assert sorted(events) == ["Day one: Marsupials", "Day two: Marsupials", "Due: Essay"]
    start = events["Day one: Marsupials"].decoded("dtstart")
    assert (start.isoformat(), events["Day one: Marsupials"].decoded("dtend").time()) == (
        "2027-02-01T10:20:00+01:00",
        datetime.time(11, 50),
    )
    assert events["Day two: Marsupials"].decoded("dtstart") == datetime.date(2027, 2, 11)
    assert events["Due: Essay"].decoded("dtstart") == datetime.date(2027, 2, 20)
    assert course.build("--as-of", "2027-02-15", "--force").code == 0
    assert (course.root / "_build/html/calendar.ics").read_bytes() == first, "equal dates are equal bytes"


def test_drafts_are_those_of_the_day_where_the_course_is_taught(course: Tiny) -> None:
    here = datetime.datetime.now().date()
    # They are 26 hours apart, so that one of them has another day than we have.
    zones = ("Pacific/Kiritimati", "Etc/GMT+12")
    zone, there = next(
        (zone, day) for zone in zones if (day := datetime.datetime.now(zoneinfo.ZoneInfo(zone)).date()) != here
    )
    config = CONFIG.replace("config: {", f"config: {{coursebook_timezone: {zone}, ")
    one = f"---\ncoursebook: {{date: {min(here, there)}}}\n---\n# Day one\n"
    index = "# Home\n\n```{schedule}\n```\n"
    course.write({"_config.yml": config, "_toc.yml": FILES["_toc.yml"], "index.md": index, "days/one.md": one})
    course.write(dict.fromkeys(("days/two.md", "days/below.md", "labs/late.md")))
    assert course.build("--drafts").code == 0
    assert ("next-class" in course.html("index")) == (there < here)


def test_a_release_ends_the_time_in_which_nothing_changes(course: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    soon = datetime.datetime.now().date() + datetime.timedelta(days=3)
    text = (course.root / "days/two.md").read_text().replace("2027-02-10", str(soon))
    assert course.write({"days/two.md": text}).build().code == 0
    assert "nothing has changed" in course.build().out
    later = datetime.datetime.combine(soon, datetime.time(1)).timestamp()
    monkeypatch.setattr("time.time", lambda: later)
    assert "nothing has changed" not in course.build().out


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        pytest.param("release: soon", "`release` takes a date like 2026-10-05, not 'soon'", id="no date"),
        pytest.param("published: maybe", "`published` takes true or false, not 'maybe'", id="no yes or no"),
        pytest.param("due: {Essay: later}", "`due` takes what is due, each with its date", id="no due date"),
        pytest.param(
            "labs: [labs/lat]", "`labs` names 'labs/lat', which is no page of the course; did you mean", id="lab"
        ),
    ],
)
def test_bad_options_are_named(course: Tiny, options: str, problem: str) -> None:
    built = course.write({"days/two.md": PAGE.format(name="two", options=options)}).build()
    assert built.code == 1
    assert f"error days/two.md:6: {problem}" in built.err


def test_the_home_page_is_always_out(course: Tiny) -> None:
    built = course.write({"index.md": "---\ncoursebook: {release: 2027-01-01}\n---\n# Home\n"}).build()
    assert built.code == 1
    assert "error index.md: the home page can't have a release date, or be a draft" in built.err


@pytest.mark.parametrize("text", ["--as-of=tomorrow", "--as-of=2027-13-01"])
def test_as_of_takes_a_date(course: Tiny, text: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        course.build(text)
    assert stop.value.code == 2
    assert "is not a date like 2026-10-05" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        pytest.param("---\na: 1\ncoursebook: {x: 1}\nb: 2\n---\nT", "---\na: 1\n#\nb: 2\n---\nT", id="braces"),
        pytest.param("---\ncoursebook:\n  x: 1\n  y: [2]\nb: 2\n---\nT", "---\n#\n#\n#\nb: 2\n---\nT", id="block"),
        pytest.param("---\nb: 2\ncoursebook:\n  x: 1\n---\nT", "---\nb: 2\n#\n#\n---\nT", id="block at the end"),
        pytest.param("---\ncoursebook: {x: 1}\n---\nT", "---\n{}\n---\nT", id="nothing else"),
        pytest.param("---\nb: 2\n---\ncoursebook: 5", "---\nb: 2\n---\ncoursebook: 5", id="none"),
        pytest.param("# Title\n", "# Title\n", id="no front matter"),
        pytest.param("---\n: :\n---\n", "---\n: :\n---\n", id="broken"),
    ],
)
def test_options_leave_the_front_matter_line_by_line(text: str, cleaned: str) -> None:
    assert without_options(text) == cleaned
