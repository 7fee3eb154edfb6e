#!/usr/bin/env python3
"""Check the project: makes or refreshes .venv, then runs the linters and the tests, fast ones first.

python3 scripts/test.py [--no-venv] [arguments of pytest]
"""

import os
import sys

import environment
import supported  # noqa: F401  first: under an old Python it says so and ends

LINTERS = (
    ["scripts/lock.py", "--check"],
    ["-m", "ruff", "check", "."],
    ["-m", "ruff", "format", "--check", "."],
    ["-m", "mypy"],
    # The house: imports run downwards. By its function, as the package has no `__main__`.
    ["-c", "from importlinter.cli import lint_imports_command as run; run(['--no-cache'])"],
    ["-m", "codespell_lib"],
)


def main(arguments: "list[str]") -> int:
    """Run every linter and the tests; returns 0 if all of them pass."""
    with environment.sentences():
        python = environment.ensure(["requirements.txt", "requirements-dev.txt"], use_venv="--no-venv" not in arguments)
        failed = []
        for command in LINTERS:
            print("$ python " + " ".join(command), flush=True)
            if environment.run([str(python), *command], cwd=environment.ROOT):
                failed.append(" ".join(command))
        wanted = [a for a in arguments if a != "--no-venv"]
        # All of them: several at a time, as most wait for one process or another. Few: without the workers' start.
        at_a_time = [] if wanted else ["-n", str(min((os.cpu_count() or 1) + 1, 4)), "--dist", "worksteal"]
        tests = ["-m", "pytest", *at_a_time, *wanted]
        print("$ python " + " ".join(tests), flush=True)
        code = environment.run([str(python), *tests], cwd=environment.ROOT)
        if failed:
            print("failed beside the tests: " + "; ".join(failed), file=sys.stderr)
        return code or bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
