"""`coursebook build` on tiny real courses, with real kernels: what is executed, what is shown, what is kept."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import CONFIG, HEAD, Tiny
from coursebook.cli import main

pytestmark = pytest.mark.kernel


def test_outputs_are_shown_and_not_made_again(tiny: Tiny) -> None:
    first = tiny.cells("print(6 * 7)", "2 + 2").build()
    assert first.code == 0, first.err
    assert "[1/1] days/one: executing 2 cells" in first.out
    assert "built 2 pages" in first.out
    assert str(tiny.root / "_build/html/index.html") in first.out
    assert "42" in re.sub(r"<[^>]+>", "", tiny.html())
    second = tiny.build()
    assert second.code == 0
    assert second.out.startswith(f"nothing has changed: 2 pages, {tiny.root}")
    prose = (tiny.root / "days/one.md").read_text() + "\nMore prose.\n"
    assert "executing" not in tiny.write({"days/one.md": prose}).build().out
    assert "More prose." in tiny.html()
    assert "executing 2 cells" in tiny.cells("print(6 * 8)", "2 + 2").build().out
    assert "48" in re.sub(r"<[^>]+>", "", tiny.html())
    assert "executing 2 cells" in tiny.build("--force").out


def test_each_page_runs_in_its_own_folder_and_kernel(tiny: Tiny) -> None:
    tiny.write({"_toc.yml": "format: jb-book\nroot: index\nchapters:\n  - file: days/one\n  - file: labs/two\n"})
    tiny.cells("import pathlib\nleft_over = 1\nprint('here is', pathlib.Path.cwd().name)")
    tiny.cells("print('left_over' in globals(), pathlib if 'pathlib' in globals() else 'clean')", name="labs/two.md")
    built = tiny.build()
    assert built.code == 0, built.err
    assert "here is days" in tiny.html()
    assert "False clean" in tiny.html("labs/two")


def test_claims_run_are_left_out_and_their_numbers_appear(tiny: Tiny) -> None:
    page = (
        f"{HEAD}# Day one\n\n```{{code-cell}} python\nanswer = 6 * 7\n```\n\n"
        "```{code-cell} python\n:tags: [claim]\n\nfrom myst_nb import glue\n\n"
        "assert answer == 42, 'secret claim'\nglue('answer', answer, display=False)\n```\n\n"
        "The answer is {glue:text}`answer`.\n"
    )
    built = tiny.write({"days/one.md": page}).build()
    assert built.code == 0, built.err
    html = tiny.html()
    assert "secret claim" not in html
    assert "glue(" not in html
    assert "The answer is 42." in re.sub(r"<[^>]+>", "", html)
    assert "secret claim" not in (tiny.root / "_build/html/searchindex.js").read_text()
    false = tiny.write({"days/one.md": page.replace("== 42", "== 41")}).build()
    assert false.code == 1
    assert "error days/one.md:16: the cell raised AssertionError: secret claim" in false.err
    assert "The answer is 42." in re.sub(r"<[^>]+>", "", tiny.html()), "the earlier site stays"


def test_a_failure_is_located_whole_and_leaves_the_other_pages(tiny: Tiny) -> None:
    tiny.write({"_toc.yml": "format: jb-book\nroot: index\nchapters:\n  - file: days/one\n  - file: labs/two\n"})
    tiny.cells("def f():\n    raise ValueError('\\x1b[31mred\\x1b[0m <b>')\n", "before = 1\nf()")
    tiny.cells("print('fine')", name="labs/two.md")
    built = tiny.build()
    assert built.code == 1
    assert "error days/one.md:15: the cell raised ValueError: red <b>" in built.err
    assert "    before = 1\n    f()\n" in built.err, "the cell's source"
    assert "Cell In[1], line 2" in built.err, "the traceback"
    assert "\x1b" not in built.err
    assert "fine" in tiny.html("labs/two"), "the other pages are on the site"
    assert "[2/2] labs/two: 1 cell in" in built.out
    mended = tiny.cells("print('mended')").build()
    assert mended.code == 0
    assert "labs/two" not in mended.out, "what was executed before the failure is kept"


def test_expected_errors_and_skipped_cells(tiny: Tiny) -> None:
    page = (
        f"{HEAD}# Day one\n\n```{{code-cell}} python\n:tags: [raises-exception]\n\n1 / 0\n```\n\n"
        "```{code-cell} python\n:tags: [skip-execution]\n\nprint('never ' + 'run')\n```\n"
    )
    built = tiny.write({"days/one.md": page}).build()
    assert built.code == 0, built.err
    assert "ZeroDivisionError" in tiny.html()
    assert "never run" not in re.sub(r"<[^>]+>", "", tiny.html())


def test_a_page_says_how_long_a_cell_may_run_and_how_much_it_may_print(tiny: Tiny) -> None:
    head = HEAD.replace("---\n", "", 1).replace("---\n", "coursebook: {timeout: 30, max_output: 0.001}\n---\n")
    built = tiny.cells("print('x' * 500)", head="---\n" + head).build()
    assert built.code == 0, built.err
    built = tiny.cells("for _ in range(9):\n    print('x' * 500, flush=True)", head="---\n" + head).build()
    assert built.code == 1
    assert "the cell put out more than the 0.001 MB allowed" in built.err


def test_a_figure_is_drawn(tiny: Tiny) -> None:
    alt = "---\nmystnb:\n  image:\n    alt: A rising line\n---\n"
    built = tiny.cells(f"{alt}import matplotlib.pyplot as plt\n\nplt.plot([1, 2])\nplt.show()").build()
    assert built.code == 0, built.err
    image = re.search(r'<img alt="A rising line"[^>]* src="\.\./(_images/[^"]+)"', tiny.html())
    assert image, tiny.html()
    assert (tiny.root / "_build/html" / image[1]).stat().st_size > 1000


def test_notebooks_are_pages_too(tiny: Tiny) -> None:
    cell = {"cell_type": "code", "source": "print(6 * 7)", "metadata": {}, "outputs": [], "execution_count": None}
    title = {"cell_type": "markdown", "source": "# Day one", "metadata": {}}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    notebook = {"cells": [title, cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 4}
    built = tiny.write({"days/one.md": None, "days/one.ipynb": json.dumps(notebook)}).build()
    assert built.code == 0, built.err
    assert "executing 1 cell" in built.out
    assert "42" in re.sub(r"<[^>]+>", "", tiny.html())
    notebook["cells"][1]["source"] = "1 / 0"  # type: ignore[index]
    built = tiny.write({"days/one.ipynb": json.dumps(notebook)}).build()
    assert built.code == 1
    assert "error days/one.ipynb: cell 1: the cell raised ZeroDivisionError" in built.err


def test_warnings_fail_a_build_unless_it_is_lenient(tiny: Tiny) -> None:
    tiny.write({"days/one.md": "# Day one\n\n```{unheard-of}\n```\n"})
    for _ in range(2):
        built = tiny.build()
        assert built.code == 1
        assert "error days/one.md:3: Unknown directive type: 'unheard-of'" in built.err
    built = tiny.build("--lenient")
    assert built.code == 0
    assert "warning days/one.md:3: Unknown directive type" in built.out
    assert tiny.build().code == 1, "a lenient build does not hide the warning from the next strict one"


def test_a_changed_toc_changes_every_sidebar(tiny: Tiny) -> None:
    assert tiny.build().code == 0
    toc = (tiny.root / "_toc.yml").read_text()
    tiny.write({"days/two.md": "# Day two\n", "_toc.yml": toc + "  - file: days/two\n"})
    assert tiny.build().code == 0
    assert "Day two" in tiny.html()
    tiny.write({"days/two.md": None, "_toc.yml": toc})
    assert tiny.build().code == 0
    assert "Day two" not in tiny.html()
    assert not (tiny.root / "_build/html/days/two.html").exists(), "a page that is gone leaves the site"


def test_a_changed_title_or_anchor_is_seen_from_every_page(tiny: Tiny) -> None:
    tiny.write({"index.md": "# Home\n\n[there](days/one.md#a-section)\n"})
    assert tiny.build().code == 0
    assert tiny.write({"days/one.md": "# Day uno\n\n## A section\n"}).build().code == 0
    assert "Day uno" in tiny.html("index")
    built = tiny.write({"days/one.md": "# Day uno\n\n## Another section\n"}).build()
    assert built.code == 1
    assert "error index.md:3: local id not found in doc 'days/one': 'a-section'" in built.err


@pytest.mark.parametrize(
    ("execute", "executed"),
    [
        pytest.param("execute_notebooks: off", [0, 0], id="off"),
        pytest.param("execute_notebooks: auto", [1, 0], id="auto"),
        pytest.param("execute_notebooks: force", [1, 1], id="force"),
        pytest.param("execute_notebooks: cache, exclude_patterns: [days/*]", [0, 0], id="excluded"),
    ],
)
def test_jupyter_books_execution_options_are_kept(tiny: Tiny, execute: str, executed: list[int]) -> None:
    config = (tiny.root / "_config.yml").read_text().replace("execute_notebooks: cache", execute)
    head = HEAD.replace("display_name", "language: python, display_name")  # unexecuted cells don't tell their language
    tiny.cells("print('six by ' + 'seven')", head=head).write({"_config.yml": config})
    for expected in executed:
        built = tiny.build()
        assert built.code == 0, built.err
        assert (f"{expected} of them executed" in built.out) or (expected == 0 and "nothing has changed" in built.out)
        assert ("six by seven" in tiny.html()) == (executed[0] == 1)


def test_globs_in_the_toc(tiny: Tiny) -> None:
    toc = "format: jb-book\nroot: index\nchapters:\n  - glob: days/*\n"
    built = tiny.write({"_toc.yml": toc, "days/two.md": "# Day two\n"}).build()
    assert built.code == 0, built.err
    assert "built 3 pages" in built.out


def test_a_damaged_cache_is_repaired_from_the_store(tiny: Tiny) -> None:
    assert tiny.cells("print(6 * 7)").build().code == 0
    prose = (tiny.root / "days/one.md").read_text() + "\nMore prose.\n"
    for path in (tiny.root / "_build/.jupyter_cache").rglob("base.ipynb"):
        path.write_text(path.read_text()[:50])
    built = tiny.write({"days/one.md": prose}).build()
    assert built.code == 0, built.err
    assert "0 of them executed" in built.out
    assert "42" in re.sub(r"<[^>]+>", "", tiny.html())
    for path in (tiny.root / "_build/.jupyter_cache").rglob("global.db"):
        path.write_bytes(b"not a database")
    built = tiny.build()
    assert built.code == 0, built.err


def test_spaces_and_umlauts_in_names(tiny: Tiny) -> None:
    tiny.write({"_toc.yml": "format: jb-book\nroot: index\nchapters:\n  - file: days/über uns\n", "days/one.md": None})
    built = tiny.cells("print('grüezi')", name="days/über uns.md").build()
    assert built.code == 0, built.err
    assert "grüezi" in tiny.html("days/über uns")


def test_plain_jupyter_book_gives_the_same_site(tiny: Tiny) -> None:
    agenda = "```{agenda}\n- 10:20-10:25am: In\n```\n"
    page = f"{HEAD}# Day one\n\n{agenda}\n```{{code-cell}} python\nprint(6 * 7)\n```\n"
    claim = "```{code-cell} python\n:tags: [claim]\n\nassert 1\n```\n"
    assert tiny.write({"days/one.md": page + claim}).build().code == 0
    ours = tiny.site()
    shutil.rmtree(tiny.root / "_build")  # as in a fresh clone, which has the stored outputs and nothing else
    book = Path(sys.executable).with_name("jupyter-book")
    plain = subprocess.run([book, "build", "."], cwd=tiny.root, capture_output=True, text=True, check=False)
    assert plain.returncode == 0, plain.stderr
    assert "WARNING" not in plain.stderr
    assert "Executing notebook" not in plain.stdout + plain.stderr, "current outputs are not made again"
    theirs = tiny.site()
    for name in ("index.html", "days/one.html", "404.html"):
        # MyST-NB's style sheet gets its checksum only where an earlier build has left it.
        assert re.sub(rb"\?v=\w+", b"", ours[name]) == re.sub(rb"\?v=\w+", b"", theirs[name]), name
    assert ours.keys() - theirs.keys() == set()


def test_a_failing_cell_fails_plain_jupyter_book(tiny: Tiny) -> None:
    tiny.cells("1 / 0")
    book = Path(sys.executable).with_name("jupyter-book")
    plain = subprocess.run([book, "build", "."], cwd=tiny.root, capture_output=True, text=True, check=False)
    assert plain.returncode != 0


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "SIGKILL"])
@pytest.mark.parametrize("pages", [1, 2], ids=["one page", "two pages, warm"])
def test_ending_leaves_no_kernel(tiny: Tiny, number: signal.Signals, pages: int) -> None:
    code = "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\ntime.sleep(600)"
    tiny.cells(code)
    if pages == 2:
        tiny.write({"_toc.yml": (tiny.root / "_toc.yml").read_text() + "  - file: labs/two\n"})
        tiny.cells(code, name="labs/two.md")
    command = [sys.executable, "-m", "coursebook", "build", "--root", str(tiny.root)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    pid = tiny.root / "days/pid"
    for _ in range(300):
        if pid.exists() and pid.read_text():
            break
        time.sleep(0.1)
    process.send_signal(number)
    _, err = process.communicate(timeout=10)
    assert not _is_alive(int(pid.read_text()))
    if number == signal.SIGINT:
        assert process.returncode == 130, err
        assert "interrupted" in err
        assert "Traceback" not in err


def _is_alive(pid: int) -> bool:
    """Whether the process is still there after five seconds."""
    for _ in range(50):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.parametrize(
    "arguments", [["build", "--no-such"], ["unheard-of"], []], ids=["option", "command", "nothing"]
)
def test_usage_errors_exit_with_2(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: coursebook" in capfd.readouterr().err


def test_help_says_what_matters(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["build", "--help"])
    assert stop.value.code == 0
    said = capfd.readouterr().out
    for word in ("--root", "--force", "--lenient", "--verbose", "examples:", "exit codes:"):
        assert word in said


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"days/one.md": "# Day one\n\nText with $x^3$.\n"}, id="page"),
        pytest.param({"_config.yml": CONFIG + "# more\n"}, id="configuration"),
        pytest.param({"assets/picture.txt": "new"}, id="a new file"),
        pytest.param({"_build/html/days/one.html": "gone wrong"}, id="the site"),
        pytest.param({"_build/html/index.html": None}, id="a page of the site is gone"),
        pytest.param({"outputs/days/more.ipynb": "{}"}, id="outputs"),
    ],
)
def test_whatever_changes_is_built_again(tiny: Tiny, change: dict[str, str | bytes | None]) -> None:
    assert tiny.build().code == 0
    assert "nothing has changed" in tiny.build().out
    built = tiny.write(change).build()
    assert built.code == 0, built.err
    assert "nothing has changed" not in built.out
    assert "Text with" in tiny.html()
    assert "Welcome" in tiny.html("index")
    assert "nothing has changed" in tiny.build().out


def test_a_failed_or_lenient_build_is_not_remembered(tiny: Tiny) -> None:
    assert tiny.build().code == 0
    tiny.write({"days/one.md": "# Day one\n\n```{unheard-of}\n```\n"})
    for arguments in ([], ["--lenient"], ["--lenient"], []):
        assert "nothing has changed" not in tiny.build(*arguments).out


def test_outputs_that_become_due_are_not_overlooked(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    config = (
        (tiny.root / "_config.yml")
        .read_text()
        .replace("heading_anchors: 3", "heading_anchors: 3, coursebook_max_age: 30")
    )
    assert tiny.cells("1").write({"_config.yml": config}).build().code == 0
    assert "nothing has changed" in tiny.build().out
    later = time.time() + 31 * 86400
    monkeypatch.setattr("time.time", lambda: later)
    assert "nothing has changed" not in tiny.build().out


def test_nothing_to_do_takes_no_sphinx(tiny: Tiny) -> None:
    assert tiny.build().code == 0
    probe = (
        "import sys; from coursebook.cli import main; "
        f"code = main(['build', '--root', {str(tiny.root)!r}]); "
        "print(code, 'sphinx' in sys.modules, 'nbclient' in sys.modules, 'jinja2' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "0 False False False"


def test_the_rendering_process_starts_before_the_command_imports_what_it_needs(tiny: Tiny) -> None:
    probe = (
        "import sys; from coursebook.cli import main; from coursebook.site import process\n"
        "start = process.RenderingProcess.__enter__\n"
        "def say(self):\n"
        "    print('starts', *(name in sys.modules for name in ('sphinx', 'nbformat', 'coursebook.course.course')))\n"
        "    return start(self)\n"
        "process.RenderingProcess.__enter__ = say\n"
        f"print('ends', main(['build', '--root', {str(tiny.root)!r}, '--jobs', '1']), 'sphinx' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^(?:starts|ends) .*", told, re.M) == ["starts False False False", "ends 0 True"]


def test_what_sphinx_needs_is_imported_ahead(tiny: Tiny) -> None:
    """The rendering process does it while pages are executed; if that failed, nobody would see but the clock."""
    code = (
        "import sys; from pathlib import Path; import coursebook.site.sphinx.renderer as worker\n"
        f"worker._import_ahead(Path({str(tiny.root)!r}))\n"
        "print(all(name in sys.modules for name in ('myst_nb.sphinx_ext', 'sphinx_book_theme', 'sphinx_design')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n", "and nothing else is printed"


CHATTY = """\
import os, subprocess, sys
os.write(1, b"written when it was imported\\n")

