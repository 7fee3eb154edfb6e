"""Two sets of outputs, judged as a reader would: what must be found, and what must not be told."""

from __future__ import annotations

import base64
import copy
import io
import json
import math
import re
import time
from functools import lru_cache
from typing import Any

import nbformat
import pytest
from hypothesis import example, given, settings, strategies as st
from PIL import Image

from cells import outputs
from conftest import ROOT
from coursebook.compare import figures, pixels as overlay, raster
from coursebook.compare.cells import CellComparison, compare_cell, difference_picture, picture_of
from coursebook.compare.difference import Verdict
from coursebook.compare.screen import shown
from coursebook.compare.streams import _split
from coursebook.course.tolerance import Tolerance
from planted import BARS, CURVES, HARMLESS, ONLY_AS_SVG, PANELS, PLANTED, Pair

executed = lru_cache(maxsize=None)(outputs)


def stream(text: str, name: str = "stdout") -> Any:
    return nbformat.from_dict({"output_type": "stream", "name": name, "text": text})


def rich(data: dict[str, Any], **metadata: Any) -> Any:
    return nbformat.from_dict({"output_type": "display_data", "data": data, "metadata": metadata})


def html(text: str) -> Any:
    return rich({"text/html": text, "text/plain": "<IPython.core.display.HTML object>"})


def error(name: str, value: str) -> Any:
    return nbformat.from_dict({"output_type": "error", "ename": name, "evalue": value, "traceback": ["…"]})


def texts(old: str, new: str, tolerance: Tolerance | None = None) -> CellComparison:
    return compare_cell(1, [stream(old)], [stream(new)], tolerance)


def whys(found: CellComparison) -> list[str]:
    return [difference.why for difference in found.differences]


def as_svg_and_png(pairs: tuple[Pair, ...]) -> list[Any]:
    return [
        pytest.param(pair, kind, id=f"{pair.name}-{kind}" if pair.draws else pair.name)
        for pair in pairs
        for kind in (("svg", "png") if pair.draws else ("svg",))
        if not (kind == "png" and pair.name in ONLY_AS_SVG)
    ]


@pytest.mark.figures
@pytest.mark.parametrize(("pair", "kind"), as_svg_and_png(PLANTED))
def test_a_planted_change_is_found(pair: Pair, kind: str) -> None:
    found = compare_cell(1, executed(pair.old, kind), executed(pair.new, kind))
    assert found.verdict == "changed"
    assert pair.kind in {difference.kind for difference in found.differences if not difference.is_allowed}
    # And from the other side as well; for figures the properties below stand for that.
    if not pair.draws:
        assert compare_cell(1, executed(pair.new, kind), executed(pair.old, kind)).verdict == "changed"


@pytest.mark.figures
@pytest.mark.parametrize(("pair", "kind"), as_svg_and_png(HARMLESS))
def test_a_harmless_pair_is_no_change(pair: Pair, kind: str) -> None:
    found = compare_cell(1, outputs(pair.old, kind), outputs(pair.new, kind))
    assert found.verdict != "changed", whys(found)


