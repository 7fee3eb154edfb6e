"""Notebooks for Colab, Binder and download: what they say, what they leave out, and that they run."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings, strategies as st

from conftest import HEAD, Tiny, execute_notebooks
from coursebook.cli import main
from coursebook.launch.macros import expand_macros
from coursebook.launch.plain_markdown import plain_text

CONFIG = """\
title: A <tiny> course
author: Somebody
execute: {execute_notebooks: cache, raise_on_error: true}
parse: {myst_enable_extensions: [amsmath, colon_fence, dollarmath, html_image, deflist]}
html: {baseurl: 'https://example.org/ml%20course/'}
bibtex_bibfiles: [references.bib]
sphinx:
  extra_extensions: [coursebook, sphinx_exercise]
  config:
    myst_heading_anchors: 3
    mathjax3_config: {tex: {macros: {mlvec: ['\\mathbf{#1}', 1], R: '\\mathbb{R}'}}}
"""
PAGE = (
    HEAD
    + r"""
# Day *one* & a half

See [the home page](../index.md), {doc}`../index`, [elsewhere](https://example.com/a_b?c=1) and
{ref}`the section <here>`. An asterisk * and under_score, 5 < 6, costs $\$5$, $x_1$ in $\mlvec{x}\in\R^2$.

(here)=
## A section

$$
\mlvec{y} = |x|
$$ (eq)

By {eq}`eq`, and

\begin{align}
a &= b \notag \\
  &= c
\end{align}

```{note}
A *note* with $a$.

* a list
* in it
```

| a | b |
| --- | --- |
| $\|x\|$ | `p\|q` |

```{code-cell} python
:tags: [remove-cell]
secret_of_the_house = 1
```

```{code-cell} python
:tags: [hide-input]
import sys
from pathlib import Path
import filelock
hidden = 2
```

```{code-cell} python
print("a" + str(hidden), Path("../assets/numbers.txt").read_text())
hidden
```

```{code-cell} python
:tags: [claim]
from myst_nb import glue
glue("two", hidden)
assert hidden == 2, "the claim of the house"
```

The number is {glue:text}`two`, and a footnote[^f]. {cite:p}`someone`

[^f]: The foot.

```{code-cell} python
:tags: [raises-exception]
1 / 0
```

````{exercise} Add **two**
:label: add

What is 1 + 1?
````

````{solution-start} add
:class: dropdown
````
Add them:
```{code-cell} python
1 + 1
```
So it is.
````{solution-end}
````

````{tab-set}
```{tab-item} On Linux
apt
```
```{tab-item} On a Mac
brew
```
````

A term
: Its *definition*

```python
fenced = "not a cell"
```

```{figure} ../assets/picture.png
:alt: A [small] picture

What it shows
```

```{bibliography}
```
"""
)
SOLID = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20


def _course(tiny: Tiny) -> Tiny:
    return tiny.write(
        {
            "_config.yml": CONFIG,
            "days/one.md": PAGE,
            "assets/numbers.txt": "42",
            "assets/picture.png": SOLID,
            "references.bib": "@article{someone, title={On it}, author={Some One}, journal={J}, year={2020}}",
        }
    )


def _cells(path: Path) -> dict[str, str]:
    made = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(made)
    return {cell["id"]: cell["source"] for cell in made["cells"]}


@pytest.mark.kernel
def test_a_page_as_a_notebook(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> None:
    built = _course(tiny).build()
    assert built.code == 0, built.err
    path = tiny.root / "_build/html/notebooks/days/one.ipynb"
    cells = _cells(path)
    text = "\n\n".join(source for name, source in cells.items() if name.startswith(("text", "about")))
    page = "<https://example.org/ml%20course/days/one.html"

    # What names the course; references lead to the site.
    assert cells["about"].startswith(f"*This notebook is the page [Day one & a half]({page}>) of [A \\<tiny> course](")
    assert (
        "[the home page](<https://example.org/ml%20course/index.html>), [Home](<https://example.org/ml%20course/"
        in text
    )
    assert "[elsewhere](<https://example.com/a_b?c=1>)" in text
    assert f"[the section]({page}#here>)" in text
    # Marks are text where they were text, and mathematics knows no macros.
    assert "An asterisk \\* and under_score, 5 \\< 6, costs $\\$5$, $x_1$ in $\\mathbf{x}\\in\\mathbb{R}^2$." in text
    assert "$$\n\\mathbf{y} = |x| \\tag{1}\n$$" in text
    assert f"By [(1)]({page}#equation-eq>), and" in text
    assert "$$\n\\begin{align}\na &= b \\notag \\\\\n  &= c \\tag{2}\n\\end{align}\n$$" in text
    assert "> **Note**\n>\n> A *note* with $a$.\n>\n> - a list\n> - in it" in text
    assert "| $\\vert x\\vert$ | `p\\|q` |" in text
    # Numbers from the run, footnotes, references, tabs, definitions, pictures.
    assert "The number is 2, and a footnote" in text
    assert "The foot." in text
    assert "On it" in text
    assert "**On Linux**\n\napt\n\n**On a Mac**\n\nbrew" in text
    assert "**A term**\n\nIts *definition*" in text
    assert '```python\nfenced = "not a cell"\n```' in text
    assert "![A \\[small\\] picture](<https://example.org/ml%20course/_images/picture.png>)" in text
    assert "What it shows" in text
    # Exercises: a place for one's own work, and a solution to unfold.
    assert "**Exercise 1 (Add two)**\n\nWhat is 1 + 1?" in text
    assert [source for name, source in cells.items() if name.startswith("own")] == ["# Your own work: Exercise 1\n"]
    assert "<details>\n<summary>Solution to Exercise 1 (Add two)</summary>\n\nAdd them:\n\n</details>" in text
    assert cells["cell-6"] == "# @title Solution to Exercise 1 (Add two)\n1 + 1"
    # What is removed from the page, and claims, leave; nothing of the page's furniture is left.
    everything = path.read_text()
    assert "of_the_house" not in everything
    assert "glue" not in everything
    assert "Executed on" not in everything
    assert not re.search("[\ue000-\uf8ff]|headerlink|¶", everything)
    # What is hidden is hidden at first, what fails on purpose says so.
    metadata = {cell["id"]: cell["metadata"] for cell in json.loads(everything)["cells"]}
    assert metadata["cell-2"] == {"jupyter": {"source_hidden": True}, "cellView": "form"}
    assert metadata["cell-3"] == {}
    assert metadata["cell-5"] == {"tags": ["raises-exception"]}

    # What the page imports is installed in the version that it was executed with; what its claims import isn't.
    assert f'needed = {{\n    "filelock": "{version("filelock")}",\n}}\n' in cells["install"]

    # The page's input lies beside it, and the first cell gets it from the site where it doesn't.
    assert (tiny.root / "_build/html/notebooks/assets/numbers.txt").read_text() == "42"
    assert '"../assets/numbers.txt": "https://example.org/ml%20course/notebooks/assets/numbers.txt"' in cells["install"]

    # With outputs, and again: the same bytes.
    there, again = tmp_path_factory.mktemp("there"), tmp_path_factory.mktemp("again")
    for folder in (there, again):
        assert main(["notebooks", str(folder), "--outputs", "--root", str(tiny.root)]) == 0
    assert (there / "days/one.ipynb").read_bytes() == (again / "days/one.ipynb").read_bytes()
    said = {cell["id"]: cell.get("outputs") for cell in json.loads((there / "days/one.ipynb").read_text())["cells"]}
    assert said["cell-3"][0]["text"] == "a2 42\n"
    assert said["cell-3"][1]["data"] == {"text/plain": "2"}
    assert said["install"] == said["own-6"] == []

    # It runs where it lies.
    execute_notebooks(there / "days/one.ipynb")

    # Without an address nothing leads anywhere, and pictures are in it.
    tiny.write({"_config.yml": CONFIG.replace("html: {baseurl: 'https://example.org/ml%20course/'}\n", "")})
    assert tiny.build().code == 0
    without = path.read_text()
    assert "](<>" not in without
    assert "example.org" not in without
    assert "![A \\\\[small\\\\] picture](<data:image/png;base64,iVBOR" in without
    assert "urlretrieve" not in without

    # A page that loses its code loses its notebook.
    tiny.write({"days/one.md": "# Day one\n\n(here)=\nNo code."})
    assert tiny.build().code == 0
    assert not path.exists()


@pytest.mark.kernel
def test_what_is_not_released_is_in_no_notebook(tiny: Tiny) -> None:
    secret = HEAD.replace("---\nfile", "---\ncoursebook: {solutions: 2999-01-01}\nfile", 1) + (
        "# One\n\n```{code-cell} python\nprint(1)\n```\n\n````{exercise} E\n:label: e\nDo.\n````\n\n"
        "````{solution-start} e\n````\nThe hidden prose.\n```{code-cell} python\nhidden_code = 1\n```\n"
        "````{solution-end}\n````\n"
    )
    ahead = HEAD.replace("---\nfile", "---\ncoursebook: {release: 2999-01-01}\nfile", 1) + (
        "# Two\n\n```{code-cell} python\nprint('ahead of time')\n```\n"
    )
    tiny.write(
        {
            "_config.yml": CONFIG.replace("bibtex_bibfiles: [references.bib]\n", ""),
            "days/one.md": secret,
            "days/two.md": ahead,
            "_toc.yml": "format: jb-book\nroot: index\nchapters:\n  - file: days/one\n  - file: days/two\n",
        }
    )
    assert tiny.build().code == 0
    folder = tiny.root / "_build/html/notebooks"
    assert [path.relative_to(folder).as_posix() for path in folder.rglob("*.*")] == ["days/one.ipynb"]
    text = (folder / "days/one.ipynb").read_text()
    assert "hidden" not in text
    assert "The solution will be here from" in text
    assert tiny.build("--drafts").code == 0
    assert "hidden_code" in (folder / "days/one.ipynb").read_text()
    assert (folder / "days/two.ipynb").exists()


READS = """\
---
file_format: mystnb
kernelspec: {name: python3, display_name: Python 3}
coursebook: {solutions: 2999-01-01, inputs: ["days/declared.csv", "days/named.bin"]}
---

# One

```{code-cell} python
import shown
print(open("data.csv").read(), open("both.csv").read())  # and named.bin
```

```{code-cell} python
:tags: [claim]
import hidden, shown
assert open("answers.csv").read() == open("both.csv").read()
```

```{code-cell} python
:tags: [remove-cell]
open("removed.csv").read()
```

````{exercise} E
:label: e
Do.
````

````{solution-start} e
````
```{code-cell} python
open("key.csv").read()
```
````{solution-end}
````
"""


@pytest.mark.kernel
def test_only_what_published_cells_read_is_published(
    tiny: Tiny, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("data.csv", "both.csv", "answers.csv", "removed.csv", "key.csv", "declared.csv", "named.bin")
    tiny.write({f"days/{name}": "7" for name in names})
    tiny.write({"days/shown.py": "", "days/hidden.py": "", "days/one.md": READS})
    tiny.write({"_config.yml": CONFIG.replace("bibtex_bibfiles: [references.bib]\n", "")})
    folder, wanted = tiny.root / "_build/html/notebooks", {"both.csv", "data.csv", "named.bin", "shown.py"}

    def files() -> set[str]:
        return {path.name for path in folder.rglob("*.*")} - {"one.ipynb"}

    assert tiny.build().code == 0
    assert files() == wanted
    preparation = json.loads((folder / "days/one.ipynb").read_text())["cells"][1]["source"]
    assert {name for name in names if name in preparation} == wanted - {"shown.py"}
    assert sum(name in preparation for name in ("hidden.py", "shown.py")) == 1
    # Nor are they on the branch that notebooks are launched from.
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    remote = tmp_path_factory.mktemp("remote") / "remote.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(remote)], check=True)
    assert main(["publish-notebooks", str(remote), "--root", str(tiny.root)]) == 0
    listed = subprocess.run(
        ["git", "-C", str(remote), "ls-tree", "-r", "--name-only", "launch"], capture_output=True, text=True, check=True
    )
    assert {Path(row).name for row in listed.stdout.split()} == wanted | {"one.ipynb", "README.md"}
    # A draft shows its author all; the next site forgets it, though the page's outputs are the same.
    assert tiny.build("--drafts").code == 0
    assert files() == wanted | {"key.csv"}
    assert tiny.build().code == 0
    assert files() == wanted
    # What a cell that isn't shown reads first is published once another reads it as well.
    tiny.write({"days/one.md": READS.replace("import shown\n", "import shown, hidden\nopen('answers.csv')\n", 1)})
    assert tiny.build().code == 0
    assert files() == wanted | {"hidden.py", "answers.csv"}


@pytest.mark.kernel
def test_names_of_every_kind_and_hostile_text(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> None:
    hostile = 'Ünï & \\<script>alert(1)\\</script> %41 "q"'
    page = HEAD.replace("---\nfile", "---\ncoursebook: {device: gpu}\nfile", 1) + (
        f"# {hostile}\n\n```{{code-cell}} python\nprint('</script><script>alert(2)</script>')\n```\n"
    )
    name = "days/deep er/übung 5%.md"
    tiny.write(
        {
            "_toc.yml": f"format: jb-book\nroot: index\nchapters:\n  - file: '{name}'\n  - file: notebooks/page\n",
            "notebooks/page.md": "# A page of a folder that is called like ours\n",
            "days/one.md": None,
            name: page,
            "_config.yml": CONFIG.replace(
                "bibtex_bibfiles: [references.bib]\n", "repository: {url: 'https://github.com/o/r.git'}\n"
            )
            + "launch_buttons: {colab_url: 'https://colab.research.google.com/', notebook_interface: jupyterlab,"
            " binderhub_url: 'https://mybinder.org', jupyterhub_url: 'https://hub.example.org/'}\n",
        }
    )
    built = tiny.build("--provisional")
    assert built.code == 0, built.err
    made: dict[str, Any] = json.loads((tiny.root / "_build/html/notebooks/days/deep er/übung 5%.ipynb").read_text())
    assert made["metadata"]["accelerator"] == "GPU"
    prose = "".join(cell["source"] for cell in made["cells"] if cell["cell_type"] == "markdown")
    assert "<script" not in prose.replace("\\<script", "")
    html = tiny.html("days/deep er/übung 5%")
    assert "<script>alert" not in html
    folder = "days/deep%20er/%C3%BCbung%205%25.ipynb"
    assert f'href="https://colab.research.google.com/github/o/r/blob/launch/{folder}"' in html
    assert f'href="../../notebooks/{folder}"' in html
    assert "https://hub.example.org/hub/user-redirect/git-pull?repo=https%3A%2F%2Fgithub.com%2Fo%2Fr&amp;branch" in html
    assert "is called like ours" in tiny.html("notebooks/page")
    # The home page has no code, so it has no buttons.
    assert "launch-colab" not in tiny.html("index")
    assert ".ipynb" not in tiny.html("index")

    there = tmp_path_factory.mktemp("there")
    assert main(["notebooks", str(there), name, "--root", str(tiny.root)]) == 0
    assert [path.name for path in there.rglob("*.*")] == ["übung 5%.ipynb"]
    tiny.capture()
    assert main(["notebooks", str(tiny.root / "days"), "--root", str(tiny.root)]) == 1
    assert "lies in the course" in tiny.capture()[1]


MACROS = {
    "mlvec": [r"\mathbf{#1}", 1],
    "R": r"\mathbb{R}",
    "pair": [r"(#1, #2)", 2],
    "opt": ["[#1|#2]", 2, "d"],
    "x": ["y"],
}


@pytest.mark.parametrize(
    ("tex", "written"),
    [
        (r"\mlvec{x}^\top\mlvec y", r"\mathbf{x}^\top\mathbf{y}"),
        (r"\mlvec{\mlvec{a}_{\R}}", r"\mathbf{\mathbf{a}_{\mathbb{R}}}"),
        (r"\Rn \R", r"\Rn \mathbb{R}"),
        (r"\pair{a}{\{b\}}", r"(a, \{b\})"),
        (r"\opt[e]{f}\opt{f}", "[e|f][d|f]"),
        (r"\pair \alpha\R", r"(\alpha, \mathbb{R})"),
        (r"\x + \mlvec", r"y + \mathbf{}"),
        (r"\mlvec{unclosed", r"\mathbf{unclosed}"),
    ],
)
def test_macros_are_written_out(tex: str, written: str) -> None:
    assert expand_macros(tex, MACROS) == written


def test_a_macro_without_end_ends() -> None:
    assert "\\loop" in expand_macros(r"\loop", {"loop": r"\loop\loop"})


@settings(deadline=None)
@given(
    st.text(
        alphabet=st.one_of(st.sampled_from("*_`[]<>$~&;#+-=.)1a \\!|"), st.characters(categories=["L", "N", "P", "S"])),
        max_size=40,
    )
)
def test_plain_text_is_shown_as_it_is(text: str) -> None:
    """By a parser of CommonMark, as JupyterLab, Colab and GitHub have one."""
    from markdown_it import MarkdownIt

    words = " ".join(text.split())
    tokens = MarkdownIt("commonmark").parse(plain_text(words))
    inline = [child for token in tokens if token.type == "inline" for child in token.children or []]
    if not words:
        return
    assert {child.type for child in inline} <= {"text", "text_special"}, (words, plain_text(words))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert "".join(child.content for child in inline) == words
