"""`coursebook notebooks`: write each page with code as a notebook."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from .console import count
from .making import with_site
from .options import PAGES, add_root, docnames, require_no_pages_in


def declare(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Build the site, and write the notebook of each page with code below DIR as the site offers it for download: "
        "what readers see, the code without claims and without what is not released, and a first cell that installs "
        "what is missing. Files that pages read are written beside them."
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="where to; notebooks there are replaced")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help=PAGES)
    parser.add_argument("--outputs", action="store_true", help="with the outputs that the site shows")
    add_root(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, out: Console) -> int:
    from ..course import Course
    from ..launch import export_notebooks

    course = Course.load(arguments.root)
    wanted = docnames(arguments.pages, course)
    folder = arguments.folder.resolve()
    require_no_pages_in(folder, arguments.root, "the notebooks")
    with with_site(arguments.root, out):
        written = export_notebooks(course, folder, wanted, with_outputs=arguments.outputs)
    out.print(f"[bold green]wrote[/] {count(written, 'notebook')}: {escape(str(folder))}")
    return 0
