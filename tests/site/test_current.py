"""Outputs, pages and the whole site are called current only where they are."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from conftest import CONFIG, HEAD, Built, Tiny, until
from coursebook.build import snapshot
from coursebook.build.snapshot import Snapshot
from coursebook.cli import main
from coursebook.course.course import Course
from coursebook.execute.kernels import can_fork
from coursebook.outputs.decisions import Environment, plan
from coursebook.outputs.inputs import OWN
from coursebook.outputs.provenance import Provenance
from coursebook.outputs.store import Store
from coursebook.site.publication import publish_site
from coursebook.site.signature import signature_of
from coursebook.site.sphinx import readers
from coursebook.site.sphinx.current import Current

kernel = pytest.mark.kernel


def run(tiny: Tiny, *words: str) -> Built:
    tiny.capture()
    code = main([*words, "--root", str(tiny.root)])
    return Built(code, *tiny.capture())


def state(tiny: Tiny, docname: str = "days/one") -> str:
    decisions = plan(Course.load(tiny.root), Store(tiny.root), Environment())
    return next(str(decision) for decision in decisions if decision.page.docname == docname)


def provenance(tiny: Tiny, docname: str = "days/one") -> Provenance:
    stored = Store(tiny.root).read(docname)
    assert stored
    return stored.provenance


PROGRAM = "subprocess.run([sys.executable, '-c', 'open(\"{}\", \"w\")'])"
WAIT = "import os, time\nopen('begun', 'w').close()\nwhile not os.path.exists('go'):\n    time.sleep(0.01)"


@kernel
def test_what_is_edited_while_its_page_runs_is_not_what_the_page_read(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.write({"days/data.csv": "before", "days/helper.py": "x = 1\n", "days/late.csv": "before"})
    tiny.cells(
        "import os, helper\nprint(open('data.csv').read(), os.listdir('more'))", WAIT, "print(open('late.csv').read())"
    )
    tiny.write({"days/more/a.txt": "a"})
    # As on most machines: the kernel writes bytecode beside the module while it reads it.
    for name in ("PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE"):
        monkeypatch.delenv(name, raising=False)
    process = tiny.start("execute")
    assert until((tiny.root / "days/begun").exists)
    tiny.write({"days/data.csv": "after", "days/helper.py": "x = 2\n", "days/more/b.txt": "b", "days/go": ""})
    assert process.wait(timeout=60) == 0, process.communicate()
    process.communicate()
    said = state(tiny)
    for name in ("days/data.csv", "days/helper.py"):
        assert f"{name} changed while the page was executed" in said
    assert "days/more/ changed" in said  # of a folder the names count that the page was told
    assert "late.csv" not in said, "what was read after it had changed is what it is"
    (tiny.root / "days/begun").unlink()
    assert run(tiny, "execute").code == 0
    assert state(tiny) == "current"
    assert "after" in json.dumps(Store(tiny.root).read("days/one").notebook)  # type: ignore[union-attr]


@kernel
def test_what_a_page_reads_in_other_ways_than_by_opening_it(
    tiny: Tiny, tmp_path_factory: pytest.TempPathFactory
) -> None:
    far = tmp_path_factory.mktemp("far")
    (far / "far.csv").write_text("1")
    (far / "deep").mkdir()
    (far / "deep/er.csv").write_text("1")
    tiny.write(
        {f"data/{name}": "1" for name in ("told.txt", "popen.txt", "system.txt", "shell.txt", "both.txt", "forked.txt")}
    )
    tiny.write({"data/.secret": "1", "data/lib.so": "no library", "data/node_modules/set.csv": "1"})
    sqlite3.connect(tiny.root / "data/base.db").close()
    (tiny.root / "data/base.db").touch()
    (tiny.root / "data/link").symlink_to(far, target_is_directory=True)
    sources = [
        "import ctypes, os, sqlite3, subprocess\nopen('../data/link/far.csv').read()",
        f"os.chdir('../data/link')\nopen('deep/er.csv').read()\nos.chdir({str(tiny.root / 'days')!r})",
        "sqlite3.connect('../data/base.db').close()\nsqlite3.connect('file:../data/base.db?mode=ro', uri=True).close()",
        "try:\n    ctypes.CDLL(os.path.abspath('../data/lib.so'))\nexcept OSError:\n    pass",
        "_ = subprocess.run(['cat', '../data/told.txt'], capture_output=True)",
        "_ = os.popen('FOO=1 wc < ../data/popen.txt').read()",
        "_ = os.system('true && test -f ../data/system.txt')",
        "!head ../data/shell.txt > /dev/null",
        "with open('../data/both.txt', 'r+') as file:\n    file.write('2')",
        "if not os.fork():\n    open('../data/forked.txt').read()\n    os._exit(0)\n_ = os.wait()",
        "open('../data/.secret').read(), open('../data/node_modules/set.csv').read()",
        "try:\n    open('../data/perhaps.csv')\nexcept FileNotFoundError:\n    pass",
        "try:\n    open('new.csv')\nexcept OSError:\n    open('new.csv', 'w').close()\nopen('new.csv').close()",
        "open('own.csv', 'w').close()\nopen('own.csv').close()",
    ]  # fmt: skip
    tiny.cells(*sources)
    done = run(tiny, "execute")
    assert done.code == 0, done.err
    made = provenance(tiny)
    read = {"link/far.csv", "link/deep/er.csv", "base.db", "lib.so", "told.txt", "popen.txt", "system.txt", "shell.txt"}
    read |= {"forked.txt", "node_modules/set.csv", "perhaps.csv"}
    assert {name for name in made.inputs if made.inputs[name] != OWN} == {f"data/{name}" for name in read}
    assert {name for name in made.inputs if made.inputs[name] == OWN} == {"days/new.csv", "days/own.csv"}
    assert made.inputs["data/perhaps.csv"] == ""
    assert made.unseen == (
        "what cat reads",
        "what head reads",
        "what test reads",
        "what wc reads",
        "the hidden file data/.secret",
        "data/both.txt, which the page changes",
    )
    assert state(tiny) == "current"
    told = run(tiny, "status").out
    assert "current (not watched: what cat reads, what head reads" in told
    (far / "far.csv").write_text("2")
    tiny.write({"data/perhaps.csv": "now", "data/node_modules/set.csv": "2", "data/forked.txt": "2"})
    assert state(tiny) == (
        "stale: data/forked.txt changed; data/link/far.csv changed; data/node_modules/set.csv changed; "
        "data/perhaps.csv has appeared"
    )


@kernel
def test_a_page_that_declares_what_it_reads_is_not_asked_to(tiny: Tiny) -> None:
    head = HEAD.replace("---\n", "", 1)
    tiny.cells(
        "import os\n_ = os.popen('cat ../data/*.txt').read()", head=f"---\ncoursebook: {{inputs: [data/*.txt]}}\n{head}"
    )
    tiny.write({"data/a.txt": "a"})
    assert run(tiny, "execute").code == 0
    assert provenance(tiny).unseen == ()
    assert state(tiny) == "current"
    tiny.write({"data/b.txt": "b"})
    assert state(tiny) == "stale: data/b.txt is new"
    assert run(tiny, "execute").code == 0
    assert state(tiny) == "current"
    text = (tiny.root / "days/one.md").read_text().replace("*.txt]", "*.txt, data/*.csv]")
    tiny.write({"days/one.md": text})
    assert state(tiny) == "current", "there is no such file"
    tiny.write({"data/c.csv": "c", "data/b.txt": None})
    assert state(tiny) == "stale: data/b.txt is gone; data/c.csv is new"


@kernel
def test_outputs_follow_a_page_into_another_folder_only_where_it_read_nothing(tiny: Tiny) -> None:
    toc = "format: jb-book\nroot: index\nchapters:\n  - file: days/one\n  - file: days/two\n"
    page = f"{HEAD}# Page\n\n```{{code-cell}} python\n%s\n```\n"
    tiny.write(
        {"_toc.yml": toc, "days/one.md": page % "print(1)", "days/two.md": page % "print(open('data.csv').read())"}
    )
    tiny.write({"days/data.csv": "days", "labs/data.csv": "labs"})
    assert run(tiny, "execute").code == 0
    (tiny.root / "days/one.md").rename(tiny.root / "labs/one.md")
    (tiny.root / "days/two.md").rename(tiny.root / "labs/two.md")
    tiny.write({"_toc.yml": toc.replace("days", "labs")})
    assert state(tiny, "labs/one") == "current"
    assert state(tiny, "labs/two") == "missing: never executed"
    (tiny.root / "labs/two.md").rename(tiny.root / "days/other.md")
    tiny.write({"_toc.yml": toc.replace("days/one", "labs/one").replace("two", "other")})
    assert state(tiny, "days/other") == "current", "it was renamed, and reads what it read"


@kernel
def test_packages_are_those_of_the_kernel_that_ran(
    tiny: Tiny, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("other")
    venv.create(folder / "venv", symlinks=True)
    python = next(p for p in (folder / "venv/bin/python", folder / "venv/Scripts/python.exe") if p.exists())
    packages = next((folder / "venv").rglob("site-packages"))
    import ipykernel

    (packages / "ours.pth").write_text(str(Path(ipykernel.__file__).parent.parent))
    _distribution(packages, "toy", "1.0")
    kernels = folder / "jupyter/kernels/other"
    kernels.mkdir(parents=True)
    # As some set-ups have it, with something before Python.
    argv = [*filter(None, [shutil.which("env")]), str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernels / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Other", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(folder / "jupyter"))
    tiny.cells("import toy", head=HEAD.replace("python3", "other"))
    done = run(tiny, "build")
    assert done.code == 0, done.err
    assert provenance(tiny).packages == {"toy": "1.0"}
    assert provenance(tiny).kernel == "other"
    assert state(tiny) == "current"
    assert "nothing has changed" in run(tiny, "build").out
    _distribution(packages, "toy", "2.0")
    assert "nothing has changed" not in run(tiny, "build").out
    assert provenance(tiny).packages == {"toy": "2.0"}


def _distribution(packages: Path, name: str, version: str) -> None:
    for old in packages.glob(f"{name}-*"):
        for file in old.iterdir():
            file.unlink()
        old.rmdir()
    (packages / f"{name}.py").write_text(f"VERSION = {version!r}\n")
    info = packages / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text(f"{name}.py,,\n")


@pytest.mark.parametrize(
    "name",
    [
        "days/outputs/one.md",
        "data/outputs/set.csv",
        "data/_build/set.csv",
        "data/node_modules/set.csv",
        "outputs/days/one.ipynb",
    ],
)
def test_nothing_has_changed_only_where_nothing_has(tiny: Tiny, name: str) -> None:
    tiny.write({name: "before"})
    snapshot = Snapshot(tiny.root)
    (tiny.root / "_build/.coursebook").mkdir(parents=True)
    snapshot.save(1, None, inputs=["data/node_modules/set.csv"])
    assert Snapshot(tiny.root).matches() == 1
    tiny.write({name: "another"})
    assert Snapshot(tiny.root).matches() is None


def test_outputs_that_come_while_the_site_is_made_are_not_on_it(tiny: Tiny) -> None:
    (tiny.root / "_build/.coursebook").mkdir(parents=True)
    tiny.write({"outputs/days/one.ipynb": "before"})
    snapshot = Snapshot(tiny.root)
    tiny.write({"outputs/days/one.ipynb": "executed by this build"})
    snapshot.take_outputs()
    tiny.write({"outputs/days/one.ipynb": "pulled meanwhile"})
    snapshot.save(1, None)
    assert Snapshot(tiny.root).matches() is None
    tiny.write({"outputs/days/one.ipynb": "executed by this build"})
    Snapshot(tiny.root).save(1, None)
    assert Snapshot(tiny.root).matches() == 1


def test_every_place_of_packages_counts(tiny: Tiny, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: Any) -> None:
    packages = tmp_path_factory.mktemp("packages")
    monkeypatch.syspath_prepend(str(packages))
    (tiny.root / "_build/.coursebook").mkdir(parents=True)
    _distribution(packages, "toy", "1.0")
    Snapshot(tiny.root).save(1, None)
    assert Snapshot(tiny.root).matches() == 1
    signed = signature_of(Course.load(tiny.root), Course.load(tiny.root).today)
    _distribution(packages, "toy", "2.0")
    assert Snapshot(tiny.root).matches() is None
    assert signature_of(Course.load(tiny.root), Course.load(tiny.root).today) != signed, "its pages may look otherwise"


SHOWN = """\
{ref}`sec`, {ref}`fig`, {numref}`fig`, {ref}`ex`, {numref}`ex`, {eq}`eq`, {doc}`/days/one`,
{glue:text}`/days/one.md::v:.1f`.
"""
ONE = f"""\
{HEAD}
Title {{0}}
=======

