"""Text as Markdown that shows it as it is."""

from __future__ import annotations

import re


def plain_text(text: str) -> str:
    """`text` as Markdown that shows it as it is."""
    text = re.sub(r"([\\`*\[\]<$~]|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", text)
    return re.sub(r"^(\s*)(#{1,6}(?=\s|$)|[-+](?=\s|$)|>|=+\s*$|-[-\s]*$|\d{1,9}[.)](?=\s|$))", _at_the_start, text)


def _at_the_start(match: re.Match[str]) -> str:
    blank, mark = match[1], match[2]
    return f"{blank}{mark[:-1]}\\{mark[-1:]}" if mark[0].isdigit() else f"{blank}\\{mark}"
