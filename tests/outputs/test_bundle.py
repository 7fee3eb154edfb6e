"""Bundles: what is packed comes out elsewhere, a bad bundle changes nothing, and better outputs are not replaced."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import shutil
import sys
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

from conftest import FILES, HEAD, Built, Tiny
from coursebook.cli import main
from coursebook.course.course import Course
from coursebook.ground.errors import CourseError
from coursebook.ground.layout import STAGE
from coursebook.outputs import bundle_file as archive
from coursebook.outputs.bundle import unpack
from coursebook.outputs.fingerprint import cell_digests, code_digest
from coursebook.outputs.provenance import Provenance
from coursebook.outputs.store import Store

CELL = "```{code-cell} python\nprint('A')\n```\n"
DAY, LAB = "days/one", "labs/two"
PAGES = {
    f"{DAY}.md": f"{HEAD}# Day one\n\n{CELL}",
    f"{LAB}.md": f"{HEAD}# Lab two\n\n{CELL}\n{CELL}",
    "_toc.yml": FILES["_toc.yml"] + f"  - file: {LAB}\n",
}
EXECUTED = "2026-11-20T12:00:00+00:00"
EARLIER, LATER = "2026-11-19T12:00:00+00:00", "2026-11-21T00:30:00+14:00"  # the latter is earlier, as text is not


@pytest.fixture
def there(tmp_path_factory: pytest.TempPathFactory, tiny: Tiny) -> Tiny:
    """The course on the machine that executed it."""
    return Tiny(tmp_path_factory.mktemp("there"), tiny.capture).write({**FILES, **PAGES})


@pytest.fixture
def here(tiny: Tiny) -> Tiny:
    """The same course on another machine, without outputs."""
    return tiny.write(dict(PAGES))


@pytest.fixture
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("carried") / "gpu.tar.gz"


def run(course: Tiny, *arguments: str | Path) -> Built:
    course.capture()
    return Built(main(["outputs", *map(str, arguments), "--root", str(course.root)]), *course.capture())


def store(course: Tiny, docname: str, said: str = "A\n", executed: str = EXECUTED, **changed: object) -> bytes:
    """Store outputs as if the page had been executed; they are current unless `changed` says otherwise."""
    page = next(page for page in Course.load(course.root).pages if page.docname == docname)
    made = Provenance(code=code_digest(page), cells=cell_digests(page), executed=executed, seconds=1.0)
    notebook = nbformat.v4.new_notebook()
    for cell in page.cells:
        output = nbformat.v4.new_output("stream", name="stdout", text=said)
        notebook.cells.append(nbformat.v4.new_code_cell(cell.source, outputs=[output]))
    return Store(course.root).write(docname, notebook, replace(made, **changed)).read_bytes()  # type: ignore[arg-type]


def outputs(course: Tiny, docname: str) -> bytes:
    return Store(course.root).path(docname).read_bytes()


def tree(course: Tiny) -> dict[str, bytes]:
    """Every file of the course with its bytes, beside the lock."""
    files = {p.relative_to(course.root).as_posix(): p for p in course.root.rglob("*") if p.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if name != f"{STAGE}/lock"}


@pytest.mark.parametrize("name", ["gpu.tar.gz", "gpu.tar"])
def test_round_trip(there: Tiny, here: Tiny, bundle: Path, name: str) -> None:
    first, second = store(there, DAY, "ü\x1b[31m"), store(there, LAB, "x" * 100_000)
    packed = run(there, "pack", bundle.with_name(name))
    assert packed == Built(0, f"packed {DAY}\npacked {LAB}\n2 pages: packed 2\n", "")
    assert [p.name for p in bundle.parent.iterdir()] == [name]
    taken = run(here, "unpack", bundle.with_name(name))
    assert taken == Built(0, f"took {DAY}\ntook {LAB}\n2 pages: took 2\n", "")
    assert (outputs(here, DAY), outputs(here, LAB)) == (first, second)
    assert sorted(Store(here.root).docnames()) == [DAY, LAB]
    assert run(here, "unpack", bundle.with_name(name), "--force").out.endswith("2 pages: unchanged 2\n")


def test_equal_outputs_are_equal_bytes(there: Tiny, here: Tiny, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for course, docnames in ((there, (DAY, LAB)), (here, (LAB, DAY))):
        for docname in docnames:
            store(course, docname)
    other = bundle.with_name("another-name.tar.gz")
    run(there, "pack", bundle)
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    run(here, "pack", other, f"{LAB}.md", DAY)
    assert bundle.read_bytes() == other.read_bytes()
    with tarfile.open(other) as tar:
        assert tar.getnames() == [archive.MANIFEST, f"{DAY}.ipynb", f"{LAB}.ipynb"]
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in tar} == {(0, 0, 0, "", "", 0o644)}
        manifest = json.loads(tar.extractfile(archive.MANIFEST).read())  # type: ignore[union-attr]
    data = outputs(there, DAY)
    assert manifest["schema"] == 1
    assert manifest["files"][0] == {
        "path": f"{DAY}.ipynb",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def test_what_is_not_intact_or_no_page_is_left_out(there: Tiny, bundle: Path) -> None:
    store(there, DAY)
    path = Store(there.root).path(LAB)
    store(there, LAB)
    shutil.copy(path, there.root / "outputs/gone.ipynb")
    path.write_bytes(path.read_bytes().replace(b"A\\n", b"B\\n"))
    assert run(there, "pack", bundle).out == (
        f"packed {DAY}\nleft out gone: no page with code has this name\n"
        f"left out {LAB}: outputs altered since they were executed\n3 pages: packed 1, left out 2\n"
    )
    assert run(there, "pack", bundle, DAY).out == f"packed {DAY}\n1 page: packed 1\n"
    path.write_bytes(path.read_bytes()[:200])
    assert f"left out {LAB}: not outputs that Coursebook wrote, or cut off" in run(there, "pack", bundle).out
    path.unlink()
    assert f"left out {LAB}: never executed" in run(there, "pack", bundle).out
    with tarfile.open(bundle) as tar:
        assert tar.getnames() == [archive.MANIFEST, f"{DAY}.ipynb"]
    # What is stale follows from code that may be there where it is unpacked.
    store(there, LAB, code="other")
    assert run(there, "pack", bundle).out.endswith("3 pages: packed 2, left out 1\n")


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        pytest.param("days/Two", "days/two: 'days/two.ipynb' is there twice, or differs", id="case"),
        pytest.param("n" * 101, f"{'n' * 101}: '{'n' * 101}.ipynb' is too long a name for an archive", id="long"),
        pytest.param("a:b", "a:b: 'a:b.ipynb' is no plain path of outputs below the store", id="colon"),
    ],
)
def test_a_name_that_could_not_be_unpacked_is_left_out(there: Tiny, bundle: Path, name: str, left_out: str) -> None:
    if sys.platform in ("darwin", "win32"):
        pytest.skip("no file here can have such a name, or not beside the other")
    there.write({f"{name}.md": PAGES[f"{DAY}.md"], "days/two.md": PAGES[f"{DAY}.md"]})
    there.write({"_toc.yml": PAGES["_toc.yml"] + f"  - file: days/two\n  - file: '{name}'\n"})
    store(there, name)
    store(there, "days/two")
    packed = run(there, "pack", bundle)
    assert f"left out {left_out}" in packed.out
    assert "4 pages: packed 1, left out 3" in packed.out or "4 pages: left out 3, packed 1" in packed.out
    assert run(there, "unpack", bundle).code == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(["gpu.tar.gz"], f"nothing to pack ({DAY}: never executed; {LAB}: never executed)", id="nothing"),
        pytest.param(["gpu.zip"], "the name of a bundle ends in .tar.gz or .tar", id="suffix"),
        pytest.param(["none/gpu.tar"], "its folder does not exist", id="folder"),
    ],
)
def test_no_bundle_can_be_made(there: Tiny, bundle: Path, arguments: list[str], problem: str) -> None:
    path = bundle.parent / arguments[0]
    assert run(there, "pack", path) == Built(1, "", f"error {path.as_posix()}: {problem}\n")
    assert not list(bundle.parent.iterdir())


def test_command_lines_that_cannot_be_read(there: Tiny, bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for arguments in (["outputs"], ["outputs", "pack"], ["outputs", "unpack"], ["outputs", "unpack", "a.tar", "b.tar"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
    assert run(there, "pack", bundle, "days/three").code == 1
    assert "no page with code of this name" in run(there, "pack", bundle, "days/three").err


def test_a_bundle_holds_no_more_than_can_be_unpacked(
    there: Tiny, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(store(there, DAY)) + len(store(there, LAB))
    monkeypatch.setattr(archive, "LIMIT", size - 1)
    assert "the outputs are more than" in run(there, "pack", bundle).err
    assert not bundle.exists()
    monkeypatch.setattr(archive, "LIMIT", size)
    assert run(there, "pack", bundle).code == 0
    assert run(there, "unpack", bundle).code == 0


@pytest.mark.parametrize("what", ["os.fsync", "tarfile.TarFile.addfile", "gzip.GzipFile.write", "pathlib.Path.replace"])
def test_a_full_disk_leaves_the_earlier_bundle(
    there: Tiny, bundle: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    store(there, DAY)
    assert run(there, "pack", bundle).code == 0
    before = bundle.read_bytes()

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(what, full)
        store_full = run(there, "pack", bundle)
        assert run(there, "pack", bundle.with_name("new.tar.gz")).code == 1
    assert store_full == Built(1, "", f"error {bundle}: No space left on device\n")
    assert [p.name for p in bundle.parent.iterdir()] == [bundle.name]
    assert bundle.read_bytes() == before


# What may be wrong with a bundle: each function alters the manifest and the members of a good one.

Members = list[tuple[tarfile.TarInfo, bytes]]
Forgery = Callable[[dict, Members], None]  # type: ignore[type-arg]


def forge(path: Path, data: bytes, alter: Forgery, after: bytes = b"") -> None:
    """Write a bundle of the page DAY with stored outputs `data`, altered."""
    listed = {"path": f"{DAY}.ipynb", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest = {"schema": 1, "coursebook": "0.1.0", "files": [listed]}
    members: Members = [(tarfile.TarInfo(archive.MANIFEST), b""), (tarfile.TarInfo(f"{DAY}.ipynb"), data)]
    alter(manifest, members)
    made = b""
    for header, content in members:
        content = content or (json.dumps(manifest).encode() if header.name == archive.MANIFEST else b"")
        header.size = header.size or len(content)
        made += header.tobuf(tarfile.GNU_FORMAT, "utf-8") + content + bytes(-len(content) % 512)
    made += bytes(1024 + -(len(made) + 1024) % 10240)
    path.write_bytes(gzip.compress(made + after))


def untouched(manifest: dict, members: Members) -> None:  # type: ignore[type-arg]
    pass


def named(name: str) -> Forgery:
    def alter(manifest: dict, members: Members) -> None:  # type: ignore[type-arg]
        manifest["files"][0]["path"] = members[1][0].name = name

    return alter


def of_type(kind: bytes, target: str = "", data: bytes = b"") -> Forgery:
    def alter(manifest: dict, members: Members) -> None:  # type: ignore[type-arg]
        header = members[1][0]
        header.type, header.linkname = kind, target
        members[1] = (header, data)

    return alter


def with_member(*, name: str = f"{DAY}.ipynb", listed: bool, twice_listed: bool = False) -> Forgery:
    def alter(manifest: dict, members: Members) -> None:  # type: ignore[type-arg]
        members.append((tarfile.TarInfo(name), members[1][1]))
        if listed:
            manifest["files"].append({**manifest["files"][0], "path": name})

    return alter


def listing(**changed: object) -> Forgery:
    return lambda manifest, members: manifest["files"][0].update(changed)


def manifested(**changed: object) -> Forgery:
    return lambda manifest, members: manifest.update(changed)


def manifest_of(content: bytes) -> Forgery:
    return lambda manifest, members: members.__setitem__(0, (members[0][0], content))


def holding(change: Callable[[bytes], bytes]) -> Forgery:
    """The outputs themselves altered; size and digest in the manifest are right."""

    def alter(manifest: dict, members: Members) -> None:  # type: ignore[type-arg]
        data = change(members[1][1])
        members[1] = (members[1][0], data)
        manifest["files"][0].update(size=len(data), sha256=hashlib.sha256(data).hexdigest())

    return alter


def with_provenance(**changed: object) -> Forgery:
    def change(data: bytes) -> bytes:
        notebook = json.loads(data)
        notebook["metadata"]["coursebook"]["provenance"].update(changed)
        return json.dumps(notebook).encode()

    return holding(change)


def of_size(size: int) -> Forgery:
    return lambda manifest, members: setattr(members[1][0], "size", size)


NO_PATH = "is no plain path of outputs below the store"
BAD = {
    "path outside": (named("../one.ipynb"), NO_PATH),
    "path outside, on the way": (named("days/../../one.ipynb"), NO_PATH),
    "absolute": (named("/tmp/one.ipynb"), NO_PATH),
    "drive letter": (named("C:/one.ipynb"), NO_PATH),
    "backslash": (named("days\\one.ipynb"), NO_PATH),
    "hidden": (named(".git/one.ipynb"), NO_PATH),
    "empty part": (named("days//one.ipynb"), NO_PATH),
    "control character": (named("days/\x1b[2J\none.ipynb"), NO_PATH),
    "half a character": (listing(path="\ud800.ipynb"), NO_PATH),
    "no notebook": (named("days/one.py"), NO_PATH),
    "no text": (listing(path=["days/one.ipynb"]), NO_PATH),
    "long name": (named("n" * 200 + ".ipynb"), "is too long a name"),
    "long name, not in the manifest": (with_member(name="n" * 200, listed=False), "is not a plain file"),
    "symlink": (of_type(tarfile.SYMTYPE, "/etc/passwd"), "'days/one.ipynb' is not a plain file"),
    "hard link": (of_type(tarfile.LNKTYPE, archive.MANIFEST), "'days/one.ipynb' is not a plain file"),
    "device": (of_type(tarfile.CHRTYPE), "'days/one.ipynb' is not a plain file"),
    "fifo": (of_type(tarfile.FIFOTYPE), "'days/one.ipynb' is not a plain file"),
    "folder": (of_type(tarfile.DIRTYPE), "is not a plain file"),
    "header of any size": (of_type(tarfile.XHDTYPE, data=b"x" * 5000), "is not a plain file"),
    "negative size": (of_size(-1024), "'days/one.ipynb' is not a plain file"),
    "duplicate": (with_member(listed=False), "is not in the manifest, or twice in the archive"),
    "duplicate, listed": (with_member(listed=True), "is there twice"),
    "duplicate but for case": (with_member(name="days/ONE.ipynb", listed=True), "differs from another name only in"),
    "digest wrong": (listing(sha256="0" * 64), "has another size or digest than the manifest says"),
    "size wrong": (listing(size=5), "has another size or digest than the manifest says"),
    "header says more": (of_size(10**6), "cut off, damaged or no archive"),
    "header says more than any file has": (of_size(2**70), "cut off, damaged or no archive"),
    "not in the manifest": (with_member(name="more.ipynb", listed=False), "'more.ipynb' is not in the manifest"),
    "no member": (lambda manifest, members: members.pop(), "'days/one.ipynb' is in the manifest only"),
    "no manifest": (lambda manifest, members: members.pop(0), "no bundle of outputs, which begins with"),
    "manifest second": (lambda manifest, members: members.reverse(), "no bundle of outputs, which begins with"),
    "newer": (manifested(schema=99, files="?"), "written by a newer Coursebook (schema 99, this one knows 1); update"),
    "no schema": (manifested(schema="1"), "coursebook-outputs.json in it can't be read"),
    "no list": (manifested(files=5), "coursebook-outputs.json in it can't be read"),
    "manifest no JSON": (manifest_of(b"{"), "coursebook-outputs.json in it can't be read"),
    "manifest too deep": (manifest_of(b"[" * 100_000), "coursebook-outputs.json in it can't be read"),
    "manifest without end": (manifest_of(b" " * 10_000_001), "it unpacks to more than a bundle may hold"),
    "altered": (holding(lambda data: data.replace(b"A\\n", b"B\\n")), f"{DAY}.ipynb: outputs altered since"),
    "no outputs": (holding(lambda data: b"{}"), f"{DAY}.ipynb: not outputs that Coursebook wrote, or cut off; nothing"),
    "not UTF-8": (
        holding(lambda data: b"\xff"),
        f"{DAY}.ipynb: not outputs that Coursebook wrote, or cut off; nothing",
    ),
    "too deep": (
        holding(lambda data: b"[" * 100_000),
        f"{DAY}.ipynb: not outputs that Coursebook wrote, or cut off; nothing",
    ),
    "newer outputs": (
        holding(lambda data: data.replace(b'"schema": 1', b'"schema": 99')),
        f"{DAY}.ipynb: written by a newer Coursebook (schema 99, this one knows 1); nothing was taken",
    ),
    "no time": (with_provenance(executed="yesterday"), f"{DAY}.ipynb: not outputs that Coursebook wrote"),
    "no zone": (with_provenance(executed="2026-11-20"), f"{DAY}.ipynb: not outputs that Coursebook wrote"),
    "no seconds": (with_provenance(seconds="1"), f"{DAY}.ipynb: not outputs that Coursebook wrote"),
    "no code": (with_provenance(code=None), f"{DAY}.ipynb: not outputs that Coursebook wrote"),
    "no cells": (with_provenance(cells=5), f"{DAY}.ipynb: not outputs that Coursebook wrote"),
    "no provenance": (
        holding(lambda data: data.replace(b'"provenance"', b'"promise"')),
        f"{DAY}.ipynb: not outputs that Coursebook wrote, or cut off; nothing was taken",
    ),
    "no versions": (with_provenance(packages=["numpy"]), f"{DAY}.ipynb: not outputs that Coursebook wrote"),
    "inputs outside": (with_provenance(inputs={"a/../../b": "0"}), f"{DAY}.ipynb: not outputs that Coursebook wrote"),
    "inputs absolute": (with_provenance(inputs={"/dev/zero": "0"}), f"{DAY}.ipynb: not outputs that Coursebook wrote"),
}


def refused(course: Tiny, bundle: Path, problem: str) -> None:
    """`unpack` says `problem` in a line and changes nothing."""
    before = tree(course)
    said = run(course, "unpack", "--force", bundle)
    assert said.code == 1
    assert said.out == ""
    assert said.err.startswith(f"error {bundle.as_posix()}: ")
    assert said.err.count("\n") == 1
    assert problem in said.err
    assert tree(course) == before


@pytest.mark.parametrize(("alter", "problem"), BAD.values(), ids=BAD)
def test_a_bad_bundle_changes_nothing(here: Tiny, bundle: Path, alter: Forgery, problem: str) -> None:
    data = store(here, DAY)
    store(here, LAB)
    store(here, DAY, "B\n")
    forge(bundle, data, alter)
    refused(here, bundle, problem)


def test_a_forged_bundle_is_good_but_for_the_forgery(here: Tiny, bundle: Path) -> None:
    data = store(here, DAY)
    shutil.rmtree(here.root / "outputs")
    forge(bundle, data, untouched)
    assert run(here, "unpack", bundle).out == f"took {DAY}\n1 page: took 1\n"


def test_one_bad_file_keeps_the_good_ones_out(there: Tiny, here: Tiny, bundle: Path) -> None:
    def alter(manifest: dict, members: Members) -> None:  # type: ignore[type-arg]
        with_member(name=f"{LAB}.ipynb", listed=True)(manifest, members)
        members[2] = (members[2][0], members[2][1].replace(b"A\\n", b"B\\n"))

    forge(bundle, store(there, DAY), alter)
    refused(here, bundle, f"'{LAB}.ipynb' has another size or digest")
    assert not (here.root / "outputs").exists()


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar"])
def test_wherever_a_bundle_is_cut_off_it_is_refused(there: Tiny, here: Tiny, bundle: Path, suffix: str) -> None:
    path = bundle.with_name(f"cut{suffix}")
    store(there, DAY)
    assert run(there, "pack", path).code == 0
    whole = path.read_bytes()
    course = Course.load(here.root)
    for length in range(0, len(whole), 1 if suffix == ".tar.gz" else 256):
        path.write_bytes(whole[:length])
        with pytest.raises(CourseError, match="nothing was taken"):
            unpack(course, path)
    assert not (here.root / "outputs").exists()
    path.write_bytes(whole)
    assert len(unpack(course, path)) == 1


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no archive at all" * 100, b"\0" * 10240])
@pytest.mark.parametrize("name", ["no.tar.gz", "no.tar"])
def test_no_archive(here: Tiny, bundle: Path, name: str, content: bytes) -> None:
    bundle.with_name(name).write_bytes(content)
    is_tar = name.endswith(".tar") and content[:1] == b"\0"
    refused(here, bundle.with_name(name), "no bundle of outputs" if is_tar else "cut off, damaged or no archive (")


def test_damaged_bytes_are_noticed(there: Tiny, here: Tiny, bundle: Path) -> None:
    store(there, DAY)
    run(there, "pack", bundle)
    whole, course = bundle.read_bytes(), Course.load(here.root)
    content = gzip.decompress(whole)
    for place in range(10, len(whole)):  # before stands gzip's header, of which some bytes mean nothing
        damaged = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        with contextlib.suppress(OSError, EOFError, zlib.error):
            if gzip.decompress(damaged) == content:
                continue  # a bit that says nothing, as how the code of a letter begins that isn't there
        bundle.write_bytes(damaged)
        with pytest.raises(CourseError, match="nothing was taken"):
            unpack(course, bundle)


@pytest.mark.parametrize("after", [b"\0" * 512, b"x", b"\0" * 10240 + b"x"], ids=["zeros", "text", "text after zeros"])
def test_nothing_follows_after_the_end(there: Tiny, here: Tiny, bundle: Path, after: bytes) -> None:
    forge(bundle, store(there, DAY), untouched, after)
    refused(here, bundle, "cut off, or something follows after the end")


@pytest.mark.parametrize(
    "alter",
    [
        pytest.param(holding(lambda data: bytes(10**7)), id="one file"),
        pytest.param(with_member(name="more.ipynb", listed=True), id="all together"),
    ],
)
def test_a_bomb_is_not_unpacked(here: Tiny, bundle: Path, monkeypatch: pytest.MonkeyPatch, alter: Forgery) -> None:
    data = store(here, DAY)
    forge(bundle, data, alter)
    monkeypatch.setattr(archive, "LIMIT", len(data))
    refused(here, bundle, "it unpacks to more than a bundle may hold")


@pytest.mark.parametrize("command", ["pack", "unpack"])
def test_other_suffixes(here: Tiny, bundle: Path, command: str) -> None:
    store(here, DAY)
    path = bundle.with_name("gpu.zip")
    assert run(here, command, path).err == f"error {path.as_posix()}: the name of a bundle ends in .tar.gz or .tar\n"


def test_no_such_bundle(here: Tiny, bundle: Path) -> None:
    said = run(here, "unpack", bundle)
    assert said.code == 1
    assert "No such file" in said.err
    assert said.err.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
@pytest.mark.parametrize("link", ["days", "days/one.ipynb"])
def test_links_in_the_store_are_not_followed(there: Tiny, here: Tiny, bundle: Path, link: str) -> None:
    store(there, DAY)
    run(there, "pack", bundle)
    place = here.root / "outputs" / link
    place.parent.mkdir(parents=True)
    target = bundle.parent / "elsewhere"
    target.mkdir()
    place.symlink_to(target if link == "days" else target / "one.ipynb")
    refused(here, bundle, "days/one.ipynb would go through a link below outputs/")
    assert not list(target.iterdir())


# What is refused page by page.


def carried(there: Tiny, here: Tiny, bundle: Path, *arguments: str) -> str:
    """Pack there and unpack here; what is said of DAY."""
    assert run(there, "pack", bundle).code == 0
    done = run(here, "unpack", bundle, *arguments)
    assert done.code == 0, done.err
    return next(line for line in done.out.splitlines() if DAY in line)


GPU, OTHER = {"device": "gpu"}, {"code": "other"}
CODE = f"kept {DAY}: current here, and the bundle's come from other code"
DEVICE = f"kept {DAY}: executed on a GPU here, on a CPU in the bundle"


@pytest.mark.processes
@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        pytest.param({}, {"executed": EARLIER}, f"kept {DAY}: executed later here (2026-11-20)", id="newer here"),
        pytest.param({}, {"executed": LATER}, f"kept {DAY}: executed later here (2026-11-20)", id="zones"),
        pytest.param({}, {"executed": "2026-11-20T12:00:01+00:00"}, f"took {DAY}", id="older here"),
        pytest.param({}, {}, f"took {DAY}", id="of one moment"),
        pytest.param(OTHER, {"executed": EARLIER}, f"took {DAY}", id="newer here, but not current"),
        pytest.param(OTHER, OTHER, f"took {DAY}", id="neither current"),
        pytest.param({}, {**OTHER, "executed": "2027-01-01T00:00:00+00:00"}, CODE, id="of other code"),
        pytest.param(GPU, {"executed": "2027-01-01T00:00:00+00:00"}, DEVICE, id="of a CPU"),
        pytest.param(GPU, {**GPU, "executed": "2027-01-01T00:00:00+00:00"}, f"took {DAY}", id="both of a GPU"),
        pytest.param({**GPU, **OTHER}, {"executed": EARLIER}, f"took {DAY}", id="of a GPU, but not current"),
        pytest.param({"executed": EARLIER}, GPU, f"took {DAY}", id="of a GPU there"),
    ],
)
def test_better_outputs_are_kept(
    there: Tiny, here: Tiny, bundle: Path, ours: dict[str, str], theirs: dict[str, str], said: str
) -> None:
    if ours.get("device") == "gpu":  # where the page asks for none, outputs from one are not current
        asking = PAGES[f"{DAY}.md"].replace("---\n", "---\ncoursebook: {device: gpu}\n", 1)
        for course in (there, here):
            course.write({f"{DAY}.md": asking})
    before, other = store(here, DAY, **ours), store(there, DAY, "B\n", **theirs)  # type: ignore[arg-type]
    store(there, LAB)
    assert carried(there, here, bundle) == said
    assert outputs(here, DAY) == (before if said.startswith("kept") else other)
    assert outputs(here, LAB) == outputs(there, LAB), "the other pages are taken"
    assert carried(there, here, bundle, "--force").startswith("took" if said.startswith("kept") else "unchanged")
    assert outputs(here, DAY) == other


def test_altered_outputs_here_are_replaced(there: Tiny, here: Tiny, bundle: Path) -> None:
    data = store(here, DAY)
    Store(here.root).path(DAY).write_bytes(data.replace(b"A\\n", b"C\\n"))
    store(there, DAY, "B\n", EARLIER)
    assert carried(there, here, bundle) == f"took {DAY}"


def test_an_unreadable_file_here_is_named_and_kept(there: Tiny, here: Tiny, bundle: Path) -> None:
    path = Store(here.root).path(DAY)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half")
    store(there, DAY)
    store(there, LAB)
    run(there, "pack", bundle)
    done = run(here, "unpack", bundle)
    assert done.code == 1
    first, *rest = done.out.splitlines()
    assert first.startswith(f"refused {DAY}: the file here is not outputs that Coursebook wrote, or cut off; remove")
    assert rest == [f"took {LAB}", "2 pages: refused 1, took 1"]
    assert path.read_bytes() == b"half"
    assert carried(there, here, bundle, "--force") == f"took {DAY}"


def test_outputs_of_a_renamed_page_count_as_its_own(there: Tiny, here: Tiny, bundle: Path) -> None:
    store(here, DAY)
    path = Store(here.root).path(DAY)
    path.rename(path.with_name("formerly.ipynb"))
    store(there, DAY, "B\n", EARLIER)
    assert carried(there, here, bundle) == f"kept {DAY}: executed later here (2026-11-20)"
    assert Store(here.root).docnames() == ["days/formerly"]


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["plain", "force"])
def test_a_page_that_the_course_does_not_have(there: Tiny, here: Tiny, bundle: Path, force: list[str]) -> None:
    here.write({f"{LAB}.md": None, "_toc.yml": FILES["_toc.yml"]})
    store(there, DAY)
    store(there, LAB)
    run(there, "pack", bundle)
    done = run(here, "unpack", bundle, *force)
    assert done.code == 0
    assert done.out == (f"took {DAY}\nskipped {LAB}: no page with code has this name\n2 pages: took 1, skipped 1\n")
    assert Store(here.root).docnames() == [DAY]


@pytest.mark.kernel
def test_executed_here_current_there(there: Tiny, here: Tiny, bundle: Path) -> None:
    assert main(["execute", "--root", str(there.root)]) == 0
    assert run(there, "pack", bundle).code == 0
    assert main(["status", "--check", "--root", str(here.root)]) == 1
    assert run(here, "unpack", bundle).out.endswith("2 pages: took 2\n")
    assert main(["status", "--check", "--root", str(here.root)]) == 0
    built = here.build()
    assert built.code == 0, built.err
    assert "0 of them executed" in built.out
    assert "A\n" in here.html()
    assert outputs(here, DAY) == outputs(there, DAY)
