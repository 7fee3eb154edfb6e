"""`coursebook publish-notebooks`: put the site's notebooks on a branch that Colab, Binder and JupyterHub open."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.markup import escape

from ..ground import plain
from .making import with_site
from .options import REMOTE, add_root


def declare(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Build the site if something has changed, then have a branch of REMOTE contain exactly its notebooks, by a "
        "commit where something differs. What a folder binder/ of the course holds goes to a branch of its own, for "
        "Binder. No working tree is touched, and no push is forced."
    )
    parser.add_argument("remote", metavar="REMOTE", help=REMOTE)
    parser.add_argument(
        "--branch",
        metavar="NAME",
        help="for the notebooks (default: launch, or coursebook_launch_branch in _config.yml)",
    )
    parser.add_argument(
        "--environment-branch",
        metavar="NAME",
        help="for the files of binder/ (default, where there is that folder: binder, or coursebook_binder_branch)",
    )
    add_root(parser)
    parser.add_argument("--lenient", action="store_true", help="print a build's warnings without failing")
    parser.add_argument("--dry-run", action="store_true", help="build, then say what would be published")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, out: Console) -> int:
    from ..build import SiteOptions
    from ..course import Course
    from ..ground import publish_files
    from ..launch import launch_branches

    with with_site(arguments.root, out, SiteOptions(lenient=arguments.lenient)):
        course = Course.load(arguments.root)
        wanted = launch_branches(course, arguments.branch or course.launch_branch, arguments.environment_branch)
    may = "would be " if arguments.dry_run else ""
    for branch in wanted:
        published = publish_files(
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
