"""`_config.yml`: what it may say, and where in it something is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ..ground import CONFIG, CourseError, CourseErrors, did_you_mean
from .addresses import ADDRESS_ALLOWED, BadAddress, site_address
from .amounts import MOST_AMOUNT
from .front_matter import yaml_problem
from .settings import SETTINGS

# What Jupyter Book 1 reads at the top of _config.yml; it ignores anything else without a word.
CONFIG_KEYS = (
    "title", "author", "copyright", "logo", "project", "exclude_patterns", "only_build_toc_files", "execute", "parse",
    "html", "latex", "bibtex_bibfiles", "launch_buttons", "repository", "sphinx",
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
            hint = did_you_mean(key, CONFIG_KEYS) or f"; allowed: {', '.join(sorted(CONFIG_KEYS))}"
            errors.append(CourseError(CONFIG, line_of_key(text, str(key)), f"unknown key {key!r}{hint}"))
    errors.extend(_bad_settings(root, config, text))
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


def _bad_settings(root: Path, config: Mapping[str, Any], text: str) -> Iterator[CourseError]:
    """What is wrong with Coursebook's own options, which stand among Sphinx's below `sphinx: config:`."""
    given = ((config.get("sphinx") or {}).get("config") or {}) if isinstance(config.get("sphinx"), dict) else {}
    for key, value in given.items() if isinstance(given, dict) else ():
        if not str(key).startswith("coursebook_"):
            continue
        line, setting = line_of_key(text, "sphinx", "config", str(key)), SETTINGS.get(key)
        if setting is None:
            yield CourseError(CONFIG, line, f"unknown option {key!r} (allowed: {', '.join(SETTINGS)})")
        elif not setting.check(value) or (setting.names_file and not (root / value).is_file()):
            yield CourseError(CONFIG, line, f"`{key}` takes {setting.allowed}, not {value!r}")


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
