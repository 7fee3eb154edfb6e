"""The command `coursebook`: parse, call one function, print. Nothing else in the package prints or exits."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from . import __version__
from .errors import CourseError, CourseErrors, plain

if TYPE_CHECKING:
    from .build import How
    from .bundle import Outcome
    from .course import Course
    from .drift import PageDrift
    from .execute.events import Event
    from .report import Heading
    from .snapshot import Snapshot
    from .store import Store

COLORS = {"current": "green", "failed": "red", "altered": "red", "unreadable": "red"}
EXAMPLES = """\
examples:
  coursebook build                 execute what has changed, then build _build/html
  coursebook build --lenient       the same, and warnings don't fail the build
  coursebook build --force         execute every page again
  coursebook build --root ../ml    another course
  coursebook status                which pages are current, and why the others aren't

exit codes: 0 the site is built, 1 the course has errors (each is named with its file and line),
2 the command line can't be read, 130 interrupted.
"""

CHECKING = """\
example:
  coursebook checks fetch origin                    what other machines have found
  coursebook checks note drift --outcome success    the job `drift` has run, and ended well
  coursebook checks publish origin                  tell the others
"""

CARRYING = """\
example:
  coursebook outputs pack gpu.tar.gz      on the machine with the GPU, after `coursebook execute`
  coursebook outputs unpack gpu.tar.gz    here, in the same course
  coursebook outputs diff HEAD            what a reader sees otherwise than in the last commit
"""

VERIFYING = """\
examples:
  coursebook verify                              every page, with the packages that are installed
  coursebook verify --report _build/drift        with a report to open in a browser
  coursebook verify --packages torch numpy       with the newest, in an environment of its own (needs uv)
"""

DEVICES = (
    "what pages with `device: gpu` may use: the GPUs here (auto), none (cpu: their outputs are kept), "
    "or fail at once unless there is one (gpu)"
)

# How a command builds the site that it needs, as far as it has no options of its own for that.
_AS_USUAL: dict[str, object] = {
    "force": False, "jobs": None, "cold": False, "device": "auto", "provisional": False, "as_of": None,
    "drafts": False, "verbose": False, "lenient": False, "cluster": "",
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (without the program's name) and return the exit code."""
    arguments = _parser().parse_args(argv)
    # The streams are named, because Sphinx's own output is caught on its way to `sys.stdout` while the bar moves on.
    out = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    err = Console(file=sys.stderr, highlight=False, soft_wrap=True)
    try:
        return int(arguments.run(arguments, out))
    except CourseErrors as group:
        for error in group.exceptions:
            _print_error(err, error)
        if len(group.exceptions) > 1:
            err.print(f"{len(group.exceptions)} errors")
        return 1
    except (CourseError, OSError) as error:
        _print_error(err, error)
        return 1
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would only disturb the end
        err.print("interrupted; what was executed before is kept")
        return 130