def test_there_are_enough_pairs_and_each_has_a_name_of_its_own() -> None:
    names = [pair.name for pair in (*PLANTED, *HARMLESS)]
    assert len(set(names)) == len(names)
    assert len(PLANTED) >= 30
    assert len(HARMLESS) >= 20
    assert all(pair.kind for pair in PLANTED)
    assert not any(pair.kind for pair in HARMLESS)


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        pytest.param("a 0.8123", "a 0.8124", "within tolerance", id="fourth-digit"),
        pytest.param("a 0.812", "a 0.813", "changed", id="third-digit"),
        pytest.param("a 9.99", "a 9.98", "changed", id="third-digit-of-a-large-number"),
        pytest.param("loss 0.812", "loss 0.820", "within tolerance", id="metric"),
        pytest.param("loss 0.812", "loss 0.851", "changed", id="metric-far-apart"),
        pytest.param("loss 1, b 0.812", "loss 1, b 0.820", "changed", id="metric-words-are-the-next-number's"),
        pytest.param("97.0% accuracy", "96.1% accuracy", "within tolerance", id="metric-behind-the-number"),
        pytest.param("lr 0.100 loss 0.5", "lr 0.101 loss 0.5", "changed", id="no-metric-before-one"),
        pytest.param("losses: [0.50, 0.40]", "losses: [0.51, 0.40]", "within tolerance", id="metrics-in-a-list"),
        pytest.param("accuracy 97%", "accuracy 98%", "within tolerance", id="whole-percent-of-a-metric"),
        pytest.param("97% of all", "98% of all", "changed", id="whole-percent"),
        pytest.param("5", "6", "changed", id="integer"),
        pytest.param("5", "5.0", "changed", id="integer-to-float"),
        pytest.param("0.81", "0.8100", "within tolerance", id="more-digits"),
        pytest.param("1,792", "1792", "within tolerance", id="thousands-separator"),
        pytest.param("[1,234]", "[1,235]", "changed", id="list-without-spaces"),
        pytest.param("-0.5", "0.5", "changed", id="sign"),
        pytest.param("−0.5", "-0.5", "same", id="typographic-minus"),
        pytest.param("x-3", "x-4", "changed", id="minus-between"),
        pytest.param("-0.", "0.", "within tolerance", id="negative-zero"),
        pytest.param("nan 1.0", "nan 1.0 ", "same", id="nan"),
        pytest.param("[nan 1.]", "[ 1. nan]", "changed", id="nan-elsewhere"),
        pytest.param("inf", "-inf", "changed", id="infinite"),
        pytest.param("[inf 1.5]", "[inf  1.5001]", "within tolerance", id="equally-infinite"),
        pytest.param("3e-17", "-8e-16", "within tolerance", id="rounding-noise"),
        pytest.param("3e-5", "4e-5", "changed", id="small-but-no-noise"),
        pytest.param("1.5e-05", "1.50003e-05", "within tolerance", id="scientific"),
        pytest.param("1.5e-05", "1.5e-06", "changed", id="exponent"),
        pytest.param("[1. 2.\n 3.]", "[1. 2. 3.]", "same", id="wrapped-array"),
        pytest.param("[ 1.5 10. ]", "[1.5 9.9999]", "within tolerance", id="other-width-in-an-array"),
        pytest.param("[1 2]", "[1 2 3]", "changed", id="longer-array"),
        pytest.param("a b", "a\nb", "changed", id="line-break"),
        pytest.param("a\n\nb", "a\nb\n", "same", id="empty-line"),
        pytest.param("  branch", "branch", "changed", id="indent"),
        pytest.param("  n\n 9.999", "   n\n10.001", "within tolerance", id="indent-of-a-wider-column"),
        pytest.param("a\nb\nc", "b\na\nc", "changed", id="lines-in-another-order"),
        pytest.param("a 1.0\nb 2.0", "a 2.0\nb 1.0", "changed", id="numbers-in-another-order"),
        pytest.param("{'a', 'b'}", "{'b', 'a'}", "same", id="set"),
        pytest.param("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}", "changed", id="dictionary"),
        pytest.param("torch 2.11.0", "torch 2.15.0", "changed", id="version"),
        pytest.param("0xff", "0xfe", "changed", id="hexadecimal-number"),
        pytest.param("sha 3f5e9c1a", "sha 3f5e9c1b", "changed", id="digest"),
        pytest.param("<a at 0x7f12345678a0>", "<a at 0x55aa0>", "same", id="address"),
        pytest.param("pid 1234", "pid 77", "same", id="process"),
        pytest.param("took 3 s", "took 12.5 s", "same", id="whole-seconds-that-it-took"),
        pytest.param("a pause of 3 s", "a pause of 4 s", "changed", id="whole-seconds"),
        pytest.param("5 samples", "6 samples", "changed", id="samples-are-no-seconds"),
        pytest.param("all 3s and 8s", "all 4s and 8s", "changed", id="digits-in-the-plural"),
        pytest.param("in 1min 20s", "in 58.1 s", "same", id="minutes-and-seconds"),
        pytest.param("12 ± 0.3 ms", "14 ± 1.1 ms", "same", id="mean-and-deviation"),
        pytest.param("1.9238 x + 0.95", "1.8 x + 0.95", "changed", id="polynomial"),
        pytest.param("5 km/s", "6 km/s", "changed", id="speed-of-a-body"),
        pytest.param("5.1 times as long as", "6 times as long as", "same", id="speed-up-in-words"),
        pytest.param("drawn 3 times", "drawn 4 times", "changed", id="times"),
        pytest.param("  n  ms\n 10  1.5\n 20  3", "  n  ms\n 10  9.5\n 20  7", "same", id="column-of-times"),
        pytest.param("  n  ms\n 10  1.5", "  n  ms\n 11  1.5", "changed", id="beside-a-column-of-times"),
        pytest.param("at 12:00:01", "at 9:41:59 PM", "same", id="time-of-day"),
        pytest.param("ratio 10:25", "ratio 10:26", "changed", id="no-time-of-day"),
        pytest.param("21 Nov 2026", "3 January 2027", "same", id="date-in-words"),
        pytest.param("/home/a/b.csv", "/srv/c/b.csv", "same", id="path"),
        pytest.param("/home/a/b.csv", "/home/a/c.csv", "changed", id="name-of-a-file"),
        pytest.param(r"C:\Users\a\b.csv", r"D:\b.csv", "same", id="path-of-windows"),
        pytest.param("1/2/3", "1/2/4", "changed", id="no-path"),
        pytest.param("https://a.org/b/c", "https://a.org/x/c", "changed", id="address-of-a-page"),
        pytest.param("http://localhost:8888/x", "http://localhost:9/x", "same", id="port"),
        pytest.param("\x1b[31mred\x1b[0m", "red", "same", id="colors"),
        pytest.param("1%\r50%\r100%", "100%", "same", id="overwritten"),
        pytest.param("abc\rx", "xbc", "same", id="overwritten-in-part"),
        pytest.param("a\r\nb", "a\nb", "same", id="line-ends"),
        pytest.param("----- a", "------- a", "same", id="ruled-line"),
        pytest.param("1" * 5000, "1" * 4999 + "2", "changed", id="very-long-number"),
    ],
)
def test_text(old: str, new: str, verdict: Verdict) -> None:
    found = texts(old, new)
    assert (found.verdict, texts(new, old).verdict) == (verdict, verdict), whys(found)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        pytest.param(
            "loss 0.812",
            "loss 0.851",
            "0.812 -> 0.851, 4.6 % apart where 2 % is allowed for a metric, in 'loss 0.851'",
            id="metric",
        ),
        pytest.param("13 wrong", "14 wrong", "13 -> 14, where whole numbers are exact, in '14 wrong'", id="integer"),
        pytest.param("a cat", "a dog", "'cat' became 'dog' in 'a dog'", id="word"),
        pytest.param("cat dog", "dog cat", "the same words in another order in 'dog cat'", id="order-of-words"),
        pytest.param("a\nb", "b\na", "the same lines in another order, from 'b' on", id="order-of-lines"),
        pytest.param("a", "a\nb", "the line 'b' is new", id="new-line"),
        pytest.param("a\nb", "a", "the line 'b' is gone", id="missing-line"),
        pytest.param("[[1 2]\n [3 4]]", "[[1 2 3]]", "'[[1 2] [3 4]]' became '[[1 2 3]]'", id="shape"),
    ],
)
def test_a_difference_is_told_in_words(old: str, new: str, why: str) -> None:
    assert whys(texts(old, new)) == [why]


