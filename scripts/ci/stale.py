#!/usr/bin/env python3
"""Say which pages are not current, and tell the job after this one how many: `pages=3` goes to GITHUB_OUTPUT.

python3 scripts/ci/stale.py [--no-venv]
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import supported  # noqa: F401  first: under an old Python it says so and ends

# isort: split
import environment


def main(arguments: "list[str]") -> int:
    """0 however many there are, or coursebook's exit code where the course can't be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-venv", action="store_true", help="with the Python that runs this")
    options = parser.parse_args(arguments)
    with environment.sentences():
        python = environment.ensure(["requirements.txt"], use_venv=not options.no_venv)
        command = [str(python), "-m", "coursebook", "status", "--json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=False)
        if done.returncode:
            return done.returncode
        # Not all that isn't current: an execution wouldn't change a page that doesn't use the GPU it was given.
        wanted = [row for row in json.loads(done.stdout) if row["executes"] or row["waits"]]
        for row in wanted:
            print(f"{row['page']}: {row['state']}: {'; '.join(row['reasons'])}")
        print(f"{len(wanted)} to be executed")
        if output := os.environ.get("GITHUB_OUTPUT"):
            with Path(output).open("a", encoding="utf-8") as file:
                file.write(f"pages={len(wanted)}\n")
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