def _print_error(err: Console, error: BaseException) -> None:
    said = str(error)
    if isinstance(error, OSError) and error.strerror:
        said = f"{error.filename2 or error.filename}: {error.strerror}" if error.filename else error.strerror
    first, _, rest = said.partition("\n")
    err.print(f"[bold red]error[/] {escape(first)}" + (f"\n{escape(rest)}" if rest else ""))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="coursebook",
        description="Jupyter Book for courses: pages whose code is executed, with outputs that are provably current.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"coursebook {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    build = commands.add_parser(
        "build",
        help="execute what has changed and build the site",
        description="Execute the pages whose code has changed, then build the site with Jupyter Book below "
        "_build/html. A page with a failing cell keeps its last good outputs, with a notice on the page, and fails the "
        "build; an error or a warning of Sphinx leaves the earlier site as it is.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    build.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="the course's folder (default: here)")
    _add_execution_options(build)
    build.add_argument("--lenient", action="store_true", help="print warnings without failing; errors still fail")
    build.add_argument(
        "--as-of",
        type=_day,
        metavar="DATE",
        help="the site of that day, like 2026-10-05, with what is released then",
    )
    build.add_argument("--drafts", action="store_true", help="with everything that is not released yet, for its author")
    build.add_argument("-v", "--verbose", action="store_true", help="show Sphinx's own log")
    build.set_defaults(run=_build, cluster="")

    execute = commands.add_parser(
        "execute",
        help="execute what is not current, without building the site",
        description="Execute the pages that are not current and store their outputs below outputs/.",
    )
    execute.add_argument("pages", nargs="*", metavar="PAGE", help="only these (days/day08 or days/day08.md)")
    execute.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="the course's folder (default: here)")
    _add_execution_options(execute)
    execute.add_argument(
        "--cluster",
        default="",
        metavar="ADDRESS",
        help="execute them on the workers of a Dask cluster, whose scheduler is at ADDRESS, like tcp://10.0.0.1:8786",
    )
    execute.set_defaults(run=_execute, verbose=False)

    verify = commands.add_parser(
        "verify",
        help="execute pages afresh and compare with what is published",
        description="Execute pages afresh, without touching their stored outputs, and compare what they say with what "
        "is published, as a reader would: numbers with tolerance, figures by what they show, timings not at all. Exit "
        "code 0 if nothing has changed, 1 if something has.",
        epilog=VERIFYING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verify.add_argument("pages", nargs="*", metavar="PAGE", help="only these (days/day08 or days/day08.md)")
    verify.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="the course's folder (default: here)")
    verify.add_argument(
        "--packages",
        nargs="+",
        action="extend",
        default=[],
        metavar="REQUIREMENT",
        help="in an environment of its own with these, like torch==2.15.* or numpy for the newest",
    )
    verify.add_argument(
        "--report", type=Path, metavar="DIR", help="write index.html, old beside new, and report.md to DIR"
    )
    verify.add_argument("--jobs", type=_positive, metavar="N", help="pages executed at a time (default: the cores)")
    verify.add_argument("--cold", action="store_true", help="start every kernel anew instead of forking warm ones")
    verify.add_argument("--device", choices=("auto", "cpu", "gpu"), default="auto", help=DEVICES)
    verify.add_argument(
        "--as-canary", nargs="+", default=[], help=argparse.SUPPRESS
    )  # what the other environment is for
    verify.set_defaults(run=_verify)

    status = commands.add_parser(
        "status",
        help="say of every page whether its outputs are current, and why not",
        description="Say of every page with code whether its outputs still follow from its code, the files it read and "
        "the packages it imported, and what a build would do. Nothing is changed.",
    )
    status.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="the course's folder (default: here)")
    status.add_argument("--json", action="store_true", help="for machines")
    status.add_argument("--check", action="store_true", help="exit with 1 unless every page is current")
    status.set_defaults(run=_status)

    clean = commands.add_parser(
        "clean",
        help="remove stored outputs that no page has",
        description="Remove the outputs below outputs/ that belong to no page of the course, and say which.",
    )
    clean.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="the course's folder (default: here)")
    clean.set_defaults(run=_clean)

    notebooks = commands.add_parser(
        "notebooks",
        help="write each page with code as a notebook",
        description="Build the site, and write the notebook of each page with code below DIR as the site offers it for "
        "download: what readers see, the code without claims and without what is not released, and a first cell that "
        "installs what is missing. Files that pages read are written beside them.",
    )
    notebooks.add_argument("folder", type=Path, metavar="DIR", help="where to; notebooks there are replaced")
    notebooks.add_argument("pages", nargs="*", metavar="PAGE", help="only these (days/day08 or days/day08.md)")
    notebooks.add_argument("--outputs", action="store_true", help="with the outputs that the site shows")
    notebooks.add_argument(
        "--root", type=Path, default=Path(), metavar="DIR", help="the course's folder (default: here)"
    )
    notebooks.set_defaults(run=_notebooks, **_AS_USUAL)

    launch = commands.add_parser(
        "check-launch",
        help="follow every button that opens a notebook",
        description="Build the site if something has changed, then follow each button of its pages: to the branch, "
        "and to the notebook on it, which must be the site's. With --run, execute the notebooks too, in fresh "
        "environments that their own first cells fill.",
    )
    launch.add_argument("--remote", metavar="REMOTE", help="look there instead of at the repository that buttons name")
    launch.add_argument("--run", action="store_true", dest="execute", help="execute the notebooks, too")
    launch.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="the course's folder (default: here)")
    launch.set_defaults(run=_check_launch, **_AS_USUAL)

    links = commands.add_parser(
        "links",
        help="look up every link to another site",
        description="Look up every link of the course to another site, and say which are broken or have moved for "
        "good. A build never does this: it doesn't depend on other people's machines. Sphinx's linkcheck does the "
        "work, and its options in _config.yml under sphinx: config: apply, like linkcheck_ignore.",
    )
    links.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="the course's folder (default: here)")
    links.set_defaults(run=_links)

    publish = commands.add_parser(
        "publish-notebooks",
        help="put the site's notebooks on a branch that Colab, Binder and JupyterHub open",
        description="Build the site if something has changed, then have a branch of REMOTE contain exactly its "
        "notebooks, by a commit where something differs. What a folder binder/ of the course holds goes to a branch of "
        "its own, for Binder. No working tree is touched, and no push is forced.",
    )
    publish.add_argument("remote", metavar="REMOTE", help="a URL, a path, or the name of a git remote, like origin")
    publish.add_argument(
        "--branch",
        metavar="NAME",
        help="for the notebooks (default: launch, or coursebook_launch_branch in _config.yml)",
    )
    publish.add_argument(
        "--environment-branch",
        metavar="NAME",
        help="for the files of binder/ (default, where there is that folder: binder, or coursebook_binder_branch)",
    )
    publish.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="the course's folder (default: here)")
    publish.add_argument("--lenient", action="store_true", help="print a build's warnings without failing")
    publish.add_argument("--dry-run", action="store_true", help="build, then say what would be published")
    publish.set_defaults(run=_publish, **_AS_USUAL)

    serve = commands.add_parser(
        "serve-kernel",
        help="serve the built site with kernels for its live code",
        description="Serve the built site, and kernels for its live code, to this machine alone: no other reaches it, "
        "a token is needed, and pages of other origins are refused. Ctrl-C ends it and its kernels.",
    )
    serve.add_argument(
        "--port", type=_port, metavar="N", help="where to listen (default: the first free one from 8888)"
    )
    serve.add_argument(
        "--allow-origin",
        type=_origin,
        metavar="ORIGIN",
        help="let the pages of this origin in as well, like http://127.0.0.1:8000",
    )
    serve.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="the course's folder (default: here)")
    serve.set_defaults(run=_serve_kernel)

    checks = commands.add_parser(
        "checks",
        help="what is known of drift, and of the jobs that should run",
        description="Print when each page was last executed afresh and compared, and when the jobs of CI ran. The "
        "commands below write it down, and share it through a branch of a git remote.",
        epilog=CHECKING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    checks.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="the course's folder (default: here)")
    checks.set_defaults(run=_checks)
    acts = checks.add_subparsers(title="commands", metavar="COMMAND")
    note = acts.add_parser(
        "note",
        help="write down that a job has run",
        description="Write down that a job has run just now, and how it ended.",
    )
    note.add_argument("job", type=_job, metavar="JOB", help="its name, like drift")
    note.add_argument("--outcome", choices=("success", "failure"), required=True, help="how it ended")
    note.add_argument("--link", type=_link, default="", metavar="URL", help="where the run can be looked at")
    note.set_defaults(run=_note_job)
    publish_checks = acts.add_parser(
        "publish",
        help="add what is known here to a branch of a git remote",
        description="Add what is known here to what the branch of REMOTE holds, the newer entry of each page and job, "
        "by a commit where something differs. No working tree is touched, and no push is forced.",
    )
    publish_checks.set_defaults(run=_publish_checks)
    fetch = acts.add_parser(
        "fetch",
        help="add to what is known here what such a branch holds",
        description="Add to what is known here what the branch of REMOTE holds, the newer entry of each page and job. "
        "A remote without that branch is no error.",
    )
    fetch.set_defaults(run=_fetch_checks)
    for act in (publish_checks, fetch):
        act.add_argument("remote", metavar="REMOTE", help="a URL, a path, or the name of a git remote, like origin")
        act.add_argument("--branch", default="checks", metavar="NAME", help="the branch (default: checks)")
    for act in (note, publish_checks, fetch):
        act.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="the course's folder (default: here)")

    outputs = commands.add_parser(
        "outputs",
        help="carry stored outputs from one machine to another, and compare them",
        description="Carry stored outputs from the machine that executed the pages to another that shows them, and "
        "compare them with earlier ones.",
        epilog=CARRYING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    ways = outputs.add_subparsers(title="commands", metavar="COMMAND", required=True)
    pack = ways.add_parser(
        "pack",
        help="write the outputs of the course's pages to one file",
        description="Write the outputs of the course's pages to FILE. Outputs that were altered, can't be read or "
        "belong to no page are left out and named.",
        epilog=CARRYING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    pack.add_argument("file", type=Path, metavar="FILE", help="the bundle, a .tar.gz or .tar")
    pack.add_argument("pages", nargs="*", metavar="PAGE", help="only these (days/day08 or days/day08.md)")
    pack.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="the course's folder (default: here)")
    pack.set_defaults(run=_pack)
    unpack = ways.add_parser(
        "unpack",
        help="take the outputs in such a file",
        description="Take the outputs in FILE, all of which is checked before anything is written. Outputs here that "
        "are current are kept where they were executed later, or on a GPU and those in FILE on a CPU, or where those "
        "in FILE come from other code.",
        epilog=CARRYING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    unpack.add_argument("file", type=Path, metavar="FILE", help="the bundle")
    unpack.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="the course's folder (default: here)")
    unpack.add_argument("--force", action="store_true", help="take the outputs of every page that the course has")
    unpack.set_defaults(run=_unpack)
    diff = ways.add_parser(
        "diff",
        help="say what changed for a reader since a commit",
        description="Compare the outputs here with those at COMMIT, as a reader would, and say what has changed. "
        "Nothing is executed, and the exit code is 0 whatever has changed.",
        epilog=CARRYING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    diff.add_argument("commit", metavar="COMMIT", help="a commit, branch or tag, like HEAD or origin/main")
    diff.add_argument("--report", type=Path, metavar="DIR", help="write index.html and report.md to DIR")
    diff.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="the course's folder (default: here)")
    diff.set_defaults(run=_diff)
    return parser


def _build(arguments: argparse.Namespace, out: Console) -> int:
    from .snapshot import Snapshot

    started = time.perf_counter()
    snapshot = Snapshot(arguments.root)
    has_wishes = arguments.force or arguments.provisional or arguments.device != "auto"
    is_usual = not has_wishes and not arguments.as_of and not arguments.drafts
    if is_usual and _is_unchanged(snapshot, out):
        return 0

    # Imported here, and more below, so that --help and a course that hasn't changed don't wait for them.
    from .lock import exclusive

    _require_course(arguments.root)
    with exclusive(arguments.root, out.print) as waited:
        if waited:
            snapshot = Snapshot(arguments.root)
            if is_usual and _is_unchanged(snapshot, out):
                return 0
        site = _make_site(arguments, out, snapshot, started)
    out.print(f"open it: {_opener()} {escape(_quoted(site))}")
    return 0


def _make_site(arguments: argparse.Namespace, out: Console, snapshot: Snapshot, started: float) -> Path:
    """Build the site, and say so with its path, which is returned."""
    from .process import RenderingProcess

    with RenderingProcess(arguments.root) as process, _Reporter(out, verbose=arguments.verbose) as reporter:
        from .build import build

        result = build(
            arguments.root,
            reporter,
            _how(arguments),
            snapshot,
            process,
            lenient=arguments.lenient,
            as_of=arguments.as_of,
            drafts=arguments.drafts,
        )
    for warning in result.warnings:
        out.print(f"[yellow]warning[/] {escape(str(warning))}")
    seconds = time.perf_counter() - started
    out.print(
        f"[bold green]built[/] {result.pages} pages in {seconds:.1f} s, {result.executed} of them executed: "
        f"{escape(str(result.site))}"
    )
    return result.site


@contextlib.contextmanager
def _with_site(arguments: argparse.Namespace, out: Console) -> Iterator[None]:
    """The site is built, and no other command builds another one, as with drafts, until the block ends."""
    from .lock import exclusive
    from .snapshot import Snapshot

    started = time.perf_counter()
    _require_course(arguments.root)
    with exclusive(arguments.root, out.print):
        snapshot = Snapshot(arguments.root)
        if not _is_unchanged(snapshot, out):
            _make_site(arguments, out, snapshot, started)
        yield


def _is_unchanged(snapshot: Snapshot, out: Console) -> bool:
    from .snapshot import SITE

    pages = snapshot.matches()
    if pages:
        site = snapshot.root / SITE / "index.html"
        out.print(f"nothing has changed: {_count(range(pages), 'page')}, {escape(str(site))}")
    return bool(pages)


def _require_course(root: Path) -> None:
    """Nothing is made in a folder that isn't a course."""
    if not (root / "_config.yml").is_file() or not (root / "_toc.yml").is_file():
        from .course import Course

        Course.load(root)  # says what is missing


def _add_execution_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="execute pages even where nothing has changed")
    parser.add_argument("--jobs", type=_positive, metavar="N", help="pages executed at a time (default: the cores)")
    parser.add_argument("--cold", action="store_true", help="start every kernel anew instead of forking warm ones")
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "gpu"),
        default="auto",
        help=DEVICES,
    )
    parser.add_argument(
        "--provisional",
        action="store_true",
        help="without a GPU, execute the pages that ask for one and have no outputs from one on the CPU",
    )


