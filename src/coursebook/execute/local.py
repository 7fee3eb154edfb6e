"""Executes pages on this machine, several at a time, a fresh kernel for each, and reports what happens as events."""

from __future__ import annotations

import ast
import asyncio
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from ..course import Course
from ..errors import ANSI, CellFailed, CellTimedOut, CourseError, KernelDied, TooMuchOutput
from ..fingerprint import (
    cell_digests,
    code_digest,
    distributions_of,
    file_digest,
    full_names_in,
    imported_modules,
    language,
    modules_in,
)
from ..page import Cell, Page
from ..store import Provenance
from . import observe
from .kernels import ForkServer, can_fork, warm

DEFAULT_TIMEOUT = 600.0


@dataclass(frozen=True)
class PageStarted:
    page: Page


@dataclass(frozen=True)
class CellStarted:
    page: Page
    cell: Cell


@dataclass(frozen=True)
class PageDone:
    """A page whose cells all ran; `notebook` holds their outputs."""

    page: Page
    notebook: nbformat.NotebookNode
    provenance: Provenance

    @property
    def seconds(self) -> float:
        return self.provenance.seconds


@dataclass(frozen=True)
class PageFailed:
    page: Page
    error: CourseError
    seconds: float


Event = PageStarted | CellStarted | PageDone | PageFailed


def execute(
    course: Course,
    pages: Sequence[Page],
    tell: Callable[[Event], None],
    *,
    slots: int = 1,
    cold: bool = False,
    memory: Mapping[str, int] | None = None,
) -> list[CourseError]:
    """Execute `pages` in the order given, `slots` at a time; a failure ends its page, not the others.

    `tell` is called with each event as it happens, `PageDone` with the outputs. `cold` starts every kernel anew; else
    kernels are forked, where that is possible, from a process that has imported what the pages import. `memory` holds
    the bytes that pages (by docname) took at their peak: a page waits until as much is free, unless nothing else runs.
    Returns what failed.
    """
    environment = _kernel_environment(slots)
    # A single page gains nothing: the server would import the same things just before it.
    is_warm = not cold and len(pages) > 1 and can_fork()
    server = ForkServer(_modules_ahead(course, pages), environment) if is_warm else None
    try:
        return asyncio.run(_execute_all(_Run(course, tell, environment, server), pages, slots, memory or {}))
    except ExceptionGroup as group:
        # Something that is no page's fault, like a full disk, ends them all; the first of it says what.
        raise group.exceptions[0] from None
    finally:
        if server:
            server.close()


@dataclass(frozen=True)
class _Run:
    """What every page of one run shares."""

    course: Course
    tell: Callable[[Event], None]
    environment: Mapping[str, str]
    server: ForkServer | None


async def _execute_all(run: _Run, pages: Sequence[Page], slots: int, memory: Mapping[str, int]) -> list[CourseError]:
    errors: list[CourseError] = []
    waiting, running = list(pages), 0

    async def work() -> None:
        nonlocal running
        while waiting:
            page = waiting.pop(0)
            while running and _free_memory() < 1.2 * memory.get(page.docname, 0):
                await asyncio.sleep(0.5)
            running += 1
            try:
                await _execute_one(run, page, errors)
            finally:
                running -= 1

    async with asyncio.TaskGroup() as group:
        for _ in range(slots):
            group.create_task(work())
    return errors


async def _execute_one(run: _Run, page: Page, errors: list[CourseError]) -> None:
    run.tell(PageStarted(page))
    started = time.perf_counter()
    try:
        run.tell(await _execute_page(run, page))
    except CourseError as error:
        errors.append(error)
        run.tell(PageFailed(page, error, time.perf_counter() - started))


def slots_for(pages: int, jobs: int | None = None) -> int:
    """How many of `pages` pages are executed at a time: `jobs`, else as many as there are cores."""
    return max(1, min(jobs or _cores(), pages))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _free_memory() -> float:
    """Bytes that a new process may take; without limit where the system doesn't tell."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return float("inf")
    match = re.search(r"MemAvailable:\s+(\d+) kB", text)
    return int(match[1]) * 1024 if match else float("inf")


def _modules_ahead(course: Course, pages: Iterable[Page]) -> list[str]:
    """What a fork server imports: the installed modules that the pages name, and none of the course's own."""
    names = [name for page in pages for cell in page.cells for name in full_names_in(cell.source)]
    tops = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)
    folders = {course.root, *(course.root / page.path.parent for page in pages)}
    own = {top for top in tops for folder in folders if (folder / f"{top}.py").exists() or (folder / top).is_dir()}
    return [name for name in dict.fromkeys(names) if name.partition(".")[0] in tops - own]


