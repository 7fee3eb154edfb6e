"""Pages in, executed pages out: here or on a cluster, each in a kernel of its own that is watched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ground.lazy import lazily

if TYPE_CHECKING:
    from .events import (
        CellStarted as CellStarted,
        Deprecation as Deprecation,
        Event as Event,
        PageDone as PageDone,
        PageFailed as PageFailed,
        PageStarted as PageStarted,
    )
    from .execution_options import ExecutionOptions as ExecutionOptions
    from .executor import (
        Executor as Executor,
        Made as Made,
        Reporter as Reporter,
        environment_of as environment_of,
        execute_with as execute_with,
        executor_for as executor_for,
    )
    from .local import execute_session as execute_session, modules_ahead as modules_ahead, run_context as run_context
    from .session import Session as Session
    from .settling import Before as Before, settled as settled

__getattr__ = lazily(
    __name__,
    {
        "events": "CellStarted Deprecation Event PageDone PageFailed PageStarted",
        "execution_options": "ExecutionOptions",
        "executor": "Executor Made Reporter environment_of execute_with executor_for",
        "local": "execute_session modules_ahead run_context",
        "session": "Session",
        "settling": "Before settled",
    },
)
