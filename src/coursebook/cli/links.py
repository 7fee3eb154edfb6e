"""`coursebook links`: look up every link to another site."""

from __future__ import annotations

import argparse
from collections import Counter

from rich.console import Console
from rich.markup import escape

from .console import count
from .options import add_root, require_course


def declare(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Look up every link of the course to another site, and say which are broken or have moved for good. A build "
        "never does this: it doesn't depend on other people's machines. Sphinx's linkcheck does the work, and its "
        "options in _config.yml under sphinx: config: apply, like linkcheck_ignore."
    )
    add_root(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, out: Console) -> int:
    from ..build import exclusive
    from ..course import Course
    from ..site import RenderingProcess, check_links

    require_course(arguments.root)

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
    out.print(f"{count(links, 'link')} to other sites" + (f": {told}" if told else ""))
    return int(counts["broken"] + counts["unanswered"] > 0)
