"""Bundles: stored outputs in one archive, carried from the machine that executed to another that shows them.

A bundle is checked whole before the store is touched, and doesn't replace outputs that are better here.
"""

from __future__ import annotations

import posixpath
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from ..course import Course, Page
from ..ground import CourseError
from . import bundle_file as archive
from .decisions import Decision, Environment, plan
from .fingerprint import code_digest
from .provenance import Provenance
from .store import Store, StoredPage

NO_PAGE = "no page with code has this name"


@dataclass(frozen=True)
class Outcome:
    """What happened to a page's outputs, and the reason where there is one to give."""

    docname: str
    what: Literal["packed", "left out", "took", "kept", "unchanged", "skipped", "refused"]
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.what} {self.docname}" + (f": {self.reason}" if self.reason else "")


def pack(course: Course, path: Path, docnames: Collection[str] | None = None) -> list[Outcome]:
    """Write the intact outputs of the course's pages (of `docnames`, if given) to `path`, whole or not at all.

    Raises CourseError when there is nothing to pack, or too much, and for a `path` where no bundle can be.
    """
    archive.is_compressed(path)
    if not path.parent.is_dir():
        raise CourseError(path, None, "its folder does not exist")
    store = Store(course.root)
    pages = {page.docname for page in course.executed_pages()}
    files: dict[str, bytes] = {}
    outcomes = []
    for docname in sorted(pages.union(store.docnames()) if docnames is None else docnames):
        reason = _reason_to_leave_out(store, docname, files) if docname in pages else NO_PAGE
        if not reason:
            files[docname + archive.SUFFIX] = store.path(docname).read_bytes()
        outcomes.append(Outcome(docname, "left out" if reason else "packed", reason))
    if not files:
        reasons = "; ".join(f"{outcome.docname}: {outcome.reason}" for outcome in outcomes)
        raise CourseError(path, None, f"nothing to pack ({reasons or 'no page has code'})")
    if sum(map(len, files.values())) > archive.LIMIT:
        raise CourseError(path, None, f"the outputs are more than {archive.LIMIT / 10**9:g} GB; name fewer pages")
    archive.write_bundle(path, files)
    return outcomes


def unpack(course: Course, path: Path, *, force: bool = False) -> list[Outcome]:
    """Take the outputs in the bundle `path` into the store, except where those here are better (`force`: even there).

    Raises CourseError, before anything is written, for a bundle that isn't sound in every part.
    """
    store = Store(course.root)
    decisions = {decision.page.docname: decision for decision in plan(course, store, Environment())}
    with tempfile.TemporaryDirectory(prefix="coursebook-") as folder:
        staged = Store(Path(folder))
        staged.folder.mkdir()
        files = archive.extract_bundle(path, staged.folder)
        outcomes = []
        for name, file in sorted(files.items()):
            docname = name.removesuffix(archive.SUFFIX)
            try:
                theirs = _read_sound(staged, file.stem).provenance
            except CourseError as error:
                reason = error.problem.partition(";")[0]  # without what to do, which is meant for files in the store
                raise CourseError(path, None, f"{name}: {reason}; nothing was taken") from None
            if _is_reached_by_link(store, docname):
                raise CourseError(path, None, f"{name} would go through a link below outputs/; nothing was taken")
            is_same = store.path(docname).exists() and store.path(docname).read_bytes() == file.read_bytes()
            outcomes.append(_outcome(store, docname, theirs, decisions.get(docname), is_same=is_same, force=force))
        for outcome in outcomes:
            if outcome.what == "took":
                store.put(outcome.docname, files[outcome.docname + archive.SUFFIX].read_bytes())
    return outcomes


def _reason_to_leave_out(store: Store, docname: str, files: Collection[str]) -> str:
    """Why a page's outputs can't join `files` in a bundle; empty where they can."""
    try:
        _read_sound(store, docname)
    except CourseError as error:
        return error.problem
    return archive.problem_with([*files, docname + archive.SUFFIX])


def _outcome(
    store: Store, docname: str, theirs: Provenance, decision: Decision | None, *, is_same: bool, force: bool
) -> Outcome:
    if decision is None:
        return Outcome(docname, "skipped", NO_PAGE)
    if is_same:
        return Outcome(docname, "unchanged")
    if force:
        return Outcome(docname, "took")
    if decision.state == "unreadable":
        return Outcome(docname, "refused", f"the file here is {decision.reasons[0]}")
    reason = ""
    if decision.state == "current" and decision.stored:
        reason = _reason_to_keep(decision.page, _read_sound(store, decision.stored.docname).provenance, theirs)
    return Outcome(docname, "kept" if reason else "took", reason)


def _reason_to_keep(page: Page, ours: Provenance, theirs: Provenance) -> str:
    """Why current outputs are better than those of a bundle; empty where they aren't."""
    if theirs.code != code_digest(page):
        return "current here, and the bundle's come from other code"
    if (ours.device, theirs.device) == ("gpu", "cpu"):
        return "executed on a GPU here, on a CPU in the bundle"
    if datetime.fromisoformat(ours.executed) > datetime.fromisoformat(theirs.executed):
        return f"executed later here ({ours.executed[:10]})"
    return ""


def _read_sound(store: Store, docname: str) -> StoredPage:
    """Outputs that nobody altered, with a provenance that the rest of Coursebook can work with.

    Raises CourseError for others, and where there are none.
    """
    name = store.path(docname).relative_to(store.root)
    stored = store.read(docname)
    if stored is None:
        raise CourseError(name, None, "never executed")
    if any(posixpath.normpath(path).startswith(("/", "..")) for path in stored.provenance.inputs):
        raise CourseError(name, None, "not outputs that Coursebook wrote")  # forged: nothing outside is asked for
    if not stored.is_intact:
        raise CourseError(name, None, "outputs altered since they were executed")
    return stored


def _is_reached_by_link(store: Store, docname: str) -> bool:
    path = store.path(docname)
    return any(place.is_symlink() for place in (path, *path.parents) if store.folder in place.parents)
