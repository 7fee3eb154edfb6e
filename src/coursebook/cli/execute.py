"""`coursebook execute`: execute what is not current, without building the site."""

from __future__ import annotations

import argparse
import time

from rich.console import Console

from ..ground import CourseErrors
from .console import Reporter, count
from .options import (
    PAGES,
    add_cluster,
    add_execution,
    add_force,
    add_provisional,
    add_root,
    cluster_there,
    docnames,
    execution,
    require_course,
)


def declare(parser: argparse.ArgumentParser) -> None:
    parser.description = "Execute the pages that are not current and store their outputs below outputs/."
    parser.add_argument("pages", nargs="*", metavar="PAGE", help=PAGES)
    add_root(parser)
    add_force(parser)
    add_execution(parser)
    add_provisional(parser)
    add_cluster(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, out: Console) -> int:
    from ..build import bring_up_to_date, exclusive
    from ..course import Course

    started = time.perf_counter()
    require_course(arguments.root)
    with exclusive(arguments.root, out.print), Reporter(out, verbose=False) as reporter:
        course = Course.load(arguments.root)
        wanted = docnames(arguments.pages, course)
        with cluster_there("coursebook execute --cluster"):
            done, errors = bring_up_to_date(course, reporter, execution(arguments), wanted)
    if errors:
        raise CourseErrors("some pages could not be executed", errors)
    out.print(f"[bold green]executed[/] {count(range(done), 'page')} in {time.perf_counter() - started:.1f} s")
    return 0
