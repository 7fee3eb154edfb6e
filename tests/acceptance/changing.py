"""A course that changes, step by step, as courses do: what it is made of, what may happen to it, and what comes of it.

`Course` is what stands in its files, each thing of a kind that one page shows of another or that outputs follow from:
titles, labels, captions, numbers, glued values, included text, data, modules, packages. A step changes one of them, or
what lies around them. `Workshop` writes the files, runs the commands on them, and says what they made.
"""

from __future__ import annotations

import copy
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DRIVER = """\
import datetime, os, sys
from coursebook.course import Course, Moment
day = datetime.date.fromisoformat(os.environ["COURSE_DAY"])
Course.today = property(lambda course: Moment(day))
from coursebook.cli import main
sys.exit(main(sys.argv[1:]))
"""
# An extension of the course: it waits in the middle of rendering for as long as somebody holds it.
HOLDING = """\
import os, time

def wait(app, env):
    hold = os.environ.get("COURSE_HOLD", "") + ".render"
    while os.path.exists(hold):
        open(hold + ".reached", "w").close()
        time.sleep(0.02)
    return ()

def setup(app):
    app.connect("env-updated", wait)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
"""
CONFIG = """\
title: A course that changes
author: Somebody
copyright: "2026"
execute: {execute_notebooks: cache, timeout: 60}
parse: {myst_enable_extensions: [amsmath, colon_fence, dollarmath]}
sphinx:
  extra_extensions: [coursebook, sphinx_exercise, holding]
  config: {coursebook_packages: {toy: exact}}
bibtex_bibfiles: [refs.bib]
"""
AUTHORS = ("Adams", "Baker", "Clark")
BOOKS = "".join(
    f"@book{{{name}, title={{T}}, author={{{name}}}, year={{2000}}, publisher={{P}}}}\n" for name in AUTHORS
)
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><circle r="4" fill="#{color:03x}"/></svg>\n'
# Ways in which a cell imports a package beside what only IPython understands.
IMPORTS = (
    "import toy",
    "%%capture\n%%time\nimport toy",
    "%%capture said\nimport toy",
    "found = !true\nimport toy",
    "toy?\nimport toy",
    "taken = %timeit -o -q -n1 -r1 import toy\nimport toy",
)
HOLD = """\
import os, time
hold = os.environ.get("COURSE_HOLD", "") + ".execute"
while os.path.exists(hold):
    open(hold + ".reached", "w").close()
    time.sleep(0.02)
"""
DEEP = ("outputs", "_build", "node_modules")
FOLDERS = ("days", "labs", "days/deep")
DAYS = tuple(datetime.date(2026, 1, day) for day in (10, 20, 30))
KEYS = ("a", "b", "c")


@dataclass
class Lesson:
    """A page: where it lies, and what stands in it. Numbers stand for texts, so that a step can change one."""

    folder: str
    name: str
    title: int = 0
    style: int = 0
    sentence: int = 0
    section: int = 0
    caption: int = 0
    cited: int = 0
    figures: int = 1
    exercise: int = 0
    value: int = 0
    imports: int = 0
    release: int = 0  # of DAYS; the first is past on the first day
    solutions: int = 0

    @property
    def docname(self) -> str:
        return f"{self.folder}/{self.name}"


