#!/usr/bin/env python3
"""Take the outputs that an earlier run proposed and nobody has merged yet, from a branch of a git remote.

They are taken as `coursebook outputs unpack` does: checked, and never in place of better ones.

python3 scripts/ci/resume.py [--no-venv] REMOTE BRANCH
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import supported  # noqa: F401  first: under an old Python it says so and ends

# isort: split
import environment
from github import git


def main(arguments: "list[str]") -> int:
    """0 where outputs were taken or there are none; 1 and a sentence where git fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-venv", action="store_true", help="with the Python that runs this")
    parser.add_argument("remote", metavar="REMOTE")
    parser.add_argument("branch", metavar="BRANCH")
    options = parser.parse_args(arguments)
    with environment.sentences():
        ref = f"refs/heads/{options.branch}"
        if not git("ls-remote", "--", options.remote, ref):
            print(f"nothing waits: {options.remote} has no branch {options.branch}")
            return 0
        python = environment.ensure(["requirements.txt"], use_venv=not options.no_venv)
        git("fetch", "--quiet", "--depth=1", "--no-tags", "--", options.remote, ref)
        proposed = git("rev-parse", "FETCH_HEAD")
        if not git("ls-tree", proposed, "outputs/"):
            print(f"nothing waits: the branch {options.branch} holds no outputs")
            return 0
        with tempfile.TemporaryDirectory() as folder:
            # The course as it is here, with the branch's outputs in place of its own.
            course, bundle = Path(folder) / "course", Path(folder) / "outputs.tar"
            git("worktree", "add", "--quiet", "--detach", str(course), "HEAD")
            try:
                git("rm", "-r", "--quiet", "--ignore-unmatch", "--", "outputs", cwd=course)
                git("checkout", "--quiet", proposed, "--", "outputs", cwd=course)
                coursebook = [str(python), "-m", "coursebook", "outputs"]
                if environment.run([*coursebook, "pack", str(bundle), "--root", str(course)]):
                    print(f"nothing was taken from the branch {options.branch}: its outputs can't be packed")
                    return 0
            finally:
                git("worktree", "remove", "--force", str(course))
            # Refused are pages whose file here can't be read; those that aren't are taken.
            environment.run([*coursebook, "unpack", str(bundle)])
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
