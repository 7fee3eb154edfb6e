"""`coursebook clean`: remove stored outputs that no page has."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.markup import escape

from .options import add_root, require_course


def declare(parser: argparse.ArgumentParser) -> None:
    parser.description = "Remove the outputs below outputs/ that belong to no page of the course, and say which."
    add_root(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, out: Console) -> int:
    from ..build import exclusive
    from ..course import Course
    from ..outputs import Store

    require_course(arguments.root)
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
