"""Records of drift and of jobs: on disk, on a branch that many write to, and on a site that nobody may rebuild."""

from __future__ import annotations

import datetime
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from chromium import AXE, SETTLED, browsing
from conftest import CONFIG, FILES, HEAD, Built, Tiny
from coursebook.build.building import _until
from coursebook.cli import main
from coursebook.course.course import Course
from coursebook.course.release import Moment
from coursebook.drift.records import Checks, JobRun, PageCheck, Records, Watched
from coursebook.ground import git_branch
from coursebook.ground.errors import CourseError
from coursebook.outputs.store import Store
from coursebook.site.badge import badge_svg

JOBS = CONFIG.replace("heading_anchors: 3", "heading_anchors: 3, coursebook_jobs: {outputs: 14, drift: 7}")
LINK = "https://example.org/runs/12"


START = datetime.datetime.now(datetime.UTC)


def ago(days: float) -> str:
    return (START - datetime.timedelta(days=days)).isoformat(timespec="seconds")


def page(checked: str, verdict: Any = "same", outputs: str = "0" * 64, changed: int = 0) -> PageCheck:
    return PageCheck(outputs, checked, verdict, changed, {"torch": "2.11.0"})


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def run(tiny: Tiny, *arguments: str) -> Built:
    tiny.capture()
    try:
        code = main(list(arguments))
    except SystemExit as end:
        code = int(end.code or 0)
    return Built(code, *tiny.capture())


def checks(tiny: Tiny, *arguments: str) -> Built:
    return run(tiny, "checks", *arguments, "--root", str(tiny.root))


def test_what_is_noted_is_read(tmp_path: Path) -> None:
    known = Checks(tmp_path)
    assert known.read() == ({}, {})
    one, two = page(ago(2), "within tolerance"), page(ago(1), "changed", changed=3)
    known.note_page("days/one", page(ago(3)))
    known.note_pages({"days/one": one, "Übung": two})
    known.note_job("drift", JobRun(ago(9), "success", LINK, ago(9)))
    failed = JobRun(ago(1), "failure")
    known.note_job("drift", failed)
    pages, jobs = Checks(tmp_path).read()
    assert pages == {"days/one": one, "Übung": two}
    assert jobs == {"drift": JobRun(failed.ran, "failure", "", ago(9))}, "the last success isn't forgotten"
    known.note_job("drift", JobRun(ago(5), "success", "", ago(5)))
    assert known.read()[1]["drift"].ran == failed.ran, "what is older takes nobody's place"
    assert [path.name for path in (tmp_path / "_build/.coursebook").iterdir()] == ["checks.json"]


DAMAGED = {
    "cut": b'{"schema": 1, "pages": {',
    "another": b"[]",
    "verdict": json.dumps(
        {"schema": 1, "jobs": {}, "pages": {"a": {"outputs": "x", "checked": ago(1), "verdict": "?"}}}
    ),
    "zone": json.dumps({"schema": 1, "pages": {}, "jobs": {"a": {"ran": "2026-11-19T10:00:00", "outcome": "success"}}}),
    "script": json.dumps(
        {"schema": 1, "pages": {}, "jobs": {"a": {"ran": ago(1), "outcome": "success", "link": "javascript:alert(1)"}}}
    ),
    "more": json.dumps({"schema": 1, "pages": {}, "jobs": {"a": {"ran": ago(1), "outcome": "success", "by": "me"}}}),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_record_is_none(tmp_path: Path, content: str | bytes) -> None:
    data = content if isinstance(content, bytes) else content.encode()
    with pytest.raises(ValueError, match=r"\w"):
        Records.from_json(data)
    path = tmp_path / "_build/.coursebook/checks.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    assert Checks(tmp_path).read() == ({}, {})
    Checks(tmp_path).note_page("one", page(ago(1)))
    assert Checks(tmp_path).read()[0].keys() == {"one"}


def test_the_newer_entry_wins_both_ways() -> None:
    ours = Records({"a": page(ago(1)), "b": page(ago(9))}, {"j": JobRun(ago(1), "failure", LINK, ago(9))})
    theirs = Records({"b": page(ago(2)), "c": page(ago(3))}, {"j": JobRun(ago(4), "success", "", ago(4))})
    for together in (ours.merged(theirs), theirs.merged(ours)):
        assert together.pages == {"a": ours.pages["a"], "b": theirs.pages["b"], "c": theirs.pages["c"]}
        assert together.jobs == {"j": JobRun(ours.jobs["j"].ran, "failure", LINK, theirs.jobs["j"].ran)}
    elsewhere = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=13))).isoformat(timespec="seconds")
    assert ours.merged(Records({"a": page(elsewhere)})).pages["a"].checked == elsewhere, "moments, not texts"


