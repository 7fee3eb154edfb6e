"""What a page tells programs: which commands a line has, of which words, and which of them read nothing."""

from __future__ import annotations

import os
import re
import shlex
from urllib.parse import unquote

from .paths import text

# Programs that read nothing of a course; the others there only without one of these words.
_HARMLESS = (
    "date", "echo", "false", "free", "hostname", "lscpu", "nproc", "nvidia-smi", "sleep", "true", "uname", "which",
)  # fmt: skip
_INSTALLERS = {"conda": ("run",), "mamba": ("run",), "pip": ("-e", "."), "uv": ("run", "-e", ".")}
_SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "cmd", "cmd.exe")


def commands_of(words: object) -> list[list[str]]:
    """The commands, each as words, that a program is started for: itself, or what a shell is given to run."""
    texts = [text(word) for word in (words if isinstance(words, (list, tuple)) else [words])]
    commands = [texts] if len(texts) > 1 else split(texts[0])
    if os.path.basename(texts[0]) in _SHELLS and "-c" in texts[:-1]:
        commands = split(texts[texts.index("-c") + 1])
    for inner in re.findall(r"\$\(([^()]*)\)|`([^`]*)`", " ".join(texts)):
        commands += split("".join(inner))
    return commands


def split(command: str) -> list[list[str]]:
    """The commands of a shell's line, each as words."""
    try:
        lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        words = command.split()
    commands: list[list[str]] = [[]]
    for word in words:
        if word and not word.strip("|&;()"):
            commands.append([])
        elif commands[-1] or not re.fullmatch(r"\w+=.*", word):
            commands[-1].append(word)
    return [command for command in commands if command]


def is_harmless(command: list[str]) -> bool:
    name = os.path.basename(command[0])
    return name in _HARMLESS or (name in _INSTALLERS and not {*_INSTALLERS[name]} & {*command[1:]})


def database(name: object) -> object:
    """The file of a database, also where it is named by an address (https://www.sqlite.org/uri.html)."""
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    if not isinstance(name, str) or not name.startswith("file:"):
        return name
    address = unquote(name.removeprefix("file:").partition("#")[0].partition("?")[0])
    return re.sub(r"^//(localhost)?(?=/)", "", address)
