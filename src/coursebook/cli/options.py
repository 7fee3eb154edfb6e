"""What the command lines of several commands take, and what is wrong with what they are given."""

from __future__ import annotations

import argparse
import contextlib
import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..ground import CourseError

if TYPE_CHECKING:
    from ..course import Course
    from ..execute import ExecutionOptions

PAGES = "only these (days/day08 or days/day08.md)"
REMOTE = "a URL, a path, or the name of a git remote, like origin"


def add_root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="the course's folder (default: here)")


def add_force(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="execute pages even where nothing has changed")


def add_execution(parser: argparse.ArgumentParser) -> None:
    """How pages are executed; see `execution`."""
    parser.add_argument("--jobs", type=positive, metavar="N", help="pages executed at a time (default: the cores)")
    parser.add_argument("--cold", action="store_true", help="start every kernel anew instead of forking warm ones")
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "gpu"),
        default="auto",
        help="what pages with `device: gpu` may use: the GPUs here (auto), none (cpu: their outputs are kept), "
        "or fail at once unless there is one (gpu)",
    )


def add_provisional(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--provisional",
        action="store_true",
        help="without a GPU, execute the pages that ask for one and have no outputs from one on the CPU",
    )


def add_cluster(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--cluster",
        default="",
        metavar="ADDRESS",
        help="execute them on the workers of a Dask cluster, whose scheduler is at ADDRESS, like tcp://10.0.0.1:8786",
    )


@contextlib.contextmanager
def cluster_there(command: str) -> Iterator[None]:
    """What `command` does may need Dask, which is an extra. Raises CourseError where it is missing."""
    try:
        yield
    except ModuleNotFoundError as missing:
        if missing.name not in ("distributed", "dask"):
            raise
        problem = "needs dask.distributed; `pip install 'coursebook[cluster]'` brings it"
        raise CourseError(command, None, problem) from None


def execution(arguments: argparse.Namespace) -> ExecutionOptions:
    """What a command line says of how to execute, as far as the command can be told."""
    from ..execute import ExecutionOptions

    known = ExecutionOptions.__dataclass_fields__
    return ExecutionOptions(**{name: value for name, value in vars(arguments).items() if name in known})


def day(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a date like 2026-10-05") from None


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return number


def port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port from 0 to 65535")
    return int(text)


def origin(text: str) -> str:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text.rstrip("/"))
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query or parts.username:
        raise argparse.ArgumentTypeError(f"{text} is not an origin like http://127.0.0.1:8000")
    return text.rstrip("/").lower()


def job_name(text: str) -> str:
    from ..course import is_job

    if not is_job(text):
        raise argparse.ArgumentTypeError(f"{text} is no name of a job, like drift or outputs")
    return text


def link_address(text: str) -> str:
    from ..drift import is_link

    if not is_link(text):
        raise argparse.ArgumentTypeError(f"{text} is not an address like https://example.org/runs/1")
    return text


def require_course(root: Path) -> None:
    """Nothing is made in a folder that isn't a course."""
    if not (root / "_config.yml").is_file() or not (root / "_toc.yml").is_file():
        from ..course import Course

        Course.load(root)  # says what is missing


def require_no_pages_in(folder: Path, root: Path, what: str) -> None:
    """What is written to a folder of the course would be read as pages of it by the next build."""
    root, full = root.resolve(), folder.resolve()
    if full.is_relative_to(root) and not full.is_relative_to(root / "_build"):
        problem = f"lies in the course, which would take {what} for pages; choose a folder below _build, or elsewhere"
        raise CourseError(folder, None, problem)
    if folder.exists() and not folder.is_dir():
        raise CourseError(folder, None, f"is a file; {what} take a folder")


def docnames(pages: Sequence[str], course: Course) -> set[str] | None:
    """The docnames that a command line means; None for all of them."""
    from ..course import SUFFIXES

    known = {page.docname for page in course.executed_pages()}
    wanted = {Path(page).with_suffix("").as_posix() if Path(page).suffix in SUFFIXES else page for page in pages}
    if unknown := sorted(wanted - known):
        raise CourseError(unknown[0], None, f"no page with code of this name (there are: {', '.join(sorted(known))})")
    return wanted or None