@pytest.fixture
def shared(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """A course in a checkout with a remote `origin`."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    git(tiny.root, "init", "--quiet", "--initial-branch=main", ".")
    git(tiny.root, "init", "--quiet", "--bare", "--initial-branch=main", "_build/remote.git")
    git(tiny.root, "remote", "add", "origin", "_build/remote.git")
    return tiny.write({"_config.yml": JOBS})


def held(tiny: Tiny) -> Records:
    return Records.from_json(git(tiny.root / "_build/remote.git", "show", "checks:checks.json").encode())


@pytest.mark.processes
def test_publish_and_fetch(shared: Tiny) -> None:
    assert "there is no branch checks" in checks(shared, "fetch", "origin").out
    assert checks(shared, "note", "drift", "--outcome", "success", "--link", LINK).code == 0
    assert checks(shared, "publish", "origin").code == 0
    first = git(shared.root / "_build/remote.git", "rev-parse", "checks")
    assert "already published" in checks(shared, "publish", "origin").out
    assert git(shared.root / "_build/remote.git", "rev-parse", "checks") == first, "no commit where nothing differs"

    (shared.root / "_build/.coursebook/checks.json").unlink()
    Checks(shared.root).note_page("days/one", page(ago(1)))
    assert checks(shared, "publish", "origin").code == 0
    assert held(shared).pages.keys() == {"days/one"}
    assert held(shared).jobs["drift"].link == LINK, "what others know stays"
    assert Checks(shared.root).read()[1].keys() == {"drift"}, "and is known here now"

    (shared.root / "_build/.coursebook/checks.json").unlink()
    assert checks(shared, "fetch", "origin").code == 0
    assert Checks(shared.root).read() == (held(shared).pages, held(shared).jobs)
    assert git(shared.root, "status", "--porcelain", "--untracked-files=no") == ""
    assert git(shared.root, "branch", "--list") == ""


@pytest.mark.processes
def test_two_machines_publish_at_once(shared: Tiny, tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any) -> None:
    other = Checks(tmp_path_factory.mktemp("other"))
    other.note_page("theirs", page(ago(1)))
    remote = str(shared.root / "_build/remote.git")
    push, pushed = git_branch._Branch.push, []

    def late(branch: Any, commit: str, tip: str | None) -> bool:
        if not pushed:
            pushed.append(True)
            other.publish(remote)
        return bool(push(branch, commit, tip))

    monkeypatch.setattr(git_branch._Branch, "push", late)
    Checks(shared.root).note_page("ours", page(ago(1)))
    Checks(shared.root).publish("origin")
    assert held(shared).pages.keys() == {"ours", "theirs"}
    assert Checks(shared.root).read()[0].keys() == {"ours", "theirs"}


@pytest.mark.processes
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"schema": 9}', r"written by a newer Coursebook \(schema 9, this one knows 1\); update Coursebook"),
        (
            b"hello",
            "not a record of checks that Coursebook wrote; remove the file from the branch, or name another one",
        ),
    ],
    ids=["newer", "another"],
)
def test_a_branch_that_holds_something_else_is_left_alone(shared: Tiny, content: bytes, problem: str) -> None:
    git_branch.publish_files({"checks.json": content}, "origin", "checks", "x", identity_from=shared.root)
    Checks(shared.root).note_page("days/one", page(ago(1)))
    for act in ("publish", "fetch"):
        done = checks(shared, act, "origin")
        assert done.code == 1
        assert re.fullmatch(rf"error checks:checks\.json: {problem}\n", done.err), done.err
    assert git(shared.root / "_build/remote.git", "show", "checks:checks.json").encode() == content
    assert Checks(shared.root).read()[0].keys() == {"days/one"}


@pytest.mark.processes
def test_bad_input_is_one_sentence(shared: Tiny) -> None:
    for arguments, code, said in (
        (("note", "a b", "--outcome", "success"), 2, "a b is no name of a job, like drift or outputs"),
        (("note", "drift", "--outcome", "perhaps"), 2, "invalid choice: 'perhaps'"),
        (("note", "drift", "--outcome", "success", "--link", "javascript:x"), 2, "javascript:x is not an address"),
        (
            ("publish", "nowhere"),
            1,
            "error nowhere: neither a remote of the course's checkout (there are: origin)",
        ),
        (("publish", "origin", "--branch", "a..b"), 1, "error origin: 'a..b' can't be the name of a branch"),
        (("fetch", "origin", "--branch", "main"), 1, "error origin: the course itself is on the branch 'main'"),
    ):
        done = checks(shared, *arguments)
        assert (done.code, said in done.err) == (code, True), done.err
        assert "Traceback" not in done.err
    elsewhere = run(shared, "checks", "note", "drift", "--outcome", "success", "--root", str(shared.root / "days"))
    assert elsewhere.code == 1
    assert not (shared.root / "days/_build").exists(), "nothing is made where there is no course"


@pytest.mark.sphinx
@pytest.mark.parametrize("value", ["[drift]", "{drift: 0}", "{drift: soon}", "{a b: 3}", "{drift: true}"])
def test_the_option_takes_jobs_with_days(tiny: Tiny, value: str) -> None:
    config = CONFIG.replace("heading_anchors: 3", f"heading_anchors: 3, coursebook_jobs: {value}")
    built = tiny.write({"_config.yml": config}).build()
    assert built.code == 1
    assert "error _config.yml:9: `coursebook_jobs` takes jobs, each with the days after which one" in built.err


NOW = datetime.datetime(2026, 11, 21, 12, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (None, "has never run"),
        (JobRun("2026-11-07T12:00:00+00:00", "success"), "on time"),
        (JobRun("2026-11-07T11:59:59+00:00", "success"), "overdue: last ran 14 days ago, at most 14 allowed"),
        (JobRun("2026-11-05T12:00:00+00:00", "failure"), "overdue: last ran 16 days ago, at most 14 allowed"),
        (JobRun("2026-11-20T12:00:00-11:00", "failure"), "failed"),
        (JobRun("2999-01-01T00:00:00+00:00", "success"), "on time"),
    ],
    ids=["never", "just in time", "a second late", "failed long ago", "failed", "from the future"],
)
def test_how_a_job_stands(run: JobRun | None, words: str) -> None:
    assert Watched("drift", run, 14).words(NOW) == words
    if run and run.outcome == "success":
        assert Watched("drift", run, None).words(NOW) == "on time", "nobody says how often it should run"


def test_the_badge_says_the_same_to_all() -> None:
    root = ET.fromstring(badge_svg("outputs", "1 < 2 & so", "warn"))
    svg = "{http://www.w3.org/2000/svg}"
    assert root.get("role") == "img"
    assert root.get("aria-label") == root.findtext(f"{svg}title") == "outputs: 1 < 2 & so"
    shown = root.findall(f".//{svg}text")
    assert [text.text for text in shown] == ["outputs", "1 < 2 & so"]
    right = float(shown[1].get("x", 0)) + float(shown[1].get("textLength", 0))
    assert 0 < float(root.get("width", 0)) - right <= 8, "the text fits"
    longer = ET.fromstring(badge_svg("outputs", "1 < 2 & so on", "warn"))
    assert float(longer.get("width", 0)) > float(root.get("width", 0))


TWO = FILES["_toc.yml"] + "  - file: days/two\n"
FENCE = "```{code-cell} python\nprint(6 * 7)\n```\n"


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course of two pages with code, built once."""
    root = tmp_path_factory.mktemp("executed")
    pages = {f"days/{name}.md": f"{HEAD}# Day {name}\n\n{FENCE}" for name in ("one", "two")}
    Tiny(root, lambda: ("", "")).write({**FILES, **pages, "_config.yml": JOBS, "_toc.yml": TWO})
    assert main(["build", "--root", str(root)]) == 0
    return root


@pytest.fixture
def course(tiny: Tiny, executed: Path) -> Tiny:
    shutil.copytree(executed, tiny.root, dirs_exist_ok=True)
    return tiny


def shown(tiny: Tiny) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", tiny.html("freshness"))))


def digest(tiny: Tiny, docname: str = "days/one") -> str:
    stored = Store(tiny.root).read(docname)
    assert stored
    return stored.digest


def title(tiny: Tiny) -> tuple[str, str]:
    """What the badge says, and the color it says it on."""
    text = (tiny.root / "_build/html/badge.svg").read_text(encoding="utf-8")
    return str(ET.fromstring(text).get("aria-label")), re.findall(r'fill="(#\w+)"', text)[1]


GOOD, WARN, BAD = "#1a7f37", "#9a6700", "#cf222e"


@pytest.mark.kernel
def test_what_the_site_says_of_checks(course: Tiny) -> None:
    today = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    assert "Job outputs : has never run Job drift : has never run" in shown(course)
    said, color = title(course)
    assert said == f"outputs: 2 of 2 current {today}, outputs has never run, drift has never run"
    assert color == WARN

    known = Checks(course.root)
    known.note_pages({"days/one": page(ago(3), outputs=digest(course)), "days/two": page(ago(1), outputs="other")})
    known.note_job("drift", JobRun(ago(2), "success", LINK, ago(2)))
    known.note_job("outputs", JobRun(ago(2), "success", "", ago(2)))
    assert course.build().code == 0
    assert "nothing has changed" in course.build().out
    assert f"Job drift : on time ; last run on {ago(2)[:10]} ( the run ): succeeded" in shown(course)
    assert f'<a href="{LINK}">the run</a>' in course.html("freshness")
    rows = [r for r in re.findall(r"<tr>.*?</tr>", course.html("freshness"), re.DOTALL) if "<td" in r]
    assert f'data-state="same">same</span><br><time datetime="{ago(3)}">{ago(3)[:10]}</time></td></tr>' in rows[0]
    assert rows[1].endswith('<td data-sort="">–</td></tr>'), "of outputs that have changed since nothing is known"
    assert title(course) == (f"outputs: 2 of 2 current {today}, drift none in 1 checked {ago(3)[:10]}", GOOD)

    known.note_pages({"days/two": page(ago(2), "changed", digest(course, "days/two"), 2)})
    known.note_job("drift", JobRun(ago(0), "failure", LINK))
    assert course.build().code == 0
    assert "changed in 2 cells" in shown(course)
    assert f"failed ; last run on {today} ( the run ): failed, last succeeded on {ago(2)[:10]}" in shown(course)
    assert title(course) == (f"outputs: 2 of 2 current {today}, drift 1 {ago(3)[:10]}, drift failed", BAD)
    data = json.loads((course.root / "_build/html/freshness.json").read_text())
    assert [(p["page"], p["state"], p["drift"] and p["drift"]["verdict"]) for p in data["pages"]] == [
        ("days/one", "current", "same"),
        ("days/two", "current", "changed"),
    ]
    assert {job["job"]: job["state"] for job in data["jobs"]} == {"outputs": "on time", "drift": "failed"}


@pytest.mark.kernel
def test_a_build_notices_a_job_that_becomes_overdue(course: Tiny) -> None:
    known = Checks(course.root)
    known.note_job("outputs", JobRun(ago(1), "success", "", ago(1)))
    soon = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=7) + datetime.timedelta(seconds=6)
    known.note_job("drift", JobRun(soon.isoformat(), "success", "", soon.isoformat()))
    assert course.build().code == 0
    if datetime.datetime.now(datetime.UTC) < soon + datetime.timedelta(days=7):
        assert "nothing has changed" in course.build().out
    time.sleep(max((soon + datetime.timedelta(days=7) - datetime.datetime.now(datetime.UTC)).total_seconds(), 0) + 0.1)
    assert "nothing has changed" not in course.build().out
    assert "overdue: last ran 7 days ago, at most 7 allowed" in shown(course)
    assert title(course)[0].endswith("drift overdue")
    assert title(course)[1] == WARN
    assert "nothing has changed" in course.build().out, "once is enough"