def _day(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a date like 2026-10-05") from None


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return number


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port from 0 to 65535")
    return int(text)


def _origin(text: str) -> str:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text.rstrip("/"))
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query or parts.username:
        raise argparse.ArgumentTypeError(f"{text} is not an origin like http://127.0.0.1:8000")
    return text.rstrip("/").lower()


def _job(text: str) -> str:
    from .course import is_job

    if not is_job(text):
        raise argparse.ArgumentTypeError(f"{text} is no name of a job, like drift or outputs")
    return text


def _link(text: str) -> str:
    from .checks import is_link

    if not is_link(text):
        raise argparse.ArgumentTypeError(f"{text} is not an address like https://example.org/runs/1")
    return text


def _how(arguments: argparse.Namespace) -> How:
    from .build import How

    return How(
        force=arguments.force,
        jobs=arguments.jobs,
        cold=arguments.cold,
        device=arguments.device,
        provisional=arguments.provisional,
        cluster=arguments.cluster,
    )


def _execute(arguments: argparse.Namespace, out: Console) -> int:
    from .build import bring_up_to_date
    from .course import Course
    from .lock import exclusive

    started = time.perf_counter()
    _require_course(arguments.root)
    with exclusive(arguments.root, out.print), _Reporter(out, verbose=False) as reporter:
        course = Course.load(arguments.root)
        docnames = _docnames(arguments.pages, course)
        try:
            done, errors = bring_up_to_date(course, reporter, _how(arguments), docnames)
        except ModuleNotFoundError as missing:
            if missing.name not in ("distributed", "dask"):
                raise
            problem = "needs dask.distributed; `pip install 'coursebook[cluster]'` brings it"
            raise CourseError("coursebook execute --cluster", None, problem) from None
    if errors:
        raise CourseErrors("some pages could not be executed", errors)
    out.print(f"[bold green]executed[/] {_count(range(done), 'page')} in {time.perf_counter() - started:.1f} s")
    return 0


