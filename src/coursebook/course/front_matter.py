"""A page's front matter: its values, and where in the file they stand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..ground import CourseError


def read_front_matter(path: Path, text: str) -> Mapping[str, Any]:
    rows = text.splitlines()
    if rows[0].rstrip() != "---":
        return {}
    end = next((n for n, row in enumerate(rows[1:], 1) if row.rstrip() in ("---", "...")), None)
    if end is None:
        raise CourseError(path, 1, "the front matter that `---` opens here is never closed by another `---`")
    try:
        data = yaml.safe_load("\n".join(rows[1:end]))
    except yaml.YAMLError as error:
        raise CourseError(path, *yaml_problem(error, offset=1)) from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise CourseError(path, 2, f"the front matter takes `key: value` lines, not {type(data).__name__}")
    return data


def yaml_problem(error: yaml.YAMLError, offset: int = 0) -> tuple[int, str]:
    """Where (line, from 1) and in what words a YAML text is broken."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    return (mark.line + 1 if mark else 1) + offset, f"not valid YAML: {' '.join(str(problem).split())}"


def is_executed(front_matter: Mapping[str, Any]) -> bool:
    jupytext = front_matter.get("jupytext")
    text_format = jupytext.get("text_representation", {}) if isinstance(jupytext, dict) else {}
    executed = front_matter.get("file_format") == "mystnb" or text_format.get("format_name") == "myst"
    return executed and isinstance(front_matter.get("kernelspec"), dict)


def line_in_front_matter(text: str, key: str) -> int:
    pattern = re.compile(rf"""(?:^|[\s{{,])["']?{re.escape(key)}["']?\s*:""")
    return next((n for n, row in enumerate(text.splitlines(), 1) if pattern.search(row)), 1)