def test_what_becomes_due_while_the_site_is_made_is_noticed_by_the_next_build(tiny: Tiny) -> None:
    tiny.write({"_config.yml": CONFIG.replace("config: {", "config: {coursebook_jobs: {drift: 7}, ")})
    tiny.write({"days/one.md": "---\ncoursebook: {solutions: 2027-02-10}\n---\n# One\n"})
    begun = datetime.datetime.now(datetime.UTC)
    ran = (begun - datetime.timedelta(days=7, seconds=-1)).isoformat()
    Checks(tiny.root).note_job("drift", JobRun(ran, "success", "", ran))
    due = _until(Course.load(tiny.root), [], Moment(datetime.date(2027, 2, 9)), begun.timestamp())
    assert due == pytest.approx(begun.timestamp() + 1), "also when a second has passed since it began"
    Checks(tiny.root).note_job("drift", JobRun(begun.isoformat(), "success", "", begun.isoformat()))
    due = _until(Course.load(tiny.root), [], Moment(datetime.date(2000, 1, 1)), begun.timestamp())
    assert due == pytest.approx((begun + datetime.timedelta(days=7)).timestamp())
    tiny.write({"_config.yml": CONFIG})
    due = _until(Course.load(tiny.root), [], Moment(datetime.date(2000, 1, 1)), begun.timestamp())
    assert due == datetime.datetime(2027, 2, 10).timestamp(), "of the day that the site is of"