async def _execute_page(run: _Run, page: Page) -> PageDone:
    course = run.course
    started, when = time.perf_counter(), datetime.datetime.now(datetime.UTC)
    notebook, cell_seconds = page.notebook(), []
    timeout = page.options.timeout or float(course.execution("timeout", DEFAULT_TIMEOUT))
    with tempfile.TemporaryDirectory(prefix="coursebook-", ignore_cleanup_errors=True) as sockets:
        client = _Client(
            notebook,
            km=_kernel_manager(page, notebook, Path(sockets)),
            timeout_func=lambda cell: timeout,
            max_output=page.options.max_output * 1e6,
            allow_errors=bool(course.execution("allow_errors", False)),
            coalesce_streams=True,
            record_timing=False,
            startup_timeout=120,
        )
        cell = Cell("", 1, 1, ())
        try:
            in_temp = bool(course.execution("run_in_temp", False))
            folder = Path(sockets) if in_temp else course.root / page.path.parent
            with warm(client.kernel, run.server):
                try:
                    await _start(client, folder, run.environment)
                    if language(page) == "python":
                        await _observe(client, course.root)
                except (RuntimeError, TimeoutError) as error:  # as jupyter_client says that a kernel is dead or silent
                    _raise_if_cancelled()
                    name = notebook.metadata.get("kernelspec", {}).get("name", "python3")
                    raise CourseError(page.path, None, f"the kernel {name!r} could not be started: {error}") from None
            for index, cell in _code_cells(page, notebook):
                run.tell(CellStarted(page, cell))
                cell_started = time.perf_counter()
                try:
                    await client.async_execute_cell(
                        notebook.cells[index], index, execution_count=client.code_cells_executed + 1
                    )
                finally:
                    if client.too_much_output:
                        raise TooMuchOutput(page.path, cell, page.options.max_output)
                    cell_seconds.append(round(time.perf_counter() - cell_started, 3))
            client.set_widgets_metadata()
            try:
                seen = await _observed(client)
            except (RuntimeError, TimeoutError):
                _raise_if_cancelled()
                raise KernelDied(page.path, cell) from None
        except CellExecutionError as error:
            # nbclient's own text repeats the source; the kernel's traceback stands among the cell's outputs.
            said = [out for out in notebook.cells[index].outputs if out.output_type == "error"]
            traceback = "\n".join(said[-1].traceback) if said else error.traceback
            line = _line_in_cell(traceback, client.code_cells_executed)
            raise CellFailed(page.path, cell, line, error.ename, error.evalue, traceback) from None
        except CellTimeoutError:
            raise CellTimedOut(page.path, cell, timeout) from None
        except DeadKernelError:
            _raise_if_cancelled()
            raise KernelDied(page.path, cell) from None
        finally:
            await _stop(client)
    provenance = Provenance(
        code=code_digest(page),
        cells=cell_digests(page),
        inputs=_inputs(course, page, seen.get("read", [])),
        packages=distributions_of(_modules(course, page, seen.get("read", []))),
        device="gpu" if seen.get("cuda") else "cpu",
        device_name=seen.get("cuda", ""),
        python=str(notebook.metadata["language_info"].get("version", "")),
        platform=f"{platform.system()} {platform.machine()}",
        commit=_commit(course.root),
        executed=when.isoformat(timespec="seconds"),
        seconds=round(time.perf_counter() - started, 3),
        cell_seconds=tuple(cell_seconds),
        peak_memory=int(seen.get("peak_memory", 0)),
    )
    return PageDone(page, notebook, provenance)


class _Client(NotebookClient):
    """nbclient's client, which interrupts a cell whose output grows beyond `max_output` bytes."""

    def __init__(self, notebook: nbformat.NotebookNode, max_output: float, **options: Any) -> None:
        super().__init__(notebook, **options)
        self.kernel: Any = self.km  # nbclient's types don't tell the asynchronous manager from the other
        self.max_output = max_output
        self.too_much_output = False
        self._cell_index, self._cell_output = -1, 0
        self._interrupting: asyncio.Task[None] | None = None

    def output(self, outs: Any, msg: Any, display_id: Any, cell_index: int) -> Any:
        if cell_index != self._cell_index:
            self._cell_index, self._cell_output = cell_index, 0
        content = msg["content"]
        data = content.get("data") or {"text/plain": content.get("text", "")}
        self._cell_output += sum(len(str(value)) for value in data.values())
        if self._cell_output > self.max_output:
            if not self.too_much_output:
                self.too_much_output = True
                self._interrupting = asyncio.ensure_future(self.kernel.interrupt_kernel())
            return None
        return super().output(outs, msg, display_id, cell_index)


