"""What commands print: errors, counts, and how a build goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from ..execute import Event
    from ..outputs import Decision

EXAMPLES = """\
examples:
  coursebook build                 execute what has changed, then build _build/html
  coursebook build --lenient       the same, and warnings don't fail the build
  coursebook build --force         execute every page again
  coursebook build --root ../ml    another course
  coursebook status                which pages are current, and why the others aren't

exit codes: 0 the site is built, 1 the course has errors (each is named with its file and line),
2 the command line can't be read, 130 interrupted.
"""


def print_error(err: Console, error: BaseException) -> None:
    said = str(error)
    if isinstance(error, OSError) and error.strerror:
        said = f"{error.filename2 or error.filename}: {error.strerror}" if error.filename else error.strerror
    first, _, rest = said.partition("\n")
    err.print(f"[bold red]error[/] {escape(first)}" + (f"\n{escape(rest)}" if rest else ""))


def count(things: Sequence[object], noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


class Reporter:
    """Shows where a build is: a bar in a terminal, a line for each page elsewhere."""

    def __init__(self, out: Console, *, verbose: bool) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._out, self._verbose = out, verbose
        self._started, self._pages, self._cells = 0, 0, 0
        self._running: dict[str, str] = {}  # by docname: where the page is
        self._last: dict[str, float] = {}  # by docname: the seconds it took last time, of the pages that aren't done
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            console=out,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not out.is_terminal,
        )
        self._task = self._progress.add_task("reading the course", total=None)

    def __enter__(self) -> Reporter:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def to_execute(self, pages: Sequence[tuple[str, int, float | None]], slots: int) -> None:
        """Hear of the pages: docname, number of cells, and the seconds it took last time; `slots` run at a time."""
        self._pages, self._slots = len(pages), slots
        self._last = {docname: seconds for docname, _, seconds in pages if seconds is not None}
        self._knows_all = len(self._last) == len(pages)
        self._progress.reset(self._task, total=sum(cells for _, cells, _ in pages))

    def waits(self, decision: Decision) -> None:
        """Hear of a page that should be executed and can't be, for want of a GPU."""
        name = escape(f"{decision.page.docname}: {decision}")
        self._out.print(
            f"[yellow]kept[/] {name}; it asks for a GPU, and there is none"
            + (" (--provisional executes it on the CPU)" if decision.state == "missing" else "")
        )

    def tell(self, event: Event) -> None:
        from ..execute import CellStarted, PageDone, PageFailed, PageStarted
        from ..outputs import UNTOUCHED

        match event:
            case PageStarted(page):
                self._started += 1
                if not self._out.is_terminal:
                    last = self._last.get(page.docname)
                    took = f" ({last:.0f} s last time)" if last else ""
                    self._out.print(f"{self._place} {page.docname}: executing {count(page.cells, 'cell')}{took}")
            case CellStarted(page, cell):
                self._running[page.docname] = f"line {cell.line}" if cell.line else f"cell {cell.number}"
                self._cells += 1
            case PageDone(page, _, provenance):
                self._end(page.docname)
                cells = count(page.cells, "cell")
                self._out.print(f"{self._place} {page.docname}: {cells} in {provenance.seconds:.1f} s")
                if provenance.offered:
                    self._out.print(f"[yellow]warning[/] {escape(page.path.as_posix())}: {UNTOUCHED}")
            case PageFailed(page, _, seconds):
                self._end(page.docname)
                self._out.print(f"{self._place} {page.docname}: [red]failed[/] after {seconds:.1f} s")
        where = " · ".join(f"{docname} {place}" for docname, place in self._running.items())
        self._progress.update(self._task, completed=self._cells, description=f"{self._place} {where}{self._left()}")

    def _end(self, docname: str) -> None:
        self._running.pop(docname, None)
        self._last.pop(docname, None)

    def _left(self) -> str:
        """How long to go at most, from the seconds that the pages took last time; nothing where one has none yet."""
        left = sum(self._last.values()) / self._slots if self._knows_all else 0.0
        return f", {left:.0f} s to go" if left >= 1 else ""

    def rendering(self, pages: int) -> None:
        self._progress.remove_task(self._task)
        self._task = self._progress.add_task(f"rendering {pages} pages with Jupyter Book", total=None)
        if not self._out.is_terminal:
            self._out.print(f"rendering {pages} pages with Jupyter Book")

    def notice(self, text: str) -> None:
        self._out.print(f"[yellow]notice[/] {escape(text)}")

    def log(self, line: str) -> None:
        if self._verbose and line.strip():
            self._out.print(f"[dim]{escape(line)}[/]")

    @property
    def _place(self) -> str:
        return rf"\[{self._started}/{self._pages}]"
