"""JSON files that keep what can be had again: one that is damaged is as if it weren't there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .disk import replacing


class JsonFile:
    """The file at `path`, written whole or not at all. Whoever reads it says what fits: another version may have
    written something else, so what is wrong with it must come out as one of `DAMAGED`."""

    DAMAGED = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Any:
        """What it holds. Raises one of `DAMAGED` where there is no file, or not JSON in it."""
        return json.loads(self.path.read_text(encoding="utf-8"))

    def write(self, content: Any, *, indent: int | None = None) -> None:
        """Make it hold `content`; a file that does already isn't touched."""
        # As ASCII: names of files may have bytes that are none of UTF-8.
        text = json.dumps(content, indent=indent).encode()
        if self.path.is_file() and self.path.read_bytes() == text:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path, is_lasting=False) as file:
            file.write(text)
