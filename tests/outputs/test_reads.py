"""Which cell reads what, and which files may be published with some of a page's cells."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_store import notebook

from conftest import HEAD
from coursebook.course.page import Page
from coursebook.ground.errors import CourseError
from coursebook.outputs.fingerprint import cell_digests, code_digest
from coursebook.outputs.provenance import Provenance
from coursebook.outputs.reads import cell_inputs, published_files
from coursebook.outputs.store import Store

MODULES = {
    "days/helper.py": "import first\nfrom pack import sub\n\n\ndef check():\n    import answers\n",
    "days/first.py": "",
    "days/answers.py": "",
    "days/pack/__init__.py": "",
    "days/pack/sub.py": "from . import below\n",
    "days/pack/below.py": "",
    "days/pack/key.py": "",
}
NAMES = {path.removeprefix("days/").removesuffix(".py").replace("/", "."): path for path in MODULES}
NAMES = {name.removesuffix(".__init__"): path for name, path in NAMES.items()}


def page_of(root: Path, *cells: str, head: str = HEAD, files: Collection[str] = ()) -> Page:
    """A page with these code cells; one that begins with `:` has options."""
    fences = "".join(f"```{{code-cell}} python\n{source}\n```\n\n" for source in cells)
    (root / "days").mkdir(exist_ok=True)
    (root / "days/one.md").write_text(f"{head}# One\n\n{fences}")
    for name in files:
        (root / name).write_text("")
    return Page.read(root, Path("days/one.md"))


def test_a_read_belongs_to_the_cell_that_ran(tmp_path: Path) -> None:
    page = page_of(tmp_path, "a", ":tags: [skip-execution]\nb", ":tags: [claim]\n", "c", "d")
    seen = {"read_in": {"x": [1, 3], "y": [2], "z": [0], "gone": [1]}}
    assert cell_inputs(tmp_path, page, ("x", "y", "z"), seen) == (("x",), (), (), ("y",), ("x",))
    assert cell_inputs(tmp_path, page, ("x", "y", "z"), {}) == ()


@pytest.mark.parametrize(
    ("source", "read"),
    [
        ("import pack", ["pack/__init__.py"]),
        ("import pack.sub", ["pack/__init__.py", "pack/below.py", "pack/sub.py"]),
        ("from pack import sub as s", ["pack/__init__.py", "pack/below.py", "pack/sub.py"]),
        ("from pack.key import x", ["pack/__init__.py", "pack/key.py"]),
        ("from pack import plots\nkey = plots.draw()", ["pack/__init__.py"]),
        ("%%time\nfrom pack import (\n    key as k,\n)", ["pack/__init__.py", "pack/key.py"]),
        ("%time -q from pack import key", ["pack/__init__.py", "pack/key.py"]),
        ("%matplotlib inline\nfrom pack import key", ["pack/__init__.py", "pack/key.py"]),
        ("%%bash\nfrom pack import key", []),
        ("import helper", ["first.py", "helper.py", "pack/__init__.py", "pack/below.py", "pack/sub.py"]),
        ("import json", []),
    ],
)
def test_a_module_belongs_to_each_cell_that_imports_it(tmp_path: Path, source: str, read: list[str]) -> None:
    (tmp_path / "days/pack").mkdir(parents=True)
    for name, text in MODULES.items():
        (tmp_path / name).write_text(text)
    page = page_of(tmp_path, source)
    found = cell_inputs(tmp_path, page, MODULES, {"read_in": {}, "modules": NAMES})
    assert found == (tuple(f"days/{name}" for name in read),)


@pytest.mark.parametrize(
    ("code", "is_run"),
    [
        ("if __name__ == '__main__':\n    import answers", False),
        ("if '__main__' == __name__ and first.x:\n    import answers", False),
        ("if TYPE_CHECKING:\n    import answers", False),
        ("if typing.TYPE_CHECKING or False:\n    import answers", False),
        ("if x:\n    pass\nelif t.TYPE_CHECKING:\n    import answers", False),
        ("if not TYPE_CHECKING:\n    pass\nelse:\n    import answers", False),
        ("if TYPE_CHECKING:\n    pass\nelse:\n    import answers", True),
        ("if __name__ != '__main__':\n    import answers", True),
        ("if __name__ == '__main__' or x:\n    import answers", True),
        ("if x and not TYPE_CHECKING:\n    import answers", True),
        ("if __name__ == 'helper':\n    import answers", True),
    ],
)
def test_what_a_module_never_runs_when_it_is_imported(tmp_path: Path, code: str, is_run: bool) -> None:
    page = page_of(tmp_path, "import helper", files=("days/answers.py",))
    (tmp_path / "days/helper.py").write_text(code)
    found = cell_inputs(tmp_path, page, MODULES, {"read_in": {}, "modules": NAMES})
    assert ("days/answers.py" in found[0]) == is_run


FILES = ("days/data.csv", "days/key.csv", "days/both.csv", "days/quiet.bin", "days/loud.bin")
CELLS = ("open('data.csv'), open('both.csv')", "load('loud.bin')", ":tags: [claim]\nopen('key.csv'), open('both.csv')")


def made(page: Page, *cell_inputs: tuple[str, ...]) -> Provenance:
    inputs = dict.fromkeys([*FILES, "days/"], "0")
    return Provenance(code_digest(page), cell_digests(page), inputs, cell_inputs=cell_inputs)


READ = (("days/both.csv", "days/data.csv"), (), ("days/both.csv", "days/key.csv"))


def test_what_published_cells_read_is_published(tmp_path: Path) -> None:
    page = page_of(tmp_path, *CELLS, files=FILES)
    provenance = made(page, *READ)
    assert published_files(tmp_path, page, provenance, {1, 2}) == ["days/data.csv", "days/both.csv", "days/loud.bin"]
    assert published_files(tmp_path, page, provenance, {2}) == ["days/loud.bin"]
    assert published_files(tmp_path, page, None, {1, 2}) == []
    (tmp_path / "days/data.csv").unlink()
    assert published_files(tmp_path, page, provenance, {1}) == ["days/both.csv"]


def test_a_name_is_not_enough_where_another_cell_was_seen_reading(tmp_path: Path) -> None:
    page = page_of(tmp_path, "print('as in key.csv')", ":tags: [claim]\nopen('key.csv')", files=FILES)
    assert published_files(tmp_path, page, made(page, (), ("days/key.csv",)), {1}) == []


def test_cells_are_known_again_where_the_page_has_changed_since(tmp_path: Path) -> None:
    provenance = made(page_of(tmp_path, *CELLS, files=FILES), *READ)
    page = page_of(tmp_path, "new = 1", *CELLS)
    assert published_files(tmp_path, page, provenance, {1, 2}) == ["days/data.csv", "days/both.csv"]
    page = page_of(tmp_path, CELLS[0], ":tags: [claim]\nopen('key.csv')")
    assert published_files(tmp_path, page, provenance, {1}) == ["days/data.csv", "days/both.csv"]


def test_outputs_from_before_cells_were_told_apart(tmp_path: Path) -> None:
    head = HEAD.replace("---\nfile", "---\ncoursebook: {inputs: ['days/*.bin']}\nfile", 1)
    page = page_of(tmp_path, *CELLS, files=FILES, head=head)
    # All that ran is published: what wasn't declared was read by it.
    assert published_files(tmp_path, page, made(page), {1, 2, 3}) == [n for n in FILES if n != "days/quiet.bin"]
    assert published_files(tmp_path, page, made(page), {1, 2}) == ["days/data.csv", "days/both.csv", "days/loud.bin"]


@pytest.mark.parametrize(
    ("source", "is_named"),
    [
        ("open('data.csv')", True),
        ("!wc days/data.csv", True),
        ("# from data.csv.", True),
        ("open('mydata.csv')", False),
        ("open('data.csv.gz')", False),
        ("data = csv", False),
    ],
)
def test_how_code_names_a_file(tmp_path: Path, source: str, is_named: bool) -> None:
    page = page_of(tmp_path, source, files=FILES)
    assert published_files(tmp_path, page, made(page, ()), {1}) == (["days/data.csv"] if is_named else [])


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("open('../data/values.csv')", ["data/values.csv"]),
        ("open('data/values.csv')", ["data/values.csv"]),
        ("open(r'..\\data\\values.csv')", ["data/values.csv"]),
        ("!sort <data/values.csv", ["data/values.csv"]),
        ("open('my data/values.csv')", ["my data/values.csv"]),
        (f"#{' long' * 1000} data/values.csv", ["data/values.csv"]),
        ("open('values.csv')", []),
        ("open(FOLDER / 'values.csv')", []),
        ("open('https://example.org/answers/values.csv')", []),
        ("open('other/values.csv')", []),
        ("open('only.csv')", ["answers/only.csv"]),
        ("open(f'{folder}/only.csv')", ["answers/only.csv"]),
        ("open(f'{folder}/data/only.csv')", []),
        ("open('data/only.csv')", []),
        ("open('own.csv', 'w')", []),
        ("import statistics, pack.key, key", []),
        ("from answers import statistics", ["answers/statistics.py"]),
    ],
)
def test_a_file_is_named_by_its_path(tmp_path: Path, source: str, named: list[str]) -> None:
    names = (
        "data/values.csv", "answers/values.csv", "my data/values.csv", "answers/only.csv", "answers/own.csv",
        "answers/statistics.py", "answers/pack/key.py",
    )  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    page = page_of(tmp_path, source, files=[*names, "days/own.csv"])
    provenance = Provenance(code_digest(page), cell_digests(page), dict.fromkeys(names, "0"), cell_inputs=((),))
    assert published_files(tmp_path, page, provenance, {1}) == named


def test_an_import_names_a_module(tmp_path: Path) -> None:
    page = page_of(tmp_path, "from helper import f", ":tags: [claim]\n1", files=("days/helper.py", "days/other.py"))
    old = Provenance(code_digest(page), cell_digests(page), {"days/helper.py": "0", "days/other.py": "0"})
    assert published_files(tmp_path, page, old, {1}) == ["days/helper.py"]


MADE = Provenance("c", ("a",), {"x": "y"}, executed="2026-11-21T00:00:00+00:00")


def test_what_cells_read_is_stored(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write("one", notebook(("1", "")), replace(MADE, cell_inputs=(("x", "z"),)))
    stored = store.read("one")
    assert stored is not None
    assert stored.provenance.cell_inputs == (("x", "z"),)


@pytest.mark.parametrize("data", [[["x"], []], ["x"], [[1]], [{"x": 1}], 5, "x"], ids=repr)
def test_what_cells_read_is_a_list_for_each(tmp_path: Path, data: Any) -> None:
    store = Store(tmp_path)
    store.write("one", notebook(("1", "")), replace(MADE, cell_inputs=data))
    with pytest.raises(CourseError, match="not outputs that Coursebook wrote"):
        store.read("one")