@dataclass
class Course:
    """What stands in the course's files. `data`, `helper` and `values` go by folder, number and place."""

    lessons: dict[str, Lesson]
    home: int = 0
    swapped: bool = False  # whether the figures of `a` and `b` bear each other's labels
    data: dict[str, int] = field(default_factory=lambda: dict(zip(FOLDERS, range(10, 13), strict=True)))
    helper: dict[str, int] = field(default_factory=lambda: dict(zip(FOLDERS, range(20, 23), strict=True)))
    parts: int = 0  # the text that is included
    picture: int = 0
    binaries: dict[int, int] = field(default_factory=lambda: {0: 0})
    widely: bool = False  # whether the glob of `inputs:` is the wider one
    deep: int = 0
    deep_value: int = 0
    linked: int = 0
    led: int = 0  # which of three files a link within the course leads to
    extra: bool = False  # whether there is one page more
    links: bool = True  # whether a page reads through a link that leads out of the course, and one makes files

    @classmethod
    def first(cls, imports: int, styles: int, deep: int, links: bool = True) -> Course:
        lessons = {
            "a": Lesson("days", "one", imports=imports, style=styles),
            "b": Lesson("days", "two", style=styles + 1),
            "c": Lesson("labs", "three"),
        }
        return cls(lessons, deep=deep, links=links)

    def waits_for(self, day: datetime.date) -> bool:
        """Whether something is released after that day."""
        return any(max(DAYS[lesson.release], DAYS[lesson.solutions]) > day for lesson in self.lessons.values())

    def files(self) -> dict[str, str]:
        """Every file with its text."""
        found = {"_config.yml": CONFIG, "_toc.yml": self._toc(), "index.md": self._home(), "refs.bib": BOOKS}
        for key, lesson in self.lessons.items():
            if key == "c":
                found[f"{lesson.docname}.ipynb"] = self._notebook(lesson)
            else:
                found[f"{lesson.docname}.md"] = self._markdown(key, lesson)
        if self.extra:
            found["extra.md"] = "# One page more\n\n```{figure} assets/picture.svg\n:name: fig-x\nMore.\n```\n"
        for folder in FOLDERS:
            found[f"{folder}/data.csv"] = f"{self.data[folder]}\n"
            found[f"{folder}/helper.py"] = f"VALUE = {self.helper[folder]}\n"
        found["parts/text.txt"] = f"Included {self.parts}.\n"
        found["assets/picture.svg"] = PICTURE.format(color=self.picture)
        for number, value in self.binaries.items():
            found[f"raw/{number}.bin"] = f"{value}\n"
        found["raw/wide.txt"] = "0\n"
        found |= {f"versions/{number}.csv": f"{number}\n" for number in range(3)}
        for name in DEEP:
            found[f"data/{name}/set.csv"] = f"{self.deep_value if name == DEEP[self.deep] else 0}\n"
        return found

    def _toc(self) -> str:
        names = [lesson.docname for lesson in self.lessons.values()]
        names = ["extra", *names] if self.extra else names
        return "format: jb-book\nroot: index\nchapters:\n" + "".join(f"  - file: {name}\n" for name in names)

    def _home(self) -> str:
        cited = f"First came {{cite}}`{AUTHORS[2]}`.\n\n```{{bibliography}}\n```\n"
        return f"# Home {self.home}\n\nWelcome.\n\n{self._references('')}\n{cited}"

    def _markdown(self, key: str, lesson: Lesson) -> str:
        options = self._options(lesson)
        if key == "b":
            options["inputs"] = ["raw/*"] if self.widely else ["raw/*.bin"]
        kernel = "file_format: mystnb\nkernelspec: {name: python3, display_name: Python 3}"
        head = f"{kernel}\ncoursebook: {json.dumps(options)}"
        fences = "\n".join(f"```{{code-cell}} python\n{source}\n```\n" for source in self._cells(key, lesson))
        return f"---\n{head}\n---\n{self._prose(key, lesson)}\n{fences}\n{self._references(key)}"

    def _options(self, lesson: Lesson) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if lesson.release:
            found["release"] = DAYS[lesson.release].isoformat()
        if lesson.solutions:
            found["solutions"] = DAYS[lesson.solutions].isoformat()
        return found

    def _prose(self, key: str, lesson: Lesson) -> str:
        title = f"Lesson {key} {lesson.title}"
        heading = (f"# {title}", f"{title}\n{'=' * len(title)}", f"  # {title}")[lesson.style % 3]
        section = f"Part {lesson.section}"
        below = (f"## {section}", f"{section}\n{'-' * len(section)}", f"  ## {section}")[lesson.style % 3]
        label = {"a": "b", "b": "a"}.get(key, key) if self.swapped else key
        up = "../" * (lesson.folder.count("/") + 1)
        figures = "".join(
            f"```{{figure}} {up}assets/picture.svg\n:name: fig-{label}{n or ''}\nCaption {lesson.caption}.\n```\n\n"
            for n in range(lesson.figures)
        )
        included = f"```{{include}} {up}parts/text.txt\n```\n\n" if key == "b" else ""
        return (
            f"{heading}\n\nSentence {lesson.sentence}, see {{cite}}`{AUTHORS[lesson.cited % 3]}`.\n\n"
            f"(sec-{key})=\n{below}\n\n{figures}{included}"
            f"$$\nx = {lesson.sentence}\n$$ (eq-{key})\n\n"
            f"```{{exercise}} Try {lesson.exercise}\n:label: ex-{key}\nDo it.\n```\n\n"
            f"```{{solution}} ex-{key}\n:label: sol-{key}\nDone {lesson.exercise}.\n```\n"
        )

    def _cells(self, key: str, lesson: Lesson) -> Iterator[str]:
        if key == "a":
            yield IMPORTS[lesson.imports % len(IMPORTS)]
            yield f"import helper\nprint('value', {lesson.value}, helper.VALUE, toy.VALUE)"
            yield "number = int(open('data.csv').read())\nfrom myst_nb import glue\nglue('v', number, display=False)"
            yield HOLD
        elif key == "b":
            up = "../" * (lesson.folder.count("/") + 1)
            yield f"import os\nprint('raw', {lesson.value}, os.popen('cat {up}raw/*').read())"
            yield HOLD
            if (
                self.links
            ):  # where snapshots never match: the files that a page makes differ from what a build began with
                yield from self._making()

    def _making(self) -> Iterator[str]:
        """What a page makes and changes itself is no input, however it does that."""
        yield "import shutil, sqlite3\nshutil.rmtree('made', ignore_errors=True)\nos.makedirs('made')"
        yield "base = sqlite3.connect('made/base.db')\nbase.execute('create table t (x)')\nbase.close()"
        yield "_ = os.system('echo 1 > made/one.csv')\nos.replace('made/one.csv', 'made/two.csv')"
        yield "print(open('made/two.csv').read(), sorted(os.listdir('made')))"

    def _notebook(self, lesson: Lesson) -> str:
        up = "../" * (lesson.folder.count("/") + 1)
        deep = f"{up}data/{DEEP[self.deep]}/set.csv"
        far = f", open('{up}linked/far.csv').read()" if self.links else ""
        code = f"print({lesson.value}, open('{deep}').read(), open('{up}version.csv').read(){far})"
        cells = [("markdown", self._prose("c", lesson)), ("code", code), ("markdown", self._references("c"))]
        made = [
            {"cell_type": kind, "id": f"c{n}", "metadata": {}, "source": source}
            | ({"outputs": [], "execution_count": None} if kind == "code" else {})
            for n, (kind, source) in enumerate(cells)
        ]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        meta = {"kernelspec": kernel, "coursebook": self._options(lesson)}
        return json.dumps({"cells": made, "metadata": meta, "nbformat": 4, "nbformat_minor": 5}, indent=1)

    def _references(self, here: str) -> str:
        """What a page shows of the others."""
        rows = []
        for key, lesson in self.lessons.items():
            if key != here:
                rows.append(f"{{ref}}`sec-{key}`, {{ref}}`fig-{key}`, {{numref}}`fig-{key}`, {{eq}}`eq-{key}`,")
                rows.append(f"{{ref}}`ex-{key}`, {{numref}}`ex-{key}`, {{doc}}`/{lesson.docname}`.")
        if here != "a":
            rows.append(f"It was {{glue:text}}`/{self.lessons['a'].docname}.md::v:.1f`.")
        return "\n".join(rows) + "\n"