def _require_no_pages_in(folder: Path, root: Path, what: str) -> None:
    """What is written to a folder of the course would be read as pages of it by the next build."""
    root, full = root.resolve(), folder.resolve()
    if full.is_relative_to(root) and not full.is_relative_to(root / "_build"):
        problem = f"lies in the course, which would take {what} for pages; choose a folder below _build, or elsewhere"
        raise CourseError(folder, None, problem)
    if folder.exists() and not folder.is_dir():
        raise CourseError(folder, None, f"is a file; {what} take a folder")


def _verify(arguments: argparse.Namespace, out: Console) -> int:
    if arguments.report:
        _require_no_pages_in(arguments.report, arguments.root, "the report's files")
    if arguments.packages:
        return _verify_elsewhere(arguments, out)
    from .build import How
    from .checks import Checks
    from .course import Course
    from .lock import exclusive
    from .verify import checked, heading, verify

    started = time.perf_counter()
    _require_course(arguments.root)
    how = How(jobs=arguments.jobs, cold=arguments.cold, device=arguments.device)
    with exclusive(arguments.root, out.print), _Reporter(out, verbose=False) as reporter:
        course = Course.load(arguments.root)
        drifts = verify(course, reporter, how, _docnames(arguments.pages, course))
        if not arguments.as_canary:
            Checks(course.root).note_pages(checked(drifts))
    _print_drifts(out, drifts)
    compared = [drift for drift in drifts if drift.verdict != "skipped"]
    seconds = f" in {time.perf_counter() - started:.1f} s"
    _print_report(out, arguments.report, heading(drifts, arguments.as_canary), drifts, seconds)
    if not compared:
        raise CourseError("coursebook verify", None, "no page could be compared")
    return int(any(drift.verdict in ("changed", "failed") for drift in drifts))