def test_many_differences_are_counted_and_changes_come_first() -> None:
    old = "\n".join(f"a{n} 1.0000" for n in range(60))
    new = "\n".join(f"a{n} {1.0001 if n < 30 else 2.0:.4f}" for n in range(60))
    found = texts(old, new).differences
    assert [found[0].is_allowed, found[-1].is_allowed] == [False, True]
    assert found[12].why == "and 18 more changed"
    assert len(found) < 30


def test_a_long_text_is_compared_quickly() -> None:
    rows = [f"step {n}: value {n / 7:.4f}" for n in range(20_000)]
    other = [*rows[:10_000], "a new line", *rows[10_000:]]
    start = time.process_time()
    assert whys(texts("\n".join(rows), "\n".join(other))) == ["the line 'a new line' is new"]
    assert time.process_time() - start < 5, "it takes some 0.02 s, and minutes where each line is compared with each"


def test_what_stays_on_the_screen() -> None:
    assert shown("a: 1\nb: 1\x1b[A\rA\x1b[K: 2\n") == "A: 2\nb: 1"
    assert shown("x\x08y") == "y"
    assert shown("\x1b]8;;http://a\x07link\x1b]8;;\x07") == "link"


# Streams, warnings, errors


def test_streams_are_joined_and_kept_apart() -> None:
    old = [stream("a\n"), stream("log\n", "stderr"), stream("b\n")]
    new = [stream("log\n", "stderr"), stream("a\nb\n")]
    assert compare_cell(1, old, new).verdict == "same"
    assert compare_cell(1, old, [stream("a\nb\nlog\n")]).verdict == "changed"


def test_a_difference_knows_its_output() -> None:
    picture = rich({"text/markdown": "*a*"})
    old, new = [picture, stream("x")], [rich({"text/latex": "$a$"}), picture, stream("y")]
    found = {difference.kind: difference.output for difference in compare_cell(1, old, new).differences}
    assert found == {"text": 2, "output": 0}
    gone = compare_cell(1, [stream("x"), picture], [stream("x")]).differences
    assert [(difference.kind, difference.output) for difference in gone] == [("output", 1)]


WARNED = """\
/usr/lib/python3/site-packages/sklearn/linear.py:460: ConvergenceWarning: failed after 100 steps
Increase the number of iterations.
  n_iter_i = _check_optimize_result(
loading
/tmp/ipykernel_12/345.py:3: DeprecationWarning: `a` is going; use `b`
  a()
[W1121 12:00:00.123456789 Context.cpp:85] Warning: TF32 is on (function operator())
"""


def test_warnings_are_found_among_standard_error() -> None:
    assert _split(WARNED)[0] == [
        ("ConvergenceWarning", "failed after 100 steps\nIncrease the number of iterations."),
        ("DeprecationWarning", "`a` is going; use `b`"),
        ("Warning", "TF32 is on (function operator())"),
    ]


def test_a_warning_counts_by_category_and_words() -> None:
    old = [stream(WARNED, "stderr")]
    elsewhere = WARNED.replace("linear.py:460", "linear.py:512").replace("ipykernel_12/345", "ipykernel_9/8")
    elsewhere = elsewhere.replace("100 steps", "200 steps")
    assert compare_cell(1, old, [stream(elsewhere, "stderr")]).verdict == "same"
    assert compare_cell(1, old, [stream(WARNED + WARNED.replace("loading\n", ""), "stderr")]).verdict == "same"
    other = compare_cell(1, old, [stream(WARNED.replace("DeprecationWarning", "FutureWarning"), "stderr")])
    assert {difference.kind for difference in other.differences} == {"warning"}
    assert whys(other) == [
        "a new FutureWarning (it will behave differently): `a` is going; use `b`",
        "the DeprecationWarning is gone: `a` is going; use `b`",
    ]
    rest = compare_cell(1, old, [stream(WARNED.replace("loading", "saving"), "stderr")])
    assert whys(rest) == ["standard error: 'loading' became 'saving' in 'saving'"]


def test_errors_count_by_type_and_words() -> None:
    old = [error("ValueError", "no column 3 in <Frame at 0x7f12345678a0>")]
    assert compare_cell(1, old, [error("ValueError", "no column 3 in <Frame at 0x7f99945678a0>")]).verdict == "same"
    for new, why in (
        ([error("KeyError", "'b'")], "a KeyError instead of a ValueError: 'b'"),
        ([error("ValueError", "no column 4 in <Frame at 0x7f12345678a0>")], "ValueError: 3 -> 4"),
        ([], "the error is gone: ValueError: no column 3"),
    ):
        found = compare_cell(1, old, new)
        assert [difference.kind for difference in found.differences] == ["error"]
        assert whys(found)[0].startswith(why)
    assert whys(compare_cell(1, [], old))[0].startswith("a new error: ValueError")


# What is volatile by declaration


@pytest.mark.figures
def test_of_a_volatile_cell_only_kinds_and_errors_count() -> None:
    old, new = executed(BARS, "svg"), executed(CURVES, "svg")
    volatile = Tolerance(volatile=True)
    assert compare_cell(1, [stream("1"), *old], [stream("two"), *new], volatile).verdict == "same"
    assert compare_cell(1, [stream("1"), *old], [*new], volatile).verdict == "changed"
    assert compare_cell(1, [stream("1"), *old], [stream("1")], volatile).verdict == "changed"
    assert compare_cell(1, [error("A", "x")], [error("A", "y")], volatile).verdict == "same"
    assert compare_cell(1, [error("A", "x")], [error("B", "x")], volatile).verdict == "changed"


