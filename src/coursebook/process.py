"""The process that renders: started first of all, so that it imports Sphinx while the course is read and executed.

Light to import, and for the same reason: nothing that Sphinx and its extensions leave behind is left in this process.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .bytecode import with_bytecode


class RenderingProcess:
    """A process for the course at `root` that carries out one order; it ends with the `with` block, or this process."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def __enter__(self) -> RenderingProcess:
        self._said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "coursebook.sphinx.worker", str(self._root), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=with_bytecode(self._root),
        )
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        with contextlib.suppress(OSError):  # an order that was not wholly taken
            self._process.communicate()
        self._said.close()

    def carry_out(self, order: object, log: Callable[[str], None] | None) -> list[dict[str, Any]]:
        """The problems that the process tells of when it has carried out `order`; `log` gets Sphinx's own lines."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        problems: list[dict[str, Any]] | None = None
        with contextlib.suppress(BrokenPipeError):
            pickle.dump(order, process.stdin)
            process.stdin.flush()
        for line in process.stdout:
            told = json.loads(line)
            if "log" in told and log:
                log(told["log"])
            elif "problems" in told:
                problems = told["problems"]
        if problems is None:
            status = process.wait()
            self._said.seek(0)
            last = " ".join(self._said.read().strip().splitlines()[-1:])
            problems = [{"place": "", "text": f"Sphinx's process ended with status {status}: {last}", "is_error": True}]
        return problems
