"""In which order what is added hears of Sphinx's events: the one place that says who comes before whom, and why.

Sphinx calls the smaller number first, and what has the same one in the order in which it was registered, here that of
`COMPONENTS`. Sphinx's own handlers and those of extensions have 500 where they say nothing else
(https://www.sphinx-doc.org/en/master/extdev/event_callbacks.html).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sphinx.application import Sphinx

# By event, and there by component and handler (without its underscore).
PRIORITIES: Mapping[str, Mapping[str, int]] = {
    "config-inited": {
        "defaults.configure": 500,
        "assets.configure": 500,
        # MyST-NB, the theme and Jupyter Book have made of the options what they make of them.
        "current.find_out": 700,
        # After the course is known, before the launch buttons are made.
        "live_code.configure": 720,
        "buttons.take_over": 750,
        # After the course is known, before the table of contents is read.
        "withheld.leave_out": 800,
        # After MyST-NB, which takes each format's name for a suffix of source files.
        "readers.register_readers": 900,
    },
    "builder-inited": {
        "defaults.keep_templates": 500,
        "assets.copy_mathjax": 500,
        "current.remember_markdown": 500,
        "live_code.copy": 500,
    },
    "env-get-outdated": {
        "changed.outdated": 500,
        "readers.outdated": 500,
        "schedule.outdated": 500,
        "feed.look_up": 500,
    },
    "env-before-read-docs": {
        "freshness.offer_target": 500,
        "parallel.count": 500,
        # When all others have said what is to be read.
        "changed.forget": 900,
    },
    "env-purge-doc": {"schedule.forget": 500},
    "env-merge-info": {"schedule.merge": 500},
    "source-read": {"options_out.clean": 500},
    "env-updated": {
        # Before lists are made of what is kept by page, by extensions with the usual number.
        "across.in_order": 100,
        "defaults.offer_mathjax": 500,
        "across.name_images": 500,
        "freshness.look_again": 500,
        "parallel.set": 500,
    },
    # After Sphinx's collectors, which number sections and figures.
    "env-get-updated": {"across.look_again": 900},
    "doctree-resolved": {
        # After sphinx-thebe has put its scripts there.
        "live_code.forget_thebe": 600,
        # When all references have been resolved.
        "across.note": 900,
    },
    "html-collect-pages": {"notfound.pages": 500, "freshness.pages": 500},
    "html-page-context": {
        # The page as it is, before notices and buttons are added to it.
        "downloads.write": 50,
        "withheld.withhold_source": 100,
        "across.note_made": 500,
        "notice.add": 500,
        "freshness.add_script": 500,
        "schedule.add_script": 500,
        "feed.link_feed": 500,
        # After the theme has made its own, among them the download, and chosen its words, which are mended.
        "buttons.add": 800,
        "share.share": 800,
        # After the theme's buttons and those that open notebooks.
        "live_code.add": 850,
        # After the extensions that add scripts page by page.
        "defaults.tidy_scripts": 900,
        # After all that add some, and before anything is made of the pages as they are.
        "late.note": 950,
    },
    "build-finished": {
        "downloads.tidy": 500,
        "across.remember": 500,
        "freshness.write": 500,
        "schedule.write_calendar": 500,
        "share.forget_pictures": 500,
        "searchindex.tidy": 500,
        "feed.write": 500,
        # When extensions have copied what they copy then.
        "late.mend": 550,
        # After whatever else writes or changes pages then.
        "headers.write": 900,
    },
}


def connect(app: Sphinx, event: str, handler: Callable[..., Any]) -> None:
    """Let `handler` hear of an event, in its place among the others."""
    component = handler.__module__.rpartition(".")[2]
    app.connect(event, handler, priority=PRIORITIES[event][f"{component}.{handler.__name__.lstrip('_')}"])
