"""What a code cell's tags say of it: whether it is a claim, and what readers see.

MyST-NB knows `remove-cell`, `remove-input` and `remove-output` with an underscore as well, the other tags without.
"""

from __future__ import annotations

from collections.abc import Collection

CLAIM = "claim"  # of cells that assert what the text says about the outputs
Tags = Collection[str]


def is_removed(tags: Tags) -> bool:
    """Whether the page has nothing of the cell, which is executed all the same."""
    return _removes(tags, "cell") or (_removes(tags, "input") and _removes(tags, "output"))


def is_in_notebook(tags: Tags) -> bool:
    """Whether the cell is in the notebook of its page, once the page has it."""
    return CLAIM not in tags and not is_removed(tags)


def hides_source(tags: Tags) -> bool:
    """Whether readers don't see the cell's source at first, or at all."""
    return "hide-input" in tags or "hide-cell" in tags or _removes(tags, "input")


def shows_outputs(tags: Tags) -> bool:
    """Whether readers see what the cell puts out, be it folded."""
    return CLAIM not in tags and not is_removed(tags) and not _removes(tags, "output")


def shows_stream(tags: Tags, name: str) -> bool:
    """Whether readers see what the cell prints to `stdout` or `stderr`, where they see its outputs."""
    return f"remove-{name}" not in tags


def _removes(tags: Tags, what: str) -> bool:
    return f"remove-{what}" in tags or f"remove_{what}" in tags
