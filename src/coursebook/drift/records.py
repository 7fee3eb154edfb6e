"""Records of checks: how pages compared when they were executed afresh, and when the jobs that watch them ran.

Kept beside the build, and on a branch of its own (`checks`), which many machines may add to: the newer entry wins.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from ..ground import CHECKS, CourseError, Published, fetch_file, replacing, update_file

SCHEMA = 1
BRANCH, FILE = "checks", "checks.json"
Verdict = Literal["same", "within tolerance", "changed", "failed"]
RunOutcome = Literal["success", "failure"]


@dataclass(frozen=True)
class PageCheck:
    """How a page compared: `outputs` is the sha256 of the stored outputs that it was compared with, `checked` a UTC
    time, `changed` the number of cells that say something else, `packages` the versions that it was executed with, and
    `deprecations` what these said that readers of the page don't see."""

    outputs: str
    checked: str
    verdict: Verdict
    changed: int = 0
    packages: Mapping[str, str] = field(default_factory=dict)
    deprecations: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobRun:
    """The last run of a job: when it `ran` and when it last `succeeded` (UTC times, empty for never), and a `link`."""

    ran: str
    outcome: RunOutcome
    link: str = ""
    succeeded: str = ""


@dataclass(frozen=True)
class Records:
    """What is known of pages, by docname, and of jobs, by name."""

    pages: Mapping[str, PageCheck] = field(default_factory=dict)
    jobs: Mapping[str, JobRun] = field(default_factory=dict)

    def merged(self, other: Records) -> Records:
        """Both, and of each entry the newer one, `other`'s where they are as old. No success is forgotten."""
        pages, jobs = dict(self.pages), dict(self.jobs)
        for docname, page in other.pages.items():
            if docname not in pages or _moment(page.checked) >= _moment(pages[docname].checked):
                pages[docname] = page
        for name, run in other.jobs.items():
            ours = jobs.get(name)
            if ours is None:
                jobs[name] = run
                continue
            newer = run if _moment(run.ran) >= _moment(ours.ran) else ours
            succeeded = max((r.succeeded for r in (ours, run) if r.succeeded), key=_moment, default="")
            jobs[name] = JobRun(newer.ran, newer.outcome, newer.link, succeeded)
        return Records(pages, jobs)

    def to_json(self) -> bytes:
        content = {
            "schema": SCHEMA,
            "pages": {name: asdict(self.pages[name]) for name in sorted(self.pages)},
            "jobs": {name: asdict(self.jobs[name]) for name in sorted(self.jobs)},
        }
        return (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes) -> Records:
        """What a file says, which anybody may have written. Raises NewerSchema, and ValueError for what can't be."""
        try:
            content = json.loads(data)
            if (schema := int(content["schema"])) > SCHEMA:
                raise NewerSchema(schema)
            pages = {str(name): _page(row) for name, row in content["pages"].items()}
            jobs = {str(name): _job(row) for name, row in content["jobs"].items()}
        except (AttributeError, LookupError, OverflowError, RecursionError, TypeError) as error:
            raise ValueError(f"no record of checks: {error}") from None
        return cls(pages, jobs)


class NewerSchema(Exception):
    """The file was written by a newer Coursebook."""


def _page(row: Mapping[str, Any]) -> PageCheck:
    lists = {"packages": dict(row.get("packages", {})), "deprecations": tuple(row.get("deprecations", ()))}
    page = PageCheck(**{**row, **lists})
    _moment(page.checked)
    texts = [page.outputs, *page.packages, *page.packages.values(), *page.deprecations]
    if page.verdict not in get_args(Verdict) or type(page.changed) is not int:
        raise ValueError("an unknown verdict, or no number of cells")
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a text is something else")
    return page


def _job(row: Mapping[str, Any]) -> JobRun:
    run = JobRun(**row)
    _moment(run.ran)
    if run.succeeded:
        _moment(run.succeeded)
    if run.outcome not in get_args(RunOutcome) or not is_link(run.link):
        raise ValueError("an unknown outcome, or a link that leads nowhere")
    return run


def is_link(text: object) -> bool:
    """Whether a site may link to it: an address, or nothing at all."""
    return isinstance(text, str) and (not text or (text.startswith(("https://", "http://")) and text.isprintable()))


