#!/usr/bin/env python3
"""Check the project: makes or refreshes .venv, then runs the linters and the tests, fast ones first.

python3 scripts/test.py [--no-venv] [arguments of pytest]
python3 scripts/test.py --light [arguments of pytest]      the fast tests alone, in .venv-light, which has no PyTorch

How long each test took is in _build/durations.xml, in the form of JUnit. `-m fast` runs those that start nothing,
`-m long` those that an ordinary run leaves out.
"""

import os
import sys

import environment
import supported  # noqa: F401  first: under an old Python it says so and ends

OURS = ("--no-venv", "--light")
DURATIONS = environment.ROOT / "_build/durations.xml"
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
    is_light, wanted = "--light" in arguments, [a for a in arguments if a not in OURS]
    with environment.sentences():
        venv = environment.VENV_LIGHT if is_light else environment.VENV
        locks = [environment.LIGHT] if is_light else ["requirements.txt", "requirements-dev.txt"]
        python = environment.ensure(locks, use_venv="--no-venv" not in arguments, venv=venv)
        failed = []
        for command in [] if is_light else LINTERS:  # the light one has none of them
            print("$ python " + " ".join(command), flush=True)
            if environment.run([str(python), *command], cwd=environment.ROOT):
                failed.append(" ".join(command))
        # All of them: several at a time, as most wait for one process or another. Few: without the workers' start.
        several = ["-n", str(min((os.cpu_count() or 1) + 1, 4)), "--dist", "worksteal"]
        which = ["-m", "fast"] if is_light else [] if wanted else several
        tests = ["-m", "pytest", f"--junit-xml={DURATIONS}", *which, *wanted]
        print("$ python " + " ".join(tests), flush=True)
        code = environment.run([str(python), *tests], cwd=environment.ROOT)
        if failed:
            print("failed beside the tests: " + "; ".join(failed), file=sys.stderr)
        return code or bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