def _kernel_manager(page: Page, notebook: nbformat.NotebookNode, sockets: Path) -> AsyncKernelManager:
    name = notebook.metadata.get("kernelspec", {}).get("name", "python3")
    manager = AsyncKernelManager(kernel_name=name)
    try:
        _ = manager.kernel_spec
    except NoSuchKernel:
        from jupyter_client.kernelspec import find_kernel_specs

        installed = ", ".join(sorted(find_kernel_specs()))
        raise CourseError(page.path, None, f"the kernel {name!r} is not installed (installed: {installed})") from None
    if sys.platform != "win32":
        # Sockets in a directory of mode 0700: nobody else on the machine can talk to the kernel.
        manager.transport = "ipc"
        manager.connection_file = str(sockets / "kernel.json")
        manager.ip = str(sockets / "k")
    return manager


async def _start(client: _Client, folder: Path, environment: Mapping[str, str]) -> None:
    # The history would be written to the user's own, and a page may be executed beside them.
    await client.async_start_new_kernel(cwd=str(folder), env=dict(environment))
    kernel: Any = await client.async_start_new_kernel_client()
    info = await kernel.kernel_info(reply=True, timeout=60)
    client.nb.metadata["language_info"] = info["content"]["language_info"]


async def _observe(client: _Client, root: Path) -> None:
    """Start the observer in the kernel, silently and outside the page's namespace."""
    source = Path(observe.__file__).read_text(encoding="utf-8")
    source += f"\n_start({str(root)!r})\n"
    code = f"exec(compile({source!r}, 'coursebook', 'exec'), {{'__name__': 'coursebook'}})"
    kernel: Any = client.kc
    await kernel.execute(code, silent=True, store_history=False, reply=True, timeout=60)


async def _observed(client: _Client) -> dict[str, Any]:
    """What the observer saw; nothing where there is none (another language)."""
    if language_of(client) != "python":
        return {}
    question = {"seen": f"__import__('sys').modules[{observe.NAME!r}].report()"}
    kernel: Any = client.kc
    reply = await kernel.execute(
        "", silent=True, store_history=False, user_expressions=question, reply=True, timeout=60
    )
    answer = reply["content"].get("user_expressions", {}).get("seen", {})
    if answer.get("status") != "ok":  # the page has taken the observer away
        return {}
    seen: dict[str, Any] = json.loads(ast.literal_eval(answer["data"]["text/plain"]))
    return seen


def language_of(client: _Client) -> str:
    return str(client.nb.metadata.get("language_info", {}).get("name", ""))


def _inputs(course: Course, page: Page, read: Iterable[str]) -> dict[str, str]:
    """The observed inputs and those that the page's globs name, each with its sha256; not the page itself."""
    named = {
        path.relative_to(course.root).as_posix()
        for pattern in page.options.inputs
        for path in course.root.glob(pattern)
        if path.is_file()
    }
    digests = {name: file_digest(course.root / name) for name in sorted({*read, *named} - {page.path.as_posix()})}
    return {name: digest for name, digest in digests.items() if digest}


def _modules(course: Course, page: Page, read: Iterable[str]) -> set[str]:
    """What the page's cells import, and what the modules of the course that it imports do."""
    found = imported_modules(page.cells)
    for name in read:
        if name.endswith(".py"):
            with suppress(OSError, UnicodeDecodeError):
                found |= modules_in((course.root / name).read_text(encoding="utf-8"))
    return found


def _commit(root: Path) -> str:
    """The commit that was checked out, marked where files had been changed since; nothing where there is no git."""
    try:
        told = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=root, capture_output=True, text=True, check=False, timeout=20,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return told.stdout.strip()


def _kernel_environment(slots: int) -> dict[str, str]:
    """The environment of every kernel, warm or cold: the same figures' backend and as many threads, whoever builds."""
    threads = str(max(1, _cores() // slots))
    return {
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads),
        # MKL's last digits otherwise depend on where in memory an array happens to lie.
        "MKL_CBWR": "AUTO,STRICT",
        **os.environ,
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # no debugger's warning about frozen modules
    }


async def _stop(client: _Client) -> None:
    # A kernel that was to be interrupted or never answered gets no time to say goodbye.
    with suppress(RuntimeError, ProcessLookupError):
        await client.kernel.shutdown_kernel(now=True)
    await client.kernel.cleanup_resources()
    if client.kc is not None:
        client.kc.stop_channels()


def _code_cells(page: Page, notebook: nbformat.NotebookNode) -> list[tuple[int, Cell]]:
    indices = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    return list(zip(indices, page.cells, strict=True))


def _line_in_cell(traceback: str, executed: int) -> int:
    """The line, from 1, of the cell at which its traceback begins."""
    match = re.search(rf"Cell In\[{executed}\], line (\d+)", ANSI.sub("", traceback))
    return int(match[1]) if match else 1


def _raise_if_cancelled() -> None:
    # nbclient takes the cancellation of its task (Ctrl-C) for a dead kernel.
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
