"""What is current, what isn't and why, and what a build would execute. It reads and decides, and changes nothing."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal

from ..course import Course, Page, kernel_name
from ..ground import CourseError, gpus_here
from .failures import Failure, Failures
from .fingerprint import cell_digests, code_digest
from .inputs import changed_inputs, declared_inputs, modules_beside, printable
from .interpreters import NATIVE, Interpreter, interpreter
from .packages import installed_version, same_version
from .provenance import Provenance
from .reasons import UNTOUCHED, Reason
from .store import Store, StoredPage

Device = Literal["auto", "cpu", "gpu"]
State = Literal["current", "stale", "provisional", "missing", "altered", "due", "failed", "unreadable"]
NO_GPU_HERE = "no GPU here: `nvidia-smi -L` lists none, or CUDA_VISIBLE_DEVICES allows none"
# How exactly a version must be the recorded one, for each distribution; the rest: `major`.
EXACTNESS = {"torch": "minor", "torchvision": "minor"}


@dataclass(frozen=True)
class Environment:
    """Where a build would execute: how to look up a distribution's version, and the GPUs to be had.

    Both are asked for when they are needed. `device` is what the command line allows: `auto` (what is here), `cpu` (no
    GPU, though there may be one) or `gpu` (there must be one). `without` is what is said where there is none.
    """

    installed: Callable[[str], str | None] = installed_version
    find_gpus: Callable[[], tuple[str, ...]] = gpus_here
    device: Device = "auto"
    without: str = NO_GPU_HERE

    @cached_property
    def gpus(self) -> tuple[str, ...]:
        """The GPUs that pages may use, as CUDA_VISIBLE_DEVICES names them. Raises CourseError where one must be."""
        if self.device == "cpu":
            return ()
        found = self.find_gpus()
        if self.device == "gpu" and not found:
            raise CourseError(
                "--device gpu",
                None,
                f"{self.without}; nothing was executed (allowed: auto, cpu, and gpu where there is one)",
            )
        return found


@dataclass(frozen=True)
class Decision:
    """About one page: its state, the reasons in words, whether a build executes it, and how long it took last time.

    `waits`: it would be executed, but wants a GPU and there is none.
    """

    page: Page
    state: State
    reasons: tuple[Reason, ...]
    executes: bool
    seconds: float | None
    stored: StoredPage | None
    waits: bool = False

    @property
    def unseen(self) -> str:
        """What the outputs may depend on besides, which nobody could watch; empty where there is nothing."""
        if self.stored is None:
            return ""
        made = self.stored.provenance
        is_away = bool(made.kernel) and interpreter(made.kernel) is None
        return ", ".join([*made.unseen, *([f"the packages of the kernel {made.kernel}"] if is_away else [])])

    def __str__(self) -> str:
        return self.state + (f": {'; '.join(map(str, self.reasons))}" if self.reasons else "")


@dataclass(frozen=True)
class PlanOptions:
    """What a plan is made for: every page again (`force`); GPU pages without outputs on a CPU (`provisional`)."""

    force: bool = False
    provisional: bool = False


def plan(
    course: Course,
    store: Store,
    environment: Environment,
    wish: PlanOptions = PlanOptions(),
    *,
    now: datetime.datetime | None = None,
) -> list[Decision]:
    """A decision about each page with code, in the order of the table of contents."""
    now = now or datetime.datetime.now(datetime.UTC)
    left_over = _left_over(course, store)
    failures = Failures(course.root).read()
    decisions = []
    for page in course.executed_pages():
        try:
            stored = store.read(page.docname) or _moved(page, left_over)
        except CourseError as error:
            decisions.append(Decision(page, "unreadable", (Reason("unreadable", error.problem),), False, None, None))
            continue
        state, reasons = _judge(course, page, stored, environment, now)
        failure = failures.get(page.docname)
        if failure and _counts(failure, page, stored):
            state, reasons = "failed", [Reason("failed", failure.said), *reasons]
        wanted = wish.force or (state != "current" and not _is_in_vain(state, reasons))
        can = not wanted or page.options.device == "cpu" or bool(environment.gpus)
        if wanted and not can and wish.provisional:
            # Outputs that come from a GPU are better than what a CPU would put in their place.
            can = stored is None or (stored.provenance.device == "cpu" and (wish.force or state != "provisional"))
        seconds = stored.provenance.seconds if stored else None
        decisions.append(Decision(page, state, tuple(reasons), wanted and can, seconds, stored, wanted and not can))
    return decisions


def _judge(
    course: Course, page: Page, stored: StoredPage | None, environment: Environment, now: datetime.datetime
) -> tuple[State, list[Reason]]:
    """The state of a page's stored outputs, and why."""
    if stored is None:
        return "missing", [Reason("missing")]
    provenance = stored.provenance
    reasons = [
        *_code_reasons(page, provenance),
        *(Reason("input", name, now=what) for name, what in changed_inputs(course.root, provenance.inputs)),
        # What the page's globs name and wasn't there, or wasn't named.
        *(
            Reason("input", printable(name), now="is new")
            for name in sorted(declared_inputs(course.root, page) - provenance.inputs.keys())
        ),
        *_shadow_reasons(course.root, page, provenance),
        *_package_reasons(page, provenance, environment, course.exactness),
    ]
    state: State = "stale" if reasons else "current"
    if not stored.is_intact:
        state = "altered"
        reasons.insert(0, Reason("altered"))
    elif not reasons and page.options.device == "cpu" and provenance.device == "gpu":
        state = "stale"
        reasons.append(Reason("device", then="gpu", now="cpu"))
    elif not reasons and course.max_age and _age(provenance, now) > course.max_age:
        state = "due"
        reasons.append(Reason("due", then=str(_age(provenance, now).days), now=str(course.max_age.days)))
    if page.options.device == "gpu" and provenance.device != "gpu":
        state = "provisional" if state == "current" else state
        reasons.append(UNTOUCHED if provenance.offered else Reason("device", then="cpu", now="gpu"))
    return state, reasons


