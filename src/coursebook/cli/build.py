"""`coursebook build`: execute what has changed and build the site."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from ..build import Snapshot
from .console import EXAMPLES
from .making import is_unchanged, make_site
from .options import add_execution, add_force, add_provisional, add_root, day, execution, require_course


def declare(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Execute the pages whose code has changed, then build the site with Jupyter Book below _build/html. A page "
        "with a failing cell keeps its last good outputs, with a notice on the page, and fails the build; an error or "
        "a warning of Sphinx leaves the earlier site as it is."
    )
    parser.epilog, parser.formatter_class = EXAMPLES, argparse.RawDescriptionHelpFormatter
    add_root(parser)
    add_force(parser)
    add_execution(parser)
    add_provisional(parser)
    parser.add_argument("--lenient", action="store_true", help="print warnings without failing; errors still fail")
    parser.add_argument(
        "--as-of", type=day, metavar="DATE", help="the site of that day, like 2026-10-05, with what is released then"
    )
    parser.add_argument(
        "--drafts", action="store_true", help="with everything that is not released yet, for its author"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="show Sphinx's own log")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, out: Console) -> int:
    started = time.perf_counter()
    snapshot = Snapshot(arguments.root)
    has_wishes = arguments.force or arguments.provisional or arguments.device != "auto"
    is_usual = not has_wishes and not arguments.as_of and not arguments.drafts
    if is_usual and is_unchanged(snapshot, out):
        return 0

    # Imported here, and in other commands, so that --help and a course that hasn't changed don't wait for them.
    from ..build import SiteOptions, exclusive

    require_course(arguments.root)
    with exclusive(arguments.root, out.print) as waited:
        if waited:
            snapshot = Snapshot(arguments.root)
            if is_usual and is_unchanged(snapshot, out):
                return 0
        wanted = SiteOptions(lenient=arguments.lenient, as_of=arguments.as_of, drafts=arguments.drafts)
        site = make_site(out, snapshot, started, execution(arguments), wanted, verbose=arguments.verbose)
    out.print(f"open it: {_opener()} {escape(_quoted(site))}")
    return 0


def _opener() -> str:
    return {"darwin": "open", "win32": "start"}.get(sys.platform, "xdg-open")


def _quoted(path: Path) -> str:
    return f'"{path}"' if " " in str(path) else str(path)
