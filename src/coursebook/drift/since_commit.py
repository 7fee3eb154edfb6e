"""What changed for a reader between the outputs at a commit and those in the working tree."""

from __future__ import annotations

import datetime
import io
import tarfile
import tempfile
from pathlib import Path

from ..course import Course, Page
from ..ground import OUTPUTS, CourseError, Refused, extract_plain, reason_of_git, run_git
from ..outputs import Store, StoredPage, fill_outputs
from .judging import PageDrift, judge
from .words import Heading


def changes_since(course: Course, commit: str) -> list[PageDrift]:
    """A comparison for each page with code, its outputs at `commit` being the old ones.

    Pages without outputs on one of the sides are skipped with a reason. Raises CourseError for a commit that git
    doesn't know, and outside a repository.
    """
    with tempfile.TemporaryDirectory(prefix="coursebook-") as folder:
        old = Store(Path(folder))
        _extract(course.root, commit, Path(folder))
        new = Store(course.root)
        return [_change(course, page, _read(old, page), _read(new, page)) for page in course.executed_pages()]


def heading_since(commit: str) -> Heading:
    """What stands above a report of changes since `commit`."""
    now = datetime.datetime.now(datetime.UTC).isoformat(" ", timespec="minutes").removesuffix("+00:00")
    return Heading("What changed for a reader", f"at {commit}", "now", {"Compared with": commit, "When": f"{now} UTC"})


def _change(
    course: Course, page: Page, old: StoredPage | CourseError | None, new: StoredPage | CourseError | None
) -> PageDrift:
    for side, where in ((old, "there"), (new, "here")):
        if isinstance(side, CourseError):
            return PageDrift(page, failure=f"its outputs {where} can't be read: {side.problem}")
    assert not isinstance(old, CourseError)
    assert not isinstance(new, CourseError)
    if new is None:
        return PageDrift(page, skipped="no outputs" if old is None else "its outputs are gone")
    if old is None:
        return PageDrift(page, skipped="new, so there is nothing to compare with", now=new.provenance)
    if old.digest == new.digest and old.provenance.code == new.provenance.code:
        return PageDrift(page, was=old.provenance, now=new.provenance)
    # Both as the page stands now: where its code has changed, outputs stand beside those of the cell that was there.
    before, after = fill_outputs(page.notebook(), old), fill_outputs(page.notebook(), new)
    return judge(page, before, after, course.pages, was=old.provenance, now=new.provenance)


def _read(store: Store, page: Page) -> StoredPage | CourseError | None:
    try:
        return store.read(page.docname)
    except CourseError as error:
        return error


def _extract(root: Path, commit: str, folder: Path) -> None:
    """Write the outputs at `commit` of the course at `root` to `folder`."""
    # `--` would make a path of it; what begins with a dash is no commit but an option.
    known = run_git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}", cwd=root)
    if known.returncode:
        inside = run_git("rev-parse", "--git-dir", cwd=root)
        problem = "git knows no such commit, branch or tag" if inside.returncode == 0 else reason_of_git(inside.stderr)
        raise CourseError(commit, None, problem)
    name = known.stdout.decode().strip()
    if not run_git("ls-tree", name, OUTPUTS, cwd=root).stdout:
        return
    done = run_git("archive", "--format=tar", name, "--", OUTPUTS, cwd=root)
    if done.returncode:
        raise CourseError(commit, None, f"git can't give the outputs: {reason_of_git(done.stderr)}")
    try:
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            extract_plain(archive, folder, is_ours=False)
    except Refused as refused:  # Windows: git may have names that no file can have there
        raise CourseError(commit, None, str(refused)) from None
