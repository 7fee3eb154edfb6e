"""Chromium, for whatever opens pages in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import axe_playwright_python
from playwright.sync_api import Browser, sync_playwright

from conftest import CHROMIUM

AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
# Changes of color that are under way take less than a second; some of what is hidden never ends.
SETTLED = """Promise.race([
    Promise.allSettled(document.getAnimations().map(change => change.finished)),
    new Promise(done => setTimeout(done, 1000)),
])"""
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")


@contextmanager
def browsing(*flags: str) -> Iterator[Browser]:
    """A browser that asks for nothing but what its pages ask for."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which(str(CHROMIUM)), args=[*_FLAGS, *flags])
        try:
            yield browser
        finally:
            browser.close()
