"""`coursebook serve-kernel`: serve the built site with kernels for its live code."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.markup import escape

from ..ground import CourseError
from .options import add_root, origin, port, require_course


def declare(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Serve the built site, and kernels for its live code, to this machine alone: no other reaches it, a token is "
        "needed, and pages of other origins are refused. Ctrl-C ends it and its kernels."
    )
    parser.add_argument(
        "--port", type=port, metavar="N", help="where to listen (default: the first free one from 8888)"
    )
    parser.add_argument(
        "--allow-origin",
        type=origin,
        metavar="ORIGIN",
        help="let the pages of this origin in as well, like http://127.0.0.1:8000",
    )
    add_root(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, out: Console) -> int:
    try:
        from ..live import serve_kernels
    except ModuleNotFoundError as missing:
        if missing.name not in ("jupyter_server", "tornado", "traitlets"):
            raise
        problem = "needs jupyter_server; `pip install 'coursebook[live]'` brings it"
        raise CourseError("coursebook serve-kernel", None, problem) from None

    require_course(arguments.root)
    serve_kernels(
        arguments.root,
        arguments.port,
        arguments.allow_origin or "",
        lambda address: out.print(f"open {escape(address)} (Ctrl-C ends it and its kernels)"),
    )
    out.print("ended, and its kernels with it")
    return 0