def test_tolerance_is_read() -> None:
    assert Tolerance.read({}) == Tolerance()
    base = Tolerance(metrics=0.5)
    assert Tolerance.read({"numbers": 1, "volatile": True}, base) == Tolerance(1, 0.5, volatile=True)
    assert texts("a 1.0", "a 1.5", Tolerance.read({"numbers": 0.4})).verdict == "within tolerance"
    assert texts("loss 0.50", "loss 0.51", Tolerance(metrics=0)).verdict == "changed"
    assert texts("a 1e-4", "a 2e-4", Tolerance(absolute=1e-3)).verdict == "within tolerance"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param(
            {"number": 1}, r"takes numbers, metrics, absolute and figures .*, not 'number'; did you mean", id="key"
        ),
        pytest.param({"numbers": "1"}, "`numbers` takes a number from 0, not '1'", id="text"),
        pytest.param({"numbers": True}, "`numbers` takes a number from 0, not True", id="truth"),
        pytest.param({"figures": -0.1}, "`figures` takes a number from 0, not -0.1", id="negative"),
        pytest.param({"metrics": math.nan}, "`metrics` takes a number from 0, not nan", id="nan"),
        pytest.param({"absolute": math.inf}, "`absolute` takes a number from 0, not inf", id="infinite"),
        pytest.param({"volatile": 1}, "`volatile` takes true or false, not 1", id="volatile"),
        pytest.param(0.1, "a tolerance takes numbers, .* not 0.1", id="no-mapping"),
        pytest.param({3: 1}, "not 3", id="key-that-is-no-text"),
    ],
)
def test_a_tolerance_that_is_not_one(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Tolerance.read(given)


# Rich outputs


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        pytest.param({"text/html": "<p>a</p>"}, {"text/plain": "a"}, "changed", id="other-form"),
        pytest.param({"text/html": "<p>a</p>", "text/plain": "x"}, {"text/html": "<p>a</p>"}, "same", id="unseen-form"),
        pytest.param({"text/html": "<p class='x'>a  b</p>"}, {"text/html": "<p>a b</p>"}, "same", id="html-class"),
        pytest.param({"text/html": "<p>a</p>"}, {"text/html": "<p><b>a</b></p>"}, "changed", id="html-tag"),
        pytest.param({"text/html": "<p>a<br>b"}, {"text/html": "<p>a b"}, "changed", id="html-line"),
        pytest.param({"text/html": "<a href='x'>a</a>"}, {"text/html": "<a href='y'>a</a>"}, "changed", id="html-link"),
        pytest.param({"text/html": "<!-- x -->a"}, {"text/html": "a"}, "same", id="html-comment"),
        pytest.param({"text/latex": "$x^2$"}, {"text/latex": "$x^3$"}, "changed", id="latex"),
        pytest.param({"text/markdown": "*a* 1.00001"}, {"text/markdown": "*a* 1.0"}, "within tolerance", id="markdown"),
        pytest.param({"application/json": {"a": [1]}}, {"application/json": {"a": [2]}}, "changed", id="json"),
        pytest.param({"application/x.own+json": {"a": 1}}, {"application/x.own+json": {"a": 1}}, "same", id="own"),
        pytest.param(
            {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "IntSlider(value=3)"},
            {"application/vnd.jupyter.widget-view+json": {"model_id": "2"}, "text/plain": "IntSlider(value=3)"},
            "same",
            id="widget",
        ),
        pytest.param(
            {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "IntSlider(value=3)"},
            {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "Button(value=3)"},
            "changed",
            id="other-widget",
        ),
    ],
)
def test_rich_outputs(old: dict[str, Any], new: dict[str, Any], verdict: Verdict) -> None:
    assert compare_cell(1, [rich(old)], [rich(new)]).verdict == verdict


def test_metadata_and_execution_counts_are_ignored() -> None:
    old = nbformat.v4.new_output("execute_result", {"text/plain": "5"}, execution_count=1, metadata={"a": 1})
    new = nbformat.v4.new_output("execute_result", {"text/plain": "5"}, execution_count=7)
    assert compare_cell(1, [old], [new]).verdict == "same"


@pytest.mark.figures
def test_glued_values_are_compared_under_their_name() -> None:
    def glued(name: str, value: str) -> Any:
        data = {"application/papermill.record/text/plain": value}
        return rich(data, scrapbook={"name": name, "mime_prefix": "application/papermill.record/"})

    assert compare_cell(1, [glued("d8-accuracy", "0.947")], [glued("d8-accuracy", "0.951")]).verdict != "changed"
    assert compare_cell(1, [glued("d8-slope", "0.947")], [glued("d8-slope", "0.951")]).verdict == "changed"
    assert whys(compare_cell(1, [glued("a", "1"), glued("b", "2")], [glued("b", "2")])) == ["text glued as 'a' is gone"]
    record = {"application/papermill.record/image/svg+xml": svg(BARS)}
    assert picture_of(rich(record)) is not None


def table(rows: list[list[str]], head: list[str] | None = None) -> Any:
    first = "".join(f"<th>{cell}</th>" for cell in head or ["", "loss", "weight"])
    body = "".join(f"<tr><th>{row[0]}</th>" + "".join(f"<td>{cell}</td>" for cell in row[1:]) + "</tr>" for row in rows)
    return html(f"<table><thead><tr>{first}</tr></thead><tbody>{body}</tbody></table>")


ROWS = [["a", "0.50", "1.25"], ["b", "0.40", "2.25"], ["c", "0.30", "3.25"]]


