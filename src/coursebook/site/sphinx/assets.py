"""What the site serves itself: Coursebook's templates and style sheet, and MathJax from a locked package, not a CDN."""

from __future__ import annotations

import shutil
from importlib.metadata import distribution
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.ext.mathjax import MATHJAX_URL

from .order import connect

PACKAGE = Path(__file__).parent.parent
STATIC, TEMPLATES = PACKAGE / "static", PACKAGE / "templates"
MATHJAX = "mathjax/tex-chtml.js"
FONTS = "mathjax/output/chtml/fonts/woff-v2"


def _configure(app: Sphinx, config: Config) -> None:
    config.templates_path.append(str(TEMPLATES))
    config.html_static_path.append(str(STATIC))
    if config.mathjax_path == MATHJAX_URL:
        config.mathjax_path = MATHJAX
    settings = dict(config.mathjax3_config or {})
    # The menu would offer renderers and an explorer that are not served.
    settings["options"] = {"enableMenu": False, **settings.get("options", {})}
    config.mathjax3_config = settings


def _copy_mathjax(app: Sphinx) -> None:
    if app.builder.format != "html" or app.config.mathjax_path != MATHJAX:
        return
    package = Path(str(distribution("sphinx-mathjax-offline").locate_file("sphinx-mathjax-offline"))) / "static"
    target = Path(app.outdir) / "_static"
    (target / MATHJAX).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(package / MATHJAX, target / MATHJAX)
    shutil.copytree(package / FONTS, target / FONTS, dirs_exist_ok=True)


def setup(app: Sphinx) -> None:
    connect(app, "config-inited", _configure)
    connect(app, "builder-inited", _copy_mathjax)
    app.add_css_file("coursebook.css", priority=900)
