"""Every reason for which outputs are not current, provoked on a real course and read from `coursebook status`."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from conftest import FILES, HEAD, Built, Tiny
from coursebook.cli import main

pytestmark = pytest.mark.kernel

CELL = "```{code-cell} python\n1\n```"
PAGE = """\
# Day one

```{code-cell} python
import helper
import numpy as np

print(helper.greeting, open("../data/names.txt").read())
```

```{code-cell} python
:tags: [hide-input]

np.arange(3)
```
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course whose page reads a file, imports a module of the course and numpy; built, so that all is current."""
    root = tmp_path_factory.mktemp("built")
    own = {"days/one.md": HEAD + PAGE, "days/helper.py": "greeting = 'Hello'\n", "data/names.txt": "Ada"}
    Tiny(root, lambda: ("", "")).write({**FILES, **own})
    assert main(["build", "--root", str(root)]) == 0
    return root


@pytest.fixture
def course(tiny: Tiny, built: Path) -> Tiny:
    """That course, for one test alone."""
    shutil.copytree(built, tiny.root, dirs_exist_ok=True)
    return tiny


def run(tiny: Tiny, *arguments: str) -> Built:
    tiny.capture()
    code = main([arguments[0], "--root", str(tiny.root), *arguments[1:]])
    return Built(code, *tiny.capture())


def state(tiny: Tiny) -> str:
    """The state and the reasons of the course's page, as `status` says them."""
    assert (run(tiny, "status", "--check").code == 0) == ("current" in run(tiny, "status").out)
    row = json.loads(run(tiny, "status", "--json").out)[0]
    words = f"{row['state']}: {'; '.join(row['reasons'])}" if row["reasons"] else row["state"]
    assert words in run(tiny, "status").out
    assert row["executes"] == (row["state"] not in ("current", "unreadable"))
    return words


def stored(tiny: Tiny) -> Path:
    return tiny.root / "outputs/days/one.ipynb"


def change(tiny: Tiny, old: str, new: str, name: str = "days/one.md") -> None:
    text = (tiny.root / name).read_text()
    assert old in text
    tiny.write({name: text.replace(old, new)})


def test_current_at_first(course: Tiny) -> None:
    assert state(course) == "current"
    provenance = json.loads(stored(course).read_text())["metadata"]["coursebook"]["provenance"]
    assert provenance["inputs"].keys() == {"data/names.txt", "days/helper.py"}
    assert provenance["packages"].keys() == {"numpy"}
    assert provenance["device"] == "cpu"
    assert provenance["peak_memory"] > 10_000_000
    assert len(provenance["cell_seconds"]) == 2
    assert str(course.root) not in stored(course).read_text()


def test_the_page_says_where_its_outputs_come_from(course: Tiny) -> None:
    provenance = json.loads(stored(course).read_text())["metadata"]["coursebook"]["provenance"]
    html = course.html()
    line = re.sub(
        r"<[^>]+>", "", html[html.index('<p class="provenance">') : html.index("</p>", html.index("provenance"))]
    )
    assert line.startswith(f"Executed on {provenance['executed'][:10]} · CPU, Python {provenance['python']}, numpy ")
    assert f"2 cells in {provenance['seconds']:.1f} s" in line
    assert "<h1>Day one" in html
    assert "provenance" not in course.html("index")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("# Day one", "# Day one\n\nMore prose.", id="prose"),
        pytest.param("hide-input", "remove-input", id="display tag"),
        pytest.param("display_name: Python 3", "display_name: Another name", id="kernel's display name"),
    ],
)
def test_what_readers_alone_see_does_not_count(course: Tiny, old: str, new: str) -> None:
    change(course, old, new)
    assert state(course) == "current"
    built = course.build()
    assert "0 of them executed" in built.out
    assert "array([0, 1, 2])" in course.html()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        pytest.param("arange(3)", "arange(4)", "stale: cell 2 changed", id="one cell"),
        pytest.param("np", "np_", "stale: cells 1 and 2 changed", id="two cells"),
        pytest.param("hide-input", "raises-exception", "stale: cell 2 changed", id="a tag that changes the execution"),
        pytest.param("np.arange(3)\n```", f"np.arange(3)\n```\n\n{CELL}", "stale: 1 cell added", id="a cell more"),
    ],
)
def test_code(course: Tiny, old: str, new: str, words: str) -> None:
    change(course, old, new)
    assert state(course) == words


