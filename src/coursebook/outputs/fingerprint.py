"""The digests of a page's code: what its outputs follow from first of all."""

from __future__ import annotations

import hashlib
import json

from ..course import Page, language

# Tags that change what an execution does; all others change only what a reader sees.
EXECUTION_TAGS = frozenset({"raises-exception", "skip-execution"})


def cell_digests(page: Page) -> tuple[str, ...]:
    """A sha256 for each code cell, over its source and the tags that change its execution."""
    return tuple(json_digest([cell.source.rstrip(), sorted(EXECUTION_TAGS & set(cell.tags))]) for cell in page.cells)


def code_digest(page: Page) -> str:
    """The sha256 of a page's code: the kernel's language and every cell, in order; neither prose nor display tags."""
    return json_digest([language(page), *cell_digests(page)])


def json_digest(data: object) -> str:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
