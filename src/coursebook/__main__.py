"""The command `coursebook`, also as `python -m coursebook`."""

import sys
from typing import Any


def main() -> int:
    """Run the command line and return the exit code; Ctrl-C is understood from the first moment on."""
    sys.unraisablehook = _not_lost
    try:
        from .cli import main as run

        return run()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _not_lost(unraisable: Any) -> None:
    """Ctrl-C at a moment when Python lets no exception out, while an object goes say, comes again a moment later."""
    if unraisable.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(unraisable)
        return
    import threading

    later = threading.Timer(0.01, _interrupt)
    later.daemon = True
    later.start()


def _interrupt() -> None:
    import _thread
    import signal
    import threading

    if sys.platform == "win32":
        _thread.interrupt_main()
    elif number := threading.main_thread().ident:
        signal.pthread_kill(number, signal.SIGINT)  # which wakes it, too


if __name__ == "__main__":
    sys.exit(main())
