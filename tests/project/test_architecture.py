"""What ARCHITECTURE.md says is so: paths are there, each package has its paragraph, the pictures show the house."""

from __future__ import annotations

import re
import tomllib
from xml.etree import ElementTree as ET

import pytest

from conftest import ROOT, Tiny
from coursebook.ground.layout import STAGE

TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
HOUSE = ROOT / "src/coursebook"
PACKAGES = sorted(path.parent.relative_to(HOUSE).as_posix() for path in HOUSE.rglob("*/__init__.py"))
PICTURES = ROOT / ".github/architecture"
FILE = re.compile(r"[\w./-]+\.(?:py|md|toml|yml|js|css|html|txt|svg)")
SVG = "{http://www.w3.org/2000/svg}"


def _floors() -> list[str]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return [str(floor) for contract in contracts if contract["type"] == "layers" for floor in contract["layers"]]


def _named() -> set[str]:
    """The paths in the text, as they stand there; without those below `_build`, which a build makes."""
    quoted = {
        part for part in re.findall(r"`([^`\n]+)`", TEXT) if FILE.fullmatch(part) or re.fullmatch(r"[\w./-]+/", part)
    }
    linked = set(re.findall(r"\]\(([\w./-]+)(?:#[\w-]*)?\)|(?:src|srcset)=\"([^\"]+)\"", TEXT))
    made = {"coursebook/npm/", "toc.yml", "message.txt", "shared/", "templates/"}
    return {path for path in quoted | {a or b for a, b in linked} if not path.startswith("_build/")} - made


@pytest.mark.parametrize("path", sorted(_named()))
def test_every_path_is_there(path: str) -> None:
    if path.startswith("tests/"):
        assert (ROOT / path).exists()
    else:
        assert (ROOT / path).exists() or (HOUSE / path).exists()


def test_every_package_has_its_paragraph_in_the_order_of_the_floors() -> None:
    headings = re.findall(r"^### `([\w/]+)/`$", TEXT, re.MULTILINE)
    assert sorted(headings) == PACKAGES
    floors = [floor for floor in _floors() if floor != "__main__"]
    assert [heading for heading in headings if "/" not in heading] == floors


def test_every_module_is_in_a_package_that_is_told_of() -> None:
    modules = {path.relative_to(HOUSE) for path in HOUSE.rglob("*.py")}
    top = {path.as_posix() for path in modules if path.parent.as_posix() not in PACKAGES}
    assert top == {"__init__.py", "__main__.py"}
    assert {"src/coursebook/__init__.py", "__main__"} <= {*_named(), *_floors()}


def test_every_name_is_there() -> None:
    sources = [*HOUSE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    # With an underscore, an inner capital or in capitals: other words in code marks may be a command's or Sphinx's.
    names = re.findall(r"`(_?[A-Za-z]+_\w+|_\w+|[A-Z][a-z]+[A-Z]\w+|[A-Z]{4,})(?:\([^`]*\))?`", TEXT)
    assert len(names) > 30
    assert {name for name in names if not re.search(rf"\b{name}\b", code)} == set()


@pytest.mark.parametrize("ground", ["light", "dark"])
def test_the_picture_shows_the_floors_of_the_contract(ground: str) -> None:
    floors = ET.parse(PICTURES / f"house-{ground}.svg").getroot().find(f".//{SVG}g[@id='floors']")
    assert floors is not None
    names = [text for text in floors.iter(f"{SVG}text") if text.get("class") == "name"]
    assert [text.text for text in names] == _floors()
    heights = [float(text.get("y", "0")) for text in names]
    assert heights == sorted(heights), "the first is the highest"


@pytest.mark.parametrize("name", ["house", "processes"])
def test_a_picture_is_the_same_on_both_grounds_but_for_its_colors(name: str) -> None:
    light, dark = ((PICTURES / f"{name}-{ground}.svg").read_text(encoding="utf-8") for ground in ("light", "dark"))
    assert light != dark
    assert re.sub(r"#[0-9a-f]{6}", "", light) == re.sub(r"#[0-9a-f]{6}", "", dark)
    for ground in ("light", "dark"):
        assert f".github/architecture/{name}-{ground}.svg" in TEXT


@pytest.mark.sphinx
def test_what_a_build_writes_is_in_the_table(tiny: Tiny) -> None:
    assert tiny.build().code == 0
    rows = re.findall(r"^\| (`[^|]*) \|", TEXT, re.MULTILINE)
    told = {name.rstrip("/") for row in rows for name in re.findall(r"`(_build/[^`]+)`", row)}
    made = [
        *(tiny.root / STAGE).iterdir(),
        *(path for path in (tiny.root / "_build").iterdir() if path.name != ".coursebook"),
    ]
    assert {path.relative_to(tiny.root).as_posix() for path in made} - told == set()
