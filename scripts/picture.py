#!/usr/bin/env python3
"""Make the README's pictures, assets/readme-light.png and -dark.png, from the built site. Needs Chromium.

.venv/bin/python scripts/picture.py
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "_build/html/days/day08.html"


def main() -> int:
    chromium = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
    if chromium is None or not PAGE.exists():
        print("error: this needs Chromium and a built site (`python3 scripts/build.py`)", file=sys.stderr)
        return 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport={"width": 1280, "height": 860}, color_scheme=scheme)
            page = context.new_page()
            page.goto(PAGE.as_uri())
            page.wait_for_selector("mjx-container")
            page.locator("#play-with-it").evaluate("e => e.scrollIntoView({block: 'start', behavior: 'instant'})")
            page.wait_for_timeout(500)
            picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            picture.quantize(128).save(ROOT / f"assets/readme-{scheme}.png", optimize=True)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