(sec)=
  ## Part {{0}}

```{{figure}} ../dot.svg
:name: fig
Caption {{0}}.
```

$$
x = 1
$$ (eq)

```{{exercise}} Try {{0}}
:label: ex
Do it.
```

```{{code-cell}} python
from myst_nb import glue
glue("v", {{1}}, display=False)
```
""".replace("{{", "{").replace("}}", "}")


@kernel
def test_what_pages_show_of_each_other_is_what_stands_there(tiny: Tiny) -> None:
    dot = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    toc = "format: jb-book\nroot: index\nchapters:\n  - file: days/one\n  - file: days/two\n  - file: days/three\n"
    tiny.write(
        {
            "_config.yml": CONFIG.replace("[coursebook]", "[coursebook, sphinx_exercise]"),
            "_toc.yml": toc,
            "dot.svg": dot,
        }
    )
    tiny.write({"days/two.md": f"# Two\n\n{SHOWN}", "days/three.md": "# Three\n\nNothing of others.\n"})

    def one(number: int, more: str = "") -> None:
        text = ONE.replace("{0}", str(number)).replace("{1}", str(number)) + more
        tiny.write({"days/one.md": text})

    one(1)
    assert tiny.build().code == 0
    for text in ("Part 1", "Caption 1.", "Fig. 1", "Exercise 1", "Title 1", ">1.0<"):
        assert text in tiny.html("days/two"), text
    one(2)
    done = tiny.build()
    assert done.code == 0, done.err
    for text in ("Part 2", "Caption 2.", "Title 2", ">2.0<"):
        assert text in tiny.html("days/two"), text
    assert "Title 2" in tiny.html("days/three"), "in its sidebar"
    # A page before it takes the first numbers.
    tiny.write({"index.md": "# Home\n\n```{figure} dot.svg\nFirst.\n```\n\n```{exercise}\n:label: first\nDo.\n```\n"})
    done = tiny.build()
    assert done.code == 0, done.err
    assert "Fig. 2" in tiny.html("days/two")
    assert "Exercise 2" in tiny.html("days/two")

    # Who quotes a value that is glued no more is told, and doesn't show the old one.
    text = (tiny.root / "days/one.md").read_text()
    tiny.write({"days/one.md": re.sub(r"glue\(.*\)", "1", text)})
    done = tiny.build()
    assert done.code == 1
    assert "days/two.md:" in done.err
    assert "'v'" in done.err


def test_installed_packages_are_no_pages_at_any_depth(tiny: Tiny) -> None:
    tiny.write({"labs/widget/node_modules/left-pad/README.md": "# left-pad\n", "node_modules/x/README.md": "# x\n"})
    assert [page.docname for page in Course.load(tiny.root).pages] == ["index", "days/one"]


@kernel
def test_a_file_that_is_older_than_the_one_that_it_replaces_is_another(tiny: Tiny) -> None:
    tiny.write({"index.md": "# Home\n\n```{include} part.txt\n```\n", "part.txt": "Before.\n"})
    assert tiny.build().code == 0
    tiny.write({"part.txt": "After.\n", "days/one.md": "# Day one\n\nAnother text.\n"})
    for name in ("part.txt", "days/one.md"):
        os.utime(tiny.root / name, (1e9, 1e9))
    assert tiny.build().code == 0
    assert "After." in tiny.html("index")
    assert "Another text." in tiny.html()


@kernel
def test_code_that_is_loaded_from_a_file_is_the_page_s(tiny: Tiny) -> None:
    tiny.write(
        {
            "days/code.py": "print('before')\n",
            "days/one.md": f"{HEAD}# One\n\n```{{code-cell}} python\n:load: code.py\n```\n",
        }
    )
    assert tiny.build().code == 0
    assert "before" in tiny.html()
    tiny.write({"days/code.py": "print('after')\n"})
    assert state(tiny) == "stale: cell 1 changed"
    assert tiny.build().code == 0
    assert "after" in tiny.html()
    assert (
        subprocess.run(
            [sys.executable, "-m", "coursebook", "status", "--check", "--root", str(tiny.root)], cwd="/"
        ).returncode
        == 0
    )


def test_a_file_of_the_site_becomes_a_folder_and_the_other_way_round(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for first, second in (("a", "a/b/c"), ("a/b/c", "a"), ("a", "a/b"), ("a/b", "a/b/c.html")):
        shutil.rmtree(source, ignore_errors=True)
        for name in (first, second):
            shutil.rmtree(source, ignore_errors=True)
            (source / name).parent.mkdir(parents=True)
            (source / name).write_text(name)
            publish_site(source, target)
            assert [p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()] == [name]
            assert (target / name).read_text() == name


@kernel
def test_what_a_page_makes_doesn_t_have_it_executed_again_and_again(tiny: Tiny) -> None:
    made = [
        "import os, shutil, sqlite3, subprocess, sys",
        "subprocess.run([sys.executable, '-c', 'open(\"made.csv\", \"w\").close()'])\nopen('made.csv').close()",
        "open('r.tmp', 'w').close()\nos.replace('r.tmp', 'r.csv')\nopen('r.csv').close()",
        "shutil.rmtree('folder', ignore_errors=True)\nos.makedirs('folder')\nos.listdir('folder')",
        "os.makedirs('gen', exist_ok=True)\nopen('gen/a.txt', 'w').close()",
        "os.makedirs('shelf', exist_ok=True)\nos.listdir('shelf')\nos.makedirs('shelf/box', exist_ok=True)",
        "open('future.csv').close()",
        # What the system knows of a file is not what is in it.
        "open('kept.csv').close()\nos.chmod('kept.csv', 0o600)\nos.chmod('kept.csv', 0o644)",
        "os.chmod('tool.py', 0o755)\nopen('tool.py').close()",
        "if os.path.exists('same.csv'):\n    os.remove('same.csv')\n"
        "os.link('named.csv', 'same.csv')\nopen('same.csv').close()",
        "open('aged.csv').close()\nos.utime('aged.csv')",
    ]
    base = "base = sqlite3.connect('../shared.db')\nbase.execute('drop table if exists t')\n"
    base += "base.execute('create table t (x)')"
    cells = "".join(f"```{{code-cell}} python\n{source}\n```\n\n" for source in made)
    head = HEAD.replace("---\n", "---\ncoursebook: {inputs: [days/gen/*.txt]}\n", 1)
    toc = "format: jb-book\nroot: index\nchapters:\n  - file: days/one\n  - file: days/two\n"
    tiny.write({"_toc.yml": toc, "days/one.md": f"{head}# One\n\n{cells}", "days/future.csv": "", "shared.db": ""})
    tiny.write({f"days/{name}": "" for name in ("kept.csv", "tool.py", "named.csv", "aged.csv")})
    tiny.cells("import sqlite3", base, "base.commit()\nbase.close()", name="days/two.md")
    one = (tiny.root / "days/one.md").read_text()
    tiny.write({"days/one.md": one + f"```{{code-cell}} python\n{base}\nbase.commit()\nbase.close()\n```\n"})
    os.utime(tiny.root / "days/future.csv", (4e9, 4e9))
    for expected in ("executed 2 pages", "executed 0 pages", "executed 0 pages"):
        done = run(tiny, "execute", "--jobs", "1")
        assert done.code == 0, done.err
        assert expected in done.out, [state(tiny), state(tiny, "days/two")]
    tiny.write({"days/one.md": (tiny.root / "days/one.md").read_text() + "```{code-cell} python\n1\n```\n"})
    assert "executed 1 page " in run(tiny, "execute").out
    assert (state(tiny), state(tiny, "days/two")) == ("current", "current")
    told = {"shared.db, which the page changes", "days/aged.csv, which the page changes"}
    assert told <= set(provenance(tiny).unseen)
    # In a clone there is nothing of it.
    for name in ("made.csv", "r.csv", "gen/a.txt"):
        (tiny.root / "days" / name).unlink()
    assert state(tiny) == "current"
    tiny.write({"days/made.csv": "by hand"})
    assert state(tiny) == "stale: days/made.csv changed"
    names = ("kept.csv", "made.csv", "named.csv", "tool.py")
    tiny.write({f"days/{name}": "1" for name in names})
    assert state(tiny) == "stale: " + "; ".join(f"days/{name} changed" for name in names)
    (tiny.root / "days/tool.py").unlink()
    assert "days/tool.py is gone" in state(tiny)


@kernel
def test_a_link_that_leads_elsewhere_is_another_file(tiny: Tiny) -> None:
    tiny.write({"shared/v1.csv": "1", "shared/v2.csv": "2", "more/a.txt": "", "other/a.txt": "", "lib/mod.py": ""})
    for name, target in {"days/now.csv": "../shared/v1.csv", "folder": "more", "days/mod.py": "../lib/mod.py"}.items():
        (tiny.root / name).symlink_to(target)
    tiny.cells("import os, mod\nopen('now.csv').close()\nos.listdir('../folder')\nopen('../folder/a.txt').close()")
    assert run(tiny, "execute").code == 0
    assert state(tiny) == "current"
    for name, target in {
        "days/now.csv": "../shared/v2.csv",
        "folder": "gone",
        "days/mod.py": "../shared/v2.csv",
    }.items():
        (tiny.root / name).unlink()
        (tiny.root / name).symlink_to(target)
    wanted = ["days/mod.py changed", "days/now.csv changed", "folder/ is gone", "folder/a.txt is gone"]
    assert state(tiny) == f"stale: {'; '.join(wanted)}"


@kernel
def test_what_a_page_fails_to_write_or_adds_to_is_read(tiny: Tiny) -> None:
    tiny.write({"days/kept.csv": "1", "days/real.csv": "1", "days/log.csv": "1", "days/file.csv": "1"})
    (tiny.root / "days/alias.csv").symlink_to("real.csv")
    tiny.cells(
        "import os\ntry:\n    open('kept.csv', 'x')\nexcept FileExistsError:\n    pass\nopen('kept.csv').close()",
        "try:\n    os.mkdir('file.csv')\nexcept FileExistsError:\n    open('file.csv').close()",
        "try:\n    os.symlink('real.csv', 'alias.csv')\nexcept FileExistsError:\n    pass\nopen('alias.csv').close()",
        "with open('log.csv', 'a') as file:\n    file.write('x')\nopen('log.csv').close()",
    )
    assert run(tiny, "execute").code == 0
    assert state(tiny) == "current"
    assert provenance(tiny).unseen == ("days/log.csv, which the page changes",)
    tiny.write({"days/kept.csv": "2", "days/real.csv": "2", "days/file.csv": "2"})
    changed = (f"days/{name}.csv changed" for name in ("alias", "file", "kept", "real"))
    assert state(tiny) == f"stale: {'; '.join(changed)}"


@kernel
def test_what_programs_write_again_and_again_ends_to_be_stale(tiny: Tiny) -> None:
    """As PyTorch's checkpoints, which are written by compiled code: nobody hears of it."""
    write = "subprocess.run([sys.executable, '-c', 'open(\"{0}\", \"w\").write(\"{1}\")'])\nopen('{0}').close()"
    options = "{inputs: [data/*.bin], writes: [days/resumed.*, days/old.pt, data/x.bin]}"
    tiny.cells(
        "import subprocess, sys", *(write.format(name, n) for name in ("new.pt", "old.pt") for n in (1, 2)),
        write.format("../data/x.bin", 1), "open('resumed.pt').close()", write.format("resumed.pt", "0"),
        head=HEAD.replace("---\n", f"---\ncoursebook: {options}\n", 1),
    )  # fmt: skip
    # One is there though nobody executed the page, as its author tried it elsewhere: it might be anybody's.
    tiny.write({"days/old.pt": "0", "days/resumed.pt": "1", "data/y.bin": "0"})
    for expected in ("executed 1 page ", "executed 0 pages", "executed 0 pages"):
        done = run(tiny, "execute")
        assert expected in done.out, state(tiny)
        (tiny.root / "days/resumed.pt").write_text("1")
    assert state(tiny) == "current"
    assert "days/new.pt, which the page changes" in provenance(tiny).unseen
    tiny.write({"data/y.bin": "1", "data/z.bin": "1"})
    assert state(tiny) == "stale: data/y.bin changed; data/z.bin is new"


