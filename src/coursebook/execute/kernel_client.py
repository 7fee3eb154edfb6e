"""A kernel as nbclient talks to it: started, observed, asked, and interrupted when it puts out too much."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
import zmq
from jupyter_client.kernelspec import NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from ..course import Page
from ..ground import ANSI, MADE, CourseError
from . import observer

# Seconds that a cell has to tidy up in, once it was interrupted because its time is over.
GRACE = 5.0


class KernelClient(NotebookClient):
    """nbclient's client, which interrupts a cell whose output grows beyond `max_output` bytes, and then gives it up."""

    def __init__(self, notebook: nbformat.NotebookNode, max_output: float, **options: Any) -> None:
        super().__init__(notebook, **options)
        self.kernel: Any = self.km  # nbclient's types don't tell the asynchronous manager from the other
        self.max_output = max_output
        self.too_much_output = False
        self._cell_index, self._cell_output = -1, 0
        self._ending: asyncio.Task[None] | None = None

    def output(self, outs: Any, msg: Any, display_id: Any, cell_index: int) -> Any:
        if cell_index != self._cell_index:
            self._cell_index, self._cell_output = cell_index, 0
        content = msg["content"]
        data = content.get("data") or {"text/plain": content.get("text", "")}
        self._cell_output += sum(len(str(value)) for value in data.values())
        if self._cell_output > self.max_output:
            if not self.too_much_output:
                self.too_much_output = True
                self._ending = asyncio.ensure_future(self._end_cell())
            return None
        return super().output(outs, msg, display_id, cell_index)

    async def _end_cell(self) -> None:
        await self.kernel.interrupt_kernel()
        await asyncio.sleep(GRACE)
        if self.task_poll_for_reply is not None:
            self.task_poll_for_reply.cancel()  # which nbclient takes for the end of the kernel

    async def interrupt_cell(self, index: int) -> int:
        """Interrupt a cell, let it tidy up, and return the line of it that was running (0: it did not stop)."""
        await self.kernel.interrupt_kernel()
        until = time.monotonic() + GRACE
        while time.monotonic() < until:
            # nbclient still takes in what the cell puts out.
            if traceback := traceback_of(self.nb.cells[index]):
                return await line_in_cell(self, traceback)
            await asyncio.sleep(0.05)
        return 0

    def end_watch(self) -> None:
        """Have nothing more to do with the cell that was interrupted."""
        if self._ending is not None:
            self._ending.cancel()


def can_hold_sockets(folder: Path) -> bool:
    """Whether the paths of a kernel's sockets in this folder are as short as the system wants them."""
    return sys.platform == "win32" or len(os.fsencode(folder / "k-00000")) <= zmq.IPC_PATH_MAX_LEN


def kernel_manager(page: Page, notebook: nbformat.NotebookNode, sockets: Path) -> AsyncKernelManager:
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


async def start_kernel(client: KernelClient, folder: Path, environment: Mapping[str, str]) -> None:
    # The history would be written to the user's own, and a page may be executed beside them.
    await client.async_start_new_kernel(cwd=str(folder), env=dict(environment))
    kernel: Any = await client.async_start_new_kernel_client()
    info = await kernel.kernel_info(reply=True, timeout=60)
    client.nb.metadata["language_info"] = info["content"]["language_info"]


async def start_observer(
    client: KernelClient, root: Path, shared: Path, asks_for_gpu: bool, hears_deprecations: bool
) -> None:
    """Start the observer in the kernel, silently and outside the page's namespace."""
    begun = {"begun": observer.expression(str(root), MADE, str(shared), asks_for_gpu, hears_deprecations)}
    kernel: Any = client.kc
    # As an expression: the text of a cell IPython reads word by word, before Python does.
    await kernel.execute("", silent=True, store_history=False, user_expressions=begun, reply=True, timeout=60)


async def ask_observer(client: KernelClient, question: str, timeout: float = 60) -> Any:
    """What the observer answers; None where there is none (another language, or the page has taken it away)."""
    if kernel_language(client) != "python":
        return None
    asked = {"answer": f"__import__('sys').modules[{observer.NAME!r}].{question}()"}
    kernel: Any = client.kc
    reply: Any = {"content": {"status": "aborted"}}
    while reply["content"]["status"] == "aborted":  # as what comes close behind an error is
        reply = await kernel.execute(
            "", silent=True, store_history=False, user_expressions=asked, reply=True, timeout=timeout
        )
    answer = reply["content"].get("user_expressions", {}).get("answer", {})
    return json.loads(ast.literal_eval(answer["data"]["text/plain"])) if answer.get("status") == "ok" else None


def kernel_language(client: KernelClient) -> str:
    return str(client.nb.metadata.get("language_info", {}).get("name", ""))


def traceback_of(cell: nbformat.NotebookNode) -> str:
    said = [out for out in cell.outputs if out.output_type == "error"]
    return "\n".join(said[-1].traceback) if said else ""


async def line_in_cell(client: KernelClient, traceback: str) -> int:
    """The line, from 1, of the cell at which its traceback begins."""
    match = re.search(rf"Cell In\[{client.code_cells_executed}\], line (\d+)", ANSI.sub("", traceback))
    if match is None:
        return 1
    with suppress(RuntimeError, TimeoutError):  # a kernel that has died since
        return await ask_observer(client, "line", timeout=GRACE) or int(match[1])
    return int(match[1])


def raise_if_cancelled() -> None:
    """Raise CancelledError where this task is being cancelled, by Ctrl-C or because its page isn't wanted any more.

    nbclient takes that for a dead kernel, and loses it where a cell ends at the same moment.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
