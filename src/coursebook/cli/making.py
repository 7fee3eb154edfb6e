"""The site, built if it has to be: for `build`, and for the commands that need it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from ..ground import SITE
from .console import Reporter, count
from .options import require_course

if TYPE_CHECKING:
    from ..build import SiteOptions, Snapshot
    from ..execute import ExecutionOptions


def make_site(
    out: Console,
    snapshot: Snapshot,
    started: float,
    how: ExecutionOptions | None = None,
    wanted: SiteOptions | None = None,
    *,
    verbose: bool = False,
) -> Path:
    """Build the site of the course that `snapshot` was taken of, and say so with its path, which is returned.

    `started` is a time of `perf_counter`; without `how` and `wanted` it is built as usual.
    """
    from ..site import RenderingProcess

    with RenderingProcess(snapshot.root) as process, Reporter(out, verbose=verbose) as reporter:
        from ..build import SiteOptions, build
        from ..execute import ExecutionOptions

        result = build(reporter, how or ExecutionOptions(), wanted or SiteOptions(), snapshot, process)
    for warning in result.warnings:
        out.print(f"[yellow]warning[/] {escape(str(warning))}")
    seconds = time.perf_counter() - started
    out.print(
        f"[bold green]built[/] {result.pages} pages in {seconds:.1f} s, {result.executed} of them executed: "
        f"{escape(str(result.site))}"
    )
    return result.site


@contextlib.contextmanager
def with_site(root: Path, out: Console, wanted: SiteOptions | None = None) -> Iterator[None]:
    """The site is built, and no other command builds another one, as with drafts, until the block ends."""
    from ..build import Snapshot, exclusive

    started = time.perf_counter()
    require_course(root)
    with exclusive(root, out.print):
        snapshot = Snapshot(root)
        if not is_unchanged(snapshot, out):
            make_site(out, snapshot, started, wanted=wanted)
        yield


def is_unchanged(snapshot: Snapshot, out: Console) -> bool:
    """Whether the site is still that of the course as it is; says so."""
    pages = snapshot.matches()
    if pages:
        site = snapshot.root / SITE / "index.html"
        out.print(f"nothing has changed: {count(range(pages), 'page')}, {escape(str(site))}")
    return bool(pages)