def _verify_elsewhere(arguments: argparse.Namespace, out: Console) -> int:
    """The same in an environment with other packages, by the command that is installed there."""
    import subprocess

    from .canary import environment
    from .course import Course
    from .lock import exclusive

    _require_course(arguments.root)
    with exclusive(arguments.root, out.print):
        python = environment(Course.load(arguments.root), arguments.packages, out.print)
    command = [str(python), "-m", "coursebook", "verify", *arguments.pages, "--root", str(arguments.root)]
    command += ["--device", arguments.device, *(["--cold"] if arguments.cold else [])]
    command += ["--jobs", str(arguments.jobs)] if arguments.jobs else []
    command += ["--report", str(arguments.report)] if arguments.report else []
    with subprocess.Popen([*command, "--as-canary", *arguments.packages]) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # which it has heard as well: it ends its kernels, and says so
                continue


def _diff(arguments: argparse.Namespace, out: Console) -> int:
    from .changes import changes, heading
    from .course import Course

    if arguments.report:
        _require_no_pages_in(arguments.report, arguments.root, "the report's files")
    drifts = changes(Course.load(arguments.root), arguments.commit)
    _print_drifts(out, drifts)
    _print_report(out, arguments.report, heading(arguments.commit), drifts)
    return 0


def _print_drifts(out: Console, drifts: Sequence[PageDrift]) -> None:
    """What became of each page, and where and why, in lines that editors lead to."""
    from .report import deprecations, place, reasons

    colors = {"same": "green", "changed": "red", "failed": "red"}

    def say(text: str) -> None:
        out.print(text, markup=False, emoji=False)

    for drift in drifts:
        verdict = drift.verdict
        what = [f"{len(drift.changed)} of {_count(drift.cells, 'cell')}"] if drift.changed else []
        what += [_count(drift.sentences, "sentence")] if drift.sentences else []
        told = drift.skipped or ", ".join(what)
        name = escape(f"{drift.page.docname}: {told}" if told else drift.page.docname)
        out.print(f"[{colors.get(verdict, 'yellow')}]{verdict}[/] {name}")
        if drift.failure:
            say(plain(drift.failure))
        for cell in drift.changed:
            claim = cell.failed_claim
            for why in [f"claim fails: {claim}"] if claim else reasons(cell, "changed"):
                say(f"  {place(drift, cell)}: {' '.join(plain(why).split())}")
        for sentence in drift.sentences:
            say(f"  {sentence.path}:{sentence.line}: reads {plain(sentence.new)!r}, read {plain(sentence.old)!r}")

    for said, names in deprecations(drifts).items():
        say(f"will change in a later version: {plain(said)} ({', '.join(names)})")


def _print_report(
    out: Console, folder: Path | None, heading: Heading, drifts: Sequence[PageDrift], seconds: str = ""
) -> None:
    from .report import summary, write

    out.print(f"{_count(drifts, 'page')}{seconds}: {summary(drifts)}")
    if folder:
        out.print(f"the report: {escape(str(write(folder, heading, drifts).resolve()))}")


