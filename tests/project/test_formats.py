"""What FORMATS.md says of the files for other programs is what they have: names, types, schema numbers, words."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Mapping
from dataclasses import fields
from importlib.metadata import version
from typing import Any, get_args

import pytest

from conftest import CONFIG, HEAD, ROOT, Tiny
from coursebook.cli import main
from coursebook.course import Course
from coursebook.drift import records
from coursebook.drift.records import Checks, JobRun, PageCheck
from coursebook.outputs import bundle_file, store
from coursebook.outputs.bundle import pack
from coursebook.outputs.decisions import State
from coursebook.outputs.fingerprint import cell_digests, code_digest
from coursebook.outputs.provenance import Provenance
from coursebook.outputs.store import Store

TEXT = (ROOT / "FORMATS.md").read_text(encoding="utf-8")
NOW = "2026-10-05T10:20:00+00:00"
TYPES: Mapping[str, Any] = {
    "text": str, "whole number": int, "number": (int, float), "true or false": bool, "null": type(None),
    "object": dict, "object of text": dict, "object of objects": dict,
    "list of text": list, "list of numbers": list, "list of lists": list, "list of objects": list,
}  # fmt: skip
INSIDE: Mapping[str, Any] = {"text": str, "numbers": (int, float), "lists": list, "objects": dict}


def told(heading: str) -> dict[str, str]:
    """The fields below a heading, each with its type."""
    section = re.split(rf"^#+ {re.escape(heading)}$", TEXT, flags=re.MULTILINE)[1]
    table = section[section.index("| field |") :].partition("\n\n")[0]
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", table, re.MULTILINE))


def check(heading: str, written: Mapping[str, Any]) -> None:
    """Hold what was written to the table below a heading."""
    types = told(heading)
    assert types
    assert types.keys() == written.keys()
    for name, kind in types.items():
        options = [kind] if kind in TYPES else kind.split(" or ")
        value = written[name]
        assert any(isinstance(value, TYPES[option]) for option in options), f"{name} is {value!r}, not {kind}"
        for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            inside = re.search(r" of (\w+)$", options[0])
            assert not inside or isinstance(part, INSIDE[inside[1]]), f"{name} has {part!r}, not {kind}"


@pytest.fixture
def course(tiny: Tiny) -> Tiny:
    """A tiny course with outputs that nobody had to execute, a check of them, and a job."""
    tiny.cells("6 * 7", head=HEAD.replace("---\n", "---\ncoursebook: {timeout: 5}\n", 1))
    made = Course.load(tiny.root)
    page = next(page for page in made.pages if page.cells)
    notebook = page.notebook()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "42\n"}]
    digests = cell_digests(page)
    provenance = Provenance(
        code_digest(page),
        digests,
        {"days/one.csv": ""},
        {"nbformat": version("nbformat")},
        executed=NOW,
        cell_seconds=(0.5,),
        cell_inputs=((),),
        imports=("nbformat",),
        unseen=("what gcc reads",),
    )
    Store(tiny.root).write(page.docname, notebook, provenance)
    stored = Store(tiny.root).read(page.docname)
    assert stored
    checks = Checks(tiny.root)
    checks.note_page(page.docname, PageCheck(stored.digest, NOW, "changed", 1, {"nbformat": "5"}, ("old",)))
    checks.note_job("drift", JobRun(NOW, "success", "https://example.org/1", NOW))
    return tiny


def test_provenance(course: Tiny) -> None:
    notebook = json.loads((course.root / "outputs/days/one.ipynb").read_text(encoding="utf-8"))
    check("Provenance", notebook["metadata"]["coursebook"])
    check("`provenance`", notebook["metadata"]["coursebook"]["provenance"])
    assert set(told("`provenance`")) == {f.name for f in fields(Provenance)}


def test_a_file_may_lack_all_but_two_fields() -> None:
    assert "`code` and `executed` are always there" in TEXT
    least = {"code": "", "executed": NOW}
    made = Provenance.from_json(least)
    assert {f.name for f in fields(made) if getattr(made, f.name)} == {"device", "executed"}
    for name in least:
        with pytest.raises((TypeError, ValueError)):
            Provenance.from_json({key: value for key, value in least.items() if key != name})


def test_status(course: Tiny) -> None:
    course.capture()
    assert main(["status", "--json", "--root", str(course.root)]) == 0
    rows = json.loads(course.capture()[0])
    check("`coursebook status --json`", rows[0])
    check("`provenance`", rows[0]["provenance"])
    (course.root / "outputs/days/one.ipynb").unlink()
    assert main(["status", "--json", "--root", str(course.root)]) == 0
    check("`coursebook status --json`", json.loads(course.capture()[0])[0])


@pytest.mark.sphinx
def test_freshness(course: Tiny) -> None:
    jobs = "config: {coursebook_jobs: {other: 14}, "
    course.write({"_config.yml": CONFIG.replace("config: {", jobs)})
    assert course.build().code == 0
    data = json.loads((course.root / "_build/html/freshness.json").read_text(encoding="utf-8"))
    check("`freshness.json`", data)
    (page,) = data["pages"]
    check("`freshness.json`: a page", page)
    assert page["state"] == "current", "nothing was executed for this test"
    assert page["drift"].keys() == set(re.findall(r"`(\w+)` \(", re.findall(r"^\| `drift` .*", TEXT, re.MULTILINE)[0]))
    assert {job["job"] for job in data["jobs"]} == {"drift", "other"}
    for job in data["jobs"]:
        check("`freshness.json`: a job", job)


def test_checks(course: Tiny) -> None:
    data = json.loads((course.root / "_build/.coursebook/checks.json").read_text(encoding="utf-8"))
    check("`checks.json`", data)
    check("`checks.json`: a page", data["pages"]["days/one"])
    check("`checks.json`: a job", data["jobs"]["drift"])


def test_one_more_field_is_another_schema_of_checks(course: Tiny) -> None:
    path = course.root / "_build/.coursebook/checks.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    data["jobs"]["drift"]["more"] = 1
    with pytest.raises(ValueError, match="no record"):
        records.Records.from_json(json.dumps(data).encode())


def test_bundles(course: Tiny) -> None:
    path = course.root / "_build/outputs.tar"
    pack(Course.load(course.root), path)
    with tarfile.open(path) as archive:
        first, *others = archive.getmembers()
        assert first.name == bundle_file.MANIFEST
        assert f"`{first.name}`" in TEXT
        manifest = json.load(archive.extractfile(first))  # type: ignore[arg-type]
    check("Bundles", manifest)
    assert [sorted(row) for row in manifest["files"]] == [["path", "sha256", "size"]]
    assert [row["path"] for row in manifest["files"]] == [member.name for member in others]


def test_numbers_and_words_are_those_of_the_code() -> None:
    numbers = dict(re.findall(r"^\| ([^|]*?) \| [^|]* \| (\d+) \|$", TEXT, re.MULTILINE))
    assert [int(number) for number in numbers.values()] == [store.SCHEMA, records.SCHEMA, bundle_file.SCHEMA]
    for words in (State, records.Verdict, records.RunOutcome):
        assert [word for word in get_args(words) if f"`{word}`" not in TEXT] == []