def test_inputs(course: Tiny) -> None:
    course.write({"data/names.txt": "Grace"})
    assert state(course) == "stale: data/names.txt changed"
    assert "1 of them executed" in course.build().out
    assert "Hello Grace" in course.html(), "a page whose text is the same is rendered with its new outputs"
    assert state(course) == "current"
    course.write({"days/helper.py": "greeting = 'Good day'\n"})
    assert state(course) == "stale: days/helper.py changed"
    assert course.build().code == 0
    assert "Good day Grace" in course.html()
    course.write({"data/names.txt": None})
    assert state(course) == "stale: data/names.txt is gone"


def test_a_listed_folder_is_an_input_and_a_written_file_is_not(course: Tiny) -> None:
    course.cells(
        "import os\nprint(os.listdir('../data'))\nopen('../data/out.txt', 'w').write('1')\nopen('../data/out.txt')"
    )
    assert course.build().code == 0
    course.build()
    assert state(course) == "current"
    course.write({"data/out.txt": "2"})
    assert state(course) == "current"
    course.write({"data/more.txt": "2"})
    assert state(course) == "stale: data/ changed"


def test_globs_name_what_python_cannot_see(course: Tiny) -> None:
    head = HEAD.replace("---\n# ", "").rstrip("-\n") + "\ncoursebook: {inputs: ['data/*.txt']}\n---\n"
    course.cells(
        "import subprocess\nprint(subprocess.run(['cat', '../data/names.txt'], capture_output=True).stdout)", head=head
    )
    assert course.build().code == 0
    assert state(course) == "current"
    course.write({"data/names.txt": "Grace"})
    assert state(course) == "stale: data/names.txt changed"


def test_packages(course: Tiny) -> None:
    import numpy

    major, minor, _ = numpy.__version__.split(".", 2)
    path = stored(course)
    path.write_text(path.read_text().replace(f'"numpy": "{numpy.__version__}"', '"numpy": "1.26.4"'))
    assert state(course) == f"stale: numpy 1.26 -> {major}.{minor}"
    path.write_text(path.read_text().replace('"numpy": "1.26.4"', f'"numpy": "{major}.99.0"'))
    assert state(course) == "current", "the major version counts, unless the course says otherwise"
    change(
        course, "myst_heading_anchors: 3", "myst_heading_anchors: 3, coursebook_packages: {numpy: minor}", "_config.yml"
    )
    assert state(course) == f"stale: numpy {major}.99 -> {major}.{minor}"
    path.write_text(path.read_text().replace('"numpy": ', '"no-such-package": '))
    assert state(course).endswith("is not installed")


def test_altered_outputs(course: Tiny) -> None:
    stored(course).write_text(stored(course).read_text().replace("Hello Ada", "Hello Eve"))
    assert state(course) == "altered: outputs altered since they were executed"
    assert course.build().code == 0
    assert "Hello Ada" in course.html()
    assert state(course) == "current"


def test_due(course: Tiny) -> None:
    change(course, "myst_heading_anchors: 3", "myst_heading_anchors: 3, coursebook_max_age: 30", "_config.yml")
    assert state(course) == "current"
    path = stored(course)
    executed = json.loads(path.read_text())["metadata"]["coursebook"]["provenance"]["executed"]
    path.write_text(path.read_text().replace(executed, "2020-01-01T00:00:00+00:00"))
    assert state(course).startswith("due: executed ")
    path.write_text(path.read_text().replace("2020-01-01", "2999-01-01"))
    assert state(course) == "current", "a clock that was set back makes nothing due"


def test_missing_and_orphans(course: Tiny) -> None:
    stored(course).rename(course.root / "outputs/elsewhere.ipynb")
    change(course, "arange(3)", "arange(5)")
    assert state(course) == "missing: never executed"
    cleaned = run(course, "clean")
    assert cleaned.out == "removed outputs/elsewhere.ipynb\n"
    assert "nothing to remove" in run(course, "clean").out