def _docnames(pages: Sequence[str], course: Course) -> set[str] | None:
    """The docnames that a command line means; None for all of them."""
    from .page import SUFFIXES

    known = {page.docname for page in course.executed_pages()}
    wanted = {Path(page).with_suffix("").as_posix() if Path(page).suffix in SUFFIXES else page for page in pages}
    if unknown := sorted(wanted - known):
        raise CourseError(unknown[0], None, f"no page with code of this name (there are: {', '.join(sorted(known))})")
    return wanted or None


def _status(arguments: argparse.Namespace, out: Console) -> int:
    from .course import Course
    from .plan import Environment, plan
    from .store import Store

    course = Course.load(arguments.root)
    decisions = plan(course, Store(course.root), Environment())
    if arguments.json:
        rows = [
            {
                "page": decision.page.docname,
                "state": decision.state,
                "reasons": list(decision.reasons),
                "unseen": list(decision.stored.provenance.unseen) if decision.stored else [],
                "executes": decision.executes,
                "waits": decision.waits,
                "seconds": decision.seconds,
                "wants": decision.page.options.device,
                "provenance": asdict(decision.stored.provenance) if decision.stored else None,
            }
            for decision in decisions
        ]
        out.file.write(json.dumps(rows, indent=1) + "\n")
    else:
        width = max((len(decision.page.docname) for decision in decisions), default=0)
        for decision in decisions:
            color = COLORS.get(decision.state, "yellow")
            took = f"{decision.seconds:.1f} s" if decision.seconds is not None else "-"
            reasons = f": {'; '.join(decision.reasons)}" if decision.reasons else ""
            reasons += " (waits for a GPU)" if decision.waits else ""
            reasons += f" (not watched: {decision.unseen})" if decision.unseen else ""
            out.print(
                f"{escape(decision.page.docname):<{width}}  {took:>8}  [{color}]{decision.state}[/]{escape(reasons)}"
            )
        wanted = [decision for decision in decisions if decision.executes]
        known = sum(decision.seconds or 0.0 for decision in wanted)
        out.print(
            f"{_count(decisions, 'page')} with code; a build executes {len(wanted)}"
            + (f", which took {known:.0f} s last time" if known else "")
        )
        if waiting := [decision for decision in decisions if decision.waits]:
            out.print(f"{_count(waiting, 'page')} must wait for a GPU, and there is none here")
    return int(arguments.check and any(decision.state != "current" for decision in decisions))


def _clean(arguments: argparse.Namespace, out: Console) -> int:
    from .course import Course
    from .lock import exclusive
    from .store import Store

    _require_course(arguments.root)
    with exclusive(arguments.root, out.print):
        course = Course.load(arguments.root)
        store = Store(course.root)
        pages = {page.docname for page in course.executed_pages()}
        orphans = [docname for docname in store.docnames() if docname not in pages]
        for docname in orphans:
            store.remove(docname)
            out.print(f"removed {escape(store.path(docname).relative_to(course.root).as_posix())}")
    if not orphans:
        out.print("nothing to remove: every stored output belongs to a page")
    return 0


def _notebooks(arguments: argparse.Namespace, out: Console) -> int:
    from .course import Course
    from .notebooks import write

    course = Course.load(arguments.root)
    docnames = _docnames(arguments.pages, course)
    folder = arguments.folder.resolve()
    _require_no_pages_in(folder, arguments.root, "the notebooks")
    with _with_site(arguments, out):
        written = write(course, folder, docnames, with_outputs=arguments.outputs)
    out.print(f"[bold green]wrote[/] {_count(written, 'notebook')}: {escape(str(folder))}")
    return 0


def _check_launch(arguments: argparse.Namespace, out: Console) -> int:
    from .check_launch import Finding, check_launch
    from .course import Course

    def tell(finding: Finding) -> None:
        color, problem = ("red", f": {finding.problem}") if finding.problem else ("green", "")
        state = "broken" if finding.problem else "works"
        out.print(f"[{color}]{state}[/] {escape(f'{finding.docname}, {finding.service}{problem}')}")

    with _with_site(arguments, out):
        course = Course.load(arguments.root)
        found = check_launch(course, tell, remote=arguments.remote, run=arguments.execute)
    broken = sum(bool(finding.problem) for finding in found)
    out.print(f"{_count(found, 'check')}: {len(found) - broken} worked, {broken} failed")
    return int(broken > 0)


