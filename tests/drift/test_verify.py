"""Drift: tiny courses executed afresh, beside what is published of them. The store is never touched."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page as BrowserPage

from chromium import AXE, browsing
from conftest import FILES, HEAD, TOC, Built, Tiny, until
from coursebook.cli import main
from coursebook.course.page import Page
from coursebook.drift import verification
from coursebook.drift.records import Checks
from coursebook.execute.events import Event
from coursebook.execute.executor import Here
from coursebook.ground import tar
from coursebook.ground.errors import CourseError
from coursebook.outputs.store import Store

kernel = pytest.mark.kernel
READS = "value = float(open('value.txt').read())\nprint(f'the value is {value}')"
OLD = "import warnings\ndef old():\n    {}warnings.warn('old() will go', DeprecationWarning{})\n    return 1\n"
IF_TWO = "if open('value.txt').read() == '2': "
DRAWS = """\
%config InlineBackend.figure_formats = ['svg']
import matplotlib.pyplot as plt
plt.plot([1, 2, float(open('value.txt').read())], label='a')
plt.legend();"""
TABLE = """\
from IPython.display import HTML
row = f"<tr><th>x</th></tr><tr><td>{open('value.txt').read()}</td></tr>"
HTML(f"<table>{row}</table><script>document.title = 'taken'</script>")"""
CLAIM = "```{code-cell} python\n:tags: [claim]\n\n"


def run(tiny: Tiny, *words: str) -> Built:
    tiny.capture()
    code = main([*words, "--root", str(tiny.root)])
    return Built(code, *tiny.capture())


def verify(tiny: Tiny, *arguments: str) -> Built:
    return run(tiny, "verify", *arguments)


def stored(tiny: Tiny) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (tiny.root / "outputs").rglob("*.ipynb")}


def value(tiny: Tiny, text: str) -> Tiny:
    return tiny.write({"days/value.txt": text})


def page(tiny: Tiny, *parts: str, head: str = HEAD) -> Tiny:
    return tiny.write({"days/one.md": f"{head}# Day one\n\n" + "\n\n".join(parts) + "\n"})


def at(tiny: Tiny, text: str, name: str = "days/one.md") -> str:
    """The place of a text in a page, as it stands in messages."""
    rows = (tiny.root / name).read_text(encoding="utf-8").splitlines()
    return f"{name}:{next(number for number, row in enumerate(rows, 1) if text in row)}"


def cell(source: str, options: str = "") -> str:
    return f"```{{code-cell}} python\n{options}{source}\n```"


@kernel
def test_a_page_that_says_the_same_is_the_same(tiny: Tiny) -> None:
    value(page(tiny, cell(READS)), "1.0")
    run(tiny, "execute")
    before = stored(tiny)
    done = verify(tiny)
    assert done.code == 0, done.err
    assert "same days/one" in done.out
    assert re.search(r"1 page in [\d.]+ s: 1 same", done.out)
    assert stored(tiny) == before
    check = Checks(tiny.root).read()[0]["days/one"]
    kept = Store(tiny.root).read("days/one")
    assert kept is not None
    assert (check.verdict, check.changed, check.outputs) == ("same", 0, kept.digest)


@kernel
def test_what_was_compared_before_a_cluster_was_lost_is_kept(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.cells("print(1)").cells("print(2)", name="days/two.md")
    tiny.write({"_toc.yml": f"{TOC}  - file: days/two\n"})
    assert run(tiny, "execute").code == 0

    class Lost(Here):
        def execute(self, tell: Callable[[Event], None]) -> list[CourseError]:
            super().execute(lambda event: tell(event) if event.page.docname == "days/one" else None)
            return [CourseError("tcp://10.0.0.1:8786", None, "it was lost")]

    monkeypatch.setattr(verification, "executor_for", lambda how, notice: nullcontext(Lost(how)))
    done = verify(tiny)
    assert (done.code, done.err) == (1, "error tcp://10.0.0.1:8786: it was lost\n")
    assert "1 same" in done.out
    assert {*Checks(tiny.root).read()[0]} == {"days/one"}


@kernel
def test_drift_is_told_of_by_cell_claim_and_sentence(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> None:
    value(
        page(
            tiny,
            "What stands before.",
            cell(READS),
            f"{CLAIM}from myst_nb import glue\nglue('v', value, display=False)\nglue('w', 2 * value, display=False)\n"
            "assert value < 2, 'the text says that it is small'\n```",
            "It is {glue:text}`v:.2f`, which is\nlittle. Twice that is {glue:text}`w:.1f`. Nothing here.",
            cell("print('still here', value > 0)"),
        ),
        "1.5",
    )
    run(tiny, "execute")
    before, report = stored(tiny), tmp_path_factory.mktemp("report") / "new"
    value(tiny, "2.5")
    done = verify(tiny, "--report", str(report))
    assert done.code == 1
    assert "changed days/one: 2 of 3 cells, 2 sentences" in done.out
    assert re.search(rf"  {at(tiny, 'value = ')}: .*1\.5.*2\.5", done.out)
    claim = at(tiny, "from myst_nb")
    assert f"  {claim}: claim fails: the text says that it is small" in done.out
    first = "reads 'It is 2.50, which is little.', read 'It is 1.50, which is little.'"
    assert f"  {at(tiny, 'It is {')}: {first}" in done.out
    assert f"  {at(tiny, 'Twice')}: reads 'Twice that is 5.0.', read 'Twice that is 3.0.'" in done.out
    assert "Nothing here" not in done.out
    assert stored(tiny) == before
    assert Checks(tiny.root).read()[0]["days/one"].verdict == "changed"
    markdown = (report / "report.md").read_text(encoding="utf-8")
    assert f"**claim fails**, line {claim.rpartition(':')[2]}: the text says that it is small" in markdown
    assert "It is ~~1.50~~ **2.50**, which is little." in markdown
    html = (report / "index.html").read_text(encoding="utf-8")
    assert "What stands before." in html
    assert "<del>1.5</del>" in html
    assert "<ins>2.5</ins>" in html
    assert "still here" not in html


@kernel
def test_what_readers_do_not_see_is_no_drift(tiny: Tiny) -> None:
    # A glued number moves in a digit that its sentence doesn't show; a hidden cell prints something else.
    value(
        page(
            tiny,
            cell(READS, ":tags: [remove-cell]\n"),
            f"{CLAIM}from myst_nb import glue\nprint(value)\nglue('v', value, display=False)\n```",
            "It is {glue:text}`v:.1f`.",
        ),
        "1.51",
    )
    run(tiny, "execute")
    value(tiny, "1.54")
    assert verify(tiny).code == 0
    value(tiny, "1.64")
    done = verify(tiny)
    assert done.code == 1
    assert f"{at(tiny, 'It is')}: reads 'It is 1.6.', read 'It is 1.5.'" in done.out


@kernel
@pytest.mark.parametrize(
    ("form", "old", "new", "verdict"),
    [
        (":.1%", "0.9173", "0.9178", "within tolerance"),  # 91.8 % instead of 91.7 %: a share, as learned ones are
        (":.1%", "0.95", "0.80", "changed"),
        (":.2f", "1.1249", "1.1251", "within tolerance"),  # it reads 1.13 instead of 1.12, by a fourth digit
        (":.2f", "1.12", "1.13", "changed"),
        ("", "7", "8", "changed"),
    ],
)
def test_a_sentence_is_judged_by_the_value_in_it(tiny: Tiny, form: str, old: str, new: str, verdict: str) -> None:
    glue = "from myst_nb import glue\nglue('v', eval(open('value.txt').read()), display=False)\n```"
    value(page(tiny, CLAIM + glue, f"It is {{glue:text}}`v{form}`."), old)
    run(tiny, "execute")
    value(tiny, new)
    done = verify(tiny)
    assert f"{verdict} days/one" in done.out, done.out
    assert done.code == (verdict == "changed")


@kernel
def test_a_glued_figure_and_a_glued_passage_are_seen(tiny: Tiny) -> None:
    value(
        page(
            tiny,
            f"{CLAIM}from myst_nb import glue\nfrom IPython.display import Markdown\n"
            "value = float(open('value.txt').read())\n"
            "glue('said', Markdown(f'It is **{value}** now.'), display=False)\n```",
            "```{glue:md} said\n:format: myst\n```",
        ),
        "1.0",
    )
    run(tiny, "execute")
    value(tiny, "3.0")
    done = verify(tiny)
    assert done.code == 1
    assert f"{at(tiny, 'glue:md')}: reads 'It is **3.0** now.', read 'It is **1.0** now.'" in done.out


@kernel
def test_another_page_that_quotes_a_number_is_named(tiny: Tiny) -> None:
    value(
        page(tiny, f"{CLAIM}from myst_nb import glue\nglue('v', float(open('value.txt').read()), display=False)\n```"),
        "1",
    )
    tiny.write({"index.md": "# Home\n\nThe first day ends at {glue:text}`days/one.md::v:.1f`, no less.\n"})
    run(tiny, "execute")
    value(tiny, "2")
    done = verify(tiny)
    assert done.code == 1
    assert "index.md:3: reads 'The first day ends at 2.0, no less.'" in done.out


@kernel
def test_a_page_that_dies_does_not_hold_back_the_others(tiny: Tiny) -> None:
    dies = "import os\nif os.path.exists('flag'):\n    os._exit(1)\nprint(1)"
    tiny.write({"_toc.yml": FILES["_toc.yml"] + "  - file: days/two\n"})
    tiny.cells(dies).cells("print(2)", name="days/two.md")
    run(tiny, "execute")
    before = stored(tiny)
    tiny.write({"days/flag": ""})
    done = verify(tiny)
    assert done.code == 1
    assert "failed days/one" in done.out
    assert f"{at(tiny, 'import os')}: the cell killed its kernel" in done.out
    assert "same days/two" in done.out
    assert stored(tiny) == before
    assert Checks(tiny.root).read()[0]["days/one"].verdict == "failed"


@kernel
def test_pages_that_cannot_be_compared_are_skipped_with_the_reason(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    names = ("two", "three", "four")
    tiny.write({"_toc.yml": FILES["_toc.yml"] + "".join(f"  - file: days/{name}\n" for name in names)})
    tiny.cells("print(1)")
    for name in names:
        tiny.cells(f"print('{name}')", name=f"days/{name}.md")
    run(tiny, "execute", "days/one", "days/two", "days/three")
    tiny.cells("print('changed')", name="days/two.md")
    path = tiny.root / "outputs/days/three.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace("three\\n", "THREE\\n"), encoding="utf-8")
    done = verify(tiny)
    assert done.code == 0, done.err
    assert "same days/one" in done.out
    assert "skipped days/two: its code has changed since it was executed" in done.out
    assert "skipped days/three: its outputs were altered" in done.out
    assert "skipped days/four: never executed" in done.out
    assert sorted(Checks(tiny.root).read()[0]) == ["days/one"]
    # Nothing compared is nothing proved: such a job must not be green.
    nothing = verify(tiny, "days/two")
    assert nothing.code == 1
    assert "no page could be compared" in nothing.err


@kernel
def test_outputs_from_a_gpu_are_not_compared_with_a_cpu(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    gpu_head = HEAD.replace("---\n", "---\ncoursebook: {device: gpu}\n", 1)
    tiny.write({"_toc.yml": FILES["_toc.yml"] + "  - file: days/two\n"})
    tiny.cells("print(1)", head=gpu_head).cells("print(2)", name="days/two.md")
    run(tiny, "execute", "--provisional")
    assert "same days/one" in verify(tiny).out  # provisional outputs come from a CPU as well
    path = tiny.root / "outputs/days/one.ipynb"
    data = json.loads(path.read_text(encoding="utf-8"))
    data["metadata"]["coursebook"]["provenance"].update(device="gpu", device_name="NVIDIA A100")
    path.write_text(json.dumps(data), encoding="utf-8")
    done = verify(tiny)
    assert "skipped days/one: its outputs come from a GPU, and there is none here" in done.out
    assert done.code == 0
    assert verify(tiny, "--device", "gpu").code == 1


@kernel
@pytest.mark.parametrize("where", ["page", "cell"])
def test_tolerance_of_a_page_and_of_a_cell(tiny: Tiny, where: str) -> None:
    head = HEAD.replace("---\n", "---\ncoursebook: {tolerance: {numbers: 0.2}}\n", 1) if where == "page" else HEAD
    options = ":coursebook: {tolerance: {numbers: 0.2}}\n\n" if where == "cell" else ""
    value(page(tiny, cell(READS, options), head=head), "1.0")
    run(tiny, "execute")
    value(tiny, "1.1")
    done = verify(tiny)
    assert done.code == 0, done.out
    assert "within tolerance days/one" in done.out
    value(tiny, "1.5")
    assert verify(tiny).code == 1
    volatile = ":coursebook: {tolerance: {volatile: true}}\n\n"
    value(page(tiny, cell(READS, volatile), head=head), "1.0")
    assert "current" in run(tiny, "status").out  # it isn't code: nothing is executed for it
    value(tiny, "9.5")
    assert verify(tiny).code == 0


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (":coursebook: {tolerance: {number: 0.2}}", 9),
        (":coursebook: {tolerance: {numbers: -1}}", 9),
        (":coursebook: {tolerance: 0.1}", 9),
        (":coursebook: {timeout: 3}", 9),
    ],
)
def test_a_cell_says_what_it_may_say(tiny: Tiny, options: str, line: int) -> None:
    page(tiny, cell("print(1)", options + "\n\n"))
    done = verify(tiny)
    assert done.code == 1
    assert "Traceback" not in done.err
    assert re.search(r"error days/one\.md:1\d: .*takes ", done.err), done.err


@kernel
def test_deprecations_that_readers_do_not_see_are_told_of_once(tiny: Tiny) -> None:
    library = OLD.format(IF_TWO, "")
    value(tiny.write({"days/library.py": library}), "1")
    tiny.cells("import library\nprint(library.old())")
    run(tiny, "execute")
    assert "will change" not in verify(tiny).out
    value(tiny, "2")
    done = verify(tiny)
    assert done.code == 0, "nothing that a reader sees has changed"
    assert re.search(
        r"will change in a later version: .*library\.py: DeprecationWarning: old\(\) will go \(days/one\)", done.out
    )
    assert "will change" not in verify(tiny).out, "it is known by now"


@kernel
def test_a_deprecation_that_readers_see_is_drift(tiny: Tiny) -> None:
    library = OLD.format(IF_TWO, ", stacklevel=2")
    value(tiny.write({"days/library.py": library}), "1")
    tiny.cells("import library\nprint(library.old())")
    run(tiny, "execute")
    value(tiny, "2")
    done = verify(tiny)
    assert done.code == 1
    assert "DeprecationWarning" in done.out


@kernel
def test_warm_and_cold_kernels_hear_no_deprecations_in_a_build(tiny: Tiny) -> None:
    """Only a verification listens: what a build stores is what plain Jupyter would say."""
    library = OLD.format("", "")
    tiny.write({"days/library.py": library})
    seen = "with warnings.catch_warnings(record=True) as seen:\n    library.old()\nprint(len(seen))"
    tiny.cells(f"import library, warnings\n{seen}")
    run(tiny, "execute")
    kept = Store(tiny.root).read("days/one")
    assert kept is not None
    assert kept.notebook.cells[1].outputs[0].text == "0\n"


@kernel
def test_the_canary_has_other_packages(tiny: Tiny) -> None:
    waits = "while os.path.exists('wait'):\n    open('begun', 'w').close()\n    time.sleep(0.1)"
    tiny.cells(f"import os, time, toolz\nprint('toolz', toolz.__version__)\n{waits}")
    run(tiny, "execute")
    before = stored(tiny)
    report = tiny.root / "_build/report"
    tiny.capture()
    done = verify(tiny, "--packages", "toolz==1.0.0", "--report", str(report))
    if not os.environ.get("CI") and "can't make the environment" in done.err and "network" in done.err.lower():
        pytest.skip(f"no network: {done.err.strip()[:200]}")
    assert done.code == 1, done.err
    assert "toolz 1.0.0" in (report / "index.html").read_text(encoding="utf-8")
    assert re.search(rf"{at(tiny, 'import os, time, toolz')}: .*1\.0\.0", done.out), done.out
    assert stored(tiny) == before
    assert not Checks(tiny.root).read()[0], "another environment says nothing about the published pages"
    again = verify(tiny, "--packages", "toolz==1.0.0")
    assert "installing" in done.out
    assert "installing" not in again.out
    # Ctrl-C, which a terminal sends to all of them: the other environment's command ends its kernels, and says so.
    tiny.write({"days/wait": ""})
    command = [sys.executable, "-m", "coursebook", "verify", "--packages", "toolz==1.0.0", "--root", str(tiny.root)]
    started = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        env={**os.environ, "COURSE_UNDER_TEST": str(tiny.root)},
    )
    assert until((tiny.root / "days/begun").exists)
    os.killpg(started.pid, signal.SIGINT)
    _, said = started.communicate(timeout=30)
    assert (started.returncode, said.count("interrupted")) == (130, 1), said
    assert until(lambda: not tiny.processes()), tiny.processes()


def test_a_report_is_not_written_among_the_pages(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> None:
    tiny.cells("print(1)")
    file = tmp_path_factory.mktemp("elsewhere") / "report"
    file.write_text("mine", encoding="utf-8")
    for words in (["verify"], ["verify", "--packages", "toolz"], ["outputs", "diff", "HEAD"]):
        done = run(tiny, *words, "--report", str(tiny.root / "drift"))
        assert done.code == 1
        assert "drift: lies in the course, which would take the report's files for pages" in done.err
        done = run(tiny, *words, "--report", str(file))
        assert done.code == 1
        assert "report: is a file; the report's files take a folder" in done.err
    assert not (tiny.root / "drift").exists()
    assert not (tiny.root / "outputs").exists()
    assert file.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("requirement", ["toolz=1", "-r x", "toolz==0.0.1.nothing"])
def test_packages_that_cannot_be(tiny: Tiny, requirement: str) -> None:
    tiny.cells("print(1)")
    done = verify(tiny, f"--packages={requirement}")
    assert done.code == 1
    assert done.err.startswith("error --packages: ")
    assert "Traceback" not in done.err


def test_without_uv_one_is_told(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coursebook.drift.canary.shutil.which", lambda *a, **k: None)
    tiny.cells("print(1)")
    done = verify(tiny, "--packages", "toolz")
    assert done.code == 1
    assert "needs uv, which isn't installed; `pip install 'coursebook[canary]'`" in done.err


# What changed since a commit


def git(tiny: Tiny, *words: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@x", *words], cwd=tiny.root, check=True, capture_output=True
    )


@kernel
def test_outputs_diff_says_what_a_reader_sees_otherwise(tiny: Tiny) -> None:
    tiny.write({"_toc.yml": FILES["_toc.yml"] + "  - file: days/two\n  - file: days/three\n"})
    value(tiny, "1.0").cells(READS, "print('as ever')").cells("print(2)", name="days/two.md").cells(
        "print(3)", name="days/three.md"
    )
    run(tiny, "execute", "days/one", "days/two")
    git(tiny, "init", "--quiet")
    git(tiny, "add", "-A")
    git(tiny, "commit", "--quiet", "-m", "x")
    same = run(tiny, "outputs", "diff", "HEAD")
    assert same.code == 0
    assert "3 pages: 2 same, 1 skipped" in same.out
    # A cell more in front: what stood in the others is still compared with what stands in them now.
    value(tiny, "2.0").cells("print('new')", READS, "print('as ever')")
    run(tiny, "execute")
    report = tiny.root / "_build/report"
    done = run(tiny, "outputs", "diff", "HEAD", "--report", str(report))
    assert done.code == 0
    assert "changed days/one: 2 of 3 cells" in done.out
    assert re.search(rf"{at(tiny, 'value = ')}: .*1\.0.*2\.0", done.out), done.out
    assert "same days/two" in done.out
    assert "skipped days/three: new" in done.out
    assert "at HEAD" in (report / "index.html").read_text(encoding="utf-8")
    assert "`days/one`" in (report / "report.md").read_text(encoding="utf-8")


@pytest.mark.processes
@pytest.mark.parametrize("commit", ["nowhere", "HEAD^{tree}", "--all"])
def test_outputs_diff_of_no_commit(tiny: Tiny, commit: str) -> None:
    tiny.cells("print(1)")
    outside = run(tiny, "outputs", "diff", "HEAD")
    assert outside.code == 1
    assert "not a git repository" in outside.err
    git(tiny, "init", "--quiet")
    git(tiny, "commit", "--quiet", "--allow-empty", "-m", "x")
    if commit == "--all":
        with pytest.raises(SystemExit) as ended:
            run(tiny, "outputs", "diff", commit)
        assert ended.value.code == 2
        return
    done = run(tiny, "outputs", "diff", commit)
    assert done.code == 1
    assert f"error {commit}: git knows no such commit, branch or tag" in done.err


@pytest.mark.processes
def test_outputs_diff_of_names_that_lead_elsewhere(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tiny.write({"outputs/c-x.ipynb": "{}"}), "init", "--quiet")
    git(tiny, "add", "-A")
    git(tiny, "commit", "--quiet", "-m", "x")
    monkeypatch.setattr(tar, "_NEVER", frozenset("-"))  # as a colon is on Windows
    done = run(tiny, "outputs", "diff", "HEAD")
    assert (done.code, done.err) == (1, "error HEAD: 'outputs/c-x.ipynb' is no plain path below the course\n")


# The report in a browser


@contextmanager
def opened(path: Path, **options: Any) -> Iterator[BrowserPage]:
    with browsing() as browser:
        opened_page = browser.new_page(**options)
        told: list[str] = []
        opened_page.on("console", lambda message: told.append(message.text))
        opened_page.on(
            "request", lambda r: None if r.url.startswith(("file:", "data:", "about:")) else told.append(r.url)
        )
        opened_page.goto(path.as_uri())
        yield opened_page
        # What a cell's HTML would run is kept from running, and the browser says so.
        assert [text for text in told if "about:srcdoc" not in text] == []


@pytest.mark.kernel
@pytest.mark.browser
def test_the_report_shows_figures_in_four_ways(tiny: Tiny) -> None:
    value(page(tiny, cell(DRAWS), cell(TABLE)), "1.0")
    run(tiny, "execute")
    value(tiny, "9.0")
    report = tiny.root / "_build/report"
    assert verify(tiny, "--report", str(report)).code == 1
    for view in ({"color_scheme": "light"}, {"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 800}}):
        with opened(report / "index.html", **view) as seen:
            assert seen.title() == "Drift", "what a cell made runs nothing in the report"
            assert seen.evaluate("document.documentElement.scrollWidth <= innerWidth")
            sides, stage = seen.locator(".sides"), seen.locator(".stage")
            assert sides.is_visible()
            assert sides.locator("img").count() == 3
            seen.get_by_role("button", name="Slider").click()
            assert stage.is_visible()
            assert not sides.is_visible()
            seen.locator("input[type=range]").fill("20")
            assert "80%" in str(seen.locator(".stage img").nth(1).get_attribute("style"))
            seen.get_by_role("button", name="Blink").click()
            first = seen.locator("figure.pair > .side").inner_text()
            seen.wait_for_function(
                "first => document.querySelector('figure.pair > .side').textContent !== first", arg=first
            )
            seen.get_by_role("button", name="Side by side").click()
            assert sides.is_visible()
            seen.add_script_tag(path=str(AXE))
            found = seen.evaluate("axe.run({iframes: false, resultTypes: ['violations']})")["violations"]
            assert [(v["id"], v["nodes"][0]["html"], v["nodes"][0]["failureSummary"]) for v in found] == []


def test_sentences_are_found_where_they_are() -> None:
    from coursebook.drift.sentences import _passages

    text = (
        "# Title {glue:text}`a`\n\nOne {glue:text}`b`. Two.\nThree {glue:text}`c` and\nmore.\n\n"
        "| x | {glue:text}`d:.1f` |\n| y | z |\n\n- item {glue:text}`e`\n- other\n\n"
        "```{code-cell} python\n# {glue:text}`f`\n```\n\n:::{note}\nIn it {glue:text}`g`.\n:::\n\n"
        "````markdown\n```{code-cell}\n1\n```\nAs {glue:text}`h` here.\n````\n\nAnd {glue:text}`i`.\n"
    )
    assert list(_passages(text)) == [
        (1, "# Title {glue:text}`a`"),
        (3, "One {glue:text}`b`."),
        (4, "Three {glue:text}`c` and more."),
        (7, "| x | {glue:text}`d:.1f` |"),
        (10, "- item {glue:text}`e`"),
        (18, "In it {glue:text}`g`."),
        (28, "And {glue:text}`i`."),
    ]


def test_a_page_remembers_the_tolerance_of_its_cells(tiny: Tiny) -> None:
    from coursebook.course.memory import recall, remember

    page(tiny, cell("print(1)", ":coursebook: {tolerance: {numbers: 0.2}}\n\n"))
    read = Page.read(tiny.root, Path("days/one.md"))
    remember(tiny.root, [read])
    assert read.cells[0].tolerance == {"numbers": 0.2}
    assert Page.read(tiny.root, Path("days/one.md"), recall(tiny.root)).cells == read.cells


@pytest.mark.sphinx
def test_a_page_may_show_how_a_code_cell_is_written(tiny: Tiny) -> None:
    shown = "````markdown\n```{code-cell} python\nprint(1)\n```\n````\n"
    tiny.write({"days/one.md": f"# Day one\n\n{shown}"})
    assert Page.read(tiny.root, Path("days/one.md")).cells == ()
    assert tiny.build().code == 0
    tiny.write({"days/one.md": f"# Day one\n\n{shown}\n```{{code-cell}} python\nprint(2)\n```\n"})
    assert "error days/one.md:9: a code cell, but the front matter" in tiny.build().err