MAKING = [
    "open('out.csv', 'w').close()\nglob.glob('*.csv')\nos.remove('out.csv')",
    "with tempfile.TemporaryDirectory(dir='.'):\n    os.listdir('.')",
    "os.makedirs('tmp')\nopen('tmp/a.txt', 'w').close()\nos.listdir('tmp')\nshutil.rmtree('tmp')",
    "open('r0.txt', 'w').close()\nglob.glob('*.txt')\nos.rename('r0.txt', 's0.txt')",
    "for name in glob.glob('fig/*.png'):\n    os.remove(name)\n"
    "os.makedirs('fig', exist_ok=True)\nopen('fig/a.png', 'w').close()",
    "zipfile.ZipFile('../a.zip').extractall('.')\nfor name in glob.glob('d/*.csv'):\n    open(name).close()",
    "os.makedirs('out/figs', exist_ok=True)\nopen('out/figs/a.txt', 'w').close()\n"
    "os.listdir('out'), os.listdir('out/figs')",
    "if not os.path.exists('c.txt'):\n    open('c.txt', 'w').close()\nopen('c.txt').close()\nos.listdir('.')",
    f"os.makedirs('models', exist_ok=True)\n{PROGRAM.format('models/m.pt')}\n"
    "os.listdir('models')\nopen('models/m.pt').close()",
    f"if not os.path.exists('m.pt'):\n    {PROGRAM.format('m.pt')}\nopen('m.pt').close()\nglob.glob('*.pt')",
    "os.makedirs('pool', exist_ok=True)\nif (pid := os.fork()) == 0:\n    open('pool/a.txt', 'w').close()\n"
    "    os._exit(0)\nos.waitpid(pid, 0)\nfor name in glob.glob('pool/*'):\n    open(name).close()",
    "os.system('mkdir -p prog')\nopen('prog/a.csv', 'w').close()\nglob.glob('prog/*.csv')",
    "os.system(f'{sys.executable} -m zipfile -e ../a.zip .')\n"
    "for name in glob.glob('d/*.csv'):\n    open(name).close()",
    "os.makedirs('old', exist_ok=True)\nfor name in glob.glob('old/*.txt'):\n    open(name).close()\n"
    f"    os.remove(name)\n{PROGRAM.format('old/a.txt')}\nopen('old/a.txt').close()",
    "if os.path.exists('e.txt'):\n    open('e.txt').close()\n    os.remove('e.txt')\n"
    "elif not os.fork():\n    open('e.txt', 'w').close()\n    os._exit(0)",
    "if os.path.exists('f.txt'):\n    if not os.fork():\n        open('f.txt').close()\n        os.remove('f.txt')\n"
    "        os._exit(0)\n    os.wait()\nelse:\n    open('f.txt', 'w').close()",
    "if not os.path.isdir('data'):\n    os.mkdir('part')\n    open('part/a.csv', 'w').close()\n"
    "    os.rename('part', 'data')\nos.listdir('data')\nopen('data/a.csv').close()",
]


