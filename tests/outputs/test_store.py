"""The store: what is written can be read, equal content is equal bytes, and nothing is lost to a bad file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from hypothesis import given, strategies as st

from coursebook.ground.errors import CourseError
from coursebook.outputs.provenance import Provenance
from coursebook.outputs.store import Store, fill_outputs


def notebook(*cells: tuple[str, str]) -> nbformat.NotebookNode:
    """A notebook of code cells, each given as its source and what it printed."""
    made = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    for number, (source, said) in enumerate(cells, 1):
        output = nbformat.v4.new_output("stream", name="stdout", text=said)
        made.cells.append(nbformat.v4.new_code_cell(source, outputs=[output], execution_count=number))
    return made


MADE = Provenance(code="c", cells=("a",), inputs={"x": "y"}, executed="2026-11-21T00:00:00+00:00", seconds=1.5)


@given(st.text(), st.text())
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, source: str, said: str) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    path = store.write("days/one", notebook((source, said)), MADE)
    stored = store.read("days/one")
    assert stored is not None
    assert stored.is_intact
    assert stored.provenance == MADE
    assert stored.notebook.cells[1].outputs[0].text == said
    first = path.read_bytes()
    store.write("days/one", notebook((source, said)), MADE)
    assert path.read_bytes() == first
    assert [p.name for p in path.parent.iterdir()] == ["one.ipynb"]


def test_stored_files_are_ordinary_notebooks(tmp_path: Path) -> None:
    path = Store(tmp_path).write("one", notebook(("1", "<b>\x1b[31m \ud800 ü\n" + "x" * 100_000)), MADE)
    nbformat.validate(nbformat.read(path, as_version=4))


def test_altered_outputs_are_noticed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = store.write("one", notebook(("print(1)", "1\n")), MADE)
    path.write_text(path.read_text().replace('"1\\n"', '"2\\n"'))
    stored = store.read("one")
    assert stored is not None
    assert not stored.is_intact


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        pytest.param(lambda text: text[: len(text) // 2], "cut off; remove the file", id="cut off"),
        pytest.param(lambda text: "", "cut off; remove the file", id="empty"),
        pytest.param(lambda text: '{"cells": [], "metadata": {}}', "not outputs that Coursebook wrote", id="another's"),
        pytest.param(
            lambda text: text.replace('"schema": 1', '"schema": 99'), "newer Coursebook (schema 99", id="newer"
        ),
    ],
)
def test_bad_files_are_named(tmp_path: Path, damage: object, problem: str) -> None:
    store = Store(tmp_path)
    path = store.write("days/one", notebook(("1", "1")), MADE)
    path.write_text(damage(path.read_text()))  # type: ignore[operator]
    with pytest.raises(CourseError) as error:
        store.read("days/one")
    assert str(error.value).startswith("outputs/days/one.ipynb: ")
    assert problem in str(error.value)


def changed(where: str, value: object) -> Callable[[str], str]:
    """What replaces a value in a stored file's JSON, given by its keys; None for no value at all."""

    def change(text: str) -> str:
        whole = json.loads(text)
        *keys, last = [int(key) if key.isdigit() else key for key in where.split("/")]
        part = whole
        for key in keys:
            part = part[key]
        part[last] = value
        return json.dumps(whole)

    return change


MADE_IN = "metadata/coursebook/provenance"


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (f"{MADE_IN}/executed", "yesterday"),
        (f"{MADE_IN}/executed", "2026-11-21T00:00:00"),
        (f"{MADE_IN}/executed", None),
        (f"{MADE_IN}/inputs", None),
        (f"{MADE_IN}/inputs", {"x": 5}),
        (f"{MADE_IN}/packages", 5),
        (f"{MADE_IN}/packages", {"numpy": None}),
        (f"{MADE_IN}/code", None),
        (f"{MADE_IN}/cells", 5),
        (f"{MADE_IN}/cells", [1]),
        (f"{MADE_IN}/seconds", "long"),
        (f"{MADE_IN}/cell_seconds", [None]),
        (f"{MADE_IN}/device", ["cpu"]),
        (f"{MADE_IN}/python", 3.11),
        (MADE_IN, None),
        (MADE_IN, []),
        ("metadata/coursebook", []),
        ("metadata/coursebook/schema", None),
        ("metadata/coursebook/schema", float("inf")),
        ("metadata", 5),
        ("cells", None),
        ("cells", [5]),
        ("cells", [{}]),
        ("cells/1", {"cell_type": "code", "source": "1"}),
        ("cells/1/outputs", "\ud800"),
    ],
    ids=lambda value: str(value).removeprefix(MADE_IN + "/").encode("ascii", "replace").decode(),
)
def test_provenance_that_cannot_be_is_unreadable(tmp_path: Path, where: str, value: object) -> None:
    store = Store(tmp_path)
    path = store.write("one", notebook(("1", "1")), MADE)
    path.write_text(changed(where, value)(path.read_text()))
    with pytest.raises(CourseError, match=r"^outputs/one.ipynb: not outputs that Coursebook wrote"):
        store.read("one")


def test_a_file_that_is_no_text_is_unreadable(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write("one", notebook(("1", "1")), MADE).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CourseError, match="not outputs that Coursebook wrote"):
        store.read("one")


def test_a_failed_write_leaves_the_earlier_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    path = store.write("one", notebook(("1", "1")), MADE)
    before = path.read_bytes()

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.write("one", notebook(("2", "2")), MADE)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.joinpath("outputs").iterdir()] == ["one.ipynb"]


def test_fill_matches_cells_by_source_in_order(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write("one", notebook(("a", "A"), ("b", "B"), ("b", "B2"), ("c", "C")), MADE)
    stored = store.read("one")
    assert stored is not None
    page = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("prose"), *(nbformat.v4.new_code_cell(s) for s in ("b", "new", "b", "c"))]
    )
    filled = fill_outputs(page, stored)
    said = [[o.text for o in cell.outputs] for cell in filled.cells if cell.cell_type == "code"]
    assert said == [["B"], [], ["B2"], ["C"]]
    assert filled.cells[0].source == "prose"


def test_removing_leaves_no_empty_folder(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write("a/b/one", notebook(("1", "1")), MADE)
    store.write("a/two", notebook(("1", "1")), MADE)
    assert store.docnames() == ["a/b/one", "a/two"]
    store.remove("a/b/one")
    assert store.docnames() == ["a/two"]
    assert not (tmp_path / "outputs/a/b").exists()
    assert json.loads(store.path("a/two").read_text())["metadata"]["coursebook"]["schema"] == 1
