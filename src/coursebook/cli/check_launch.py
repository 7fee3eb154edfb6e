"""`coursebook check-launch`: follow every button that opens a notebook."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.markup import escape

from .console import count
from .making import with_site
from .options import add_root


def declare(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Build the site if something has changed, then follow each button of its pages: to the branch, and to the "
        "notebook on it, which must be the site's. With --run, execute the notebooks too, in fresh environments that "
        "their own first cells fill."
    )
    parser.add_argument("--remote", metavar="REMOTE", help="look there instead of at the repository that buttons name")
    parser.add_argument("--run", action="store_true", dest="execute", help="execute the notebooks, too")
    add_root(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, out: Console) -> int:
    from ..course import Course
    from ..launch import Finding, check_launch

    def tell(finding: Finding) -> None:
        color, problem = ("red", f": {finding.problem}") if finding.problem else ("green", "")
        state = "broken" if finding.problem else "works"
        out.print(f"[{color}]{state}[/] {escape(f'{finding.docname}, {finding.service}{problem}')}")

    with with_site(arguments.root, out):
        course = Course.load(arguments.root)
        found = check_launch(course, tell, remote=arguments.remote, run=arguments.execute)
    broken = sum(bool(finding.problem) for finding in found)
    out.print(f"{count(found, 'check')}: {len(found) - broken} worked, {broken} failed")
    return int(broken > 0)
