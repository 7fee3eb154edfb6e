"""Runs inside a page's kernel, before its first cell: sees which files below the course's root the page reads.

An audit hook (https://docs.python.org/3/library/audit_events.html) hears of every `open` and of every listed folder, of
databases and libraries, and of programs with the files that their arguments name; also in processes that were forked.
What compiled code or a program opens by itself it cannot hear: it tells of the program, and a page names such files
with `coursebook: {inputs: [...]}`.

The source of its parts is sent to the kernel as one text, so they import nothing but the standard library and each
other, and leave no name behind. Only here are they put together.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

# The kernel's `sys.modules` have it by this name.
NAME = "_coursebook_observe"
# In their order; no two may have a name in common. The last one has `start`.
PARTS = ("paths", "programs", "notes", "findings", "hook")
# What the parts import of each other is there. Types are read when the text runs, which a Python before 3.10 can't: its
# pages count as not watched, rather than as watched by half.
_JOINTS = re.compile(r"^from (\.\w+|__future__) import (\([^)]*\)|.*)$", re.MULTILINE)


@functools.cache
def source() -> str:
    """All parts in one text."""
    here = Path(__file__).parent
    return "\n".join(_JOINTS.sub("", (here / f"{part}.py").read_text(encoding="utf-8")) for part in PARTS)


def expression(root: str, made: tuple[str, ...], shared: str, asks_for_gpu: bool, hears_deprecations: bool) -> str:
    """What a kernel evaluates to be observed, outside the page's namespace; the arguments are those of
    `hook.start`."""
    begun = f"{source()}\nstart({NAME!r}, {root!r}, {made!r}, {shared!r}, {asks_for_gpu}, {hears_deprecations})\n"
    # By this file name `paths` knows the observer's own frames.
    return f"exec(compile({begun!r}, 'coursebook', 'exec'), {{'__name__': 'coursebook'}})"