def _moment(text: str) -> datetime.datetime:
    """A point in time. Raises ValueError for a text that is none, or in no time zone."""
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} is in no time zone")
    return moment


class Checks:
    """The records of the course at `root`. A damaged file is no record: it can be had again."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / CHECKS

    def read(self) -> tuple[Mapping[str, PageCheck], Mapping[str, JobRun]]:
        """The checks of pages, by docname, and the runs of jobs, by name."""
        records = self._read()
        return records.pages, records.jobs

    def note_page(self, docname: str, check: PageCheck) -> None:
        self.note_pages({docname: check})

    def note_pages(self, checks: Mapping[str, PageCheck]) -> None:
        """Remember how pages compared, in place of what was known of them."""
        records = self._read()
        self._write(Records({**records.pages, **checks}, records.jobs))

    def note_job(self, name: str, run: JobRun) -> None:
        """Remember a run of a job; when it last succeeded is kept where the run doesn't say."""
        records = self._read()
        self._write(Records(records.pages, dict(records.jobs)).merged(Records(jobs={name: run})))

    def fetch(self, remote: str, branch: str = BRANCH) -> bool:
        """Add what a branch of `remote` knows; False where it has no such branch.

        Raises CourseError when it can't be reached, or holds something else.
        """
        data = fetch_file(FILE, remote, branch, identity_from=self._root)
        if data is None:
            return False
        self._write(self._read().merged(_published(data, branch)))
        return True

    def publish(self, remote: str, branch: str = BRANCH) -> Published:
        """Add what is known here to a branch of `remote`, and what it knows to the record here."""
        known = self._read()
        together = known

        def add(data: bytes | None) -> bytes:
            nonlocal together
            together = known.merged(_published(data, branch)) if data is not None else known
            return together.to_json()

        done = update_file(FILE, add, remote, branch, "Checks\n", identity_from=self._root)
        self._write(together)
        return done

    def _read(self) -> Records:
        try:
            return Records.from_json(self._path.read_bytes())
        except (OSError, ValueError, NewerSchema):
            return Records()

    def _write(self, records: Records) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self._path) as file:
            file.write(records.to_json())


def _published(data: bytes, branch: str) -> Records:
    """What a branch holds. Raises CourseError where that is no record: it isn't ours to replace."""
    try:
        return Records.from_json(data)
    except NewerSchema as newer:
        problem = f"written by a newer Coursebook (schema {newer}, this one knows {SCHEMA}); update Coursebook"
    except ValueError:
        problem = "not a record of checks that Coursebook wrote; remove the file from the branch, or name another one"
    raise CourseError(f"{branch}:{FILE}", None, problem)


@dataclass(frozen=True)
class Watched:
    """A job, its last run if there was one, and after how many `days` without one it is overdue (None: never)."""

    name: str
    run: JobRun | None
    days: float | None

    @property
    def due(self) -> datetime.datetime | None:
        """When it will be overdue, or was; None for never, and where it has never run."""
        if self.run is None or self.days is None:
            return None
        try:
            return _moment(self.run.ran) + datetime.timedelta(days=self.days)
        except OverflowError:
            return None

    def state(self, now: datetime.datetime) -> Literal["on time", "failed", "overdue", "never"]:
        """How the job stands. A job that is overdue is that first: nobody knows how it would end."""
        if self.run is None:
            return "never"
        if self.due is not None and now > self.due:
            return "overdue"
        return "on time" if self.run.outcome == "success" else "failed"

    def words(self, now: datetime.datetime) -> str:
        """The state, for readers."""
        state = self.state(now)
        if state == "never":
            return "has never run"
        if state == "overdue" and self.run and self.days is not None:
            # More than it was allowed, even by an hour.
            days = max((now - _moment(self.run.ran)).days, 0)
            return f"overdue: last ran {days} day{'' if days == 1 else 's'} ago, at most {self.days:g} allowed"
        return state


def watched(limits: Mapping[str, float], runs: Mapping[str, JobRun]) -> list[Watched]:
    """The jobs that a course wants to run (`coursebook_jobs`), in that order, then those that ran all the same."""
    others = sorted(runs.keys() - limits.keys())
    return [
        *(Watched(name, runs.get(name), days) for name, days in limits.items()),
        *(Watched(name, runs[name], None) for name in others),
    ]
