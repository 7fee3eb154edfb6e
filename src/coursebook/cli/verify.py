"""`coursebook verify`: execute pages afresh and compare with what is published."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from rich.console import Console

from ..ground import CourseError, CourseErrors
from .comparison import print_drifts, print_report
from .console import Reporter
from .options import (
    PAGES,
    add_cluster,
    add_execution,
    add_root,
    cluster_there,
    docnames,
    execution,
    require_course,
    require_no_pages_in,
)

EXAMPLES = """\
examples:
  coursebook verify                              every page, with the packages that are installed
  coursebook verify --report _build/drift        with a report to open in a browser
  coursebook verify --packages torch numpy       with the newest, in an environment of its own (needs uv)
"""


def declare(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Execute pages afresh, without touching their stored outputs, and compare what they say with what is "
        "published, as a reader would: numbers with tolerance, figures by what they show, timings not at all. Exit "
        "code 0 if nothing has changed, 1 if something has."
    )
    parser.epilog, parser.formatter_class = EXAMPLES, argparse.RawDescriptionHelpFormatter
    parser.add_argument("pages", nargs="*", metavar="PAGE", help=PAGES)
    add_root(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--packages",
        nargs="+",
        action="extend",
        default=[],
        metavar="REQUIREMENT",
        help="in an environment of its own with these, like torch==2.15.* or numpy for the newest",
    )
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="write index.html, old beside new, and report.md to DIR"
    )
    add_execution(parser)
    add_cluster(where)
    # What the environment is for in which another `verify` has started this one.
    parser.add_argument("--as-canary", nargs="+", default=[], help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, out: Console) -> int:
    if arguments.report:
        require_no_pages_in(arguments.report, arguments.root, "the report's files")
    if arguments.packages:
        return _verify_elsewhere(arguments, out)
    from ..build import exclusive
    from ..course import Course
    from ..drift import Checks, heading_of_verification, page_checks, verify

    started = time.perf_counter()
    require_course(arguments.root)
    with exclusive(arguments.root, out.print), Reporter(out, verbose=False) as reporter:
        course = Course.load(arguments.root)
        wanted = docnames(arguments.pages, course)
        with cluster_there("coursebook verify --cluster"):
            drifts, errors = verify(course, reporter, execution(arguments), wanted)
        if not arguments.as_canary:
            Checks(course.root).note_pages(page_checks(drifts))
    print_drifts(out, drifts)
    compared = [drift for drift in drifts if drift.verdict != "skipped"]
    seconds = f" in {time.perf_counter() - started:.1f} s"
    print_report(out, arguments.report, heading_of_verification(drifts, arguments.as_canary), drifts, seconds)
    if errors:
        raise CourseErrors("some pages could not be executed", errors)
    if not compared:
        raise CourseError("coursebook verify", None, "no page could be compared")
    return int(any(drift.verdict in ("changed", "failed") for drift in drifts))


def _verify_elsewhere(arguments: argparse.Namespace, out: Console) -> int:
    """The same in an environment with other packages, by the command that is installed there."""
    import subprocess

    from ..build import exclusive
    from ..course import Course
    from ..drift import canary_environment

    require_course(arguments.root)
    with exclusive(arguments.root, out.print):
        python = canary_environment(Course.load(arguments.root), arguments.packages, out.print)
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
