"""Which kernel a page asks for, and which language that speaks."""

from __future__ import annotations

import re

from .page import Page


def kernel_name(page: Page) -> str:
    """The name of the kernelspec that a page asks for."""
    return str((page.front_matter.get("kernelspec") or {}).get("name") or "python3")


def language(page: Page) -> str:
    """The language of a page's kernel: what the kernelspec says, else its name without a version (python3: python)."""
    spec = page.front_matter.get("kernelspec") or {}
    return str(spec.get("language") or re.sub(r"[-\d.]+$", "", str(spec.get("name", "python3"))))
