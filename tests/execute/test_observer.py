"""The parts of the observer by themselves, without a kernel: which commands a line has, and what may be an input."""

import ast
import os
import sys
from pathlib import Path

import pytest

from coursebook.execute import observer
from coursebook.execute.observer.hook import Events
from coursebook.execute.observer.notes import Notes, is_since
from coursebook.execute.observer.paths import Paths
from coursebook.execute.observer.programs import commands_of, database, is_harmless

MADE = ("_build", "outputs")


@pytest.fixture
def hidden() -> list[str]:
    return []


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hidden: list[str]) -> Paths:
    root = tmp_path / "course"
    (root / "data").mkdir(parents=True)
    (root / "data" / "a.csv").write_text("1")
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "b.csv").write_text("2")
    monkeypatch.chdir(root)
    return Paths(str(root), MADE, hidden.append)


def _names(part: str) -> list[str]:
    """What a part defines at its top."""
    found: list[str] = []
    for node in ast.parse(Path(observer.__file__).with_name(f"{part}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.append(node.name)
        elif isinstance(node, ast.Assign):
            found += [target.id for target in node.targets if isinstance(target, ast.Name)]
    return found


def test_no_two_parts_have_a_name_in_common() -> None:
    names = [name for part in observer.PARTS for name in _names(part)]
    assert sorted(names) == sorted(set(names))


def test_every_file_is_a_part() -> None:
    files = {path.stem for path in Path(observer.__file__).parent.glob("*.py")}
    assert files == {"__init__", *observer.PARTS}


def test_one_text_imports_only_the_standard_library() -> None:
    imported = set()
    for node in ast.walk(ast.parse(observer.source())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, node.lineno
            imported.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Import):
            imported |= {name.name.split(".")[0] for name in node.names}
    assert imported <= sys.stdlib_module_names


def test_one_text_knows_its_own_frames(paths: Paths) -> None:
    namespace: dict[str, object] = {"__name__": "coursebook", "root": paths.root}
    exec(compile(observer.source(), "coursebook", "exec"), namespace)  # noqa: S102
    ask = "def ask(): return is_by_page(root), caller().f_code.co_filename\nanswer = lambda: ask()"
    exec(compile(ask, "coursebook", "exec"), namespace)  # noqa: S102
    for file, is_by_page in {
        str(Path(paths.root) / "page.py"): True,
        "/tmp/ipykernel_1/2.py": True,
        "/env/lib/site-packages/package.py": False,
    }.items():
        exec(compile("seen = answer()", file, "exec"), namespace)  # noqa: S102
        assert namespace["seen"] == (is_by_page, file)


@pytest.mark.parametrize(
    ("words", "commands"),
    [
        pytest.param(["wc", "a b.txt"], [["wc", "a b.txt"]], id="words"),
        pytest.param("wc 'a b.txt'", [["wc", "a b.txt"]], id="line"),
        pytest.param(b"wc a.txt", [["wc", "a.txt"]], id="bytes"),
        pytest.param([Path("wc"), b"a.txt"], [["wc", "a.txt"]], id="paths"),
        pytest.param("cat a | sort && wc b; ls", [["cat", "a"], ["sort"], ["wc", "b"], ["ls"]], id="several"),
        pytest.param("X=1 Y=2 wc a=b", [["wc", "a=b"]], id="variables"),
        pytest.param("sort a >b", [["sort", "a", ">", "b"]], id="into a file"),
        pytest.param(["/bin/bash", "-e", "-c", "cat a; wc b"], [["cat", "a"], ["wc", "b"]], id="shell"),
        pytest.param(["bash", "-c"], [["bash", "-c"]], id="shell without a line"),
        pytest.param("echo $(cat a)", [["echo", "$"], ["cat", "a"], ["cat", "a"]], id="inner"),
        pytest.param("echo 'a", [["echo", "'a"]], id="open quote"),
    ],
)
def test_commands(words: object, commands: list[list[str]]) -> None:
    assert commands_of(words) == commands


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("date", True),
        ("/usr/bin/uname -a", True),
        ("pip install numpy", True),
        ("pip install -e .", False),
        ("uv pip list", True),
        ("uv run page.py", False),
        ("wc a.txt", False),
    ],
)
def test_harmless_programs(command: str, expected: bool) -> None:
    assert is_harmless(command.split()) is expected


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("a.db", "a.db"),
        (b"a.db", "a.db"),
        ("file:a%20b.db?mode=ro#x", "a b.db"),
        ("file:///data/a.db", "/data/a.db"),
        ("file://localhost/data/a.db", "/data/a.db"),
        (7, 7),
    ],
)
def test_database(name: object, file: object) -> None:
    assert database(name) == file


