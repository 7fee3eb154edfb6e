"""What the scripts for CI share: git, GitHub's interface through its client `gh`, and texts cut to GitHub's limits."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from environment import Stop

BODY = 65_536  # characters of an issue, a pull request or a comment, as GitHub counts them: in UTF-16
SUMMARY = 1024 * 1024  # bytes of a step's summary
_ROOM = 300  # for what is said at the end, and what is closed there


def git(*arguments: str, cwd: Path | None = None, variables: Mapping[str, str] | None = None) -> str:
    """What git says, in the folder `cwd` and with these variables set. Raises Stop when it fails."""
    environ = {**os.environ, **(variables or {})}
    done = subprocess.run(["git", *arguments], cwd=cwd, env=environ, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise Stop(f"git {arguments[0]} failed: {' '.join(done.stderr.split()) or 'without a reason'}")
    return done.stdout.strip()


def api(method: str, path: str, data: dict[str, Any] | None = None, *, missing: Any = None) -> Any:
    """Ask GitHub; `path` is below the repository's. Returns its answer, or `missing` where there is no such thing.

    Raises Stop with GitHub's reason.
    """
    address = f"repos/{{owner}}/{{repo}}{path}"  # gh fills in the names, of GH_REPO or of the checkout
    command = ["gh", "api", "--method", method, address, *(["--input", "-"] if data is not None else [])]
    repository = os.environ.get("GITHUB_REPOSITORY")
    variables = {**os.environ, **({"GH_REPO": repository} if repository else {}), "GH_PROMPT_DISABLED": "1"}
    text = json.dumps(data) if data is not None else None
    try:
        done = subprocess.run(command, input=text, env=variables, capture_output=True, encoding="utf-8", check=False)
    except FileNotFoundError:
        raise Stop("`gh`, GitHub's client, isn't installed: https://cli.github.com") from None
    if done.returncode == 0:
        return json.loads(done.stdout) if done.stdout.strip() else None
    if "HTTP 404" in done.stderr and missing is not None:
        return missing
    said = " ".join(f"{_message(done.stdout)} {done.stderr}".split())
    hint = ""
    if "not permitted to create" in said:
        hint = "; allow it: Settings, Actions, General, 'Allow GitHub Actions to create and approve pull requests'"
    raise Stop(f"GitHub refused {method} {path or '/'}: {said or 'without a reason'}{hint}")


def _message(answer: str) -> str:
    """What GitHub says beside the status."""
    try:
        content = json.loads(answer)
        return "; ".join(
            str(error.get("message", "")) for error in content.get("errors", []) if isinstance(error, dict)
        )
    except (AttributeError, ValueError):
        return ""


def length(text: str) -> int:
    """Characters as GitHub counts them."""
    return len(text.encode("utf-16-le")) // 2


def shorten(text: str, limit: int, ending: str, *, in_bytes: bool = False) -> str:
    """`text`, or as many of its lines as fit into `limit` with `ending`; what was open there is closed.

    `limit` counts characters, or bytes of UTF-8.
    """

    def size(part: str) -> int:
        return len(part.encode()) if in_bytes else length(part)

    if size(text) <= limit:
        return text
    room = limit - size(ending) - _ROOM
    kept: list[str] = []
    fence, details = "", 0
    for line in text.splitlines(keepends=True):
        room -= size(line)
        if room < 20 * details:  # each is closed with a line
            break
        kept.append(line)
        if match := re.match(r" {0,3}(`{3,}|~{3,})", line):
            if not fence:
                fence = match[1]
            elif match[1].startswith(fence) and not line.strip(" `~\n"):
                fence = ""
        elif not fence:
            details += line.count("<details") - line.count("</details>")
    cut = "".join(kept)
    cut += f"{fence}\n" if fence else ""
    cut += "\n</details>\n" * max(details, 0)
    return f"{cut}\n{ending}\n"
