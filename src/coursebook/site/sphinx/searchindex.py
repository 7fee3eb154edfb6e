"""The search index without words that no page has any more.

Sphinx takes a page's words out of the index when the page is read again, and leaves those that no other page has with
an empty list: what was once there could still be read in it, and it only ever grew.
"""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx
from sphinx.search import js_index

from .order import connect
from .share import BUILDERS


def _tidy(app: Sphinx, exception: Exception | None) -> None:
    path = Path(app.outdir) / "searchindex.js"
    if exception or app.builder.name not in BUILDERS or not path.is_file():
        return
    text = path.read_text(encoding="utf-8")
    if ": []" not in text:
        return
    index = js_index.loads(text)
    for table in ("terms", "titleterms", "alltitles", "indexentries"):
        index[table] = {word: pages for word, pages in index.get(table, {}).items() if pages != []}
    path.write_text(js_index.dumps(index), encoding="utf-8")


def setup(app: Sphinx) -> None:
    connect(app, "build-finished", _tidy)