@pytest.mark.parametrize(
    ("path", "names"),
    [
        pytest.param("data/a.csv", ["data/a.csv"], id="file"),
        pytest.param(b"data/a.csv", ["data/a.csv"], id="bytes"),
        pytest.param("data/../data/./a.csv", ["data/a.csv"], id="roundabout"),
        pytest.param("data/none.csv", ["data/none.csv"], id="absent"),
        pytest.param("../disk/b.csv", [], id="outside"),
        pytest.param("outputs/a.json", [], id="made"),
        pytest.param("env/lib/site-packages/a.py", [], id="package"),
        pytest.param("data/__pycache__/m.cpython-311.pyc", ["data/m.py"], id="cached module"),
        pytest.param(object(), [], id="no path"),
    ],
)
def test_what_may_be_an_input(paths: Paths, path: object, names: list[str]) -> None:
    assert paths.names_of(path) == names


def test_a_course_whose_folder_is_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    paths = Paths(str(tmp_path.resolve()), MADE, print)
    assert paths.names_of("data/a.csv") == ["data/a.csv"]
    assert paths.names_of("lib/python3/site-packages/a.py") == []


def test_hidden_files_are_told_of_where_it_matters(paths: Paths, hidden: list[str]) -> None:
    assert paths.names_of("data/.secret/x", tells=False) == []
    assert hidden == []
    assert paths.names_of("data/.secret/x") == []
    assert hidden == ["data/.secret/x"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
class TestLinks:
    def test_inside_count_by_both_names(self, paths: Paths) -> None:
        Path("latest.csv").symlink_to("data/a.csv")
        assert paths.names_of("latest.csv") == ["data/a.csv", "latest.csv"]
        assert paths.entry("latest.csv") == "latest.csv"

    def test_out_of_the_course_count_as_what_is_below(self, paths: Paths) -> None:
        Path("big").symlink_to("../disk")
        assert paths.names_of("big/b.csv") == ["big/b.csv"]

    def test_gone_through_are_remembered(self, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("big").symlink_to("../disk")
        paths.enter("big")
        monkeypatch.chdir("big")
        assert paths.names_of("b.csv") == ["big/b.csv"]


def test_what_a_page_makes_is_its_own_also_when_it_has_looked_for_it(paths: Paths) -> None:
    notes = Notes(paths.root, MADE, "")
    notes.here.news = []
    notes.note("new.csv")
    notes.write("new.csv")
    notes.note("new.csv")
    notes.change("data/a.csv")
    assert (notes.written, notes.read_again, notes.may_change) == ({"new.csv"}, {"new.csv"}, {"data/a.csv"})
    assert [row[:2] for row in notes.here.news] == [
        ["read", "new.csv"],
        ["write", "new.csv"],
        ["again", "new.csv"],
        ["read", "data/a.csv"],
        ["write", "data/a.csv"],
    ]


def test_what_a_forked_process_tells_is_taken_in(paths: Paths, tmp_path: Path) -> None:
    child, page = (Notes(paths.root, MADE, str(tmp_path / "shared")) for _ in range(2))
    child.here.news = []
    child.note("data/a.csv")
    child.write("out.csv")
    child.remove("old.csv")
    child.tell()
    with (tmp_path / "shared").open("a") as file:
        file.write('["rea')  # killed when it told this
    page.take_in()
    assert page.read == child.read
    assert (page.read_in, page.written, page.removed) == ({"data/a.csv": {0}}, {"out.csv"}, {"old.csv"})


@pytest.mark.parametrize(
    ("look", "is_marked", "expected"),
    [
        pytest.param([1, 5e9, 7, int(20e9)], False, True, id="after"),
        pytest.param([1, 5e9, 7, int(2e9)], False, False, id="before"),
        pytest.param([1, 5e9, 7, int(20e9)], True, False, id="marked"),
        pytest.param(["a", "b", "c", "d"], False, False, id="a folder's names"),
        pytest.param(None, False, False, id="absent"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="another time counts there")
def test_since_the_page_began(look: object, is_marked: bool, expected: bool) -> None:
    assert is_since(look, 10.0, is_marked) is expected


def test_each_event_does_what_python_says_of_it(paths: Paths) -> None:
    notes = Notes(paths.root, MADE, "")
    notes.here.news = []
    heard = Events(paths, notes).table()
    heard["open"]("data/a.csv", "r", 0)
    heard["open"]("out.csv", "w", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    heard["open"]("taken/later.csv", None, os.O_RDONLY)  # may be relative to a folder that isn't told
    heard["os.rename"]("nowhere", "elsewhere", -1, -1)
    heard["os.rename"]("data/a.csv", "b.csv", -1, -1)
    heard["os.exec"]("/bin/wc", ["wc", "data/a.csv"], {"HOME": "data"})
    assert [row[:2] for row in notes.here.news if row[0] != "program"] == [
        ["read", "data/a.csv"],
        ["write", "out.csv"],
        ["remove", "data/a.csv"],
        ["write", "b.csv"],
        ["write", "data/a.csv"],
    ]
