#!/usr/bin/env python3
"""Tell the maintainers how a job ended: one issue for each job, opened when it fails and closed when it recovers.

python3 scripts/ci/tell.py JOB --outcome success|failure [--link URL]
"""

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import supported  # noqa: F401  first: under an old Python it says so and ends

# isort: split
import environment
from github import api

LABEL = "coursebook-job"


def main(arguments: "list[str]") -> int:
    """0 when GitHub knows, 1 and a sentence otherwise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", metavar="JOB", help="its name, like drift")
    parser.add_argument("--outcome", choices=("success", "failure"), required=True)
    parser.add_argument("--link", default="", metavar="URL", help="the run")
    options = parser.parse_args(arguments)
    with environment.sentences():
        tell(options.job, options.outcome, options.link)
        return 0


def tell(job: str, outcome: str, link: str) -> None:
    issue = find(job)
    run = f": {link}" if link else ""
    if outcome == "success":
        if issue and issue["state"] == "open":
            comment(issue, f"The job `{job}` succeeded again{run}")
            api("PATCH", f"/issues/{issue['number']}", {"state": "closed", "state_reason": "completed"})
            print(f"closed {issue['html_url']}")
        else:
            print(f"{job} succeeded, and no issue says otherwise")
    elif issue:
        is_open = issue["state"] == "open"
        if not is_open:
            api("PATCH", f"/issues/{issue['number']}", {"state": "open"})
        comment(issue, f"The job `{job}` failed again{run}")
        print(f"{'added to' if is_open else 'reopened'} {issue['html_url']}")
    else:
        have_label()
        text = (
            f"{mark(job)}\nThe job `{job}` failed{run}\n\n"
            "Further failures are told below, and the issue closes itself when the job succeeds. "
            "The site's page *Freshness of the outputs* says since when it hasn't."
        )
        made = api("POST", "/issues", {"title": f"The job {job} fails", "body": text, "labels": [LABEL]})
        print(f"opened {made['html_url']}")


def find(job: str) -> "dict[str, Any] | None":
    """The job's issue: the open one, else the last that was closed; None where there has never been one."""
    # Only who may write here can give an issue the label.
    issues = api("GET", f"/issues?labels={LABEL}&state=all&sort=created&direction=desc&per_page=100")
    ours = [i for i in issues if mark(job) in (i.get("body") or "") and "pull_request" not in i]
    return next((issue for issue in ours if issue["state"] == "open"), ours[0] if ours else None)


def mark(job: str) -> str:
    """By which a job's issue is known, whatever its title becomes."""
    return f"<!-- coursebook job: {job} -->"


def comment(issue: "dict[str, Any]", text: str) -> None:
    api("POST", f"/issues/{issue['number']}/comments", {"body": text})


def have_label() -> None:
    if not api("GET", f"/labels/{LABEL}", missing={}):
        what = "A job that keeps the course current"
        api("POST", "/labels", {"name": LABEL, "color": "cf222e", "description": what})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
