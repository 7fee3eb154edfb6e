"""`coursebook outputs`: carry stored outputs from one machine to another, and compare them."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from .comparison import print_drifts, print_report
from .console import count
from .options import PAGES, add_root, docnames, require_course, require_no_pages_in

if TYPE_CHECKING:
    from ..outputs import Outcome


EXAMPLES = """\
example:
  coursebook outputs pack gpu.tar.gz      on the machine with the GPU, after `coursebook execute`
  coursebook outputs unpack gpu.tar.gz    here, in the same course
  coursebook outputs diff HEAD            what a reader sees otherwise than in the last commit
"""


def declare(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Carry stored outputs from the machine that executed the pages to another that shows them, and compare them "
        "with earlier ones."
    )
    parser.epilog, parser.formatter_class = EXAMPLES, argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    pack = commands.add_parser(
        "pack",
        help="write the outputs of the course's pages to one file",
        description="Write the outputs of the course's pages to FILE. Outputs that were altered, can't be read or "
        "belong to no page are left out and named.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    pack.add_argument("file", type=Path, metavar="FILE", help="the bundle, a .tar.gz or .tar")
    pack.add_argument("pages", nargs="*", metavar="PAGE", help=PAGES)
    add_root(pack)
    pack.set_defaults(run=_pack)
    unpack = commands.add_parser(
        "unpack",
        help="take the outputs in such a file",
        description="Take the outputs in FILE, all of which is checked before anything is written. Outputs here that "
        "are current are kept where they were executed later, or on a GPU and those in FILE on a CPU, or where those "
        "in FILE come from other code.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    unpack.add_argument("file", type=Path, metavar="FILE", help="the bundle")
    add_root(unpack)
    unpack.add_argument("--force", action="store_true", help="take the outputs of every page that the course has")
    unpack.set_defaults(run=_unpack)
    diff = commands.add_parser(
        "diff",
        help="say what changed for a reader since a commit",
        description="Compare the outputs here with those at COMMIT, as a reader would, and say what has changed. "
        "Nothing is executed, and the exit code is 0 whatever has changed.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    diff.add_argument("commit", metavar="COMMIT", help="a commit, branch or tag, like HEAD or origin/main")
    diff.add_argument("--report", type=Path, metavar="DIR", help="write index.html and report.md to DIR")
    add_root(diff)
    diff.set_defaults(run=_diff)


def _pack(arguments: argparse.Namespace, out: Console) -> int:
    from ..course import Course
    from ..outputs import pack

    course = Course.load(arguments.root)
    return _print_outcomes(out, pack(course, arguments.file, docnames(arguments.pages, course)))


def _unpack(arguments: argparse.Namespace, out: Console) -> int:
    from ..build import exclusive
    from ..course import Course
    from ..outputs import unpack

    require_course(arguments.root)
    with exclusive(arguments.root, out.print):
        return _print_outcomes(out, unpack(Course.load(arguments.root), arguments.file, force=arguments.force))


def _diff(arguments: argparse.Namespace, out: Console) -> int:
    from ..course import Course
    from ..drift import changes_since, heading_since

    if arguments.report:
        require_no_pages_in(arguments.report, arguments.root, "the report's files")
    drifts = changes_since(Course.load(arguments.root), arguments.commit)
    print_drifts(out, drifts)
    print_report(out, arguments.report, heading_since(arguments.commit), drifts)
    return 0


def _print_outcomes(out: Console, outcomes: Sequence[Outcome]) -> int:
    for outcome in outcomes:
        out.print(str(outcome), markup=False, emoji=False)  # docnames may have colons
    counts = Counter(outcome.what for outcome in outcomes)
    out.print(f"{count(outcomes, 'page')}: {', '.join(f'{what} {number}' for what, number in counts.items())}")
    return int("refused" in counts)
