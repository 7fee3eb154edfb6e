"""The agenda: how times are read, what is wrong with a list of them, and what each builder shows."""

from __future__ import annotations

import re

import pytest

from conftest import Tiny
from coursebook.site.sphinx.agenda import _split
from coursebook.site.sphinx.clock import AgendaError, Slot, length, read_moment, read_slot


@pytest.mark.parametrize(
    ("text", "start", "end", "shown"),
    [
        pytest.param("10:20-10:25am", 620, 625, "10:20–10:25 am", id="am of both"),
        pytest.param("11:05-12:00pm", 665, 720, "11:05 am–12:00 pm", id="over noon"),
        pytest.param("11:50–1:10pm", 710, 790, "11:50 am–1:10 pm", id="en dash"),
        pytest.param("1:00-1:30pm", 780, 810, "1:00–1:30 pm", id="afternoon"),
        pytest.param("12:15-12:45pm", 735, 765, "12:15–12:45 pm", id="after noon"),
        pytest.param("12:15-12:45am", 15, 45, "12:15–12:45 am", id="after midnight"),
        pytest.param("9am-10 a.m.", 540, 600, "9:00–10:00 am", id="hours only"),
        pytest.param("11am - 1pm", 660, 780, "11:00 am–1:00 pm", id="both halves"),
        pytest.param("11:30am-12:30", 690, 750, "11:30 am–12:30 pm", id="half of the start only"),
        pytest.param("11am-1", 660, 780, "11:00 am–1:00 pm", id="half of the start only, after noon"),
        pytest.param("10am-11", 600, 660, "10:00–11:00 am", id="half of the start only, same half"),
        pytest.param("13:00–13:20", 780, 800, "13:00–13:20", id="24 hours"),
        pytest.param("9:05 to 10:00", 545, 600, "09:05–10:00", id="the word to"),
        pytest.param("23:00-24:00", 1380, 1440, "23:00–24:00", id="until midnight"),
        pytest.param("**10.20 - 10.25**", 620, 625, "10:20–10:25", id="dots, bold"),
    ],
)
def test_ranges(text: str, start: int, end: int, shown: str) -> None:
    slot = read_slot(text, None, False)
    assert (slot.start, slot.end, str(slot)) == (start, end, shown)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("5 min", 5), ("20m", 20), ("1 h", 60), ("1 h 10 min", 70), ("1h10m", 70), ("2 hours", 120), ("90 minutes", 90)],
)
def test_lengths(text: str, minutes: int) -> None:
    assert read_slot(text, 620, True) == Slot(620, 620 + minutes, True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("10:45-10:25", "ends before it starts", id="backwards"),
        pytest.param("10:45pm-10:25am", "ends before it starts", id="backwards with halves"),
        pytest.param("11:00-1:00", "write 13:00 or 1:00pm", id="noon forgotten"),
        pytest.param("10:20-10:20", "lasts no time", id="no time at all"),
        pytest.param("10:75-11:00", "not a time of day", id="minute 75"),
        pytest.param("25:00-26:00", "not a time of day", id="hour 25"),
        pytest.param("13:00-14:00pm", "not a time of day", id="13 pm"),
        pytest.param("soon", "can't be read; allowed: a range (10:20-10:25am", id="a word"),
        pytest.param("5 min", "no `:start:`", id="a length without a start"),
        pytest.param("0 min", "lasts no time", id="no minutes"),
        pytest.param("", "can't be read", id="nothing"),
    ],
)
def test_bad_times(text: str, problem: str) -> None:
    with pytest.raises(AgendaError, match=re.escape(problem)):
        read_slot(text, 600 if text == "0 min" else None, False)


def test_moments_and_lengths_in_words() -> None:
    assert read_moment("10:20am") == (620, True)
    assert read_moment("13:00") == (780, False)
    with pytest.raises(AgendaError, match="allowed: 10:20am, 13:00"):
        read_moment("noon")
    assert [length(m) for m in (5, 60, 100)] == ["5 min", "1 h", "1 h 40 min"]


def test_item_splits_at_the_colon_after_the_time() -> None:
    assert _split("10:20-10:25am: Debrief: what happened") == ("10:20-10:25am", "Debrief: what happened")
    assert _split("5 min: at 11:00 we stop") == ("5 min", "at 11:00 we stop")
    assert _split("13:00–13:20 | Lunch") == ("13:00–13:20", "Lunch")
    with pytest.raises(AgendaError, match="does not begin with a time and a colon"):
        _split("Everyone comes in")


DAY = """\
# Day one

Some text.

```{agenda}
- 10:20-10:25am: Everyone comes in; **questions** about $x^2$ and [the section](#a-section).
- 10:25-10:45am: Debrief, in an item
  that goes on

* 10:45am-12:00pm: `code` & <b>no raw markup</b>
```

## A section
"""


