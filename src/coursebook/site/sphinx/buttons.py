"""The buttons that open a page's notebook elsewhere, and the one that downloads it; on pages with code alone.

Jupyter Book's `launch_buttons` say where. The theme's own buttons lead to the page's source, which is Markdown on a
branch without notebooks, so these take their place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from markupsafe import escape
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

from ...course import Repository, line_of_key
from ...ground import CONFIG
from ...launch import INTERFACES, NOTEBOOKS_FOLDER, SERVICES, Launcher
from .current import current_of
from .order import connect

logger = logging.getLogger(__name__)
_LOGOS = {
    "Colab": "logo_colab.png",
    "Binder": "logo_binder.svg",
    "JupyterHub": "logo_jupyterhub.svg",
    "JupyterLite": "logo_jupyterlite.svg",
    "Deepnote": "logo_deepnote.svg",
}


def _take_over(app: Sphinx, config: Config) -> None:
    current = current_of(app)
    services = dict(config.html_theme_options.pop("launch_buttons", None) or {})
    config.html_theme_options["launch_buttons"] = {}
    for key in SERVICES:
        given = services.get(key)
        if given and (not isinstance(given, str) or (urlsplit(given).scheme not in ("http", "https"))):
            _warn(app, key, f"{key} takes an address like https://example.org, not {given!r}")
            services[key] = ""
    interface = services.get("notebook_interface") or "classic"
    if interface not in INTERFACES:
        _warn(app, "notebook_interface", f"notebook_interface takes one of {', '.join(INTERFACES)}, not {interface!r}")
        services["notebook_interface"] = "classic"
    # Not the theme's option: where the course names no repository, that is Jupyter Book's own.
    told = (current.course.config.get("repository") if current.course else None) or {}
    address = str(told.get("url") or "")
    repository = Repository.read(address)
    wanted = [key for key in SERVICES if services.get(key)]
    if wanted and repository is None:
        given = f"not {address!r}" if address else "and there is none"
        _warn(app, wanted[0], f"{wanted[0]} needs the course's repository under repository: url, {given}")
    config["coursebook_services"] = services
    config["coursebook_launcher"] = (
        Launcher(repository, services, current.course.launch_branch, current.course.binder_branch)
        if repository and current.course
        else None
    )


def _warn(app: Sphinx, key: str, message: str) -> None:
    path = Path(app.srcdir) / CONFIG
    line = line_of_key(path.read_text(encoding="utf-8"), "launch_buttons", key) if path.is_file() else 1
    logger.warning("%s", message, location=f"{CONFIG}:{line}", type="coursebook", subtype="launch")


def _add(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    current = current_of(app)
    if pagename not in current.decisions or "header_buttons" not in context:
        return
    launcher: Launcher | None = app.config.coursebook_launcher
    buttons = [
        {
            "type": "link",
            "url": str(escape(address)),  # the theme prints it as it is
            "text": name,
            "tooltip": f"Open this page's notebook in {name}",
            "icon": f"_static/images/{_LOGOS[name]}",
            "label": f"launch-{name.lower()}",
        }
        for name, address in (launcher.addresses(pagename) if launcher else ())
    ]
    headers: list[dict[str, Any]] = context["header_buttons"]
    if buttons:
        headers.insert(
            0,
            {
                "type": "group",
                "buttons": buttons,
                "icon": "fas fa-rocket",
                "tooltip": "Open as a notebook",
                "label": "launch-buttons",
            },
        )
    download = {
        "type": "link",
        "url": context["pathto"](f"{NOTEBOOKS_FOLDER}/{quote(pagename)}.ipynb", 1),
        "text": ".ipynb",
        "tooltip": "Download this page as a notebook",
        "icon": "fas fa-code",
        "label": "download-notebook-button",
    }
    for button in headers:
        if button.get("label") == "download-buttons":
            button["buttons"].insert(0, download)
            break
    else:
        headers.append({**download, "text": "", "icon": "fas fa-download"})


def setup(app: Sphinx) -> None:
    # What is made of them, for the pages.
    app.add_config_value("coursebook_services", {}, "")
    app.add_config_value("coursebook_launcher", None, "")
    connect(app, "config-inited", _take_over)
    connect(app, "html-page-context", _add)
