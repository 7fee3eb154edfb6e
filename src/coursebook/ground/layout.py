"""Where things lie below a course's root."""

from __future__ import annotations

CONFIG, TOC = "_config.yml", "_toc.yml"
MADE = ("_build", "outputs")  # what commands write, at the top
SITE, STAGE, OUTPUTS = "_build/html", "_build/.coursebook", "outputs"
CHECKS = f"{STAGE}/checks.json"  # what the site says of jobs and of drift
