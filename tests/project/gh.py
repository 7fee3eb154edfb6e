"""A `gh` for tests: the part of GitHub's interface that the scripts use, with its answers and refusals.

Its state lies in the file GH_STATE: pull requests, issues with comments, labels, and every request that was made.
"""

import json
import os
import re
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit


class Refused(Exception):
    def __init__(self, status, message, *errors):
        super().__init__(status, message, errors)
        self.status, self.message, self.errors = status, message, errors


def answer(state, method, path, query, data):
    if data and len(data.get("body", "").encode("utf-16-le")) // 2 > 65536:
        raise Refused(422, "Validation Failed", "body is too long (maximum is 65536 characters)")
    match method, path.split("/")[1:]:
        case "GET", ["pulls"]:
            owner, branch = query["head"][0].split(":")
            return [
                pull
                for pull in state["pulls"]
                if pull["state"] == query["state"][0]
                and (owner, branch, query["base"][0]) == ("course", pull["head"], pull["base"])
            ]
        case "POST", ["pulls"]:
            if not state.get("may_create_pulls", True):
                raise Refused(403, "GitHub Actions is not permitted to create or approve pull requests.")
            if any(p["state"] == "open" and p["head"] == data["head"] for p in state["pulls"]):
                raise Refused(422, "Validation Failed", f"A pull request already exists for course:{data['head']}.")
            return add(state, "pulls", "pull", data)
        case "GET", ["issues"]:
            assert query["state"] == ["all"]
            found = [i for i in state["issues"] if query["labels"][0] in i["labels"]]
            return sorted(found, key=lambda issue: -issue["number"])
        case "POST", ["issues"]:
            assert set(data["labels"]) <= set(state["labels"]), "the label isn't there"
            return add(state, "issues", "issues", {**data, "comments": []})
        case "PATCH", [("pulls" | "issues") as kind, number]:
            found = one(state, kind, number)
            found.update(data)
            return found
        case "POST", ["issues", number, "comments"]:
            one(state, "issues", number)["comments"].append(data["body"])
            return data
        case "GET", ["labels", name]:
            if name not in state["labels"]:
                raise Refused(404, "Not Found")
            return {"name": name}
        case "POST", ["labels"]:
            if data["name"] in state["labels"]:
                raise Refused(422, "Validation Failed", "already_exists")
            state["labels"].append(data["name"])
            return data
        case "GET", ["releases", "tags", tag]:
            found = next((release for release in state["releases"] if release["tag_name"] == tag), None)
            if found is None:
                raise Refused(404, "Not Found")
            return found
    raise Refused(404, "Not Found")


def add(state, kind, page, data):
    number = 1 + len(state["pulls"]) + len(state["issues"])
    made = {**data, "number": number, "state": "open", "html_url": f"https://github.com/course/repo/{page}/{number}"}
    state[kind].append(made)
    return made


def one(state, kind, number):
    found = next((thing for thing in state[kind] if thing["number"] == int(number)), None)
    if found is None:
        raise Refused(404, "Not Found")
    return found


def known():
    """The file with the state, and the state."""
    file = Path(os.environ["GH_STATE"])
    state = {"pulls": [], "issues": [], "labels": [], "releases": [], "requests": []}
    return file, state | (json.loads(file.read_text()) if file.exists() else {})


def release(arguments):
    options = {"--title": "", "--notes-file": "", "--repo": ""}
    given = [word for word in arguments if word != "--verify-tag"]
    for name in options:
        options[name] = given.pop(given.index(name) + 1)
        given.remove(name)
    tag, *files = given
    assert options["--repo"] == "course/repo"
    assert all(Path(name).is_file() for name in files)
    file, state = known()
    body = Path(options["--notes-file"]).read_text()
    names = sorted(Path(name).name for name in files)
    state["releases"].append({"tag_name": tag, "name": options["--title"], "body": body, "files": names})
    file.write_text(json.dumps(state))
    return 0


def main(arguments):
    if not os.environ.get("GH_TOKEN"):
        print(
            "gh: To use GitHub CLI in a GitHub Actions workflow, set the GH_TOKEN environment variable.",
            file=sys.stderr,
        )
        return 4
    if arguments[:2] == ["release", "create"]:
        return release(arguments[2:])
    assert arguments[:2] == ["api", "--method"], arguments
    method, address, *rest = arguments[2:]
    assert rest in ([], ["--input", "-"]), rest
    assert os.environ["GH_REPO"] == "course/repo"
    url = urlsplit(address.replace("{owner}/{repo}", os.environ["GH_REPO"]))
    path = re.sub(r"^repos/course/repo", "", url.path)
    data = json.loads(sys.stdin.read()) if rest else None
    file, state = known()
    state["requests"].append(f"{method} {path}")
    try:
        print(json.dumps(answer(state, method, path, parse_qs(url.query), data)))
        return 0
    except Refused as refused:
        errors = [{"message": error} for error in refused.errors]
        print(json.dumps({"message": refused.message, "errors": errors, "status": str(refused.status)}))
        print(f"gh: {refused.message} (HTTP {refused.status})", file=sys.stderr)
        return 1
    finally:
        file.write_text(json.dumps(state))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
