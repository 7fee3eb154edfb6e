"""HTML by Jinja templates, which escape whatever they are given.

Jinja is imported for the first of them: it takes longer than many a command that makes no HTML.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment, Template


@functools.cache
def html_template(folder: Path, name: str) -> Template:
    """The template `name` of those in `folder`, compiled once in a process. What it isn't given is an error in it."""
    return _environment(folder).get_template(name)


@functools.cache
def _environment(folder: Path) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        # A statement that has a line to itself leaves no line, a file ends as it ends.
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