def test_a_renamed_page_keeps_its_outputs(course: Tiny) -> None:
    text = (course.root / "days/one.md").read_text()
    course.write(
        {
            "days/one.md": None,
            "days/uno.md": text,
            "_toc.yml": (course.root / "_toc.yml").read_text().replace("one", "uno"),
        }
    )
    assert state(course) == "current"
    assert "0 of them executed" in course.build().out
    assert [p.name for p in (course.root / "outputs").rglob("*.ipynb")] == ["uno.ipynb"]


def test_an_unreadable_file_stops_and_is_kept(course: Tiny) -> None:
    half = stored(course).read_text()[:200]
    stored(course).write_text(half)
    assert state(course).startswith("unreadable: not outputs that Coursebook wrote, or cut off")
    built = course.build()
    assert built.code == 1
    assert "error outputs/days/one.ipynb: not outputs that Coursebook wrote, or cut off; remove the file" in built.err
    assert stored(course).read_text() == half
    stored(course).unlink()
    assert course.build().code == 0


def test_execute_takes_pages_and_stores_them(course: Tiny) -> None:
    course.write({"_toc.yml": (course.root / "_toc.yml").read_text() + "  - file: labs/two\n"})
    course.cells("print('two')", name="labs/two.md")
    change(course, "arange(3)", "arange(6)")
    done = run(course, "execute", "labs/two.md")
    assert done.code == 0, done.err
    assert "executed 1 page" in done.out
    states = {row["page"]: row["state"] for row in json.loads(run(course, "status", "--json").out)}
    assert states == {"days/one": "stale", "labs/two": "current"}
    assert "executed 2 pages" in run(course, "execute", "--force").out
    unknown = run(course, "execute", "days/three")
    assert unknown.code == 1
    assert unknown.err.startswith("error days/three: no page with code of this name (there are: days/one, labs/two)")


def test_finished_pages_survive_a_failure(course: Tiny) -> None:
    course.write({"_toc.yml": (course.root / "_toc.yml").read_text() + "  - file: labs/two\n"})
    course.cells("1 / 0", name="labs/two.md")
    change(course, "arange(3)", "arange(7)")
    good = stored(course).read_bytes()
    assert course.build().code == 1
    assert stored(course).read_bytes() != good
    states = {row["page"]: row["state"] for row in json.loads(run(course, "status", "--json").out)}
    assert states == {"days/one": "current", "labs/two": "failed"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "coursebook_pakages: {}",
            "unknown option 'coursebook_pakages' (allowed: coursebook_binder_branch, coursebook_csp, "
            "coursebook_jobs, "
            "coursebook_launch_branch, coursebook_live_server, coursebook_max_age, coursebook_packages, "
            "coursebook_picture_font, coursebook_timezone)",
        ),
        ("coursebook_timezone: Atlantis", "`coursebook_timezone` takes a name like Europe/Zurich"),
        ("coursebook_max_age: -1", "`coursebook_max_age` takes a number of days above 0, up to 1e6, not -1"),
        ("coursebook_packages: {numpy: roughly}", "`coursebook_packages` takes distributions, each with `major`"),
    ],
)
def test_bad_options_in_the_configuration(tiny: Tiny, options: str, message: str) -> None:
    change(tiny, "myst_heading_anchors: 3", f"myst_heading_anchors: 3, {options}", "_config.yml")
    built = tiny.build()
    assert built.code == 1
    assert f"error _config.yml:9: {message}" in built.err


def test_another_page_beside_it_changes_nothing(course: Tiny) -> None:
    """Packages look for others wherever modules may lie, which lists the page's folder."""
    code = "import importlib.metadata, pkgutil\nlist(importlib.metadata.distributions())\nlist(pkgutil.iter_modules());"
    course.cells(code)
    assert course.build().code == 0
    course.write({"days/two.md": "---\norphan: true\n---\n# Two\n"})
    assert json.loads(run(course, "status", "--json").out)[0]["state"] == "current"
    course.cells("import os\nprint(sorted(os.listdir('.')))")
    assert course.build().code == 0
    course.write({"days/three.md": "---\norphan: true\n---\n# Three\n"})
    assert json.loads(run(course, "status", "--json").out)[0]["reasons"] == ["days/ changed"]