@pytest.mark.kernel
def test_the_command_tells_what_is_known(course: Tiny) -> None:
    known = Checks(course.root)
    known.note_pages({"days/one": page(ago(3), outputs=digest(course)), "days/two": page(ago(1), "changed", changed=2)})
    known.note_job("drift", JobRun(ago(8), "success", LINK, ago(8)))
    assert checks(course).out.splitlines() == [
        f"days/one  {ago(3)[:10]}  same",
        f"days/two  {ago(1)[:10]}  changed: 2 cells, of outputs that have changed since",
        "outputs   has never run",
        f"drift     {ago(8)[:10]}  overdue: last ran 8 days ago, at most 7 allowed  {LINK}",
        "2 pages with code, 2 jobs",
    ]


@pytest.mark.kernel
def test_a_course_that_names_no_job_hears_of_none(course: Tiny) -> None:
    assert course.write({"_config.yml": CONFIG}).build().code == 0
    assert 'class="jobs"' not in course.html("freshness")
    assert title(course)[1] == GOOD


@pytest.mark.sphinx
def test_a_course_without_code_has_no_badge(tiny: Tiny) -> None:
    assert tiny.build().code == 0
    assert not {"badge.svg", "freshness.json", "freshness.html"} & tiny.site().keys()


@pytest.mark.processes
def test_a_remote_that_is_gone_is_an_error(shared: Tiny) -> None:
    shutil.rmtree(shared.root / "_build/remote.git")
    with pytest.raises(CourseError, match="origin: git can't read from it"):
        Checks(shared.root).fetch("origin")