@pytest.mark.parametrize(
    ("new", "why"),
    [
        pytest.param(
            table([ROWS[0], ["b", "0.40", "2.26"], ROWS[2]]),
            "row 2 ('b'), column 'weight': 2.25 -> 2.26, 0.44 % apart where 0.1 % is allowed for a number",
            id="number",
        ),
        pytest.param(
            table([ROWS[0], ["b", "0.44", "2.25"], ROWS[2]]),
            "row 2 ('b'), column 'loss': 0.40 -> 0.44, 9.1 % apart where 2 % is allowed for a metric",
            id="metric",
        ),
        pytest.param(table([ROWS[1], ROWS[0], ROWS[2]]), "the same rows in another order, from row 1 on", id="order"),
        pytest.param(table(ROWS[:2]), "row 3, 'c | 0.30 | 3.25', is gone", id="missing-row"),
        pytest.param(table([*ROWS, ["d", "1.0", "2.0"]]), "row 4, 'd | 1.0 | 2.0', is new", id="new-row"),
        pytest.param(
            table([[a, c, b] for a, b, c in ROWS], ["", "weight", "loss"]),
            "the columns are in another order",
            id="order-of-columns",
        ),
        pytest.param(table([r[:2] for r in ROWS], ["", "loss"]), "the column 'weight' is gone", id="missing-column"),
        pytest.param(
            table([[*r, "1"] for r in ROWS], ["", "loss", "weight", "n"]), "the column 'n' is new", id="new-column"
        ),
        pytest.param(table(ROWS, ["", "loss", "mass"]), "the column 'weight' is called 'mass'", id="other-head"),
    ],
)
def test_a_table_is_compared_cell_by_cell(new: Any, why: str) -> None:
    found = compare_cell(1, [table(ROWS)], [new])
    assert (found.verdict, whys(found)) == ("changed", [why])
    assert {difference.kind for difference in found.differences} == {"table"}


def test_tables_within_tolerance() -> None:
    near = table([["a", "0.505", "1.25"], ["b", "0.40", "2.2501"], ROWS[2]])
    assert compare_cell(1, [table(ROWS)], [near]).verdict == "within tolerance"
    times = ["", "loss", "time (ms)"]
    assert compare_cell(1, [table(ROWS, times)], [table([[*r[:2], "9.9"] for r in ROWS], times)]).verdict == "same"
    days = table([["2020-01-05", "1.0", "1.0"]]), table([["2020-01-06", "1.0", "1.0"]])
    assert compare_cell(1, [days[0]], [days[1]]).verdict == "changed"


def test_a_table_of_pandas() -> None:
    def frame(score: str, id: str) -> Any:
        return html(
            f'<style>#T_{id}_row0 {{color: red}}</style><table border="1" class="dataframe" id="T_{id}"><thead>'
            "<tr><th></th><th colspan='2'>test</th></tr><tr><th></th><th>n</th><th>score</th></tr></thead><tbody>"
            f"<tr><th rowspan='2'>a</th><td>1</td><td>{score}</td></tr><tr><td>2</td><td>0.5</td></tr></tbody></table>"
            "<p>2 rows × 2 columns</p>"
        )

    found = compare_cell(1, [frame("0.51", "a1b2c")], [frame("0.91", "a1b2c")])
    assert whys(found) == [
        "row 1 ('a'), column 'test score': 0.51 -> 0.91, 44 % apart where 2 % is allowed for a metric"
    ]
    assert compare_cell(1, [frame("0.51", "a1b2c")], [frame("0.515", "a1b2c")]).verdict == "within tolerance"
    rows = compare_cell(1, [frame("1", "a")], [html(frame("1", "a")["data"]["text/html"].replace("2 rows", "3 rows"))])
    assert rows.verdict == "changed"


# Figures


def svg(source: str) -> str:
    text: str = next(o["data"]["image/svg+xml"] for o in executed(source, "svg") if "image/svg+xml" in o["data"])
    return text


def png(source: str) -> bytes:
    return base64.b64decode(next(o["data"]["image/png"] for o in executed(source, "png") if "image/png" in o["data"]))


def embedded(data: bytes, kind: str = "png") -> str:
    return f'<img src="data:image/{kind};base64,{base64.b64encode(data).decode()}">'


def drawing(source: str) -> Any:
    return rich({"image/svg+xml": source})


def pixels(data: bytes, kind: str = "image/png") -> Any:
    return rich({kind: base64.b64encode(data).decode()})


