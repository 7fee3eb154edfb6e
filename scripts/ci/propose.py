#!/usr/bin/env python3
"""Put the outputs in the working tree on a branch, as one commit on what is checked out, and open or update the one
pull request for it. Where nothing differs, a pull request that is open is closed. Nothing here is changed.

python3 scripts/ci/propose.py --report FILE [--remote origin] [--branch outputs] [--base main] [--link URL]
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import supported  # noqa: F401  first: under an old Python it says so and ends

# isort: split
import environment
from github import BODY, api, git, shorten

TITLE = "Outputs brought up to date"
# Who commits where git isn't told: the account that GitHub's own jobs act as.
NAME, EMAIL = "github-actions[bot]", "41898282+github-actions[bot]@users.noreply.github.com"


def main(arguments: "list[str]") -> int:
    """0 where the pull request says what the outputs say, or none is needed; 1 and a sentence otherwise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", type=Path, required=True, help="what changed for a reader, in Markdown")
    parser.add_argument("--remote", default="origin", help="the git remote (default: origin)")
    parser.add_argument("--branch", default="outputs", help="the branch, which belongs to this script")
    parser.add_argument("--base", default="main", help="the branch that is proposed to")
    parser.add_argument("--link", default="", metavar="URL", help="the run, where the whole report is")
    options = parser.parse_args(arguments)
    with environment.sentences():
        propose(options.report, options.remote, options.branch, options.base, options.link)
        return 0


def propose(report: Path, remote: str, branch: str, base: str, link: str) -> None:
    try:
        said = report.read_text(encoding="utf-8")
    except OSError as error:
        raise environment.Stop(f"{report}: {error.strerror}; `coursebook outputs diff` writes it") from None
    tree = tree_with_outputs()
    owner = repository().partition("/")[0]
    pulls = api("GET", f"/pulls?state=open&head={owner}:{branch}&base={base}")
    if tree == git("rev-parse", "HEAD^{tree}"):
        for pull in pulls:
            api("PATCH", f"/pulls/{pull['number']}", {"state": "closed"})
            print(f"closed {pull['html_url']}: {base} has these outputs")
        print("nothing to propose: the outputs are those that are committed")
        return
    push(tree, remote, branch)
    run = f"[this run]({link})" if link else "the run"
    body = f"{said.rstrip()}\n\n---\nMade by {run}; its artifacts hold the report with pictures.\n"
    ending = f"… and more, which is too much for this place: the whole report is among the artifacts of {run}."
    content = {"title": TITLE, "body": shorten(body, BODY, ending)}
    if pulls:
        pull = api("PATCH", f"/pulls/{pulls[0]['number']}", content)
        print(f"updated {pull['html_url']}")
    else:
        pull = api("POST", "/pulls", {**content, "head": branch, "base": base})
        print(f"opened {pull['html_url']}")


def tree_with_outputs() -> str:
    """The tree of what is checked out with the working tree's outputs in it, made in an index of its own."""
    with tempfile.TemporaryDirectory() as folder:
        variables = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git("read-tree", "HEAD", variables=variables)
        git("rm", "-r", "--cached", "--quiet", "--ignore-unmatch", "--", "outputs", variables=variables)
        if Path("outputs").is_dir():
            git("add", "--", "outputs", variables=variables)
        return git("write-tree", variables=variables)


def push(tree: str, remote: str, branch: str) -> None:
    """Have the branch be one commit with that tree on what is checked out; left as it is where it is that already."""
    ref = f"refs/heads/{branch}"
    tip = git("ls-remote", "--", remote, ref).partition("\t")[0]
    if tip:
        git("fetch", "--quiet", "--depth=2", "--no-tags", "--", remote, ref)
        if git("rev-parse", f"{tip}^{{tree}}") == tree:
            print(f"{branch} holds these outputs already")
            return
    who = {}
    for role in ("AUTHOR", "COMMITTER"):
        who[f"GIT_{role}_NAME"] = os.environ.get(f"GIT_{role}_NAME", NAME)
        who[f"GIT_{role}_EMAIL"] = os.environ.get(f"GIT_{role}_EMAIL", EMAIL)
    commit = git("commit-tree", tree, "-p", "HEAD", "-m", TITLE, variables=who)
    # Forced, as the branch starts from what is checked out each time; not where somebody else has moved it meanwhile.
    git("push", "--quiet", f"--force-with-lease={ref}:{tip}", "--", remote, f"{commit}:{ref}")
    print(f"pushed {commit[:12]} to {branch}")


def repository() -> str:
    return os.environ.get("GITHUB_REPOSITORY") or str(api("GET", "")["full_name"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
