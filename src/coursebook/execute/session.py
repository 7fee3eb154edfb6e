"""One page in a kernel of its own: started, its cells executed, what it did observed, stopped."""

from __future__ import annotations

import datetime
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from ..course import Cell, Course, Page, kernel_name, walk_course
from ..ground import CourseError, descendants, resident_memory
from ..outputs import interpreter_of_kernel
from .cell_errors import CellFailed, CellTimedOut, KernelDied, TooMuchOutput
from .events import CellStarted, Deprecation, Event, PageDone
from .evidence import Execution, provenance_of
from .fork_client import ForkServer
from .kernel_client import (
    KernelClient,
    ask_observer,
    can_hold_sockets,
    kernel_language,
    kernel_manager,
    line_in_cell,
    raise_if_cancelled,
    start_kernel,
    start_observer,
    traceback_of,
)
from .kernels import warm

DEFAULT_TIMEOUT = 600.0
# A page that has modules looked for in other folders, too.
_OTHER_PLACES = re.compile(r"\bsys\.path\b|\baddsitedir\b")
SHORT = "/tmp"  # where the sockets go if the path of the temporary folder is too long for them


@dataclass(frozen=True)
class RunContext:
    """What every page of one run shares.

    `commit` is the one that was checked out; `keeps_going`: a cell that raises doesn't end its page.
    """

    course: Course
    tell: Callable[[Event], None]
    environment: Mapping[str, str]
    server: ForkServer | None
    commit: str
    keeps_going: bool = False


