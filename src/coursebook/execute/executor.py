"""How pages are to be executed, who hears of it, and what executes them: this machine, or the workers of a cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from ..course import Course, Page
from ..ground import CourseError, gpus_here
from ..outputs import NO_GPU_HERE, Decision, Device, Environment, Provenance
from .events import Event
from .execution_options import ExecutionOptions

if TYPE_CHECKING:
    from .local import Slots

Made = Mapping[str, Provenance]  # by docname: how pages were executed before, of those that were


class Reporter(Protocol):
    """Hears how a build goes on."""

    def to_execute(self, pages: Sequence[tuple[str, int, float | None]], slots: int) -> None: ...
    def waits(self, decision: Decision) -> None: ...
    def tell(self, event: Event) -> None: ...
    def rendering(self, pages: int) -> None: ...
    def notice(self, text: str) -> None: ...
    def log(self, line: str) -> None: ...


class Executor(Protocol):
    """What executes pages: asked which GPUs it has, prepared once, and then executing to the end.

    `without` is what is said where it has no GPU. Every method raises CourseError for what can't be had.
    """

    without: str

    def gpus(self) -> tuple[str, ...]:
        """The GPUs that pages may use, by names of its own."""

    def prepare(
        self, course: Course, pages: Sequence[Page], made: Made, *, gpus: tuple[str, ...], keeps_going: bool
    ) -> int:
        """Make ready for `pages`, in this order; those that ask for a GPU get one of `gpus`, as far as there are some.

        With `keeps_going` a cell that raises leaves its error among its outputs, and its page goes on. Returns how many
        are executed at a time.
        """

    def execute(self, tell: Callable[[Event], None]) -> list[CourseError]:
        """Execute them, telling of each event as it happens. Returns what failed."""


@contextlib.contextmanager
def executor_for(options: ExecutionOptions, notice: Callable[[str], None]) -> Iterator[Executor]:
    """What executes pages as `options` say; `notice` hears what whoever waits should know."""
    if not options.cluster:
        yield Here(options)
        return
    from .cluster import Cluster

    with Cluster(options, notice) as cluster:
        yield cluster


def environment_of(executor: Executor, device: Device) -> Environment:
    """Where pages would be executed, for a plan. Raises CourseError at once where `device` can't be had."""
    environment = Environment(find_gpus=executor.gpus, device=device, without=executor.without)
    if device == "gpu":
        _ = environment.gpus
    return environment


def execute_with(
    executor: Executor,
    environment: Environment,
    course: Course,
    pages: Sequence[Page],
    made: Made,
    reporter: Reporter,
    tell: Callable[[Event], None],
    *,
    keeps_going: bool = False,
) -> list[CourseError]:
    """Let `executor` execute `pages`, the longest first: what is short fills the end. Returns what failed.

    `reporter` hears how many there are, `tell` what happens.
    """

    def seconds(page: Page) -> float | None:
        return made[page.docname].seconds if page.docname in made else None

    in_order = sorted(pages, key=lambda page: -(seconds(page) or 0.0))
    gpus = environment.gpus if any(page.options.device == "gpu" for page in pages) else ()
    slots = executor.prepare(course, in_order, made, gpus=gpus, keeps_going=keeps_going)
    reporter.to_execute([(page.docname, len(page.cells), seconds(page)) for page in in_order], slots)
    return executor.execute(tell)


class Here:
    """This machine."""

    without = NO_GPU_HERE

    def __init__(self, options: ExecutionOptions) -> None:
        self._options = options
        self._prepared: tuple[Course, Sequence[Page], Made, Slots, bool] | None = None

    def gpus(self) -> tuple[str, ...]:
        return gpus_here()

    def prepare(
        self, course: Course, pages: Sequence[Page], made: Made, *, gpus: tuple[str, ...], keeps_going: bool
    ) -> int:
        # Imported here: what is current needs no kernel, and the machinery for one takes a while to import.
        from .local import Slots

        slots = Slots.here(pages, self._options.jobs, gpus)
        self._prepared = course, pages, made, slots, keeps_going
        return len(slots)

    def execute(self, tell: Callable[[Event], None]) -> list[CourseError]:
        from .local import execute_pages

        assert self._prepared, "prepare comes first"
        course, pages, made, slots, keeps_going = self._prepared
        peaks = {docname: provenance.peak_memory for docname, provenance in made.items()}
        return execute_pages(
            course, pages, tell, slots=slots, cold=self._options.cold, memory=peaks, keeps_going=keeps_going
        )
