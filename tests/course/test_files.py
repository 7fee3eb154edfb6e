"""What belongs to a course of all that lies in its folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from conftest import Tiny
from coursebook.course.documents import find_documents
from coursebook.course.files import relative_name


def test_documents_are_files_wherever_the_course_lies(tiny: Tiny) -> None:
    # The course's own folder may be an environment; one below it is none of its pages.
    others = (
        "pyvenv.cfg",
        "env/pyvenv.cfg",
        "env/read.md",
        "lib/site-packages/read.md",
        "sub/.hidden.md",
        "sub/page.md",
    )
    tiny.write(dict.fromkeys(others, ""))
    (tiny.root / "folder.md").mkdir()
    assert {*find_documents(tiny.root, [])} == {"index", "days/one", "sub/page"}


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_is_what_it_leads_to(tiny: Tiny) -> None:
    for name, target in {"folder.md": "days", "page.md": "index.md", "nowhere.md": "nothing"}.items():
        (tiny.root / name).symlink_to(target)
    assert {*find_documents(tiny.root, [])} == {"index", "days/one", "page"}


def test_names_are_relative_to_any_root() -> None:
    for root in (Path(Path.cwd().anchor), Path.cwd()):
        assert relative_name(root, str(root / "days" / "one.md")) == "days/one.md"
