#!/usr/bin/env python3
"""Show a report on the page of the run: what is in FILE goes to GITHUB_STEP_SUMMARY, or is printed where that isn't.

python3 scripts/ci/summary.py FILE
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import supported  # noqa: F401  first: under an old Python it says so and ends

# isort: split
import environment
from github import SUMMARY, shorten


def main(arguments: "list[str]") -> int:
    """0, also where there is no report: the step that should have written it has failed, and says why."""
    if len(arguments) != 1:
        print(f"usage: {(__doc__ or '').strip().splitlines()[-1]}", file=sys.stderr)
        return 2
    with environment.sentences():
        try:
            report = Path(arguments[0]).read_text(encoding="utf-8")
        except FileNotFoundError:
            print(f"{arguments[0]} was not written")
            return 0
        target = os.environ.get("GITHUB_STEP_SUMMARY")
        if not target:
            print(report)
            return 0
        ending = "… and more: the whole report is among the artifacts of this run."
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(shorten(report, SUMMARY, ending, in_bytes=True))
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
