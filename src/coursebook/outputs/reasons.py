"""Why outputs are not current, as data: what is told of it in words is for people, and nobody reads it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "missing",
    "cells",
    "language",
    "input",
    "import",
    "package",
    "device",
    "untouched",
    "altered",
    "due",
    "failed",
    "unreadable",
]


@dataclass(frozen=True)
class Reason:
    """What isn't as it was: of which `kind`, and where it says more, of what (`subject`), what it was (`then`) and is.

    - `missing`: never executed; `altered`: the outputs themselves; `language`: the kernel's
    - `cells`: the numbers of those that changed (`subject`), or how many there were and are
    - `input`: a file, and in `now` what has happened to it; `import`: a file that would be imported now
    - `package`: a distribution with its version, which is empty where it isn't installed
    - `device`: the one that it ran on, and the one that the page wants; `untouched`: a GPU that it never used
    - `due`: how many days ago it was executed, and how many are allowed
    - `failed`, `unreadable`: the error (`subject`)
    """

    kind: Kind
    subject: str = ""
    then: str = ""
    now: str = ""

    def __str__(self) -> str:
        match self.kind:
            case "missing":
                return "never executed"
            case "cells":
                return self._cells()
            case "language":
                return "the kernel's language changed"
            case "input":
                return f"{self.subject} {self.now}"
            case "import":
                return f"{self.subject} would be imported"
            case "package":
                return self._package()
            case "device":
                return f"ran on {self.then}, wants {self.now}"
            case "untouched":
                return "asks for a GPU, and never touched the one it was given"
            case "altered":
                return "outputs altered since they were executed"
            case "due":
                return f"executed {self.then} days ago, at most {self.now} allowed"
        return self.subject

    def _cells(self) -> str:
        if not self.subject:
            difference = int(self.now) - int(self.then)
            cells = f"{abs(difference)} cell{'' if abs(difference) == 1 else 's'}"
            return f"{cells} {'added' if difference > 0 else 'removed'}"
        *others, last = self.subject.split()
        return f"cells {', '.join(others)} and {last} changed" if others else f"cell {last} changed"

    def _package(self) -> str:
        if not self.now:
            return f"{self.subject} {self.then} is not installed"
        return f"{self.subject} {_short(self.then)} -> {_short(self.now)}"


UNTOUCHED = Reason("untouched")


def _short(version: str) -> str:
    return ".".join(version.partition("+")[0].split(".")[:2])
