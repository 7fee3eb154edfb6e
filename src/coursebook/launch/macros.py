"""TeX with MathJax's macros written out, for readers that don't know them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def expand_macros(tex: str, macros: Mapping[str, Any]) -> str:
    r"""TeX with MathJax's `macros` written out, for readers that don't know them.

    Each is a replacement, or `[replacement, number of arguments, default of the first]`.

    Macros may use one another; one that never ends is left as it is after some rounds.
    """
    if not macros:
        return tex
    names = "|".join(sorted(map(re.escape, macros), key=len, reverse=True))
    # A control word ends where its letters end.
    pattern = re.compile(rf"\\({names})(?![A-Za-z])")
    for _ in range(10):
        match = pattern.search(tex)
        while match:
            tex, end = _expand(tex, match, macros[match[1]])
            match = pattern.search(tex, end)
        if not pattern.search(tex):
            break
    return tex


def _expand(tex: str, match: re.Match[str], macro: Any) -> tuple[str, int]:
    """`tex` with the macro that `match` found written out, and where to go on."""
    body, count, *default = (macro, 0) if isinstance(macro, str) else macro if len(macro) > 1 else (*macro, 0)
    arguments, end = [], match.end()
    if default:
        given = re.compile(r"\s*\[([^\]]*)\]").match(tex, end)
        arguments.append(given[1] if given else str(default[0]))
        end = given.end() if given else end
    while len(arguments) < int(count):
        argument, end = _argument(tex, end)
        arguments.append(argument)
    written = re.sub(r"#([1-9])", lambda n: arguments[int(n[1]) - 1] if int(n[1]) <= len(arguments) else "", str(body))
    if re.search(r"\\[A-Za-z]+$", written) and tex[end : end + 1].isalpha():
        written += " "  # or the control word at its end would take in what follows
    return tex[: match.start()] + written + tex[end:], match.start() + len(written)


def _argument(tex: str, start: int) -> tuple[str, int]:
    """The argument that begins at or after `start`, without its braces, and where it ends."""
    start += len(tex[start:]) - len(tex[start:].lstrip())
    if not tex.startswith("{", start):
        token = re.compile(r"\\(?:[A-Za-z]+|.)|.|$", re.DOTALL).match(tex, start)
        assert token is not None
        return token[0], token.end()
    depth = 0
    for found in re.compile(r"\\.|[{}]", re.DOTALL).finditer(tex, start):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if depth == 0:
            return tex[start + 1 : found.start()], found.end()
    return tex[start + 1 :], len(tex)