@kernel
@pytest.mark.parametrize("is_again", [False, True], ids=["executed once", "executed twice"])
def test_what_pages_make_is_missed_nowhere(tiny: Tiny, tmp_path_factory: Any, is_again: bool) -> None:
    """Neither where they were executed nor in a clone, where nothing of it is, and whatever they find of an earlier
    time. What others made is an input."""
    names = [f"p{number}/page" for number in range(len(MAKING))]
    chapters = "".join(f"  - file: {name}\n" for name in names)
    tiny.write({"_toc.yml": f"format: jb-book\nroot: index\nchapters:\n{chapters}", "days/one.md": None})
    with zipfile.ZipFile(tiny.root / "a.zip", "w") as archive:
        archive.writestr("d/a.csv", "1")
    for name, source in zip(names, MAKING, strict=True):
        tiny.cells("import glob, os, shutil, subprocess, sys, tempfile, zipfile", source, name=f"{name}.md")
    clone = tmp_path_factory.mktemp("clone") / "course"
    shutil.copytree(tiny.root, clone)
    tiny.write({"p13/old/a.txt": ""})  # left of what its author has tried
    for words in [[], ["--force"]] if is_again else [[]]:
        done = run(tiny, "execute", *words)
        assert done.code == 0, done.err
        assert "executed 0 pages" in run(tiny, "execute").out, {name: state(tiny, name) for name in names}
    shutil.copytree(tiny.root / "outputs", clone / "outputs")
    there = Tiny(clone, tiny.capture)
    assert {name: state(there, name) for name in names} == dict.fromkeys(names, "current")
    # Files of others, where the pages look.
    others = {0: "o.csv", 4: "fig/o.png", 5: "d/o.csv", 6: "out/o", 9: "o.pt", 10: "pool/o", 16: "data/o"}
    for number, name in others.items():
        tiny.write({f"p{number}/{name}": ""})
        assert state(tiny, f"p{number}/page").startswith("stale: "), number


