"""Pages are written by as many processes as there are cores, when there are enough of them.

Writing is what takes Sphinx long: each page's sidebar lists all the others. Reading is quick, and Jupyter Book's
extensions don't say whether it can be shared. Jupyter Book passes no number of jobs on, so it is set here, between the
two.
"""

from __future__ import annotations

from collections.abc import Iterable

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from ...ground import cores
from .order import connect

# Fewer pages are written before the processes would be there.
ENOUGH = 12


def _count(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    has_enough = len(docnames) >= ENOUGH and cores() > 1
    # An extension that isn't safe would be warned of, and a warning fails the build.
    is_safe = all(extension.parallel_write_safe for extension in app.extensions.values())
    env.coursebook_writers = cores() + 1 if has_enough and is_safe else 1  # type: ignore[attr-defined]


def _set(app: Sphinx, env: BuildEnvironment) -> Iterable[str]:
    # Sphinx counts the process that hands out the work.
    app.parallel = max(app.parallel, getattr(env, "coursebook_writers", 1))
    return ()


def setup(app: Sphinx) -> None:
    connect(app, "env-before-read-docs", _count)
    connect(app, "env-updated", _set)