@pytest.mark.figures
@pytest.mark.parametrize(
    ("pair", "why"),
    [
        ("legend-text", "the legend's text 'test' became 'validation'"),
        ("missing-legend", "the legend's text 'train' is gone"),
        ("title-word", "the text 'Loss of the network' became 'Error of the network'"),
        ("axis-label", "the label of the x axis 'epoch' became 'update'"),
        ("bar-name", "the tick labels of the x axis are iris, wines, digits, cancer instead of iris, wine, digits"),
        ("swapped-color", "the color #d62728 is gone; the color #2ca02c is new"),
        ("missing-legend", "the legend is gone"),
        ("dashed", "dashed lines are new"),
        ("one-panel", "2 panels became 1"),
        ("tiny-marker", "most at the upper right"),
        ("log-scale", "10^{0}"),
        ("log-scale", "the figure has another size"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_figure_says_what_differs(pair: str, why: str) -> None:
    planted = next(one for one in PLANTED if one.name == pair)
    found = compare_cell(1, executed(planted.old, "svg"), executed(planted.new, "svg"))
    assert why in " | ".join(whys(found))


@pytest.mark.figures
def test_svgs_that_differ_in_ids_dates_and_comments_are_the_same() -> None:
    source = svg(CURVES)
    other = re.sub(r"\b([mp])([0-9a-f]{10})\b", r"\g<1>1\g<2>", source)
    other = re.sub(r"<metadata>.*?</metadata>", "<!-- made elsewhere -->", other, flags=re.DOTALL)
    assert other != source
    assert compare_cell(1, [drawing(source)], [drawing(other)]).differences == ()


def jittered(source: str, by: float) -> str:
    """The SVG with each point of a line elsewhere by up to so many units."""

    def moved(match: re.Match[str]) -> str:
        x, y = (float(part) for part in match[0].split())
        return f"{x + by * math.sin(7 * x):.6f} {y + by * math.cos(9 * y):.6f}"

    return re.sub(r"(?<=[ML] )\d+\.\d+ \d+\.\d+", moved, source)


@pytest.mark.figures
def test_how_far_points_of_an_svg_may_move() -> None:
    source = svg(CURVES)
    verdicts = [compare_cell(1, [drawing(source)], [drawing(jittered(source, by))]).verdict for by in (1e-4, 0.5, 6)]
    assert verdicts == ["same", "within tolerance", "changed"]


# The planted figures that look most alike; the others are farther apart.
NEAREST = ("dashed", "confusion-cell", "marker-size", "bar-name")


@pytest.mark.figures
def test_the_threshold_has_room_on_both_sides() -> None:
    """The figures that `figures.distance` states."""
    allowed = Tolerance().figures

    def apart(pair: Pair, kind: str) -> float:
        found = []
        for source in (pair.old, pair.new):
            data = [o["data"] for o in executed(source, kind) if "data" in o]
            found.append(
                figures.Figure(source=data[0]["image/svg+xml"])
                if kind == "svg"
                else figures.Figure(data=base64.b64decode(data[0]["image/png"]))
            )
        return figures.distance(*found)

    for kind, low, high in (("svg", 0.001, 0.04), ("png", 0.018, 0.022)):
        pairs = [pair for pair in (*HARMLESS, *PLANTED) if pair.draws and pair.name not in ONLY_AS_SVG]
        harmless = [apart(pair, kind) for pair in pairs if not pair.kind]
        planted = [apart(pair, kind) for pair in pairs if pair.name in NEAREST]
        assert (len(harmless) >= 8, len(planted)) == (True, len(NEAREST))
        assert max(harmless) < low < allowed < high < min(planted)


@pytest.mark.figures
@pytest.mark.parametrize("source", [CURVES, BARS, PANELS], ids=["curves", "bars", "panels"])
def test_a_shift_by_a_third_of_a_pixel_is_no_change(source: str) -> None:
    image = raster.flat(raster.decoded(png(source))[0]).convert("RGBA")
    shift = (1, 0, 0.3, 0, 1, 0.3)
    for how in (Image.Resampling.BICUBIC, Image.Resampling.BILINEAR):
        moved = image.transform(image.size, Image.Transform.AFFINE, shift, how, fillcolor=(255, 255, 255, 255))
        assert overlay.pictures_apart(image, moved).distance < Tolerance().figures
    moved = image.transform(image.size, Image.Transform.AFFINE, (1, 0, 4, 0, 1, 4), fillcolor=(255, 255, 255, 255))
    assert overlay.pictures_apart(image, moved).distance > 3 * Tolerance().figures


@pytest.mark.figures
def test_a_margin_that_is_wider_by_some_pixels_is_no_change() -> None:
    image = raster.flat(raster.decoded(png(CURVES))[0])
    wider = Image.new("RGB", (image.width + 7, image.height + 3), "white")
    wider.paste(image, (6, 1))
    assert overlay.pictures_apart(image, wider).distance == 0
    much_wider = Image.new("RGB", (image.width + 90, image.height), "white")
    much_wider.paste(image, (6, 0))
    found = compare_cell(1, [pixels(raster.png(image))], [pixels(raster.png(much_wider))])
    assert "another size" in whys(found)[0]


def test_white_lines_on_a_transparent_ground_are_seen() -> None:
    def lines(end: int) -> str:
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" width="200" height="100">'
            f'<path d="M 10 10 L 180 {end}" stroke="#ffffff" stroke-width="2"/></svg>'
        )

    assert compare_cell(1, [drawing(lines(20))], [drawing(lines(80))]).verdict == "changed"


def test_a_missing_word_is_found_though_its_letters_are_text() -> None:
    source = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="30">'
        '<text x="3" y="9">a &amp; <tspan>b</tspan></text></svg>'
    )
    found = compare_cell(1, [drawing(source)], [drawing(source.replace("<tspan>b", "<tspan>c"))])
    assert whys(found) == ["the text 'a & b' became 'a & c'"]


@pytest.mark.figures
def test_an_allowed_number_in_a_figure_does_not_count_by_its_letters() -> None:
    pair = next(one for one in HARMLESS if one.name == "metric-in-title")
    assert figures.distance(figures.Figure(svg(pair.old)), figures.Figure(svg(pair.new))) > 2 * Tolerance().figures
    found = compare_cell(1, executed(pair.old, "svg"), executed(pair.new, "svg"))
    assert found.verdict == "within tolerance"
    assert "2 % is allowed for a metric" in whys(found)[0]


@pytest.mark.figures
def test_pictures_in_html() -> None:
    bars, curves = png(BARS), png(CURVES)
    assert compare_cell(1, [html(embedded(bars))], [html(embedded(bars))]).verdict == "same"
    found = compare_cell(1, [html(embedded(bars) * 2)], [html(embedded(bars) + embedded(bars[:-9] + bars[-9:]))])
    assert found.verdict == "same"
    found = compare_cell(1, [html(embedded(bars) + embedded(curves))], [html(embedded(bars) * 2)])
    assert whys(found)[0].startswith("picture 2 of 2: ")
    assert compare_cell(1, [html(embedded(bars))], [html(embedded(bars) * 2)]).verdict == "changed"
    frames = "<script>frames[0] = 'data:image/png;base64,%s'</script>"
    found = compare_cell(
        1,
        [html(frames % base64.b64encode(bars).decode())],
        [html(frames % base64.b64encode(curves).decode())],
    )
    assert found.verdict == "changed"
    drawn = "<div><svg width='99' height='50'><circle cx='{}' cy='20' r='9' fill='red'/></svg></div>"
    assert compare_cell(1, [html(drawn.format(20))], [html(drawn.format(20.2))]).verdict != "changed"
    assert compare_cell(1, [html(drawn.format(20))], [html(drawn.format(60))]).verdict == "changed"
    assert picture_of(html(drawn.format(20))) is not None


def test_animations_are_compared_frame_by_frame() -> None:
    def animation(*colors: str) -> Any:
        frames = [Image.new("RGB", (60, 40), color) for color in colors]
        file = io.BytesIO()
        frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
        return pixels(file.getvalue(), "image/gif")

    old = animation("white", "red", "blue")
    assert compare_cell(1, [old], [animation("white", "red", "blue")]).verdict == "same"
    assert whys(compare_cell(1, [old], [animation("white", "green", "blue")]))[0].startswith("frame 2 of 3: ")
    assert whys(compare_cell(1, [old], [animation("white", "red")])) == ["3 frames became 2"]
    first = picture_of(old)
    assert first is not None
    assert raster.decoded(first)[0].getpixel((5, 5)) == (255, 255, 255, 255)


def test_a_video_is_compared_by_its_bytes() -> None:
    video = '<video><source type="video/mp4" src="data:video/mp4;base64,{}"></video>'
    found = compare_cell(1, [html(video.format("AAAA"))], [html(video.format("AAAB"))])
    assert whys(found) == ["another video: its bytes differ, and its pictures can't be compared"]
    assert compare_cell(1, [html(video.format("AAAA"))], [html(video.format("AAAA") + " ")]).verdict == "same"


@pytest.mark.figures
def test_pictures_for_the_report() -> None:
    old, new = (picture_of(drawing(svg(source))) for source in (BARS, BARS.replace("0.88", "0.70")))
    assert old is not None
    assert new is not None
    image = raster.decoded(old)[0]
    assert image.getpixel((1, 1)) == (255, 255, 255, 255)
    marked = raster.decoded(difference_picture(old, new))[0].convert("RGB")
    assert abs(marked.width - image.width) <= 1
    red = [(x, y) for x in range(marked.width) for y in range(marked.height) if _is_red(marked.getpixel((x, y)))]
    # The second of four bars, its upper part.
    assert red
    assert all(0.25 < x / marked.width < 0.55 and y / marked.height < 0.5 for x, y in red)
    assert picture_of(stream("x")) is None
    assert picture_of(drawing("<svg")) is None
    assert raster.decoded(difference_picture(old, png(CURVES)))
    with pytest.raises(ValueError, match="the new picture can't be read"):
        difference_picture(old, b"x")


def _is_red(pixel: Any) -> bool:
    return bool(pixel[0] > 180 and pixel[1] < 120)


@pytest.mark.figures
def test_a_figure_that_differs_takes_half_a_second() -> None:
    source = CURVES.replace("(5.8, 3.2)", "(8, 5)")
    old, new = drawing(svg(source)), drawing(svg(source.replace('"#d62728"', '"#2ca02c"')))
    compare_cell(1, [old], [new])  # imports
    times = []
    for _ in range(3):
        start = time.process_time()
        assert compare_cell(1, [old], [new]).verdict == "changed"
        times.append(time.process_time() - start)
    assert min(times) < 1  # twice what it takes


# Odd input

BOMB = '<svg xmlns="http://www.w3.org/2000/svg" width="1e9" height="1e9"><rect width="9" height="9"/></svg>'
DEEP = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">'
    + '<g opacity="0.5">' * 400
    + '<rect width="3" height="3"/>'
    + "</g>" * 400
    + "</svg>"
)
PATTERN = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><pattern id="a" width="1e6" height="1e6" '
    'patternUnits="userSpaceOnUse"/><rect width="9" height="9" fill="url(#a)"/></svg>'
)
ODD: dict[str, Any] = {
    "nothing": {},
    "none": None,
    "text": "x",
    "no-text": {"output_type": "stream"},
    "lines": {"output_type": "stream", "name": "stdout", "text": ["a\n", "b"]},
    "no-data": {"output_type": "display_data"},
    "empty-data": {"output_type": "display_data", "data": {}},
    "unknown-type": {"output_type": "hologram", "data": {"text/plain": "x"}},
    "broken-svg": drawing("<svg"),
    "empty-svg": drawing(""),
    "svg-without-size": drawing('<svg xmlns="http://www.w3.org/2000/svg"/>'),
    "huge-svg": drawing(BOMB),
    "deep-svg": drawing(DEEP),
    "pattern-svg": drawing(PATTERN),
    "svg-of-nul": drawing("\0\x01"),
    "broken-png": rich({"image/png": "iVBORw0KGgo="}),
    "no-base64": rich({"image/png": "§§"}),
    "png-of-numbers": rich({"image/png": 5}),
    "cut-png": pixels(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xff\xff\xff\xff\xff\xff\xff\x08\x06\0\0\0"),
    "broken-html": html("<table><tr><td colspan='x'>a<td rowspan=99999>b<![x<?>"),
    "huge-span": html("<table><tr><td colspan='9999999' rowspan='9999999'>a</td></tr></table>"),
    "declaration": html("<![CDATA[ x"),
    "json-of-null": rich({"application/json": None}),
    "own-bytes": rich({"application/x-own": "\udcff\0"}),
    "error-without-name": {"output_type": "error"},
    "record-of-numbers": rich({"application/papermill.record/text/plain": 5}, scrapbook=5),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_outputs_are_compared_all_the_same(name: str) -> None:
    odd = ODD[name]
    for other in (*ODD.values(), drawing('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')):
        assert compare_cell(1, [odd], [other]).verdict == compare_cell(1, [other], [odd]).verdict
    assert compare_cell(1, [odd], copy.deepcopy([odd])).verdict == "same"
    if isinstance(odd, dict):
        assert picture_of(odd) is None or name in ("huge-svg",)


@pytest.mark.figures
def test_a_broken_figure_says_so() -> None:
    found = compare_cell(1, [drawing(svg(BARS))], [drawing(svg(BARS)[:-30])])
    assert "can't be drawn" in whys(found)[0]
    found = compare_cell(1, [pixels(png(BARS))], [pixels(png(BARS)[:40])])
    assert "broken" in whys(found)[0]


# Properties

WORDS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=30)
LINES = st.lists(WORDS, max_size=8).map("\n".join)
FLOATS = st.floats(1e-3, 1e6)
OUTPUTS = st.lists(
    st.one_of(
        st.builds(stream, LINES, st.sampled_from(["stdout", "stderr"])),
        st.builds(lambda text: rich({"text/plain": text}), LINES),
        st.builds(lambda text: html(f"<p>{text}</p>"), LINES),
        st.builds(error, WORDS, LINES),
    ),
    max_size=4,
)


@given(OUTPUTS)
@settings(deadline=None)
def test_outputs_are_the_same_as_themselves(some: list[Any]) -> None:
    # Through JSON, so that the outputs are compared and not found to be one object.
    again = nbformat.from_dict(json.loads(json.dumps(some)))
    again.append(stream(" "))
    assert compare_cell(1, some, again).verdict == "same"


@given(OUTPUTS, OUTPUTS)
@settings(deadline=None)
@example([stream("0.5 nan")], [stream("nan 0.5")])
def test_the_verdict_is_the_same_from_both_sides(old: list[Any], new: list[Any]) -> None:
    assert compare_cell(1, old, new).verdict == compare_cell(1, new, old).verdict


@given(st.lists(FLOATS, min_size=1, max_size=6), st.floats(-0.9e-3, 0.9e-3), st.booleans())
@settings(deadline=None)
def test_a_number_within_tolerance_is_never_changed(numbers: list[float], by: float, in_table: bool) -> None:
    show = as_table if in_table else as_line
    # Written with a point, as a float that is nearly whole would be by Python as well.
    old, new = show([f"{n:.9f}" for n in numbers]), show([f"{n * (1 + by):.9f}" for n in numbers])
    assert compare_cell(1, [old], [new]).verdict != "changed"


@given(st.lists(FLOATS, min_size=1, max_size=6), st.floats(1.1e-3, 10), st.data(), st.booleans())
@settings(deadline=None)
def test_a_number_out_of_tolerance_is_always_changed(
    numbers: list[float], by: float, data: st.DataObject, in_table: bool
) -> None:
    index = data.draw(st.integers(0, len(numbers) - 1))
    sign = data.draw(st.sampled_from([1 + by, 1 / (1 + by) * 0.9999, -1]))
    other = [n * (sign if i == index else 1) for i, n in enumerate(numbers)]
    show = as_table if in_table else as_line
    old, new = show([f"{n:.9f}" for n in numbers]), show([f"{n:.9f}" for n in other])
    assert compare_cell(1, [old], [new]).verdict == "changed"


@given(st.lists(st.integers(-1000, 10**12), min_size=1, max_size=6), st.integers(1, 50), st.data())
@settings(deadline=None)
def test_a_whole_number_that_is_another_is_always_changed(numbers: list[int], by: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(numbers) - 1))
    other = [n + (by if i == index else 0) for i, n in enumerate(numbers)]
    assert texts(f"counts {numbers}", f"counts {other}").verdict == "changed"


