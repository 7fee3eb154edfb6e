"""Ends the program with a sentence under a Python that the project doesn't run on; Python 3.6 can read it."""

import os
import shutil
import sys

OLDEST, NEWEST = (3, 11), (3, 13)


def check() -> None:
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return
    there = [n for n in ("python3.13", "python3.12", "python3.11") if shutil.which(n)]
    if there:
        hint = f"this machine has {there[0]}: run `{there[0]} {os.path.relpath(sys.argv[0])}`"
    else:
        hint = "install one of them, from python.org or with your system's packages"
    here = ".".join(map(str, sys.version_info[:2]))
    sys.exit(f"error: this is Python {here}, and Coursebook needs Python 3.11, 3.12 or 3.13; {hint}")


check()
