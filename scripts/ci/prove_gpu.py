#!/usr/bin/env python3
"""Prove that there is a GPU that torch computes on: multiply two matrices there, and compare with the CPU's result.

python3 scripts/ci/prove_gpu.py [--no-venv] [--expect NAME]
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import supported  # noqa: F401  first: under an old Python it says so and ends

# isort: split
import environment

SIZE = 1024


def main(arguments: "list[str]") -> int:
    """0 and a line about the GPU, or 1 and a sentence that says what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-venv", action="store_true", help="with the Python that runs this")
    parser.add_argument("--expect", default="", metavar="NAME", help="fail unless this is part of the GPU's name")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # in the environment that has torch
    options = parser.parse_args(arguments)
    with environment.sentences():
        if options.here:
            print(multiply(options.expect))
            return 0
        listed()
        python = environment.ensure(["requirements.txt"], use_venv=not options.no_venv)
        return environment.run([str(python), "-P", __file__, "--here", "--expect", options.expect])


def listed() -> None:
    """Raises Stop unless the driver lists a GPU: before an installation is begun that would be for nothing."""
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=120)
    except (OSError, subprocess.TimeoutExpired):
        raise environment.Stop("there is no GPU here: `nvidia-smi` can't be run, so there is no driver") from None
    if done.returncode or "GPU " not in done.stdout:
        said = (done.stdout + done.stderr).strip().partition("\n")[0]
        raise environment.Stop(f"there is no GPU here: `nvidia-smi -L` says {said or 'nothing'!r}")
    print(done.stdout.strip(), flush=True)


def multiply(expected: str) -> str:
    """What was multiplied on which GPU. Raises Stop when torch can't, or computes something else than the CPU."""
    import torch

    if not torch.version.cuda:
        raise environment.Stop(
            f"torch {torch.__version__} was built without CUDA; install the registry's one for Linux"
        )
    if not torch.cuda.is_available():
        why = f"torch {torch.__version__} (CUDA {torch.version.cuda}) finds none that it can use"
        raise environment.Stop(
            f"there is no GPU here: {why}; is the driver new enough, and CUDA_VISIBLE_DEVICES right?"
        )
    name = torch.cuda.get_device_name()
    if expected.casefold() not in name.casefold():
        raise environment.Stop(f"the GPU here is {name!r}, and {expected!r} was expected")
    generator = torch.Generator().manual_seed(0)
    # Small whole numbers: every sum is exact, on the GPU as on the CPU, in whatever order.
    a, b = (torch.randint(-8, 9, (SIZE, SIZE), generator=generator).float() for _ in range(2))
    try:
        a_there, b_there = a.cuda(), b.cuda()
        torch.cuda.synchronize()
        started = time.perf_counter()
        product = a_there @ b_there
        torch.cuda.synchronize()
        seconds = time.perf_counter() - started
        is_right = torch.equal(product.cpu(), a @ b)
    except RuntimeError as error:
        first = str(error).strip().partition("\n")[0]
        raise environment.Stop(f"{name} is there, and torch can't compute on it: {first}") from None
    if not is_right:
        raise environment.Stop(f"{name} computes another product of two matrices than the CPU does")
    memory = torch.cuda.get_device_properties(0).total_memory / 2**30
    what = f"two {SIZE} x {SIZE} matrices multiplied in {1000 * seconds:.1f} ms, every number right"
    return f"{name}, {memory:.0f} GiB, torch {torch.__version__} with CUDA {torch.version.cuda}: {what}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