def _links(arguments: argparse.Namespace, out: Console) -> int:
    from .course import Course
    from .links import check_links
    from .lock import exclusive
    from .process import RenderingProcess

    _require_course(arguments.root)

    def progress(number: int) -> None:
        if out.is_terminal:
            status.update(f"{number} links looked up")
        elif number % 20 == 0:
            out.print(f"{number} links looked up")

    with (
        exclusive(arguments.root, out.print),
        RenderingProcess(arguments.root) as process,
        out.status("reading the course") as status,
    ):
        links = check_links(Course.load(arguments.root), process, progress)
    colors = {"broken": "red", "unanswered": "red", "moved": "yellow"}
    for link in sorted(links, key=lambda link: (link.path, link.line, link.address)):
        if color := colors.get(link.state):
            out.print(f"[{color}]{link.state}[/] {escape(str(link))}")
    counts = Counter(link.state for link in links)
    told = ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))
    out.print(f"{_count(links, 'link')} to other sites" + (f": {told}" if told else ""))
    return int(counts["broken"] + counts["unanswered"] > 0)


def _publish(arguments: argparse.Namespace, out: Console) -> int:
    from .branches import branches
    from .course import Course
    from .publish import publish

    with _with_site(arguments, out):
        course = Course.load(arguments.root)
        wanted = branches(course, arguments.branch or course.launch_branch, arguments.environment_branch)
    may = "would be " if arguments.dry_run else ""
    for branch in wanted:
        published = publish(
            branch.files,
            arguments.remote,
            branch.name,
            branch.message,
            identity_from=arguments.root,
            dry_run=arguments.dry_run,
        )
        for what in ("added", "changed", "removed"):
            for name in getattr(published, what):
                out.print(f"{may}{what} {branch.name}: {plain(name)}", markup=False, emoji=False)
        told = f"{may}published" if published.differs else "already published"
        commit = f", commit {published.commit[:12]}" if published.commit else ""
        out.print(f"[bold green]{told}[/] {escape(branch.name)}: {published}{commit}")
    return 0


def _serve_kernel(arguments: argparse.Namespace, out: Console) -> int:
    try:
        from .kernelserver import serve
    except ModuleNotFoundError as missing:
        if missing.name not in ("jupyter_server", "tornado", "traitlets"):
            raise
        problem = "needs jupyter_server; `pip install 'coursebook[live]'` brings it"
        raise CourseError("coursebook serve-kernel", None, problem) from None

    _require_course(arguments.root)
    serve(
        arguments.root,
        arguments.port,
        arguments.allow_origin or "",
        lambda address: out.print(f"open {escape(address)} (Ctrl-C ends it and its kernels)"),
    )
    out.print("ended, and its kernels with it")
    return 0


def _pack(arguments: argparse.Namespace, out: Console) -> int:
    from .bundle import pack
    from .course import Course

    course = Course.load(arguments.root)
    return _print_outcomes(out, pack(course, arguments.file, _docnames(arguments.pages, course)))


def _unpack(arguments: argparse.Namespace, out: Console) -> int:
    from .bundle import unpack
    from .course import Course
    from .lock import exclusive

    _require_course(arguments.root)
    with exclusive(arguments.root, out.print):
        return _print_outcomes(out, unpack(Course.load(arguments.root), arguments.file, force=arguments.force))


def _print_outcomes(out: Console, outcomes: Sequence[Outcome]) -> int:
    for outcome in outcomes:
        out.print(str(outcome), markup=False, emoji=False)  # docnames may have colons
    counts = Counter(outcome.what for outcome in outcomes)
    out.print(f"{_count(outcomes, 'page')}: {', '.join(f'{what} {number}' for what, number in counts.items())}")
    return int("refused" in counts)


def _checks(arguments: argparse.Namespace, out: Console) -> int:
    from .checks import Checks, watched
    from .course import Course
    from .store import Store

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
            told += f": {_count(range(check.changed), 'cell')}" if check.changed else ""
            told += "" if _has_outputs(store, name, check.outputs) else ", of outputs that have changed since"
        out.print(f"{escape(name):<{width}}  {told}")
    for job in jobs:
        state = job.state(now)
        color = {"on time": "green", "failed": "red", "overdue": "red"}.get(state, "yellow")
        ran = f"{job.run.ran[:10]}  " if job.run else ""
        link = f"  {escape(job.run.link)}" if job.run and job.run.link else ""
        out.print(f"{escape(job.name):<{width}}  {ran}[{color}]{job.words(now)}[/]{link}")
    out.print(f"{_count(names, 'page')} with code, {_count(jobs, 'job')}")
    return 0


def _has_outputs(store: Store, docname: str, digest: str) -> bool:
    """Whether the stored outputs of a page are those."""
    try:
        stored = store.read(docname)
    except CourseError:
        return False
    return stored is not None and stored.digest == digest


def _note_job(arguments: argparse.Namespace, out: Console) -> int:
    from .checks import Checks, JobRun
    from .lock import exclusive

    _require_course(arguments.root)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    succeeded = now if arguments.outcome == "success" else ""
    with exclusive(arguments.root, out.print):
        Checks(arguments.root).note_job(arguments.job, JobRun(now, arguments.outcome, arguments.link, succeeded))
    out.print(f"[bold green]noted[/] {escape(arguments.job)}: {arguments.outcome}, {now}")
    return 0


