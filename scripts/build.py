#!/usr/bin/env python3
"""Build the course: makes or refreshes .venv, then runs `coursebook build`. Needs only Python 3.11 to 3.13 and git.

python3 scripts/build.py [--no-venv] [arguments of `coursebook build`]
"""

import sys

import environment
import supported  # noqa: F401  first: under an old Python it says so and ends


def main(arguments: "list[str]") -> int:
    """Run `coursebook build` with `arguments` in the project's environment; returns its exit code."""
    with environment.sentences():
        python = environment.ensure(["requirements.txt"], use_venv="--no-venv" not in arguments)
        rest = [a for a in arguments if a != "--no-venv"]
        root = [] if any(a.split("=")[0] == "--root" for a in rest) else ["--root", str(environment.ROOT)]
        return environment.run([str(python), "-m", "coursebook", "build", *root, *rest])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
