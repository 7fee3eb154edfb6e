"""What tags say is what MyST-NB does, and nobody is told of drift that no reader sees."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from conftest import HEAD, Tiny
from coursebook.course.page import Page
from coursebook.course.tags import hides_source, is_in_notebook, is_removed, shows_outputs, shows_stream
from coursebook.drift.judging import judge
from coursebook.outputs.provenance import Provenance

TAGS = (
    (),
    ("claim",),
    ("hide-input",),
    ("hide-cell",),
    ("hide-output",),
    ("hide_input",),
    ("remove-cell",),
    ("remove_cell",),
    ("remove-input",),
    ("remove_input",),
    ("remove-output",),
    ("remove_output",),
    ("remove_input", "remove-output"),
    ("remove-stdout",),
    ("remove-stderr",),
    ("remove_stdout",),
)


@pytest.mark.kernel
def test_tags_are_those_of_the_page(tiny: Tiny) -> None:
    source = "print('out{{}}.'.format({n})), print('err{{}}.'.format({n}), file=sys.stderr);source_{n}=0"
    cells = [f":tags: {list(tags)!r}\n{source.format(n=n)}" for n, tags in enumerate(TAGS)]
    assert tiny.cells("import sys", *cells).build().code == 0
    html, notebook = tiny.html(), (tiny.root / "_build/html/notebooks/days/one.ipynb").read_text()
    for number, tags in enumerate(TAGS):
        shows = [shows_outputs(tags) and shows_stream(tags, name) for name in ("stdout", "stderr")]
        assert [f"{name}{number}." in html for name in ("out", "err")] == shows, tags
        assert (f"source_{number}<" in html) == (is_in_notebook(tags) and not _removes_source(tags)), tags
        assert (f"source_{number}=0" in notebook) == is_in_notebook(tags), tags
    folded = [cell["id"] for cell in nbformat.reads(notebook, 4).cells if cell.metadata.get("cellView")]
    wanted = [f"cell-{n}" for n, tags in enumerate(TAGS, 2) if hides_source(tags) and not is_removed(tags)]
    assert [name for name in folded if name != "install"] == wanted


def _removes_source(tags: tuple[str, ...]) -> bool:
    return hides_source(tags) and not any(tag.startswith("hide") for tag in tags)


@pytest.mark.parametrize(("tags", "verdict"), [(t, "changed" if shows_outputs(t) else "same") for t in TAGS], ids=repr)
def test_what_tags_hide_is_no_drift(tmp_path: Path, tags: tuple[str, ...], verdict: str) -> None:
    (tmp_path / "one.md").write_text(f"{HEAD}# One\n\n```{{code-cell}} python\n:tags: {list(tags)!r}\nprint(1)\n```\n")
    page = Page.read(tmp_path, Path("one.md"))
    for name in ("stdout", "stderr"):
        made = []
        for text in ("old", "quite another text"):
            output = nbformat.v4.new_output("stream", name=name, text=text)
            made.append(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print(1)", outputs=[output])]))
        drift = judge(page, made[0], made[1], [page], was=Provenance("", ()), now=Provenance("", ()))
        assert drift.verdict == (verdict if shows_stream(tags, name) else "same"), name
