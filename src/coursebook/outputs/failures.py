"""Executions that failed: kept beside the build, so that status and the site can tell until the page is mended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
import json
from ..ground import STAGE
from ..ground import replacing



@dataclass(frozen=True)
class Failure:
    """`code` is the digest of the code that failed, `said` the first line of the error, `executed` a UTC time."""

    code: str
    said: str
    executed: str


class Failures:
    """The failed pages of the course at `root`, by docname. A damaged record is no record: it can be had again."""

    def __init__(self, root: Path) -> None:
        self._path = root / STAGE / "failures.json"

    def read(self) -> Mapping[str, Failure]:
        try:
            rows = json.loads(self._path.read_text(encoding="utf-8"))
            return {docname: Failure(**row) for docname, row in rows.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def note(self, docname: str, failure: Failure | None) -> None:
        """Remember how a page failed, or (None) that it no longer does."""
        failures = dict(self.read())
        if failures.get(docname) == failure:
            return
        failures.pop(docname, None)
        if failure:
            failures[docname] = failure
        self._path.parent.mkdir(parents=True, exist_ok=True)
        rows = {name: asdict(failures[name]) for name in sorted(failures)}
        with replacing(self._path) as file:
            file.write(json.dumps(rows, indent=1, ensure_ascii=False).encode())