@pytest.fixture
def chromium() -> Iterator[Any]:
    with browsing("--allow-file-access-from-files") as browser:
        yield browser


@pytest.mark.browser
@pytest.mark.kernel
def test_a_site_that_nobody_rebuilds_turns_red_by_itself(course: Tiny, chromium: Any) -> None:
    """The same files, read now, after eight days and after a hundred."""
    config = JOBS.replace("coursebook_jobs", "coursebook_max_age: 60, coursebook_jobs")
    known = Checks(course.root)
    for job in ("outputs", "drift"):
        known.note_job(job, JobRun(ago(0), "success", LINK, ago(0)))
    assert course.write({"_config.yml": config}).build().code == 0
    address = (course.root / "_build/html/freshness.html").as_uri()
    expected = {
        0: (["on time", "on time"], ["current"] * 2),
        8: (["on time", "overdue: last ran 8 days ago, at most 7 allowed"], ["current"] * 2),
        100: ([f"overdue: last ran 100 days ago, at most {n} allowed" for n in (14, 7)], ["due"] * 2),
    }
    tab = chromium.new_page()
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    for days, (jobs, states) in expected.items():
        tab.clock.set_fixed_time(datetime.datetime.now() + datetime.timedelta(days=days, minutes=5))
        tab.goto(address)
        assert tab.locator("ul.jobs .state").all_inner_texts() == jobs
        assert tab.locator("table.freshness tr > :nth-child(2) .state").all_inner_texts() == states
        if days == 100:
            assert "executed 100 days ago, at most 60 allowed" in tab.locator("table.freshness").inner_text()
        tab.add_script_tag(path=AXE)
        for scheme, width in (("light", 1280), ("dark", 390)):
            tab.emulate_media(color_scheme=scheme)
            tab.set_viewport_size({"width": width, "height": 800})
            tab.wait_for_function("scheme => document.documentElement.dataset.theme === scheme", arg=scheme)
            assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
            tab.evaluate(SETTLED)
            found = tab.evaluate("axe.run('#freshness').then(r => r.violations.map(v => v.id + ': ' + v.help))")
            assert found == [], f"{scheme} after {days} days"
        assert errors == []
    tab.close()
    # Without its script the page is true as of the build.
    context = chromium.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(address)
    assert tab.locator("ul.jobs .state").all_inner_texts() == ["on time", "on time"]
    context.close()
