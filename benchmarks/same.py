#!/usr/bin/env python3
"""Whether two built sites, or two folders of outputs, are byte for byte the same: for what should change nothing.

    python benchmarks/same.py OLD/_build/html NEW/_build/html

MyST draws a random id for each equation that has no name; these count by their order on the page. Sphinx's own record
of a build (`.buildinfo`) isn't part of a site. Exit code 0 where nothing differs, 1 where something does.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

RANDOM = re.compile(rb"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
LEFT_OUT = {".buildinfo", ".doctrees"}


def main(arguments: list[str]) -> int:
    """Say which files differ, or are in one of the folders alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    options = parser.parse_args(arguments)
    old, new = files(options.old), files(options.new)
    for name in sorted(old.keys() ^ new.keys()):
        print(f"only in the {'old' if name in old else 'new'} one: {name}")
    different = [name for name in sorted(old.keys() & new.keys()) if content(old[name]) != content(new[name])]
    for name in different:
        print(f"differs: {name}")
    print(f"{len(old.keys() & new.keys())} files in both, {len(different)} differ")
    return int(bool(different) or old.keys() != new.keys())


def files(folder: Path) -> dict[str, Path]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    found = {path.relative_to(folder): path for path in paths}
    return {name.as_posix(): path for name, path in found.items() if not LEFT_OUT & {*name.parts}}


def content(path: Path) -> bytes:
    """What a file holds, its random ids numbered; of the search index, where they stand in order, the parts."""
    numbers: dict[bytes, int] = {}
    text = RANDOM.sub(lambda match: b"id-%d" % numbers.setdefault(match[0], len(numbers)), path.read_bytes())
    if path.name == "searchindex.js":
        return b"\n".join(sorted(re.split(rb"[,{}\[\]]", re.sub(rb"id-\d+", b"id", text))))
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