def _publish_checks(arguments: argparse.Namespace, out: Console) -> int:
    from .checks import Checks
    from .lock import exclusive

    _require_course(arguments.root)
    with exclusive(arguments.root, out.print):
        done = Checks(arguments.root).publish(arguments.remote, arguments.branch)
    told = "published" if done.differs else "already published"
    out.print(f"[bold green]{told}[/] {escape(arguments.branch)}: commit {(done.commit or '')[:12]}")
    return 0


def _fetch_checks(arguments: argparse.Namespace, out: Console) -> int:
    from .checks import Checks
    from .lock import exclusive

    _require_course(arguments.root)
    with exclusive(arguments.root, out.print):
        is_there = Checks(arguments.root).fetch(arguments.remote, arguments.branch)
    told = "[bold green]fetched[/]" if is_there else "there is no branch"
    out.print(f"{told} {escape(arguments.branch)}")
    return 0


def _opener() -> str:
    return {"darwin": "open", "win32": "start"}.get(sys.platform, "xdg-open")


def _quoted(path: Path) -> str:
    return f'"{path}"' if " " in str(path) else str(path)


class _Reporter:
    """Shows where a build is: a bar in a terminal, a line for each page elsewhere."""

    def __init__(self, out: Console, *, verbose: bool) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._out, self._verbose = out, verbose
        self._started, self._pages, self._cells = 0, 0, 0
        self._running: dict[str, str] = {}  # by docname: where the page is
        self._last: dict[str, float] = {}  # by docname: the seconds it took last time, of the pages that aren't done
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            console=out,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not out.is_terminal,
        )
        self._task = self._progress.add_task("reading the course", total=None)

    def __enter__(self) -> _Reporter:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def to_execute(self, pages: Sequence[tuple[str, int, float | None]], slots: int) -> None:
        """Hear of the pages: docname, number of cells, and the seconds it took last time; `slots` run at a time."""
        self._pages, self._slots = len(pages), slots
        self._last = {docname: seconds for docname, _, seconds in pages if seconds is not None}
        self._knows_all = len(self._last) == len(pages)
        self._progress.reset(self._task, total=sum(cells for _, cells, _ in pages))

    def waits(self, docname: str, reason: str) -> None:
        """Hear of a page that should be executed and can't be, for want of a GPU."""
        self._out.print(
            f"[yellow]kept[/] {escape(docname)}: {escape(reason)}; it asks for a GPU, and there is none"
            + (" (--provisional executes it on the CPU)" if reason.startswith("missing") else "")
        )

    def tell(self, event: Event) -> None:
        from .execute.events import CellStarted, PageDone, PageFailed, PageStarted
        from .plan import NEVER_TOUCHED

        match event:
            case PageStarted(page):
                self._started += 1
                if not self._out.is_terminal:
                    last = self._last.get(page.docname)
                    took = f" ({last:.0f} s last time)" if last else ""
                    self._out.print(f"{self._place} {page.docname}: executing {_count(page.cells, 'cell')}{took}")
            case CellStarted(page, cell):
                self._running[page.docname] = f"line {cell.line}" if cell.line else f"cell {cell.number}"
                self._cells += 1
            case PageDone(page, _, provenance):
                self._end(page.docname)
                cells = _count(page.cells, "cell")
                self._out.print(f"{self._place} {page.docname}: {cells} in {provenance.seconds:.1f} s")
                if provenance.offered:
                    self._out.print(f"[yellow]warning[/] {escape(page.path.as_posix())}: {NEVER_TOUCHED}")
            case PageFailed(page, _, seconds):
                self._end(page.docname)
                self._out.print(f"{self._place} {page.docname}: [red]failed[/] after {seconds:.1f} s")
        where = " · ".join(f"{docname} {place}" for docname, place in self._running.items())
        self._progress.update(self._task, completed=self._cells, description=f"{self._place} {where}{self._left()}")

    def _end(self, docname: str) -> None:
        self._running.pop(docname, None)
        self._last.pop(docname, None)

    def _left(self) -> str:
        """How long to go at most, from the seconds that the pages took last time; nothing where one has none yet."""
        left = sum(self._last.values()) / self._slots if self._knows_all else 0.0
        return f", {left:.0f} s to go" if left >= 1 else ""

    def rendering(self, pages: int) -> None:
        self._progress.remove_task(self._task)
        self._task = self._progress.add_task(f"rendering {pages} pages with Jupyter Book", total=None)
        if not self._out.is_terminal:
            self._out.print(f"rendering {pages} pages with Jupyter Book")

    def notice(self, text: str) -> None:
        self._out.print(f"[yellow]notice[/] {escape(text)}")

    def log(self, line: str) -> None:
        if self._verbose and line.strip():
            self._out.print(f"[dim]{escape(line)}[/]")

    @property
    def _place(self) -> str:
        return rf"\[{self._started}/{self._pages}]"


def _count(things: Sequence[object], noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"
