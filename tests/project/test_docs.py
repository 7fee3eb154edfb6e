"""What README and guide say is so: every command line can be read, every option is told of, every file is there."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import ROOT
from coursebook.cli import parser as _parser
from coursebook.course.page_options import PageOptions

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "guide").glob("*.md"))]
ALLOWED = re.compile(r"^(?:[A-Z_]+=\S+ )?(coursebook|git add |python3 scripts/|\.venv/bin/|uv )")


def commands() -> Iterator[tuple[Path, str]]:
    for path in DOCUMENTS:
        for block in re.findall(r"^```sh\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            for line in block.splitlines():
                if line.strip():
                    yield path, line.strip()


def subparsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from subparsers(child)


@pytest.mark.parametrize(
    ("path", "line"), commands(), ids=lambda value: value if isinstance(value, str) else value.name
)
def test_every_command_can_be_read(path: Path, line: str) -> None:
    assert ALLOWED.match(line), f"{path.name}: a command that no test knows"
    words = shlex.split(line, comments=True)
    if words[0] == "coursebook":
        if words[1:] != ["--version"]:
            _parser().parse_args(words[1:])  # exits for a command line that it can't read
        return
    for word in words:
        if word.startswith(("scripts/", "benchmarks/", "tests/")):
            assert (ROOT / word).exists(), word


def test_every_command_and_option_is_told_of() -> None:
    told = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    for parser in subparsers(_parser()):
        name = parser.prog
        assert name in told, name
        for action in parser._actions:
            for option in action.option_strings:
                if option.startswith("--") and option != "--help" and action.help != argparse.SUPPRESS:
                    assert option in told, f"{name} {option}"


def test_every_option_of_a_page_is_told_of() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in PageOptions.__dataclass_fields__:
        assert re.search(rf"^\| [^|]*`{name}`[^|]* \|", readme, re.MULTILINE), name


def test_every_state_is_told_of() -> None:
    from typing import get_args

    from coursebook.outputs.decisions import State

    guide = (ROOT / "guide/outputs.md").read_text(encoding="utf-8")
    for state in get_args(State):
        assert f"`{state}" in guide, state