class Session:
    """A page and its kernel: `start`, `run` once, and `stop` whatever happened. `gpu` is the one that the page gets."""

    def __init__(self, setting: RunContext, page: Page, gpu: str = "") -> None:
        self.page, self._setting, self._gpu = page, setting, gpu
        self._notebook = page.notebook()
        self._cell = Cell("", 1, 1, ())  # the one that runs
        self._cell_seconds: list[float] = []
        self._seconds = 0.0
        self._folders = ExitStack()
        self._client: KernelClient | None = None

    async def start(self) -> None:
        """Start the kernel. Raises CourseError when it can't be had."""
        page, course = self.page, self._setting.course
        started = time.perf_counter()
        temporary = self._folder()
        sockets = temporary if can_hold_sockets(temporary) else self._folder(SHORT)
        self._client = client = KernelClient(
            self._notebook,
            km=kernel_manager(page, self._notebook, sockets),
            timeout_func=lambda cell: self._timeout,
            max_output=page.options.max_output * 1e6,
            allow_errors=self._setting.keeps_going or bool(course.execution("allow_errors", False)),
            coalesce_streams=True,
            record_timing=False,
            startup_timeout=120,
        )
        folder = temporary if course.execution("run_in_temp", False) else course.root / page.path.parent
        # A page that doesn't ask for a GPU doesn't see one: it says the same wherever it is executed.
        environment = {**self._setting.environment, "CUDA_VISIBLE_DEVICES": self._gpu}
        try:
            with warm(client.kernel, await self._server(folder)):
                await start_kernel(client, folder, environment)
            if kernel_language(client) == "python":  # the kernel's word counts: a page may name its kernel alone
                shared = temporary / "seen"
                await start_observer(
                    client, course.root, shared, page.options.device == "gpu", self._setting.keeps_going
                )
        except (RuntimeError, TimeoutError) as error:  # as jupyter_client says that a kernel is dead or silent
            raise_if_cancelled()
            name = self._notebook.metadata.get("kernelspec", {}).get("name", "python3")
            raise CourseError(page.path, None, f"the kernel {name!r} could not be started: {error}") from None
        self._seconds += time.perf_counter() - started

    async def _server(self, folder: Path) -> ForkServer | None:
        """The fork server whose kernels import as others do in this folder; None where there is none."""
        server = self._setting.server
        if server is None:
            return None
        try:
            loaded = await server.loaded()
        except ConnectionError:
            return None
        names = _modules_beside(folder)
        if any(_OTHER_PLACES.search(cell.source) for cell in self.page.cells):
            names |= {name for entry in walk_course(self._setting.course.root) for name in _module_of(entry.path)}
        # What it has imported the page would import from elsewhere.
        return None if names & loaded else server

    def _folder(self, above: str | None = None) -> Path:
        """A new folder that only this user may enter, until the session stops."""
        made = tempfile.TemporaryDirectory(prefix="coursebook-", dir=above, ignore_cleanup_errors=True)
        return Path(self._folders.enter_context(made))

    async def run(self) -> PageDone:
        """Execute the cells. Raises CourseError for what a cell did, or because the kernel didn't live to its end."""
        page, client = self.page, self._started
        when, started = datetime.datetime.now(datetime.UTC), time.perf_counter()
        for index, cell in _code_cells(page, self._notebook):
            raise_if_cancelled()
            self._cell = cell
            self._setting.tell(CellStarted(page, cell))
            await self._execute(index)
        client.set_widgets_metadata()
        try:
            seen = await ask_observer(client, "report") or {}
        except (RuntimeError, TimeoutError):
            raise_if_cancelled()
            raise KernelDied(page.path, self._cell) from None
        if self._gpu and seen.get("blind"):
            raise CourseError(
                page.path,
                None,
                "the page asks for a GPU and was given one, but torch finds none in its kernel (a torch without CUDA, "
                "or a driver that doesn't fit); its outputs are not stored",
            )
        self._seconds += time.perf_counter() - started
        execution = Execution(
            when,
            self._seconds,
            self._cell_seconds,
            self._setting.commit,
            python=str(self._notebook.metadata["language_info"].get("version", "")),
            kernel=interpreter_of_kernel(kernel_name(page), seen.get("prefix", ""), seen.get("path", ())),
        )
        provenance = provenance_of(self._setting.course, page, seen, execution)
        return PageDone(
            page, self._notebook, provenance, tuple(Deprecation(*said) for said in seen.get("deprecations", ()))
        )

    async def stop(self) -> None:
        """End the kernel and all that it has started, at once."""
        client = self._client
        if client is not None:
            with suppress(RuntimeError, ProcessLookupError):
                await self._end_descendants()
            # A kernel that was to be interrupted or never answered gets no time to say goodbye.
            with suppress(RuntimeError, ProcessLookupError):
                await client.kernel.shutdown_kernel(now=True)
            await client.kernel.cleanup_resources()
            client.end_watch()
            if client.kc is not None:
                client.kc.stop_channels()
        self._folders.close()

    async def _end_descendants(self) -> None:
        """End programs that the kernel has started; it takes only those of its own process group along."""
        kernel = self._started.kernel
        if sys.platform == "linux" and self._pid and await kernel.is_alive():
            # While they are looked for it must not start others.
            await kernel.signal_kernel(signal.SIGSTOP)
            for pid in descendants(self._pid):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)

    @property
    def memory(self) -> int:
        """Bytes of memory that the kernel has at the moment."""
        return resident_memory(self._pid) if self._pid else 0

    @property
    def _pid(self) -> int | None:
        """The kernel's process, where it has one here."""
        pid: int | None = getattr(self._client and self._client.kernel.provisioner, "pid", None)
        return pid

    @property
    def _started(self) -> KernelClient:
        assert self._client is not None, "start comes first"
        return self._client

    @property
    def _timeout(self) -> float:
        return self.page.options.timeout or float(self._setting.course.execution("timeout", DEFAULT_TIMEOUT))

    async def _execute(self, index: int) -> None:
        """Execute a cell. Raises CourseError for what it did, or because the kernel didn't live to its end."""
        client, started = self._started, time.perf_counter()
        try:
            await client.async_execute_cell(
                self._notebook.cells[index], index, execution_count=client.code_cells_executed + 1
            )
        except (CellExecutionError, CellTimeoutError, DeadKernelError, RuntimeError, TimeoutError) as error:
            raise_if_cancelled()
            raise await self._problem(index, error) from None
        if client.too_much_output:  # it didn't mind that it was interrupted for that
            raise TooMuchOutput(self.page.path, self._cell, self.page.options.max_output)
        self._cell_seconds.append(round(time.perf_counter() - started, 3))

    async def _problem(self, index: int, error: Exception) -> CourseError:
        """What became of a cell, for which nbclient raised `error`."""
        page, client = self.page, self._started
        if client.too_much_output:
            return TooMuchOutput(page.path, self._cell, page.options.max_output)
        if isinstance(error, CellExecutionError):
            # nbclient's own text repeats the source; the kernel's traceback stands among the cell's outputs.
            traceback = traceback_of(self._notebook.cells[index]) or error.traceback
            line = await line_in_cell(client, traceback)
            return CellFailed(page.path, self._cell, line, error.ename, error.evalue, traceback)
        if isinstance(error, CellTimeoutError):
            return CellTimedOut(page.path, self._cell, self._timeout, await client.interrupt_cell(index))
        return KernelDied(page.path, self._cell)


def _modules_beside(folder: Path) -> set[str]:
    """The modules that a kernel in this folder imports from there, and from nowhere else."""
    found = [*folder.glob("*.py"), *folder.glob("*/__init__.py")]
    return {name for path in found for name in _module_of(str(path))}


def _module_of(path: str) -> Iterator[str]:
    if path.endswith(".py"):
        yield Path(path).parent.name if Path(path).name == "__init__.py" else Path(path).stem


def _code_cells(page: Page, notebook: nbformat.NotebookNode) -> list[tuple[int, Cell]]:
    indices = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    return list(zip(indices, page.cells, strict=True))