def setup(app):
    subprocess.run(["sh", "-c", "echo printed by a program; read line || echo nothing to read"], check=True)
    os.write(1, b"written by an extension\\n")
    print("printed in between", file=sys.__stdout__)
    os.write(2, b"without an end")
"""


def test_what_extensions_and_their_programs_print_goes_to_the_log(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tiny.root), *filter(None, [os.environ.get("PYTHONPATH")])]))
    tiny.write({"chatty.py": CHATTY, "_config.yml": CONFIG.replace("[coursebook]", "[coursebook, chatty]")})
    built = tiny.build("--verbose")
    assert (built.code, built.err) == (0, "")
    for said in ("written when it was imported", "printed by a program", "nothing to read", "written by an extension",
                 "printed in between", "without an end"):  # fmt: skip
        assert built.out.count(f"\n{said}\n") == 1, said


def test_the_last_that_a_process_says_tells_why_it_ended(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tiny.root), *filter(None, [os.environ.get("PYTHONPATH")])]))
    dying = "import os\n\ndef setup(app):\n    os.write(2, b'first\\nno memory left')\n    os._exit(7)\n"
    tiny.write({"dying.py": dying, "_config.yml": CONFIG.replace("[coursebook]", "[coursebook, dying]")})
    built = tiny.build()
    assert built.code == 1
    assert "Sphinx's process ended with status 7: no memory left" in built.err
