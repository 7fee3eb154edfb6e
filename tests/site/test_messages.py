"""What Sphinx logs is told with its place, whoever logs it and whenever."""

from __future__ import annotations

import pytest

from conftest import CONFIG, Tiny

pytestmark = pytest.mark.sphinx

LOUD = """
import sys
from sphinx.util import logging
from sphinx.util.logging import setup as setup_logging

logger = logging.getLogger(__name__)


def setup(app):
    logger.warning("before anybody listens")
    logger.warning("%s of %s", "one")
    logger.warning("%(page)s", {"pages": 1})
    app.connect("html-page-context", speak)
    app.connect("builder-inited", set_up_again)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def set_up_again(app):
    setup_logging(app, sys.stdout, sys.stderr)  # as an application within this one does
    logger.info("which says so")
    logger.warning("set up again")


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
    others = [f"while setting up extension loud: {text}" for text in ("before anybody listens", "%s of %s", "%(page)s")]
    others += ["set up again", "once"]
    assert said == sorted([*pages, *(f"_config.yml: {text}" for text in others), "19 errors"])
    assert done.code == 1