def as_line(numbers: list[str]) -> Any:
    return stream(f"values: [{', '.join(numbers)}]\n")


def as_table(numbers: list[str]) -> Any:
    return table([[f"row {n}", number, "1.5"] for n, number in enumerate(numbers)], ["", "height", "b"])


@given(st.binary(max_size=60), st.binary(max_size=60))
@settings(deadline=None)
def test_binary_junk_is_compared(old: bytes, new: bytes) -> None:
    verdict = compare_cell(1, [pixels(old)], [pixels(new)]).verdict
    assert verdict == ("same" if old == new else "changed")


# The course of this repository


def stored() -> list[list[Any]]:
    pages = [nbformat.read(path, 4) for path in sorted((ROOT / "outputs").rglob("*.ipynb"))]
    return [cell["outputs"] for page in pages for cell in page["cells"] if cell["cell_type"] == "code"]


def test_the_stored_outputs_are_the_same_as_themselves_and_quickly_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes long is to read an SVG, and much longer to draw it."""
    done: list[str] = []
    for name in ("parse_svg", "drawings_apart"):
        step = getattr(figures, name)
        monkeypatch.setattr(figures, name, lambda *given, name=name, step=step: done.append(name) or step(*given))
    cells = stored()
    again = copy.deepcopy(cells)
    assert len(cells) > 300

    def are_the_same() -> bool:
        return all(compare_cell(n, *both).verdict == "same" for n, both in enumerate(zip(cells, again, strict=True), 1))

    assert are_the_same()
    assert done == []
    # With other ids in each figure, so that none is found equal by its bytes.
    drawings = 0
    for output in (output for cell in again for output in cell):
        data = output.get("data", {})
        if "image/svg+xml" in data:
            drawings += 1
            data["image/svg+xml"] = re.sub(r"\b([mp][0-9a-f]{10})\b", r"\1f", data["image/svg+xml"])
    assert are_the_same()
    assert drawings > 20
    assert done == ["parse_svg"] * 2 * drawings


def test_stored_outputs_with_noise_are_no_change_and_each_altered_number_is_one() -> None:
    noisy = altered = 0
    for number, cell in enumerate(stored(), 1):
        for index, output in enumerate(cell):
            if output["output_type"] != "stream" or not re.search(
                r"(?<![\w.,])\d\.\d{3,}\b(?! ?m?s\b)", output["text"]
            ):
                continue
            for factor, is_change in ((1.00002, False), (1.13, True)):
                other = copy.deepcopy(cell)
                other[index]["text"] = re.sub(
                    r"(?<![\w.,])\d\.\d{3,}\b(?! ?m?s\b)",
                    lambda match, factor=factor: f"{float(match[0]) * factor:.6f}",
                    output["text"],
                )
                found = compare_cell(number, cell, other)
                assert (found.verdict == "changed") == is_change, (output["text"], whys(found))
                noisy, altered = noisy + (not is_change), altered + is_change
    assert min(noisy, altered) > 20
