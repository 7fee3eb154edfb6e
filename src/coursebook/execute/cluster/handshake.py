"""The workers of a cluster: who they are, and what there differs from here, so that outputs would not be current."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from ...course import Course, Page, imported_modules, modules_in
from ...ground import CourseError
from ...outputs import EXACTNESS, distributions_of, installed_version, same_version
from .protocol import GPU, Traits
from .scheduler import Scheduler
from .worker import describe

# What client and workers talk by must be the same; the rest may differ as far as a plan lets it.
EXACT = ("coursebook", "dask", "distributed")
# What is between the pages' code and their outputs, whatever they import.
ALWAYS = ("ipykernel", "ipython", "jupyter-client", "msgpack", "nbclient")


@dataclass
class Member:
    """A worker that takes part; `pages` are those that it executes, `gpus` how many of them may have a GPU."""

    address: str
    name: str
    threads: int = 1
    gpus: int = 0
    pages: set[str] = field(default_factory=set)
    on_gpu: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        return self.name if self.name == self.address else f"{self.name} ({self.address})"


def needed(course: Course, pages: Iterable[Page], recorded: Iterable[str]) -> dict[str, str | None]:
    """The distributions that `pages` depend on, with their versions here (None: not installed).

    Those are what the pages and the course's own modules import, by their code, and what executions have `recorded`.
    """
    modules: set[str] = set()
    for page in pages:
        waiting, folders = imported_modules(page.cells), {course.root, course.root / page.path.parent}
        while new := waiting - modules:
            modules |= new
            paths = [path for name in new for folder in folders for path in (folder / f"{name}.py", folder / name)]
            sources = [source for path in paths for source in ([path] if path.is_file() else path.rglob("*.py"))]
            for source in sources:
                waiting |= modules_in(source.read_text(encoding="utf-8", errors="replace"))
    return {name: installed_version(name) for name in {*distributions_of(modules), *recorded, *ALWAYS}}


async def meet(
    scheduler: Scheduler, addresses: Collection[str], versions: Mapping[str, str | None], exactness: Mapping[str, str]
) -> tuple[list[Member], dict[str, list[str]]]:
    """Ask the workers at `addresses` who they are: those that fit, and by name in what the rest differ.

    The scheduler, which passes tasks on, counts among these. Nothing is imported anywhere before Python and Coursebook
    are known to be as here. A worker that has left in the meantime is in neither.
    """
    told = await scheduler.versions("coursebook")
    members: list[Member] = []
    differing: dict[str, list[str]] = {}
    same: list[str] = []
    if found := _basic(told["scheduler"]["packages"], told["client"]["packages"]):
        differing["the scheduler"] = found
    for address in addresses:
        there = (told["workers"].get(address) or {}).get("packages")
        if there is None:
            continue
        if found := _basic(there, told["client"]["packages"]):
            differing[f"worker {address}"] = found
        else:
            same.append(address)
    answers = await scheduler.run(describe, sorted(versions), workers=same)
    for address, traits in answers.items():
        if isinstance(traits, OSError):  # it has left
            continue
        if isinstance(traits, BaseException):
            differing[f"worker {address}"] = [f"coursebook can't be used there ({traits})"]
        elif found := _differences(traits, versions, exactness):
            differing[f"worker {Member(address, traits.name)}"] = found
        else:
            members.append(Member(address, traits.name, traits.threads, len(traits.gpus)))
    return members, differing


def refusal(place: str, differing: Mapping[str, list[str]]) -> CourseError:
    """The sentence about workers that are not as this machine; those that differ in the same things stand together."""
    alike: dict[str, list[str]] = {}
    for name, found in differing.items():
        alike.setdefault(", ".join(found), []).append(name)
    told = "; ".join(f"{_listed(names)}: {found}" for found, names in alike.items())
    return CourseError(
        place,
        None,
        f"the cluster is not as this machine, so what it makes would not be current here: {told}; nothing was executed "
        "(install the same there, and start the workers again)",
    )


def _listed(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _basic(there: Mapping[str, str | None], here: Mapping[str, str | None]) -> list[str]:
    """What differs, of the things without which a worker can't be asked for more."""
    found = []
    python = str(there.get("python")).split(".")[:2]
    if python != [str(number) for number in sys.version_info[:2]]:
        found.append(f"Python {'.'.join(python)} (here {sys.version_info[0]}.{sys.version_info[1]})")
    for name in EXACT:
        if there.get(name) != here.get(name):
            found.append(_difference(name, there.get(name), here.get(name)))
    return found


def _differences(traits: Traits, versions: Mapping[str, str | None], exactness: Mapping[str, str]) -> list[str]:
    found = []
    for name, here in versions.items():
        there = traits.versions.get(name)
        exact = exactness.get(name) or EXACTNESS.get(name, "major")
        if there != here and not (there and here and same_version(there, here, exact)):
            found.append(_difference(name, there, here))
    if traits.offered > len(traits.gpus):
        found.append(f"it offers {GPU}={traits.offered}, and `nvidia-smi -L` lists {len(traits.gpus)} there")
    return found


def _difference(name: str, there: str | None, here: str | None) -> str:
    if there is None:
        return f"{name} is not installed (here {here})"
    return f"{name} {there} (here {here or 'not installed'})"
