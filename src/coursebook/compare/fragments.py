"""Two HTML outputs: their words, tables, pictures, and the tags around them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import replace

from ..course import Tolerance
from .difference import Difference, few, short
from .figures import compare_figures
from .markup import Markup, parse_html
from .tables import compare_tables
from .text import Context, compare_text


def compare_html(old: str, new: str, tolerance: Tolerance, label: str) -> Iterator[Difference]:
    before, after = parse_html(old), parse_html(new)
    yield from compare_text(before.text, after.text, Context(tolerance, label=label))
    for number, (then, now) in enumerate(zip(before.tables, after.tables, strict=False), 1):
        place = f"table {number}: " if len(after.tables) > 1 else ""
        yield from compare_tables(then, now, tolerance, place)
    found: list[Difference] = []
    for number, (a, b) in enumerate(zip(before.figures, after.figures, strict=False), 1):
        place = f"picture {number} of {len(after.figures)}: " if len(after.figures) > 1 else ""
        found += [replace(one, why=place + one.why) for one in compare_figures(a, b, tolerance)]
    yield from few(found)
    yield from _compare_frames(before, after, tolerance)


def _compare_frames(before: Markup, after: Markup, tolerance: Tolerance) -> Iterator[Difference]:
    """The tags around what an HTML output says, its styles and its scripts."""
    counts = len(before.figures), len(after.figures)
    if counts[0] != counts[1]:
        yield Difference("output", str(counts[0]), str(counts[1]), f"{counts[0]} pictures became {counts[1]}", False)
    elif before.videos != after.videos:
        why = "another video: its bytes differ, and its pictures can't be compared"
        yield Difference("figure", str(len(before.videos)), str(len(after.videos)), why, False)
    elif before.frame != after.frame:
        for tag, i, i_end, j, j_end in difflib.SequenceMatcher(None, before.frame, after.frame).get_opcodes():
            gone, come = " ".join(before.frame[i:i_end]), " ".join(after.frame[j:j_end])
            if tag != "equal":
                why = f"the HTML is built otherwise: '{short(gone)}' became '{short(come)}'"
                yield Difference("output", short(gone), short(come), why, False)
                return
    else:
        yield from compare_text(
            before.code, after.code, Context(tolerance, kind="output", place="its styles or scripts: ")
        )
