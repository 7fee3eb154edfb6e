"""Takes Coursebook's own options out of a page's front matter before MyST reads it.

MyST makes a field list of it, nested values as JSON, and JSON has no dates.
"""

from __future__ import annotations

import yaml
from sphinx.application import Sphinx

from .order import connect


def without_options(text: str) -> str:
    """`text` with a comment in place of each line of `coursebook: …`, so that every other line keeps its number."""
    rows = text.split("\n")
    if rows[0].rstrip() != "---":
        return text
    end = next((n for n, row in enumerate(rows[1:], 1) if row.rstrip() in ("---", "...")), None)
    if end is None:
        return text
    try:
        node = yaml.compose("\n".join(rows[1:end]), Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return text
    if not isinstance(node, yaml.MappingNode):
        return text
    for key, value in node.value:
        if key.value == "coursebook":
            # A block ends where the next key, or nothing, begins; what is written in braces ends on its own line.
            last = value.end_mark.line + (1 if value.end_mark.column else 0)
            for number in range(key.start_mark.line, last):
                rows[1 + number] = "#"
            if len(node.value) == 1:  # front matter must be a mapping, be it an empty one
                rows[1 + key.start_mark.line] = "{}"
    return "\n".join(rows)


def _clean(app: Sphinx, docname: str, content: list[str]) -> None:
    content[0] = without_options(content[0])


def setup(app: Sphinx) -> None:
    connect(app, "source-read", _clean)
