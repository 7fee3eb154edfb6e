"""`_config.yml`: what it may say, and where in it something is wrong."""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ..ground import CONFIG, CourseError, CourseErrors
from .addresses import ADDRESS_ALLOWED, BadAddress, allowed_server, site_address
from .amounts import MOST_AMOUNT, MOST_DAYS, is_amount
from .csp import DIRECTIVES
from .front_matter import yaml_problem

# What Jupyter Book 1 reads at the top of _config.yml; it ignores anything else without a word.
CONFIG_KEYS = (
    "title", "author", "copyright", "logo", "project", "exclude_patterns", "only_build_toc_files", "execute", "parse",
    "html", "latex", "bibtex_bibfiles", "launch_buttons", "repository", "sphinx",
)  # fmt: skip
# Coursebook's own, among Sphinx's below `sphinx: config:`.
OPTIONS = (
    "coursebook_binder_branch", "coursebook_csp", "coursebook_jobs", "coursebook_launch_branch",
    "coursebook_live_server", "coursebook_max_age", "coursebook_packages", "coursebook_picture_font",
    "coursebook_timezone",
)  # fmt: skip


def load_yaml(root: Path, name: str, purpose: str) -> tuple[dict[str, Any], str]:
    path = root / name
    if not path.is_file():
        raise alone(CourseError(name, None, f"the file does not exist in {root}; {purpose}"))
    try:
        text = path.read_text(encoding="utf-8")
        data = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise alone(CourseError(name, None, f"not UTF-8 at byte {error.start}; save the file as UTF-8")) from None
    except yaml.YAMLError as error:
        raise alone(CourseError(name, *yaml_problem(error))) from None
    if not isinstance(data, dict):
        raise alone(CourseError(name, 1, "the file takes `key: value` lines"))
    return data, text


def load_config(root: Path) -> dict[str, Any]:
    config, text = load_yaml(root, CONFIG, "it configures Jupyter Book")
    errors: list[CourseError] = []
    for key in config:
        if key not in CONFIG_KEYS:
            near = difflib.get_close_matches(str(key), CONFIG_KEYS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"allowed: {', '.join(sorted(CONFIG_KEYS))}"
            errors.append(CourseError(CONFIG, line_of_key(text, str(key)), f"unknown key {key!r}; {hint}"))
    errors.extend(_bad_options(root, config, text))
    errors.extend(_bad_address(config, text))
    errors.extend(_bad_timeout(config, text))
    # Jupyter Book's own schema knows the types; it only prints a box about them.
    from jupyter_book.config import get_validator

    for problem in get_validator().iter_errors(config):
        keys = [str(key) for key in problem.path]
        line = line_of_key(text, *keys) if keys else None
        errors.append(CourseError(CONFIG, line, f"`{': '.join(keys)}`: {problem.message}"))
    if errors:
        raise CourseErrors("the configuration can't be read", errors)
    return config


def _bad_options(root: Path, config: Mapping[str, Any], text: str) -> Iterator[CourseError]:
    """What is wrong with Coursebook's own options, which stand among Sphinx's below `sphinx: config:`."""
    given = ((config.get("sphinx") or {}).get("config") or {}) if isinstance(config.get("sphinx"), dict) else {}
    for key, value in given.items() if isinstance(given, dict) else ():
        if not str(key).startswith("coursebook_"):
            continue
        line = line_of_key(text, "sphinx", "config", str(key))
        if key == "coursebook_packages":
            good = isinstance(value, dict) and all(v in ("major", "minor", "patch", "exact") for v in value.values())
            allowed = "distributions, each with `major`, `minor`, `patch` or `exact`"
        elif key == "coursebook_max_age":
            good = _is_days(value)
            allowed = "a number of days above 0, up to 1e6"
        elif key == "coursebook_jobs":
            good = isinstance(value, dict) and all(is_job(name) and _is_days(days) for name, days in value.items())
            allowed = (
                "jobs, each with the days after which one that hasn't run is overdue, like {drift: 14}, and up to 1e6"
            )
        elif key == "coursebook_timezone":
            good = isinstance(value, str) and value in zoneinfo.available_timezones()
            allowed = "a name like Europe/Zurich or America/New_York"
        elif key in ("coursebook_launch_branch", "coursebook_binder_branch"):
            good = isinstance(value, str) and re.fullmatch(r"(?![-/.])[\w./-]+(?<![/.])", value) is not None
            allowed = "the name of a branch"
        elif key == "coursebook_picture_font":
            good = isinstance(value, str) and (root / value).is_file()
            allowed = "a font file below the course's root, like assets/Inter-Bold.ttf"
        elif key == "coursebook_csp":
            good = isinstance(value, dict) and all(k in DIRECTIVES and _is_sources(v) for k, v in value.items())
            allowed = f"lists of sources by directive ({', '.join(DIRECTIVES)})"
        elif key == "coursebook_live_server":
            good = allowed_server(value)
            allowed = (
                "the address of a Jupyter server, like https://jupyter.example.org, or {url: ADDRESS, token: TOKEN}"
            )
        else:
            yield CourseError(
                CONFIG,
                line,
                f"unknown option {key!r} (allowed: {', '.join(OPTIONS)})",
            )
            continue
        if not good:
            yield CourseError(CONFIG, line, f"`{key}` takes {allowed}, not {value!r}")


def is_job(name: object) -> bool:
    """Whether a job of CI may be called that."""
    return isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9][\w.-]{0,63}", name) is not None


def _is_days(value: Any) -> bool:
    return is_amount(value, MOST_DAYS)


def _is_sources(value: Any) -> bool:
    """Whether it can stand in a header: a list of words without what separates one directive from the next."""
    return isinstance(value, list) and all(isinstance(v, str) and re.fullmatch(r"[!-+\--:<-~]+", v) for v in value)


def _bad_address(config: Mapping[str, Any], text: str) -> Iterator[CourseError]:
    """What is wrong with the site's address, which stands in one of two places."""
    for keys in (("html", "baseurl"), ("sphinx", "config", "html_baseurl")):
        value: Any = config
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        try:
            site_address(value)
        except BadAddress:
            yield CourseError(CONFIG, line_of_key(text, *keys), f"`{keys[-1]}` takes {ADDRESS_ALLOWED}, not {value!r}")


def _bad_timeout(config: Mapping[str, Any], text: str) -> Iterator[CourseError]:
    """A time that no clock measures; Jupyter Book's schema knows the rest: -1 is no limit."""
    value = config["execute"].get("timeout") if isinstance(config.get("execute"), dict) else None
    if isinstance(value, (int, float)) and not value <= MOST_AMOUNT:
        line = line_of_key(text, "execute", "timeout")
        yield CourseError(CONFIG, line, f"`timeout` takes a number of seconds up to 1e9, or -1, not {value!r}")


def line_of_key(text: str, *keys: str) -> int | None:
    """The line (from 1) of a key in a YAML text, reached through the keys above it; list indices are passed over."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    line = None
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            for name, value in node.value:
                if str(name.value) == key:
                    line, node = name.start_mark.line + 1, value
                    break
        elif isinstance(node, yaml.SequenceNode) and key.isdigit() and int(key) < len(node.value):
            node = node.value[int(key)]
            line = node.start_mark.line + 1
    return line


def alone(error: CourseError) -> CourseErrors:
    return CourseErrors("the course can't be read", [error])
