#!/usr/bin/env python3
"""Run `coursebook` in the project's environment, which is made or refreshed first. What CI's steps call.

python3 scripts/ci/run.py [--no-venv] [--dev] ARGUMENTS OF COURSEBOOK

--dev installs requirements-dev.txt as well, with uv, which `coursebook verify --packages` wants.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import supported  # noqa: F401  first: under an old Python it says so and ends

# isort: split
import environment


def main(arguments: "list[str]") -> int:
    """Run `coursebook` with `arguments`; returns its exit code."""
    count = next((n for n, word in enumerate(arguments) if word not in ("--no-venv", "--dev")), len(arguments))
    ours, rest = arguments[:count], arguments[count:]
    locks = ["requirements.txt", *(["requirements-dev.txt"] if "--dev" in ours else [])]
    with environment.sentences():
        python = environment.ensure(locks, use_venv="--no-venv" not in ours)
        return environment.run([str(python), "-m", "coursebook", *rest])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
