#!/usr/bin/env python3
"""Read where pages are executed from .github/gpu.toml and tell the jobs after this one, through GITHUB_OUTPUT:
`runner` as JSON, `image`, `gpu`, and `device`, which is what `coursebook execute --device` takes.

python3 scripts/ci/where.py
"""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import supported  # noqa: F401  first: under an old Python it says so and ends

# isort: split
import tomllib

import environment

FILE = ".github/gpu.toml"
HOSTED = "ubuntu-latest"


def main() -> int:
    """0, or 1 and a sentence about what is wrong with the file."""
    with environment.sentences():
        try:
            said = read(tomllib.loads((environment.ROOT / FILE).read_text(encoding="utf-8")))
        except OSError as error:
            raise environment.Stop(f"{FILE}: {error.strerror}") from None
        except ValueError as error:  # not UTF-8, or not TOML
            raise environment.Stop(f"{FILE}: {error}") from None
        rows = [f"{name}={value}\n" for name, value in said.items()]
        print("".join(rows), end="")
        if output := os.environ.get("GITHUB_OUTPUT"):
            with Path(output).open("a", encoding="utf-8") as file:
                file.writelines(rows)
        return 0


def read(content: "dict[str, Any]") -> "dict[str, str]":
    """What the file says, as the jobs want it. Raises Stop."""
    if unknown := sorted(content.keys() - {"runner", "image", "gpu"}):
        raise environment.Stop(f"{FILE}: unknown key {unknown[0]!r} (allowed: runner, image, gpu)")
    runner, image, gpu = (content.get(name, "") for name in ("runner", "image", "gpu"))
    labels = runner if isinstance(runner, list) else [runner]
    if not labels or not all(is_line(label) for label in labels) or (len(labels) > 1 and "" in labels):
        raise environment.Stop(f"{FILE}: `runner` takes a label or a list of labels, not {runner!r}")
    if not is_line(image) or (image and not re.fullmatch(r"[^\s@]+@sha256:[0-9a-f]{64}", image)):
        raise environment.Stop(f"{FILE}: `image` takes an image with its digest, like name@sha256:…, not {image!r}")
    if image and not any(labels):
        raise environment.Stop(f"{FILE}: `image` needs a `runner` that has a GPU")
    if not is_line(gpu):
        raise environment.Stop(f"{FILE}: `gpu` takes a part of the GPU's name, not {gpu!r}")
    device = "gpu" if any(labels) else "auto"
    return {"runner": json.dumps(runner if any(labels) else HOSTED), "image": image, "gpu": gpu, "device": device}


def is_line(value: object) -> bool:
    """Whether it is a text that can stand in one line."""
    return isinstance(value, str) and (not value or value.isprintable())


if __name__ == "__main__":
    sys.exit(main())
