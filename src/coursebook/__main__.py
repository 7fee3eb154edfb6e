"""The command `coursebook`, also as `python -m coursebook`."""

import sys


def main() -> int:
    """Run the command line and return the exit code; Ctrl-C is understood from the first moment on."""
    try:
        from .cli import main as run

        return run()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
