"""`coursebook checks`: what is known of drift, and of the jobs that should run."""

from __future__ import annotations

import argparse
import datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from ..ground import CourseError
from .console import count
from .options import REMOTE, add_root, job_name, link_address, require_course

if TYPE_CHECKING:
    from ..outputs import Store


EXAMPLES = """\
example:
  coursebook checks fetch origin                    what other machines have found
  coursebook checks note drift --outcome success    the job `drift` has run, and ended well
  coursebook checks publish origin                  tell the others
"""


def declare(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print when each page was last executed afresh and compared, and when the jobs of CI ran. The commands below "
        "write it down, and share it through a branch of a git remote."
    )
    parser.epilog, parser.formatter_class = EXAMPLES, argparse.RawDescriptionHelpFormatter
    add_root(parser)
    parser.set_defaults(run=run)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    note = commands.add_parser(
        "note",
        help="write down that a job has run",
        description="Write down that a job has run just now, and how it ended.",
    )
    note.add_argument("job", type=job_name, metavar="JOB", help="its name, like drift")
    note.add_argument("--outcome", choices=("success", "failure"), required=True, help="how it ended")
    note.add_argument("--link", type=link_address, default="", metavar="URL", help="where the run can be looked at")
    note.set_defaults(run=_note_job)
    publish = commands.add_parser(
        "publish",
        help="add what is known here to a branch of a git remote",
        description="Add what is known here to what the branch of REMOTE holds, the newer entry of each page and job, "
        "by a commit where something differs. No working tree is touched, and no push is forced.",
    )
    publish.set_defaults(run=_publish_checks)
    fetch = commands.add_parser(
        "fetch",
        help="add to what is known here what such a branch holds",
        description="Add to what is known here what the branch of REMOTE holds, the newer entry of each page and job. "
        "A remote without that branch is no error.",
    )
    fetch.set_defaults(run=_fetch_checks)
    for command in (publish, fetch):
        command.add_argument("remote", metavar="REMOTE", help=REMOTE)
        command.add_argument("--branch", default="checks", metavar="NAME", help="the branch (default: checks)")
    for command in (note, publish, fetch):
        add_root(command)


def run(arguments: argparse.Namespace, out: Console) -> int:
    from ..course import Course
    from ..drift import Checks, watched
    from ..outputs import Store

    course = Course.load(arguments.root)
    store, now = Store(course.root), datetime.datetime.now(datetime.UTC)
    pages, runs = Checks(course.root).read()
    names = [page.docname for page in course.executed_pages()]
    jobs = watched(course.jobs, runs)
    width = max((len(name) for name in [*names, *(job.name for job in jobs)]), default=0)
    for name in names:
        check = pages.get(name)
        told = "[yellow]never checked[/]"
        if check:
            color = "green" if check.verdict in ("same", "within tolerance") else "red"
            told = f"{check.checked[:10]}  [{color}]{check.verdict}[/]"
            told += f": {count(range(check.changed), 'cell')}" if check.changed else ""
            told += "" if _has_outputs(store, name, check.outputs) else ", of outputs that have changed since"
        out.print(f"{escape(name):<{width}}  {told}")
    for job in jobs:
        state = job.state(now)
        color = {"on time": "green", "failed": "red", "overdue": "red"}.get(state, "yellow")
        ran = f"{job.run.ran[:10]}  " if job.run else ""
        link = f"  {escape(job.run.link)}" if job.run and job.run.link else ""
        out.print(f"{escape(job.name):<{width}}  {ran}[{color}]{job.words(now)}[/]{link}")
    out.print(f"{count(names, 'page')} with code, {count(jobs, 'job')}")
    return 0


def _has_outputs(store: Store, docname: str, digest: str) -> bool:
    """Whether the stored outputs of a page are those."""
    try:
        stored = store.read(docname)
    except CourseError:
        return False
    return stored is not None and stored.digest == digest


def _note_job(arguments: argparse.Namespace, out: Console) -> int:
    from ..build import exclusive
    from ..drift import Checks, JobRun

    require_course(arguments.root)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    succeeded = now if arguments.outcome == "success" else ""
    with exclusive(arguments.root, out.print):
        Checks(arguments.root).note_job(arguments.job, JobRun(now, arguments.outcome, arguments.link, succeeded))
    out.print(f"[bold green]noted[/] {escape(arguments.job)}: {arguments.outcome}, {now}")
    return 0


def _publish_checks(arguments: argparse.Namespace, out: Console) -> int:
    from ..build import exclusive
    from ..drift import Checks

    require_course(arguments.root)
    with exclusive(arguments.root, out.print):
        done = Checks(arguments.root).publish(arguments.remote, arguments.branch)
    told = "published" if done.differs else "already published"
    out.print(f"[bold green]{told}[/] {escape(arguments.branch)}: commit {(done.commit or '')[:12]}")
    return 0


def _fetch_checks(arguments: argparse.Namespace, out: Console) -> int:
    from ..build import exclusive
    from ..drift import Checks

    require_course(arguments.root)
    with exclusive(arguments.root, out.print):
        is_there = Checks(arguments.root).fetch(arguments.remote, arguments.branch)
    told = "[bold green]fetched[/]" if is_there else "there is no branch"
    out.print(f"{told} {escape(arguments.branch)}")
    return 0
