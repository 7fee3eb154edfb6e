"""The task of executing a page, as Dask carries it: light to import, since the scheduler imports it as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distributed import get_worker

from .protocol import NAME, NotHere

if TYPE_CHECKING:
    from .protocol import Answer


def execute_page(run: str, path: str, attempt: int, on_gpu: bool) -> Answer:
    """Execute a page of `run`. Raises NotHere before anything was executed."""
    worker = get_worker()
    if NAME not in worker.plugins:
        raise NotHere(run)
    answer: Answer = worker.plugins[NAME].execute(run, path, attempt, on_gpu, worker.get_current_task())  # type: ignore[attr-defined]
    return answer
