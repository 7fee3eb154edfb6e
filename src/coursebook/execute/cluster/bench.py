"""The pages of one run, executed on a worker."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from distributed import Worker

from ...course import Course, Page
from .. import CellStarted, Event, PageDone, PageFailed, PageStarted, Session, execute_session, run_context
from .protocol import NAME, Answer, Run


class WorkerRun:
    """Where the pages of one run are executed on a worker, with a loop in a thread of its own.

    The pages of all the worker's threads share the loop, and with it the fork server, which is heard by one loop alone.
    The thread lives as long as the server, which Linux would end with it.
    """

    def __init__(self, worker: Worker, run: Run, root: Path) -> None:
        self._worker, self._run = worker, run
        self._course = Course(root, run.config, ())
        self._pages: dict[Any, asyncio.Task[Answer]] = {}  # by the task's key; of the loop's own
        self._last = time.monotonic()
        self._loop = asyncio.new_event_loop()
        self._kept = contextlib.ExitStack()
        threading.Thread(target=self._live, name=f"{NAME}-{run.id}", daemon=True).start()
        made = run_context(
            self._course, run.modules, lambda event: None,
            slots=worker.state.nthreads, cold=run.cold, commit=run.commit, bytecode=root.parent.parent,
            keeps_going=run.keeps_going,
        )  # fmt: skip
        self._setting = asyncio.run_coroutine_threadsafe(_entered(self._kept, made), self._loop).result()

    def execute(self, key: Any, path: str, attempt: int, gpu: str) -> Answer:
        """Execute a page to its end, whatever that is; called by the worker's threads."""
        ended: Future[Answer] = Future()
        self._loop.call_soon_threadsafe(self._begin, key, self._execute(path, attempt, gpu), ended)
        return ended.result()

    def cancel(self, key: Any) -> None:
        """End the page of this task, if it is here."""
        self._loop.call_soon_threadsafe(self._cancel, key)

    def idle(self) -> float:
        """Seconds without a page."""
        return 0.0 if self._pages else time.monotonic() - self._last

    def close(self) -> None:
        """End the pages, the fork server and the loop, and remove the files."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        root, bytecode = self._course.root, self._setting.environment.get("PYTHONPYCACHEPREFIX")
        if bytecode:
            shutil.rmtree(Path(bytecode) / root.parent.relative_to(root.anchor), ignore_errors=True)
        shutil.rmtree(root.parent, ignore_errors=True)

    def _live(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    def _begin(self, key: Any, execution: Coroutine[Any, Any, Answer], ended: Future[Answer]) -> None:
        def end(task: asyncio.Task[Answer]) -> None:
            del self._pages[key]
            self._last = time.monotonic()
            if task.cancelled():
                ended.cancel()
            elif error := task.exception():
                ended.set_exception(error)
            else:
                ended.set_result(task.result())

        self._pages[key] = self._loop.create_task(execution)
        self._pages[key].add_done_callback(end)

    def _cancel(self, key: Any) -> None:
        page = self._pages.get(key)
        if page and not page.cancelling():  # once: a second time would disturb the end of its kernel
            page.cancel()

    async def _execute(self, path: str, attempt: int, gpu: str) -> Answer:
        answers: list[Answer] = []

        def tell(event: Event) -> None:
            match event:
                case PageStarted():
                    self._tell(path, attempt, 0)
                case CellStarted(_, cell):
                    self._tell(path, attempt, cell.number)
                case PageDone(_, notebook, provenance, deprecations):
                    answers.append(Answer(notebook, provenance, None, provenance.seconds, deprecations))
                case PageFailed(_, error, seconds):
                    if isinstance(error.path, PurePath):  # one of this system's may be none on the other's
                        error.path = error.path.as_posix()
                    answers.append(Answer(None, None, error, seconds))

        page = Page.read(self._course.root, Path(path))
        session = Session(replace(self._setting, tell=tell), page, gpu)
        await execute_session(session, asyncio.create_task(session.start()), tell)
        return answers[0]

    def _tell(self, path: str, attempt: int, cell: int) -> None:
        self._worker.log_event(NAME, {"run": self._run.id, "path": path, "attempt": attempt, "cell": cell})

    async def _close(self) -> None:
        for key in list(self._pages):
            self._cancel(key)
        if pages := list(self._pages.values()):
            await asyncio.wait(pages)
        self._kept.close()


async def _entered(stack: contextlib.ExitStack, entered: contextlib.AbstractContextManager[Any]) -> Any:
    return stack.enter_context(entered)
