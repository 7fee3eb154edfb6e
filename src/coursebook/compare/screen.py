"""What stays on the screen of a text that a program wrote: colors, overwritten lines and moves of the cursor undone."""

from __future__ import annotations

import re

_CONTROL = re.compile(
    r"\x1b\[(?P<given>[0-9;?]*)[ -/]*(?P<order>[@-~])"  # CSI: colors, the cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: links, titles
    r"|\x1b[@-Z\\-_]?"
    r"|(?P<move>[\r\n\x08])"
)
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_HIGHEST = 100  # lines that one order may go up


def shown(text: str) -> str:
    """The lines as they stand at the end, without colors: a progress bar is its last state."""
    text = _COLOR.sub("", text).replace("\r\n", "\n")
    if "\r" not in text and "\x1b" not in text and "\x08" not in text:
        return text
    rows: list[str] = [""]
    row = column = 0

    def write(piece: str) -> None:
        nonlocal column
        line = rows[row].ljust(column)
        rows[row] = line[:column] + piece + line[column + len(piece) :]
        column += len(piece)

    end = 0
    for match in _CONTROL.finditer(text):
        write(text[end : match.start()])
        end = match.end()
        move, order = match["move"], match["order"]
        count = int(match["given"]) if order and match["given"].isdigit() else 1
        if move == "\n":
            row, column = row + 1, 0
            if row == len(rows):
                rows.append("")
        elif move == "\r":
            column = 0
        elif move == "\x08":
            column = max(0, column - 1)
        elif order == "A":
            row = max(0, row - min(count, _HIGHEST))
        elif order == "K":
            rows[row] = "" if match["given"] == "2" else rows[row][:column]
        elif order == "J" and match["given"] in ("2", "3"):
            rows, row, column = [""], 0, 0
    write(text[end:])
    return "\n".join(line.rstrip() if "\r" in text else line for line in rows)
