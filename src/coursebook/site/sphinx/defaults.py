"""Settings and small corrections that every course needs, so that none has to know of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from docutils import nodes
from jinja2 import FileSystemBytecodeCache
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment

from ...course import PATTERNS
from .across import TITLES_ALONE
from .order import connect

# What MathJax looks for: Sphinx's mathematics, and notebooks' outputs in LaTeX.
_MATH = re.compile(r'class="[^"]*\b(?:math|tex2jax_process|mathjax_process|output_area|text_latex)\b')


def _configure(app: Sphinx, config: Config) -> None:
    # Environments and caches carry Markdown of their own, and the store notebooks, which are no pages of the course.
    config.exclude_patterns += [".*", "**/.*", *PATTERNS]
    # Without a mode the theme writes "Got invalid theme mode" to the console of every page.
    config.html_context.setdefault("default_mode", "auto")
    # Left alone, pydata-sphinx-theme 0.17 adds a second search field in a header that the book theme doesn't have.
    config.html_theme_options.setdefault("navbar_persistent", [])


def _keep_templates(app: Sphinx) -> None:
    """Keep the compiled templates from one build to the next; compiling them takes as long as writing a dozen pages."""
    if app.builder.format != "html":
        return
    folder = Path(app.doctreedir) / "templates"
    folder.mkdir(parents=True, exist_ok=True)
    app.builder.templates.environment.bytecode_cache = FileSystemBytecodeCache(str(folder))


def _offer_mathjax(app: Sphinx, env: BuildEnvironment) -> Iterable[str]:
    """A formula in a title stands in the sidebar of every page, also of those that have none themselves."""
    shown = env.titles if app.config.html_theme in TITLES_ALONE else env.tocs
    if any(True for title in shown.values() for _ in title.findall(nodes.math)):
        app.set_html_assets_policy("always")
    return ()


def _tidy_scripts(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Each script once, none of sphinx-thebe's, and MathJax (1.2 MB) only where there is mathematics, be it in a title.

    Sphinx 7.4 lists scripts that an extension adds after the builder's start twice; sphinx-thebe's load thebe from a
    CDN, and live code is `live_code.py`'s; and MathJax comes to every page once one has mathematics.
    """
    has_math = bool(_MATH.search(context.get("body") or "")) or app.registry.html_assets_policy == "always"
    has_switcher = bool(app.config.html_theme_options.get("switcher"))
    scripts, seen = [], set()
    for script in context.get("script_files", []):
        name, body = _name(script), getattr(script, "attributes", {}).get("body") or ""
        is_thebe = "sphinx-thebe" in name or "THEBE_JS_URL" in body
        is_math = name.endswith(str(app.config.mathjax_path)) or body.startswith("window.MathJax")
        # What no one reads without a version switcher, and would be another script on every page for a policy.
        is_unread = body.startswith("DOCUMENTATION_OPTIONS.pagename") and not has_switcher
        if (name, body) not in seen and not is_thebe and not is_unread and (has_math or not is_math):
            seen.add((name, body))
            scripts.append(script)
    context["script_files"] = scripts
    context["css_files"] = [style for style in context.get("css_files", []) if "sphinx-thebe" not in _name(style)]


def _name(asset: Any) -> str:
    return str(getattr(asset, "filename", asset))


def setup(app: Sphinx) -> None:
    connect(app, "config-inited", _configure)
    connect(app, "builder-inited", _keep_templates)
    connect(app, "env-updated", _offer_mathjax)
    connect(app, "html-page-context", _tidy_scripts)
