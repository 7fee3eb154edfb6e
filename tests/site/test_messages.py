"""What Sphinx logs is told with its place, whoever logs it and whenever."""

from __future__ import annotations

import pytest

from conftest import CONFIG, Tiny

pytestmark = pytest.mark.sphinx

LOUD = """
from sphinx.util import logging

logger = logging.getLogger(__name__)


def setup(app):
    logger.warning("before anybody listens")
    app.connect("html-page-context", speak)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def speak(app, pagename, templatename, context, doctree):
    print(f"error {pagename}.md:3: WARNING: only printed")
    if pagename.startswith("days/p"):
        logger.warning("of %s,\\n  in two lines", pagename, location=(pagename, 3), type="loud", subtype="page")
        logger.warning("nobody hears it", location=pagename, type="loud", subtype="quiet")
        logger.warning("once", once=True)
"""


def test_whoever_speaks_is_heard_once(tiny: Tiny) -> None:
    config = CONFIG.replace("extra_extensions: [coursebook]", "extra_extensions: [loud, coursebook]")
    config = config.replace("config: {", "local_extensions: {loud: .}\n  config: {suppress_warnings: [loud.quiet], ")
    names = [f"days/p{number}" for number in range(14)]  # so many are written by several processes
    tiny.write(
        {
            "_config.yml": config,
            "_toc.yml": "format: jb-book\nroot: index\nchapters:\n" + "".join(f"  - file: {name}\n" for name in names),
            "loud.py": LOUD,
            "days/one.md": None,
            **{f"{name}.md": f"# {name}\n" for name in names},
        }
    )
    done = tiny.build()
    said = sorted(line.removeprefix("error ") for line in done.err.splitlines())
    pages = sorted(f"{name}.md:3: of {name}, in two lines" for name in names)
    others = ["while setting up extension loud: before anybody listens", "once"]
    assert said == sorted([*pages, *(f"_config.yml: {text}" for text in others), "16 errors"])
    assert done.code == 1