class Workshop:
    """The files of a course in a folder, with the packages that are installed beside it; it runs the commands."""

    def __init__(self, folder: Path, course: Course) -> None:
        self.course, self.root, self.day = course, folder / "course", DAYS[0]
        self.packages, self.far, self._hold = folder / "packages", folder / "far", folder / "hold"
        self._kept: list[tuple[Course, str]] = []
        self.package = 0
        self.root.mkdir(parents=True)
        self.packages.mkdir()
        self.far.mkdir()
        (self.packages / "holding.py").write_text(HOLDING)
        (folder / "driver.py").write_text(DRIVER)
        self._driver = folder / "driver.py"
        self.install(0)
        self.write()
        self.git("init", "-q")
        self.commit()

    def install(self, version: int) -> None:
        """Have another version of the package that pages import."""
        for old in self.packages.glob("toy*"):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        self.package = version
        (self.packages / "toy.py").write_text(f"VALUE = {version}\n")
        info = self.packages / f"toy-{version}.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: toy\nVersion: {version}.0\n")
        (info / "RECORD").write_text("toy.py,,\n")
        (info / "top_level.txt").write_text("toy\n")

    def write(self, *, older: bool = False) -> None:
        """Write what isn't as the course says, and remove what it no longer has. `older`: as `mv` and `cp -p` bring
        files, with a time of change before what was there."""
        (self.far / "far.csv").write_text(f"{self.course.linked}\n")
        link = self.root / "linked"
        if self.course.links and not link.is_symlink():
            link.symlink_to(self.far, target_is_directory=True)
        version = self.root / "version.csv"
        version.unlink(missing_ok=True)
        version.symlink_to(f"versions/{self.course.led % 3}.csv")
        wanted = self.course.files() | {".gitignore": "_build\n/outputs\nlinked\nversion.csv\nmade\n__pycache__\n"}
        for name, text in wanted.items():
            path = self.root / name
            if not path.is_file() or path.read_text() != text:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
                if older:
                    then = time.time() - 1e6 - len(text)
                    os.utime(path, (then, then))
        for path in self._sources():
            if path.relative_to(self.root).as_posix() not in wanted:
                path.unlink()

    def _sources(self) -> list[Path]:
        told = self.git("ls-files", "-z", "--cached", "--others", "--exclude-standard") if self._has_git else ""
        return [self.root / name for name in told.split("\0") if name and (self.root / name).is_file()]

    @property
    def _has_git(self) -> bool:
        return (self.root / ".git").is_dir()

    def git(self, *words: str) -> str:
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        done = subprocess.run(["git", *who, *words], cwd=self.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "As it stands")
        self._kept.append((copy.deepcopy(self.course), self.git("rev-parse", "HEAD").strip()))

    def checkout(self, which: int) -> None:
        """The course as it was in an earlier commit."""
        course, commit = self._kept[which % len(self._kept)]
        self.git("reset", "-q", "--hard")
        self.git("clean", "-qfd")
        self.git("checkout", "-q", commit)
        self.course = copy.deepcopy(course)
        self.write()

    def build(self, *, meanwhile: Callable[[], None] | None = None, hold: str = "execute") -> str:
        """Build the site, which goes well whatever the last steps were. Returns what it said."""
        code, said = self.run("build", meanwhile=meanwhile, hold=hold)
        assert code == 0, said
        return said

    def run(self, *words: str, meanwhile: Callable[[], None] | None = None, hold: str = "execute") -> tuple[int, str]:
        """Run a command on the course; `meanwhile` is done while a page is executed, or the site is rendered."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(self.packages), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
            "COURSE_HOLD": str(self._hold),
            "COURSE_DAY": self.day.isoformat(),
        }
        gate = self._hold.with_name(f"hold.{hold}")
        reached = gate.with_name(f"{gate.name}.reached")
        if meanwhile:
            reached.unlink(missing_ok=True)
            gate.touch()
        process = subprocess.Popen(
            [sys.executable, str(self._driver), *words, "--root", str(self.root)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
        )  # fmt: skip
        if meanwhile:
            while process.poll() is None and not reached.exists():
                time.sleep(0.01)
            meanwhile()
            gate.unlink()
        said, _ = process.communicate(timeout=300)
        return process.returncode, said

    def made(self) -> dict[str, bytes]:
        """What the commands made that is the same each time it is made from the same: the site, outputs and status."""
        code, said = self.run("clean")  # what earlier pages left: kept, as they may come back
        assert code == 0, said
        found = {f"site/{name}": _steady(name, data) for name, data in _files(self.root / "_build/html")}
        for name, data in _files(self.root / "outputs"):
            found[f"outputs/{name}"] = _steady_outputs(data)
        code, said = self.run("status", "--json")
        assert code == 0, said
        told = [(page["page"], page["state"], page["reasons"]) for page in json.loads(said)]
        found["status"] = json.dumps(told).encode()
        return found

    def anew(self, folder: Path) -> Workshop:
        """The same course in another folder, where nothing of it was ever built."""
        other = copy.copy(self)
        other.root = folder / self.root.name
        shutil.copytree(self.root, other.root, symlinks=True, ignore=self._products)
        return other

    def _products(self, folder: str, names: list[str]) -> list[str]:
        at_the_top = {"_build", "outputs"} if Path(folder) == self.root else set()
        return [name for name in names if name in at_the_top or name in ("__pycache__", "made")]


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_bytes()


# When and how long something was executed.
_TIMES = re.compile(
    rb"CPU times: .*?Wall time: [\d.]+ [^\s\\<\"]+"
    rb"|20\d\d-\d\d-\d\dT[\d:.+Z-]+|as of 20\d\d-\d\d-\d\d|(?<=>)20\d\d-\d\d-\d\d(?=<)|20\d\d-\d\d-\d\d\""
    rb"|in \d+\.\d s\b|data-sort=\"\d+\.\d+\">\d+\.\d<|current 20\d\d-\d\d-\d\d",
    re.DOTALL,
)


def _steady(name: str, data: bytes) -> bytes:
    if name.endswith((".html", ".json", ".svg", ".xml", ".ipynb", ".js")):
        return _TIMES.sub(b"-", data)
    return data


def _steady_outputs(data: bytes) -> bytes:
    notebook = json.loads(data)
    told = notebook["metadata"]["coursebook"]["provenance"]
    for name in ("executed", "seconds", "cell_seconds", "peak_memory", "commit"):
        told.pop(name, None)
    return json.dumps(notebook, sort_keys=True).encode()


# --- what may happen ------------------------------------------------------------------------------------------------

Step = tuple[str, int, int]


def happen(shop: Workshop, step: Step) -> None:
    """Have one thing happen to the course; the two numbers say to which part of it, and how."""
    name, which, how = step
    STEPS[name](shop, which, how)


def _lesson(shop: Workshop, which: int) -> Lesson:
    return shop.course.lessons[KEYS[which % len(KEYS)]]


def _changes(name: str) -> Callable[[Workshop, int, int], None]:
    """A step that gives one thing in a page another value, as an editor does or (in one of four) as `mv` does."""

    def change(shop: Workshop, which: int, how: int) -> None:
        setattr(_lesson(shop, which), name, how)
        shop.write(older=how % 4 == 3)

    return change


def _change_the_course(name: str) -> Callable[[Workshop, int, int], None]:
    def change(shop: Workshop, which: int, how: int) -> None:
        value: Any = getattr(shop.course, name)
        if isinstance(value, dict):
            key = list(value)[which % len(value)]
            value[key] = how
        else:
            setattr(shop.course, name, bool(how % 2) if isinstance(value, bool) else how)
        shop.write(older=how % 4 == 3)

    return change


def _figures(shop: Workshop, which: int, how: int) -> None:
    _lesson(shop, which).figures = 1 + how % 2
    shop.write()


def _day_of(name: str) -> Callable[[Workshop, int, int], None]:
    def change(shop: Workshop, which: int, how: int) -> None:
        # What others quote a number of stays on the site.
        setattr(_lesson(shop, 1 + which % 2), name, how % len(DAYS))
        shop.write()

    return change


def _move(shop: Workshop, which: int, how: int) -> None:
    # The first reads what lies beside it.
    _lesson(shop, which // 3).folder = FOLDERS[how % len(FOLDERS)]
    shop.write()


def _rename(shop: Workshop, which: int, how: int) -> None:
    _lesson(shop, which).name = f"page{KEYS[which % len(KEYS)]}{how % 3}"
    shop.write()


def _binary(shop: Workshop, which: int, how: int) -> None:
    """A file comes that a glob names, or goes."""
    if which in shop.course.binaries and len(shop.course.binaries) > 1:
        del shop.course.binaries[which]
    else:
        shop.course.binaries[which] = how
    shop.write()


def _deep(shop: Workshop, which: int, how: int) -> None:
    shop.course.deep = which % len(DEEP)
    shop.course.deep_value = how
    shop.write()


def _touch(shop: Workshop, which: int, how: int) -> None:
    names = sorted(shop.course.files())
    os.utime(shop.root / names[which % len(names)])


def _outputs_from_elsewhere(shop: Workshop, which: int, how: int) -> None:
    """Outputs come as `git pull` brings them: those of the course as it was, executed somewhere."""
    _swap_outputs(shop, shop.root.with_name("elsewhere"))


def _outputs_while_rendered(shop: Workshop, which: int, how: int) -> None:
    _build(shop, which, how)
    shop.course.lessons["b"].value = how
    shop.write()
    shop.build(meanwhile=lambda: _swap_outputs(shop, shop.root.with_name("elsewhere")), hold="render")


def _swap_outputs(shop: Workshop, other: Path) -> None:
    """The outputs take those that were put aside the last time in their place, and are put aside."""
    outputs, passing = shop.root / "outputs", other.with_name("passing")
    if not outputs.is_dir():
        return
    shutil.copytree(outputs, passing)
    if other.is_dir():
        shutil.rmtree(outputs)
        shutil.copytree(other, outputs)
        shutil.rmtree(other)
    passing.rename(other)


def _while_it_runs(change: str) -> Callable[[Workshop, int, int], None]:
    """The page runs when something that it has read becomes another."""

    def step(shop: Workshop, which: int, how: int) -> None:
        lesson = shop.course.lessons["a"]
        lesson.value += 1
        shop.write()

        def meanwhile() -> None:
            values: dict[str, int] = getattr(shop.course, change)
            values[lesson.folder] += 1 + how
            shop.write()

        shop.build(meanwhile=meanwhile)

    return step


def _install(shop: Workshop, which: int, how: int) -> None:
    shop.install(how)


def _reach_a_day(shop: Workshop, which: int, how: int) -> None:
    shop.day = max(shop.day, DAYS[how % len(DAYS)])


def _build(shop: Workshop, which: int, how: int) -> None:
    shop.build()


STEPS: dict[str, Callable[[Workshop, int, int], None]] = {
    "build": _build,
    "sentence": _changes("sentence"),
    "cell": _changes("value"),
    "caption": _changes("caption"),
    "title": _changes("title"),
    "section": _changes("section"),
    "exercise": _changes("exercise"),
    "citation": _changes("cited"),
    "heading style": _changes("style"),
    "import": _changes("imports"),
    "figures": _figures,
    "label": _change_the_course("swapped"),
    "home": _change_the_course("home"),
    "data": _change_the_course("data"),
    "module": _change_the_course("helper"),
    "included": _change_the_course("parts"),
    "picture": _change_the_course("picture"),
    "linked": _change_the_course("linked"),
    "led": _change_the_course("led"),
    "glob": _change_the_course("widely"),
    "matched": _binary,
    "deep": _deep,
    "page more": _change_the_course("extra"),
    "move": _move,
    "rename": _rename,
    "touch": _touch,
    "commit": lambda shop, which, how: shop.commit(),
    "checkout": lambda shop, which, how: shop.checkout(which),
    "data while it runs": _while_it_runs("data"),
    "module while it runs": _while_it_runs("helper"),
    "outputs from elsewhere": _outputs_from_elsewhere,
    "outputs while rendered": _outputs_while_rendered,
    "package": _install,
    "release": _day_of("release"),
    "solutions": _day_of("solutions"),
    "a day": _reach_a_day,
}
