"""Cells executed in this process: their outputs as a kernel would give them, with figures as SVG or PNG."""

from __future__ import annotations

import base64
import io
import sys
import warnings
from typing import Any

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

from conftest import must_be


def outputs(source: str, figures: str = "svg", dpi: int = 96) -> list[nbformat.NotebookNode]:
    """What a cell puts out (nbformat 4). `figures` are `svg` or `png`, as Jupyter crops them."""
    must_be("figures")
    mpl = pytest.importorskip("matplotlib")
    mpl.use("agg")
    import matplotlib.pyplot as plt

    # Without a history: IPython keeps one for each user, which another process may hold. Without a cache of values: it
    # collects all garbage of this process when it forgets them, after each cell.
    without = Config({"HistoryManager": {"enabled": False}, "InteractiveShell": {"cache_size": 0}})
    shell = InteractiveShell.instance(config=without)
    returned: list[dict[str, Any]] = []

    def show(value: object) -> None:
        if value is not None:
            data, metadata = shell.display_formatter.format(value)
            returned.append({"output_type": "execute_result", "data": data, "metadata": metadata})

    shell.display_trap.hook = show
    shell.reset(new_session=True)
    with mpl.rc_context(), warnings.catch_warnings(), capture_output() as captured:
        # As in a kernel, where a warning is a text, not an error as in these tests.
        warnings.simplefilter("default")
        warnings.showwarning = _warn
        mpl.rcParams["svg.hashsalt"] = None
        shell.showtraceback = lambda *args, **kwargs: None  # the error is asked for below
        result = shell.run_cell(source, store_history=False)
        drawn = [_figure(plt.figure(number), figures, dpi) for number in plt.get_fignums()]
        plt.close("all")
    found: list[dict[str, Any]] = [
        {"output_type": "stream", "name": name, "text": text}
        for name, text in (("stdout", captured.stdout), ("stderr", captured.stderr))
        if text
    ]
    shown = [
        {"output_type": "display_data", "data": rich.data, "metadata": rich.metadata or {}} for rich in captured.outputs
    ]
    found += shown + returned + drawn
    error = result.error_in_exec or result.error_before_exec
    if error is not None:
        found.append(
            {"output_type": "error", "ename": type(error).__name__, "evalue": str(error), "traceback": [repr(error)]}
        )
    return [nbformat.from_dict(output) for output in found]


def _warn(message: Any, category: Any, filename: str, line: int, *_: object) -> None:
    sys.stderr.write(warnings.formatwarning(message, category, filename, line))


def _figure(figure: Any, kind: str, dpi: int) -> dict[str, Any]:
    file = io.BytesIO()
    figure.savefig(file, format=kind, bbox_inches="tight", dpi=dpi)
    data = {
        "svg": lambda: {"image/svg+xml": file.getvalue().decode()},
        "png": lambda: {"image/png": base64.b64encode(file.getvalue()).decode()},
    }[kind]()
    size = "x".join(f"{side * 100:.0f}" for side in figure.get_size_inches())
    data["text/plain"] = f"<Figure size {size} with {len(figure.axes)} Axes>"
    return {"output_type": "display_data", "data": data, "metadata": {}}