@kernel
def test_names_in_a_folder_are_the_page_s_only_where_it_made_them(tiny: Tiny, tmp_path_factory: Any) -> None:
    """Not in a course within the course, among installed packages, behind a link, nor what other pages make."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    toc = "format: jb-book\nroot: index\nchapters:\n  - file: days/one\n  - file: days/two\n"
    inner = {f"days/inner/{name}": "" for name in ("_config.yml", "outputs/a.csv", "_build/a.csv", "sub/a")}
    late = "days/node_modules/left-pad/late.js"
    tiny.write({"_toc.yml": toc, "days/node_modules/left-pad/a.js": "", "days/late/first.csv": "", **inner})
    (tiny.root / "days/linked").symlink_to(elsewhere)
    make = "import os\nos.mkdir('shared')\nopen('shared/one.csv', 'w').close()"
    read = "open('node_modules/left-pad/late.js').close()\nopen('linked/late.csv').close()"
    look = "import os\nos.listdir('inner'), os.listdir('node_modules/left-pad')"
    tiny.cells(make, WAIT, look, read)
    tiny.cells("import os\nos.listdir('shared'), os.listdir('late')", name="days/two.md")
    process = tiny.start("execute", "--jobs", "1")
    assert until((tiny.root / "days/begun").exists)
    tiny.write({"days/late/second.csv": "", late: "", "days/inner/sub/b": ""})
    (elsewhere / "late.csv").touch()
    tiny.write({"days/go": ""})
    assert process.wait(timeout=60) == 0, process.communicate()
    process.communicate()
    assert (state(tiny), state(tiny, "days/two")) == ("current", "current")
    tiny.write({late: None, "days/late/second.csv": None})
    (elsewhere / "late.csv").unlink()
    shutil.rmtree(tiny.root / "days/inner/sub")
    shutil.rmtree(tiny.root / "days/shared")
    changed = "stale: days/inner/ changed; days/linked/late.csv is gone; days/node_modules/left-pad/ changed"
    assert state(tiny) == f"{changed}; {late} is gone"
    assert state(tiny, "days/two") == "stale: days/late/ changed; days/shared/ is gone"


@kernel
def test_a_sign_among_quotes_leads_nowhere(tiny: Tiny) -> None:
    tiny.write({"days/seqs.fasta": ">a", "days/data.csv": "", "days/sub/raw.txt": "", "days/rows.csv": ""})
    tiny.cells(
        "!grep -c '>' seqs.fasta",
        "import os, subprocess\nsubprocess.run('cd sub && sort raw.txt > data.csv', shell=True)\n"
        "open('data.csv').close()",
        "try:\n    os.rename('gone.csv', 'rows.csv')\nexcept OSError:\n    pass\nopen('rows.csv').close()",
    )
    assert run(tiny, "execute").code == 0
    assert state(tiny) == "current"
    tiny.write({f"days/{name}": "1" for name in ("seqs.fasta", "data.csv", "rows.csv")})
    assert state(tiny) == "stale: days/data.csv changed; days/rows.csv changed; days/seqs.fasta changed"


@kernel
def test_what_is_declared_and_edited_meanwhile_is_never_the_page_s_own(tiny: Tiny, tmp_path_factory: Any) -> None:
    far = tmp_path_factory.mktemp("far")
    (far / "x.bin").write_text("1")
    (tiny.root / "link").symlink_to(far)
    tiny.write({"data/a.bin": "1"})
    tiny.cells(WAIT, head=HEAD.replace("---\n", "---\ncoursebook: {inputs: [data/*.bin, link/*.bin]}\n", 1))
    for n in (2, 3):
        process = tiny.start("execute")
        assert until((tiny.root / "days/begun").exists)
        (far / "x.bin").write_text(str(n))
        tiny.write({"data/a.bin": str(n), f"data/new{n}.bin": str(n), "days/go": ""})
        assert process.wait(timeout=60) == 0, process.communicate()
        process.communicate()
        for name in ("data/a.bin", f"data/new{n}.bin", "link/x.bin"):
            assert f"{name} changed while the page was executed" in state(tiny)
        tiny.write({"days/go": None, "days/begun": None})


@kernel
def test_what_is_edited_or_removed_while_its_page_runs_and_gone_later_was_read(tiny: Tiny) -> None:
    tiny.write({"days/gone.csv": "1", "days/edited.csv": "1"})
    removed = "open('own.csv', 'w').close()\nopen('own.csv').close()\nos.remove('own.csv')"
    tiny.cells("open('gone.csv').close()", WAIT, f"open('edited.csv').close()\n{removed}")
    process = tiny.start("execute")
    assert until((tiny.root / "days/begun").exists)
    tiny.write({"days/gone.csv": None, "days/edited.csv": "2", "days/go": ""})
    assert process.wait(timeout=60) == 0, process.communicate()
    process.communicate()
    assert state(tiny) == "stale: days/gone.csv changed while the page was executed"
    tiny.write({"days/gone.csv": "1"})
    assert "executed 1 page " in run(tiny, "execute").out
    assert state(tiny) == "current"
    tiny.write({"days/edited.csv": None})
    assert state(tiny) == "stale: days/edited.csv is gone"


@kernel
def test_what_pages_do_that_is_told_rarely(tiny: Tiny) -> None:
    """Names and places that look like others, and what is heard of in ways of its own."""
    place = "ch/02-packages"
    strange = os.fsdecode(b"f\xfcr.csv")
    tiny.write({f"{place}/{name}": "" for name in ("helper.py", "data.csv", "rows.csv", "kept.csv", "read.csv")})
    tiny.write({f"{place}/mod.py": "try:\n    import fast\nexcept ImportError:\n    pass\n", ".git/x/y.csv": ""})
    tiny.write({"_toc.yml": f"format: jb-book\nroot: index\nchapters:\n  - file: {place}/page\n"})
    (tiny.root / "days/one.md").unlink()
    (tiny.root / place / strange).write_text("0")
    os.mkfifo(tiny.root / place / "pipe")
    tiny.cells(
        "import os, sys, threading\nfrom pathlib import Path\nimport helper, mod\nopen('data.csv').close()",
        f"open(os.fsdecode({os.fsencode(strange)!r})).close()\nos.close(os.open('pipe', os.O_RDONLY | os.O_NONBLOCK))",
        'os.system(\'echo "rows: $(wc -l < rows.csv)"\')\nos.system("uv run --version > nothing.txt 2>&1")',
        "with open('kept.csv') as file:\n    os.fchmod(file.fileno(), 0o600)",
        "open('own.csv', 'w').close()\nos.makedirs('own', exist_ok=True)\nos.listdir('.'), os.listdir('own')",
        "list(Path('../..').rglob('*.csv'))\nif False:\n    from torchvision import io",
        "def read(first, last):\n    for n in range(first, last):\n        try:\n            open(f'no/{n}.csv')\n"
        "        except OSError:\n            pass\n"
        "sys.setswitchinterval(1e-6)\nread(0, 2_000)\nopen('read.csv').close()\n"
        "threading.Thread(target=read, args=(2_000, 8_000), daemon=True).start()",
        name=f"{place}/page.md",
    )
    done = run(tiny, "execute")
    assert done.code == 0, done.err
    docname = f"{place}/page"
    assert state(tiny, docname) == "current"
    told = provenance(tiny, docname).unseen
    assert told == ("what uv reads", "what wc reads", "files that torchvision.io opens")
    # In a clone there is nothing of the page's own.
    (tiny.root / place / "own.csv").unlink()
    (tiny.root / place / "nothing.txt").unlink()
    (tiny.root / place / "own").rmdir()
    assert state(tiny, docname) == "current"
    for name in ("helper.py", "data.csv", "rows.csv", "kept.csv", "read.csv", strange):
        (tiny.root / place / name).write_text("1")
    (tiny.root / place / "fast.py").write_text("")
    changed = ["data.csv", "f\\udcfcr.csv", "helper.py", "kept.csv", "read.csv", "rows.csv"]
    said = state(tiny, docname)
    for name in changed:
        assert f"{place}/{name} changed" in said
    assert f"{place}/fast.py would be imported" in said
    done = run(tiny, "build")
    assert done.code == 0, done.err


@kernel
@pytest.mark.skipif(not can_fork(), reason="kernels can't be forked here")
def test_a_warm_kernel_imports_what_a_cold_one_does(tiny: Tiny) -> None:
    """Also where another page had a module imported ahead that a file beside this one takes the place of."""
    toc = "format: jb-book\nroot: index\nchapters:\n  - file: days/one\n  - file: labs/two\n  - file: labs/three\n"
    tiny.write({"_toc.yml": toc, "days/cycler.py": "", "lib/pyparsing.py": ""})
    tiny.cells("import cycler\nprint(cycler.__file__)")
    tiny.cells(
        "import sys\nsys.path.insert(0, '../lib')\nimport pyparsing\nprint(pyparsing.__file__)", name="labs/two.md"
    )
    tiny.cells("import sys, matplotlib.pyplot\nprint(sys.modules['cycler'].__file__)", name="labs/three.md")
    for words in ([], ["--force", "--cold"]):
        assert run(tiny, "execute", *words).code == 0
        inputs = [set(provenance(tiny, name).inputs) for name in ("days/one", "labs/two", "labs/three")]
        assert inputs == [{"days/cycler.py"}, {"lib/pyparsing.py"}, set()]


@pytest.mark.parametrize("glob", ["data/**.csv", "", "data/../../x", "/data", "../x"])
def test_inputs_are_globs_below_the_course(tiny: Tiny, glob: str) -> None:
    tiny.cells("1", head=HEAD.replace("---\n", f"---\ncoursebook:\n  inputs: ['{glob}']\n", 1))
    done = run(tiny, "status")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "days/one.md:3: `inputs` takes a list of globs below the course's root" in done.err


def test_a_file_that_comes_and_goes_while_the_course_is_looked_at(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write({"days/passing.tmp": ""})
    walk = snapshot.walk_course

    def walk_late(*words: Any) -> Any:
        entries = list(walk(*words))
        (tiny.root / "days/passing.tmp").unlink(missing_ok=True)
        return entries

    monkeypatch.setattr(snapshot, "walk_course", walk_late)
    assert Snapshot(tiny.root).matches() is None


@kernel
def test_a_file_that_would_be_imported_now(tiny: Tiny) -> None:
    tiny.cells("import colorsys, helper", "try:\n    import extra\nexcept ImportError:\n    pass")
    tiny.write({"days/helper.py": ""})
    assert run(tiny, "execute").code == 0
    assert state(tiny) == "current"
    tiny.write({"days/extra.py": "", "days/colorsys/__init__.py": ""})
    assert state(tiny) == "stale: days/colorsys/__init__.py would be imported; days/extra.py would be imported"
    assert run(tiny, "execute").code == 0
    assert state(tiny) == "current"


@kernel
def test_plain_jupyter_book_with_other_builders_between(tiny: Tiny) -> None:
    """Builders share what was read; each has written what it has written."""
    toc = "format: jb-book\nroot: index\nchapters:\n  - file: days/one\n  - file: days/two\n"
    tiny.write(
        {"_toc.yml": toc, "days/two.md": "# Two\n\n{ref}`sec`\n", "aside.md": "---\norphan: true\n---\n# Aside\n"}
    )

    def build(builder: str, heading: str) -> None:
        tiny.write({"days/one.md": f"# One\n\n(sec)=\n## {heading}\n"})
        options = ["--builder", builder] if builder == "latex" else ["--builder", "custom", "--custom-builder", builder]
        command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", ".", *options]
        done = subprocess.run(command, cwd=tiny.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]

    build("html", "Part 1")
    build("latex", "Part 2")
    build("dirhtml", "Part 2")
    build("html", "Part 2")
    assert "Part 2" in tiny.html("days/two")


@kernel
def test_nothing_of_earlier_builds_stays_on_the_site(tiny: Tiny) -> None:
    dot = '<svg xmlns="http://www.w3.org/2000/svg" width="{}" height="9"/>'
    toc = "format: jb-book\nroot: index\nchapters:\n  - file: days/one\n  - file: labs/two\n"
    tiny.write({"_toc.yml": toc, "labs/two.md": "# Two\n\n![a dot](dot.svg)\n", "labs/dot.svg": dot.format(1)})
    tiny.write({"days/data.csv": "1", "days/gone.svg": dot.format(2), "days/dot.svg": dot.format(3)})
    page = f"{HEAD}# One\n\nWombats. {{download}}`data.csv`\n\n![x](gone.svg)\n\n"
    tiny.write({"days/one.md": page + "```{code-cell} python\n1\n```\n"})
    assert tiny.build().code == 0
    before = tiny.site()
    tiny.write({"days/one.md": "# One\n\n![another dot](dot.svg)\n"})
    assert tiny.build().code == 0
    after = tiny.site()
    gone = before.keys() - after.keys()
    assert gone >= {"freshness.html", "_images/gone.svg", "notebooks/days/one.ipynb"}
    assert any(name.startswith("_downloads/") for name in gone)
    assert "wombat" not in after["searchindex.js"].decode()
    assert 'src="../_images/dot1.svg"' in tiny.html("labs/two"), "by their paths, not by who came first"
    shutil.rmtree(tiny.root / "_build")
    assert tiny.build().code == 0
    assert tiny.site() == after


def anew(tiny: Tiny) -> dict[str, bytes]:
    """The site as a build from nothing makes it."""
    shutil.rmtree(tiny.root / "_build")
    built = tiny.build()
    assert built.code == 0, built.err
    return tiny.site()


def read_again(tiny: Tiny, changed: dict[str, str | bytes | None]) -> set[str]:
    """The pages that the next build reads again when these files have changed."""
    folder = tiny.root / "_build/.coursebook/doctrees"

    def looks() -> dict[str, int]:
        return {p.relative_to(folder).as_posix()[:-8]: p.stat().st_mtime_ns for p in folder.rglob("*.doctree")}

    before = looks()
    built = tiny.write(changed).build()
    assert built.code == 0, built.err
    return {name for name, look in looks().items() if before.get(name) != look}


@pytest.mark.sphinx
def test_what_bears_a_label_goes_to_another_page(tiny: Tiny) -> None:
    toc = "format: jb-book\nroot: index\nchapters:\n  - file: days/one\n  - file: days/two\n"
    tiny.write({"_config.yml": CONFIG.replace("[coursebook]", "[coursebook, sphinx_exercise]"), "_toc.yml": toc})
    exercise = "```{exercise} Try\n:label: ex\nDo it.\n```"
    both = f"(sec)=\n## Part\n\n$$\nx = 1\n$$ (eq)\n\n{exercise}\n\n```{{math}}\n:label: other\ny\n```\n"
    tiny.write({"index.md": "# Home\n\n{ref}`sec` {eq}`eq` {ref}`ex` {eq}`other`\n"})
    for one, two in ((both, ""), ("", both), (both, "")):
        tiny.write({"days/one.md": f"# One\n\n{one}", "days/two.md": f"# Two\n\n{two}"})
        built = tiny.build()
        assert built.code == 0, built.err
        assert tiny.html("index").count(f"days/{'one' if one else 'two'}.html#") == 4
    assert tiny.site() == anew(tiny)


@pytest.mark.sphinx
def test_files_that_the_configuration_names_and_files_that_pages_show(tiny: Tiny) -> None:
    dot = '<svg xmlns="http://www.w3.org/2000/svg" width="{}" height="9"/>'
    config = CONFIG.replace("amsmath", "html_image, amsmath").replace("config: {", "config: {html_extra_path: [more], ")
    tiny.write({"_config.yml": config, "more/a/x.txt": "x", "_static/a/y.txt": "y", "assets/data.csv": "1"})
    tiny.write({f"assets/{name}.svg": dot.format(1) for name in ("shown", "raw")})
    shown = '# One\n\n![x](../assets/shown.svg)\n\n<img src="../assets/raw.svg" alt="x">\n\n'
    tiny.write({"days/one.md": shown + "{download}`../assets/data.csv`\n", "assets/other.csv": "1"})
    assert tiny.build().code == 0
    assert {"a/x.txt", "_static/a/y.txt"} <= tiny.site().keys()

    # Whatever lies beside them is nobody's business, and pictures are that of the page that shows them.
    assert read_again(tiny, {"assets/other.csv": "2", "days/one.md": shown.replace("One", "1")}) == {"days/one"}
    changed: dict[str, str | bytes | None] = {f"assets/{name}.svg": dot.format(2) for name in ("shown", "raw")}
    assert read_again(tiny, changed) == {"days/one"}
    site = tiny.site()
    assert all(site[f"_images/{name}.svg"] == dot.format(2).encode() for name in ("shown", "raw"))
    assert read_again(tiny, {"days/one.md": shown + "{download}`../assets/data.csv`\n"}) == {"days/one"}
    assert read_again(tiny, {"assets/data.csv": "2"}) == {"days/one"}
    assert [data for name, data in tiny.site().items() if name.startswith("_downloads/")] == [b"2"]

    # The same file in another folder.
    tiny.write({"more/a/x.txt": None, "more/b/x.txt": "x"})
    assert tiny.build().code == 0
    assert "a/x.txt" not in tiny.site()
    assert tiny.site() == anew(tiny)

    # What nothing names. A checksum of the style sheet stands on every page.
    tiny.write({"_static/own.css": "p { color: red }"})
    assert tiny.build().code == 0
    tiny.write({"_static/own.css": "p { color: blue }", "_static/a/y.txt": None, "_static/b/y.txt": "y"})
    assert tiny.build().code == 0
    assert "_static/own.css?v=" in tiny.html()
    assert "_static/a/y.txt" not in tiny.site()
    assert tiny.site() == anew(tiny)


@kernel
def test_pictures_that_a_page_puts_out_don_t_have_it_read_again(tiny: Tiny) -> None:
    png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
    tiny.cells(f"import base64\nfrom IPython.display import Image\nImage(base64.b64decode({png!r}))")
    assert tiny.build().code == 0
    assert "_images/" in tiny.html()
    assert read_again(tiny, {"index.md": "# Home\n\nAnother text.\n"}) == {"index"}


@pytest.mark.sphinx
def test_a_formula_in_a_title_is_one_wherever_the_title_stands(tiny: Tiny) -> None:
    tiny.write({"days/one.md": "# Day one\n\nOn $x$.\n"})
    assert tiny.build().code == 0
    assert "tex-chtml.js" not in tiny.html("index")
    tiny.write({"days/one.md": "# Day one: $x$\n\nOn $x$.\n"})
    assert tiny.build().code == 0
    for name in ("index", "search"):
        assert "tex-chtml.js" in tiny.html(name), name
    assert tiny.site() == anew(tiny)


@pytest.mark.sphinx
def test_a_picture_that_suits_better_takes_its_place(tiny: Tiny) -> None:
    dot = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    tiny.write({"index.md": "# A\n\n```{image} pictures/a.*\n```\n\n![x](pictures/b.png)\n", "pictures/a.png": b"png"})
    tiny.write({"days/one.md": "# One\n\n```{figure} ../pictures/b.png\nOne.\n```\n", "pictures/b.png": b"png"})

    def pictures(*expected: str) -> None:
        built = tiny.build()
        assert built.code == 0, built.err
        assert sorted(name for name in tiny.site() if name.startswith("_images/")) == [*expected]

    pictures("_images/a.png", "_images/b.png")
    tiny.write({"pictures/a.svg": dot})
    pictures("_images/a.svg", "_images/b.png")
    tiny.write({"pictures/b.en.png": b"in English"})
    pictures("_images/a.svg", "_images/b.en.png")
    tiny.write({"pictures/a.en.svg": dot, "pictures/c.svg": dot})
    pictures("_images/a.en.svg", "_images/b.en.png")
    tiny.write({"pictures/a.en.svg": None, "pictures/a.svg": None})
    pictures("_images/a.png", "_images/b.en.png")
    assert tiny.site() == anew(tiny)


@pytest.mark.sphinx
def test_lists_of_what_stands_in_other_pages(tiny: Tiny) -> None:
    config = CONFIG.replace("[coursebook]", "[coursebook, sphinx.ext.todo]")
    config = config.replace("config: {", "config: {todo_include_todos: true, ")
    toc = "format: jb-book\ndefaults: {titlesonly: false, hidden: false}\nroot: index\nchapters:\n  - file: lists\n"
    toc += "  - file: days/zero\n    sections:\n    - file: days/one\n      sections:\n      - file: days/two\n"
    lists = "# Lists\n\n```{todolist}\n```\n\n"
    dated = "---\ncoursebook: {date: 2027-02-10}\n---\n# One\n\n%s"
    tiny.write({"_config.yml": config, "_toc.yml": toc, "days/zero.md": "# Zero\n\n```{tableofcontents}\n```\n"})
    tiny.write({"days/one.md": dated % "```{todo}\nFirst.\n```\n", "lists.md": lists + "```{schedule}\n```\n"})
    tiny.write({"days/two.md": "# Two\n\n## Part\n"})
    assert tiny.build().code == 0
    assert "schedule.js" in tiny.html("lists")
    tiny.write({"days/two.md": "# Two\n\n## Another part\n"})
    assert tiny.build().code == 0
    assert "Another part" in tiny.html("days/zero")
    tiny.write({"days/two.md": "# Two\n\n## Another part\n\n```{todo}\nSecond.\n```\n"})
    assert tiny.build().code == 0
    assert "Second." in tiny.html("lists")
    tiny.write({"days/one.md": dated % "Not at once.\n\n```{todo}\nFirst.\n```\n"})
    assert tiny.build().code == 0
    tiny.write({"lists.md": lists})
    assert tiny.build().code == 0
    assert "schedule.js" not in tiny.html("lists")
    assert tiny.site() == anew(tiny), "in the same order, with the same lines"


@kernel
def test_a_page_that_is_edited_while_the_site_is_made_keeps_to_its_outputs(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.cells("print('before')")
    assert run(tiny, "execute").code == 0
    course = Course.load(tiny.root)
    decisions = plan(course, Store(tiny.root), Environment())
    text = (tiny.root / "days/one.md").read_text().replace("before", "after")
    tiny.write({"days/one.md": text})
    rendered = Current()
    rendered.take(course, course.today, decisions, is_final=True)
    monkeypatch.setattr(readers, "_reading", [rendered])
    notebook = readers.read(text, "days/one")
    said = [(cell.source, cell.outputs[0].text) for cell in notebook.cells if cell.cell_type == "code"]
    assert said == [("print('before')", "before\n")]
    assert rendered.outrun == {"days/one"}, "which the next build reads again"
