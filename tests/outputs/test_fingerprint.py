"""What must change a fingerprint, and what must not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from conftest import HEAD
from coursebook.course.cell import Cell
from coursebook.course.imports import modules_in
from coursebook.course.page import Page
from coursebook.course.page_options import PageOptions
from coursebook.outputs.fingerprint import code_digest
from coursebook.outputs.inputs import changed_inputs, file_digest
from coursebook.outputs.packages import distributions_of, same_version

SOURCES = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=60), min_size=1, max_size=5)
DISPLAY_TAGS = st.lists(st.sampled_from(["hide-input", "remove-cell", "claim", "anything"]), unique=True)


def page(sources: list[str], tags: list[list[str]] | None = None, *, path: str = "days/one.md", text: str = "") -> Page:
    spec = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    cells = tuple(
        Cell(source, 10 * number, number, tuple((tags or [[]] * len(sources))[number - 1]))
        for number, source in enumerate(sources, 1)
    )
    return Page(Path(path), path.removesuffix(".md"), text, spec, PageOptions(), cells)


@given(SOURCES, st.data())
def test_prose_display_tags_path_and_lines_do_not_count(sources: list[str], data: st.DataObject) -> None:
    tags = [data.draw(DISPLAY_TAGS) for _ in sources]
    assert code_digest(page(sources)) == code_digest(page(sources, tags, path="labs/two.md", text="more prose"))


@given(SOURCES, st.integers(0, 4), st.text(st.characters(codec="utf-8"), min_size=1, max_size=5))
def test_a_changed_cell_counts(sources: list[str], index: int, addition: str) -> None:
    changed = list(sources)
    changed[index % len(sources)] += addition
    is_same = [s.rstrip() for s in changed] == [s.rstrip() for s in sources]
    assert (code_digest(page(changed)) == code_digest(page(sources))) == is_same


@given(SOURCES, st.integers(0, 5), st.text(max_size=10))
def test_an_added_cell_counts(sources: list[str], index: int, source: str) -> None:
    assert code_digest(page([*sources[:index], source, *sources[index:]])) != code_digest(page(sources))


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), min_size=2, max_size=4, unique_by=str.rstrip))
def test_the_order_of_cells_counts(sources: list[str]) -> None:
    assert code_digest(page(sources[::-1])) != code_digest(page(sources))


@given(SOURCES, st.sampled_from(["raises-exception", "skip-execution"]))
def test_tags_that_change_the_execution_count(sources: list[str], tag: str) -> None:
    tags: list[list[str]] = [[] for _ in sources]
    tags[0] = [tag]
    assert code_digest(page(sources, tags)) != code_digest(page(sources))


def test_cells_do_not_run_together() -> None:
    assert code_digest(page(["ab", "c"])) != code_digest(page(["a", "bc"]))


def test_the_kernels_name_is_not_its_language(tmp_path: Path) -> None:
    def digest(kernelspec: str) -> str:
        text = HEAD.replace("{name: python3, display_name: Python 3}", kernelspec) + "# P\n\n```{code-cell}\n1\n```\n"
        (tmp_path / "p.md").write_text(text)
        return code_digest(Page.read(tmp_path, Path("p.md")))

    python = digest("{name: python3, display_name: Python 3}")
    assert digest("{name: course-env, display_name: Course, language: python}") == python
    assert digest("{name: ir, display_name: R, language: R}") != python


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import torch.nn as nn, numpy", {"torch", "numpy"}),
        ("from sklearn.datasets import load_digits", {"sklearn"}),
        ("def f():\n    import inner\n", {"inner"}),
        ("from . import sibling", set()),
        ("import importlib\nimportlib.import_module('late.one')", {"importlib", "late"}),
        ("import_module('late.one', package)", {"late"}),
        ("import_module(name, 'late')", set()),
        ("%matplotlib inline\nimport a\nif True:\n    !pip list\n    import b", {"a", "b", "matplotlib"}),
        ("files = !ls\nimport a", {"a"}),
        ("x = %timeit -o f()\nimport a", {"a"}),
        ("torch.nn?\nimport a", {"a"}),
        ("%%time\nimport a\nfrom b.c import d", {"a", "b"}),
        ("%%capture said --no-stderr\n%%time\n!ls\nimport a", {"a"}),
        ("%%timeit -n 1 import a\nimport b", {"a", "b"}),
        ("%timeit -n 1 -r 1 import a", {"a"}),
        ("%load_ext line_profiler", {"line_profiler"}),
        ("%%writefile a.py\nimport nothing", set()),
        ("%%html\n<p>import nothing</p>", set()),
        ("!pip install nothing", set()),
        ("%%bash\nimport nothing", set()),
        ("not python at all (", set()),
    ],
)
def test_imports_are_read_from_the_code(source: str, modules: set[str]) -> None:
    assert modules_in(source) == modules


def test_distributions_carry_versions_and_the_standard_library_has_none() -> None:
    found = distributions_of({"yaml", "json", "PIL", "no_such_module"})
    assert found.keys() == {"PyYAML", "pillow"}
    assert all(v[0].isdigit() for v in found.values())


@pytest.mark.parametrize(
    ("recorded", "installed", "exactness", "same"),
    [
        ("2.11.0", "2.11.1+cu130", "minor", True),
        ("2.11.0", "2.12.0", "minor", False),
        ("2.4.6", "2.5.0", "major", True),
        ("2.4.6", "3.0.0", "major", False),
        ("1.2.3", "1.2.3.post1", "patch", True),
        ("1.2.3", "1.2.4", "patch", False),
        ("1.2.3", "1.2.3+cpu", "exact", False),
    ],
)
def test_versions_count_as_exactly_as_asked(recorded: str, installed: str, exactness: str, same: bool) -> None:
    assert same_version(recorded, installed, exactness) is same


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_inputs(tmp_path_factory: pytest.TempPathFactory, first: bytes, second: bytes) -> None:
    root = tmp_path_factory.mktemp("inputs")
    (root / "data").write_bytes(first)
    recorded = {"data": file_digest(root / "data") or ""}
    (root / "data").write_bytes(second)
    assert changed_inputs(root, recorded) == ([] if first == second else [("data", "changed")])
    (root / "data").unlink()
    assert changed_inputs(root, recorded) == [("data", "is gone")]
