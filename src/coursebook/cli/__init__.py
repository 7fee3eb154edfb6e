"""The command `coursebook`: the only part that prints and exits.

Each command is a module of its own, imported when it is called: `declare` says what its command line takes, `run` calls
one function of the package and prints what came of it.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Container, Mapping, Sequence
from importlib import import_module

from rich.console import Console

from .. import __version__
from ..ground import CourseError, CourseErrors
from .console import EXAMPLES, print_error

# Each command with what it does, in the order in which they are told of; `publish-notebooks` is `publish_notebooks.py`.
COMMANDS: Mapping[str, str] = {
    "build": "execute what has changed and build the site",
    "execute": "execute what is not current, without building the site",
    "verify": "execute pages afresh and compare with what is published",
    "status": "say of every page whether its outputs are current, and why not",
    "clean": "remove stored outputs that no page has",
    "notebooks": "write each page with code as a notebook",
    "check-launch": "follow every button that opens a notebook",
    "links": "look up every link to another site",
    "publish-notebooks": "put the site's notebooks on a branch that Colab, Binder and JupyterHub open",
    "serve-kernel": "serve the built site with kernels for its live code",
    "checks": "what is known of drift, and of the jobs that should run",
    "outputs": "carry stored outputs from one machine to another, and compare them",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (without the program's name) and return the exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    # Before the command stand only options without a value.
    arguments = parser([word for word in words if not word.startswith("-")][:1]).parse_args(words)
    # The streams are named, because Sphinx's own output is caught on its way to `sys.stdout` while the bar moves on.
    out = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    err = Console(file=sys.stderr, highlight=False, soft_wrap=True)
    try:
        return int(arguments.run(arguments, out))
    except CourseErrors as group:
        for error in group.exceptions:
            print_error(err, error)
        if len(group.exceptions) > 1:
            err.print(f"{len(group.exceptions)} errors")
        return 1
    except (CourseError, OSError) as error:
        print_error(err, error)
        return 1
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would only disturb the end
        err.print("interrupted; what was executed before is kept")
        return 130


def parser(called: Container[str] = COMMANDS) -> argparse.ArgumentParser:
    """What reads the command line. Of all commands the names are known; those that are `called` are imported."""
    made = argparse.ArgumentParser(
        prog="coursebook",
        description="Jupyter Book for courses: pages whose code is executed, with outputs that are provably current.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=f"coursebook {__version__}")
    commands = made.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, what in COMMANDS.items():
        command = commands.add_parser(name, help=what)
        if name in called:
            import_module(f".{name.replace('-', '_')}", __name__).declare(command)
    return made