def _counts(failure: Failure, page: Page, stored: StoredPage | None) -> bool:
    """Whether a failure is of the code as it stands, and later than the outputs that there are of it."""
    if failure.code != code_digest(page):
        return False
    made = stored.provenance if stored else None
    return made is None or made.code != failure.code or failure.executed >= made.executed


def _is_in_vain(state: State, reasons: list[Reason]) -> bool:
    """Whether an execution would change nothing: a page that doesn't use a GPU won't use it the next time."""
    return state == "provisional" and reasons == [UNTOUCHED]


def _code_reasons(page: Page, provenance: Provenance) -> list[Reason]:
    if code_digest(page) == provenance.code:
        return []
    now, then = cell_digests(page), provenance.cells
    if len(now) != len(then):
        return [Reason("cells", then=str(len(then)), now=str(len(now)))]
    changed = [str(number) for number, (a, b) in enumerate(zip(now, then, strict=True), 1) if a != b]
    return [Reason("cells", " ".join(changed))] if changed else [Reason("language")]


def _shadow_reasons(root: Path, page: Page, provenance: Provenance) -> list[Reason]:
    """Files that have come beside the page and have the name of a module that it imports from elsewhere."""
    return [
        Reason("import", name)
        for module in provenance.imports
        for name in modules_beside(root, page, module)
        if name not in provenance.inputs
    ]


def _package_reasons(
    page: Page, provenance: Provenance, environment: Environment, exactness: Mapping[str, str]
) -> list[Reason]:
    reasons = []
    there = _interpreter_of(page, provenance)
    if there is None and provenance.kernel == kernel_name(page):
        return []  # that kernel isn't installed here: see Decision.unseen
    for name, recorded in provenance.packages.items():
        installed = there.version(name) if there and not there.is_ours else environment.installed(name)
        exact = exactness.get(name) or EXACTNESS.get(name, "major")
        if installed is None:
            reasons.append(Reason("package", name, recorded))
        elif not same_version(recorded, installed, exact):
            reasons.append(Reason("package", name, recorded, installed))
    return reasons


def _interpreter_of(page: Page, provenance: Provenance) -> Interpreter | None:
    """The Python that would execute the page; None for the one that runs here, and where it isn't known."""
    name = kernel_name(page)
    # Jupyter's own name for the Python that runs here, as it was when the page was executed.
    if not provenance.packages or (name == NATIVE and provenance.kernel != NATIVE):
        return None
    return interpreter(name)


def _age(provenance: Provenance, now: datetime.datetime) -> datetime.timedelta:
    return now - datetime.datetime.fromisoformat(provenance.executed)


def _left_over(course: Course, store: Store) -> dict[str, list[StoredPage]]:
    """Stored outputs that no page bears the name of, by the digest of their code: pages that were moved or renamed."""
    names = {page.docname for page in course.pages}
    found: dict[str, list[StoredPage]] = {}
    for docname in store.docnames():
        if docname not in names:
            try:
                stored = store.read(docname)
            except CourseError:
                continue
            if stored:
                found.setdefault(stored.provenance.code, []).append(stored)
    return found


def _moved(page: Page, left_over: Mapping[str, list[StoredPage]]) -> StoredPage | None:
    """The outputs that the page had under another name, known by its code alone: whether its inputs and packages are
    still those is judged afterwards, as for any page.

    Its kernel runs in the page's folder, where another file may have the name of one that it read: into another folder
    outputs follow only if nothing was read.
    """
    candidates = left_over.get(code_digest(page), ())
    folder = page.path.parent.as_posix()
    here = [stored for stored in candidates if PurePosixPath(stored.docname).parent.as_posix() == folder]
    elsewhere = [stored for stored in candidates if not stored.provenance.inputs and not stored.provenance.unseen]
    return next(iter([*here, *elsewhere]), None)
