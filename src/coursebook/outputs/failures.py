"""Executions that failed: kept beside the build, so that status and the site can tell until the page is mended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ..ground import STAGE, JsonFile


@dataclass(frozen=True)
class Failure:
    """`code` is the digest of the code that failed, `said` the first line of the error, `executed` a UTC time."""

    code: str
    said: str
    executed: str


class Failures:
    """The failed pages of the course at `root`, by docname. A damaged record is no record: it can be had again."""

    def __init__(self, root: Path) -> None:
        self._file = JsonFile(root / STAGE / "failures.json")

    def read(self) -> Mapping[str, Failure]:
        try:
            return {docname: Failure(**row) for docname, row in self._file.read().items()}
        except JsonFile.DAMAGED:
            return {}

    def note(self, docname: str, failure: Failure | None) -> None:
        """Remember how a page failed, or (None) that it no longer does."""
        failures = dict(self.read())
        if failures.get(docname) == failure:
            return
        failures.pop(docname, None)
        if failure:
            failures[docname] = failure
        self._file.write({name: asdict(failures[name]) for name in sorted(failures)}, indent=1)
