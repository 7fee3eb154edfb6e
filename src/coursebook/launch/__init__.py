"""A page as a notebook, and where it opens: Colab, Binder, JupyterHub and others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ground.lazy import lazily

if TYPE_CHECKING:
    from .branches import launch_branches as launch_branches
    from .export import export_notebooks as export_notebooks
    from .following import Finding as Finding, check_launch as check_launch
    from .from_html import parts_of as parts_of
    from .notebook import notebook_of as notebook_of
    from .parts import (
        NOTEBOOKS_FOLDER as NOTEBOOKS_FOLDER,
        Site as Site,
        numbers_in as numbers_in,
        numbers_of as numbers_of,
    )
    from .services import INTERFACES as INTERFACES, SERVICES as SERVICES, Launcher as Launcher

__getattr__ = lazily(
    __name__,
    {
        "branches": "launch_branches",
        "export": "export_notebooks",
        "following": "Finding check_launch",
        "from_html": "parts_of",
        "notebook": "notebook_of",
        "parts": "NOTEBOOKS_FOLDER Site numbers_in numbers_of",
        "services": "INTERFACES Launcher SERVICES",
    },
)