@pytest.mark.sphinx
def test_html(tiny: Tiny) -> None:
    built = tiny.write({"days/one.md": DAY}).build()
    assert built.code == 0, built.err
    html = tiny.html()
    box = html[html.index('<div class="agenda"') : html.index("</ol>", html.index('<div class="agenda"'))]
    assert box.count("<li>") == 3
    assert '<time datetime="10:20">10:20</time>–<wbr><time datetime="10:25">10:25 am</time>' in box
    assert '<time datetime="PT5M">5 min</time>' in box
    assert '<time datetime="PT75M">1 h 15 min</time>' in box
    assert '10:20 am–12:00 pm · <time datetime="PT100M">1 h 40 min</time>' in box
    assert "<strong>questions</strong>" in box
    assert 'class="math' in box
    assert 'href="#a-section"' in box
    assert "Debrief, in an item that goes on" in box


@pytest.mark.sphinx
def test_other_builders_show_a_list(tiny: Tiny) -> None:
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace

    (tiny.root / "days/one.md").write_text(DAY.replace("[the section](#a-section)", "the section"))
    for builder, name in (("text", "days/one.txt"), ("latex", "course.tex")):
        out = tiny.root / builder
        config = {
            "extensions": ["myst_nb", "coursebook"],
            "myst_enable_extensions": ["dollarmath"],
            "exclude_patterns": ["index.md"],
            "root_doc": "days/one",
            "latex_documents": [("days/one", "course.tex", "T", "A", "manual")],
        }
        with docutils_namespace():
            Sphinx(tiny.root, None, out, tiny.root / "doctrees", builder, config, status=None).build()
        text = re.sub(r"\s+", " ", (out / name).read_text().replace(r"\textendash{}", "–"))
        assert "10:20–10:25 am (5 min): Everyone comes in" in text, builder
        assert "10:45 am–12:00 pm (1 h 15 min): " in text, builder
        assert "<li>" not in text


@pytest.mark.sphinx
def test_lengths_from_a_start(tiny: Tiny) -> None:
    agenda = "# D\n\n```{agenda}\n:start: 1:00pm\n:title: Plan\n\n- 5 min: In\n- 1 h 10 min: Work\n```\n"
    assert tiny.write({"days/one.md": agenda}).build().code == 0
    html = tiny.html()
    assert '<time datetime="13:05">1:05</time>–<wbr><time datetime="14:15">2:15 pm</time>' in html
    assert '<span class="agenda-title">Plan</span>' in html


BAD = {
    # the agenda of Day 9 as it was first published
    "overlap": (
        "* 10:20-10:25am: Come in\n* 10:25-10:45am: Demystifying\n* 10:25-10:55am: Cross entropy",
        7,
        "agenda: '10:25–10:55 am' overlaps '10:25–10:45 am'",
    ),
    "backwards": ("- 10:20-10:10am: Backwards", 5, "agenda: '10:20–10:10 am' ends before it starts"),
    "unreadable": ("- 10:20-10:25am: In\n- later: Out", 6, "agenda: the time 'later' can't be read"),
    "no-time": ("- Come in", 5, "agenda: 'Come in' does not begin with a time and a colon"),
    "no-item": ("Come in", 5, "agenda: 'Come in' is not an item"),
}


@pytest.mark.sphinx
def test_errors_are_located_and_fail_even_lenient_builds(tiny: Tiny) -> None:
    told = {}
    for name, (items, line, problem) in BAD.items():
        for options in ("", ":title: Plan\n"):
            path = f"days/{name}{'-with-options' if options else ''}.md"
            page = f"---\norphan: true\n---\n# Day one\n\nText.\n```{{agenda}}\n{options}{items}\n```\n"
            tiny.write({path: page})
            told[path] = f"{path}:{line + 3 + bool(options)}: {problem}"
    built = tiny.build("--lenient")
    assert built.code == 1
    for path, words in told.items():
        assert built.err.count(f"error {path}:") == 1
        assert f"error {words}" in built.err
    assert built.err.endswith("10 errors\n")


@pytest.mark.sphinx
def test_a_gap_warns(tiny: Tiny) -> None:
    page = "# Day one\n\n```{agenda}\n- 10:45-10:55am: A\n- 11:00-11:20am: B\n```\n"
    tiny.write({"days/one.md": page})
    strict = tiny.build()
    assert strict.code == 1
    assert "days/one.md:5: agenda: nothing happens at '10:55–11:00 am' (5 min); add a break" in strict.err
    lenient = tiny.build("--lenient")
    assert lenient.code == 0
    assert "warning days/one.md:5: agenda: nothing happens" in lenient.out


@pytest.mark.sphinx
def test_an_empty_agenda_is_an_error(tiny: Tiny) -> None:
    built = tiny.write({"days/one.md": "# Day one\n\n```{agenda}\n```\n"}).build()
    assert built.code == 1
    assert "days/one.md:3: agenda: the agenda is empty" in built.err
