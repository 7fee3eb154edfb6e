"""What cells glue, and with which tolerance it is compared."""

from __future__ import annotations

from collections.abc import Iterable

from nbformat import NotebookNode, from_dict

from ..course import Cell, Page, Tolerance


def tolerance_of(page: Page, cell: Cell) -> Tolerance:
    return Tolerance.read(cell.tolerance, page.options.tolerance)


def glued(cells: Iterable[NotebookNode]) -> dict[str, NotebookNode]:
    """What cells glue, by name: outputs whose data have lost the prefix by which they aren't shown where they are."""
    found = {}
    for cell in cells:
        for output in cell["outputs"]:
            if note := output.get("metadata", {}).get("scrapbook"):
                found[str(note.get("name"))] = without_prefix(output)
    return found


def without_prefix(output: NotebookNode) -> NotebookNode:
    prefix = output["metadata"]["scrapbook"].get("mime_prefix", "")
    data = {mime.removeprefix(prefix): value for mime, value in output["data"].items()}
    bare: NotebookNode = from_dict({**output, "data": data})  # type: ignore[no-untyped-call]
    return bare
