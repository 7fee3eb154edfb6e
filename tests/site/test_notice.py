"""What a page and the table of all pages say of outputs that are not current, and that the site goes on."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable
from html import unescape

import pytest

from conftest import CONFIG, HEAD, Built, Tiny
from coursebook.cli import main

pytestmark = pytest.mark.kernel
GPU_HEAD = HEAD.replace("---\n", "---\ncoursebook: {device: gpu}\n", 1)
TWO = "format: jb-book\nroot: index\nchapters:\n  - file: days/one\n  - file: days/two\n"


def run(tiny: Tiny, *arguments: str) -> Built:
    tiny.capture()
    code = main([arguments[0], "--root", str(tiny.root), *arguments[1:]])
    return Built(code, *tiny.capture())


def said(tiny: Tiny, docname: str = "days/one") -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", tiny.html(docname))))


def alter(tiny: Tiny, what: Callable[[dict], None]) -> None:  # type: ignore[type-arg]
    path = tiny.root / "outputs/days/one.ipynb"
    stored = json.loads(path.read_text())
    what(stored)
    path.write_text(json.dumps(stored))


def older(stored: dict) -> None:  # type: ignore[type-arg]
    provenance = stored["metadata"]["coursebook"]["provenance"]
    then = datetime.datetime.fromisoformat(provenance["executed"]) - datetime.timedelta(days=100)
    provenance["executed"] = then.isoformat()


def test_a_failed_page_keeps_its_outputs_and_the_others_go_on(tiny: Tiny) -> None:
    tiny.write({"_toc.yml": TWO}).cells("print('first', 6 * 7)").cells("print('second', 1)", name="days/two.md")
    assert run(tiny, "build").code == 0
    tiny.cells("print('first', 6 * 7)\n1 / 0").cells("print('second', 2)", name="days/two.md")
    built = run(tiny, "build")
    assert built.code == 1
    assert "error days/one.md:9: the cell raised ZeroDivisionError: division by zero" in built.err
    assert "second 2" in said(tiny, "days/two"), "the other page is executed and shown"
    assert "outputs-notice" not in tiny.html("days/two")
    page = said(tiny)
    assert "first 42" in page, "the last good outputs"
    assert "The last execution of this page failed. days/one.md:9: the cell raised ZeroDivisionError" in page
    assert page.index("Day one") < page.index("The last execution") < page.index("first 42"), "below the title"
    assert "failed days/one.md:9: the cell raised ZeroDivisionError: division by zero; cell 1 changed" in said(
        tiny, "freshness"
    )
    assert "failed: days/one.md:9: the cell raised" in run(tiny, "status").out
    again = run(tiny, "build")
    assert again.code == 1
    assert "days/two" not in again.out, "what is current isn't executed again"
    assert run(tiny.cells("print('first', 43)"), "build").code == 0
    assert "first 43" in said(tiny)
    assert "outputs-notice" not in tiny.html()
    assert "failed" not in run(tiny, "status").out


def test_a_page_that_never_worked_is_shown_without_outputs(tiny: Tiny) -> None:
    page = (
        f"{HEAD}# Day one\n\n```{{code-cell}} python\n1 / 0\n```\n\n"
        "```{code-cell} python\n:tags: [claim]\n\nfrom myst_nb import glue\n\nglue('n', 1, display=False)\n```\n\n"
        "There are {glue:text}`n` of them.\n"
    )
    built = run(tiny.write({"days/one.md": page}), "build")
    assert built.code == 1
    assert built.err.count("error") == 1, "a number that has no value yet is no second error"
    assert "The last execution of this page failed." in said(tiny)
    assert "There are none to be shown." in said(tiny)
    assert "Welcome." in said(tiny, "index")


def test_hostile_text_of_an_error_is_text(tiny: Tiny) -> None:
    built = run(tiny.cells("raise ValueError('<script>alert(1)</script> {freshness} {0} [bold]')"), "build")
    assert built.code == 1
    for name in ("days/one", "freshness"):
        assert "<script>alert(1)" not in tiny.html(name)
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in tiny.html(name)


def test_the_site_stays_where_a_stored_file_cannot_be_read(tiny: Tiny) -> None:
    assert run(tiny.cells("print('good')"), "build").code == 0
    before = tiny.site()
    path = tiny.root / "outputs/days/one.ipynb"
    path.write_text(path.read_text()[:100])
    built = run(tiny, "build")
    assert built.code == 1
    assert "error outputs/days/one.ipynb: not outputs that Coursebook wrote, or cut off" in built.err
    assert tiny.site() == before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda t: t.cells("print(2)", head=GPU_HEAD), "stale: cell 1 changed", id="code"),
        pytest.param(lambda t: t.cells("print(1)", "2", head=GPU_HEAD), "stale: 1 cell added", id="a cell more"),
        pytest.param(
            lambda t: alter(
                t, lambda s: s["metadata"]["coursebook"]["provenance"].update(inputs={"data.csv": "0" * 64})
            ),
            "stale: data.csv changed",
            id="an input",
        ),
        pytest.param(
            lambda t: alter(t, lambda s: s["metadata"]["coursebook"]["provenance"].update(inputs={"gone.csv": "0"})),
            "stale: gone.csv is gone",
            id="an input that is gone",
        ),
        pytest.param(
            lambda t: alter(
                t, lambda s: s["metadata"]["coursebook"]["provenance"].update(packages={"torch": "1.13.1"})
            ),
            "stale: torch 1.13 -> ",
            id="a package",
        ),
        pytest.param(
            lambda t: alter(t, lambda s: s["metadata"]["coursebook"]["provenance"].update(packages={"lasagne": "1.0"})),
            "stale: lasagne 1.0 is not installed",
            id="a package that is gone",
        ),
        pytest.param(
            lambda t: alter(t, lambda s: s["cells"][1]["outputs"][0].update(text="2\n")),
            "altered: outputs altered since they were executed",
            id="altered",
        ),
        pytest.param(lambda t: alter(t, older), "due: executed 100 days ago, at most 90 allowed", id="due"),
        pytest.param(lambda t: None, "provisional: ran on cpu, wants gpu", id="provisional"),
        pytest.param(lambda t: t.write({"outputs/days/one.ipynb": None}), "missing: never executed", id="missing"),
    ],
)
def test_each_reason_is_seen_everywhere(tiny: Tiny, change: Callable[[Tiny], object], reason: str) -> None:
    """On a machine without the GPU that the page asks for, where nothing can be done about it."""
    config = CONFIG.replace("config: {", "config: {coursebook_max_age: 90, ")
    tiny.write({"_config.yml": config, "data.csv": "1\n"}).cells("print(1)", head=GPU_HEAD)
    assert run(tiny, "build", "--provisional", "--device", "cpu").code == 0
    change(tiny)
    status = run(tiny, "status", "--check")
    assert status.code == 1
    assert reason in status.out
    built = run(tiny, "build", "--device", "cpu")
    assert built.code == 0, built.err
    state, _, words = reason.partition(": ")
    assert f'data-state="{state}"' in tiny.html(), "the notice on the page"
    assert words in said(tiny) or state in ("missing", "altered")
    assert f"{state} {words}" in said(tiny, "freshness")
    if state != "missing":
        assert f">{state}</a></p>" in tiny.html(), "the line below the text"


def test_an_unchanged_page_is_written_anew_when_its_outputs_are_no_longer_current(tiny: Tiny) -> None:
    tiny.write({"data.csv": "1\n"}).cells("print(open('../data.csv').read())", head=GPU_HEAD)
    assert run(tiny, "build", "--provisional", "--device", "cpu").code == 0
    assert "These outputs are provisional." in said(tiny)
    tiny.write({"data.csv": "2\n"})
    assert run(tiny, "build", "--device", "cpu").code == 0
    assert "These outputs are out of date: data.csv changed; ran on cpu, wants gpu" in said(tiny)


def test_every_line_leads_to_the_table_and_the_table_to_every_page(tiny: Tiny) -> None:
    tiny.write({"_toc.yml": TWO}).cells("print(1)").cells("print(2)", name="days/two.md")
    assert run(tiny, "build").code == 0
    for name in ("days/one", "days/two"):
        assert '<a href="../freshness.html">current</a>' in tiny.html(name)
        assert f'href="{name}.html">Day one</a>' in tiny.html("freshness")
    assert "2 of 2 pages with code are current" in said(tiny, "freshness")
    assert "freshness.js" in tiny.html("freshness")
    assert "freshness.js" not in tiny.html()


def test_a_course_without_code_has_no_table(tiny: Tiny) -> None:
    assert run(tiny, "build").code == 0
    assert not (tiny.root / "_build/html/freshness.html").exists()


def test_two_pages_with_the_same_code_have_outputs_of_their_own(tiny: Tiny) -> None:
    code = "print(open('data.txt').read())"
    toc = "format: jb-book\nroot: index\nchapters:\n  - file: days/one\n  - file: labs/two\n"
    tiny.write({"_toc.yml": toc, "days/data.txt": "of days", "labs/data.txt": "of labs"})
    assert run(tiny.cells(code).cells(code, name="labs/two.md"), "build").code == 0
    assert "of days" in said(tiny)
    assert "of labs" in said(tiny, "labs/two")
