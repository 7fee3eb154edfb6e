"""The report of a comparison: what was compared with what, and the two files that tell of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..ground import replacing
from .judging import PageDrift
from .report_html import html
from .report_markdown import markdown
from .words import Heading

HTML, MARKDOWN = "index.html", "report.md"


def write_report(folder: Path, heading: Heading, drifts: Sequence[PageDrift]) -> Path:
    """Write the report to `folder`, which is made; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in ((MARKDOWN, markdown(heading, drifts)), (HTML, html(heading, drifts))):
        with replacing(folder / name) as file:
            file.write(text.encode("utf-8", "replace"))
    return folder / HTML
