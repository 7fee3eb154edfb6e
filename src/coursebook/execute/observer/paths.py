"""Which paths may be inputs of a page, and whether it is the page that asks for them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from types import FrameType

_STANDARD = os.path.dirname(os.__file__) + os.sep
_REAL_STANDARD = os.path.realpath(_STANDARD) + os.sep
_PACKAGES = re.compile(r"[/\\](site|dist)-packages([/\\]|$)")
# Of all of the observer's own frames, as it is one text in the kernel.
_OWN = sys._getframe().f_code.co_filename


class Paths:
    """The paths below `root`, without links, but for the folders `made` at its top. `hide` is told of hidden ones."""

    def __init__(self, root: str, made: tuple[str, ...], hide: Callable[[str], None]) -> None:
        self.root, self._inside, self._made, self._hide = root, root + os.sep, made, hide
        # By where a link leads that the page has gone through: its path below the root.
        self._links: dict[str, str] = {}
        self._installed = _installed(root)

    def relative(self, path: object, folder: str = "", follows: bool = True) -> str:
        """The path relative to the root, with slashes, or nothing for what isn't below. What is a link itself counts
        as what it leads to, or not (`follows`)."""
        if not isinstance(path, (str, bytes, os.PathLike)):
            return ""
        full = whole(path, folder)
        real = os.path.realpath(full)
        if not follows:
            real = os.path.join(os.path.realpath(os.path.dirname(full)), os.path.basename(full))
        if real.startswith(self._installed) or _PACKAGES.search(real[len(self.root) :]):
            return ""
        if real.startswith(self._inside):
            return self._named(real)
        for place, name in self._links.items():
            if real.startswith(place + os.sep):
                return name + real[len(place) :].replace(os.sep, "/")
        # Through a link that leads out of the course, to a large disk, say.
        full = os.path.abspath(full)
        return self._named(full) if full.startswith(self._inside) else ""

    def _named(self, full: str) -> str:
        return full[len(self._inside) :].replace(os.sep, "/")

    def below(self, path: object, folder: str = "", follows: bool = True, tells: bool = True) -> str:
        """The path relative to the root of what may be an input, or nothing."""
        return self._as_input(self.relative(path, folder, follows), tells)

    def _as_input(self, name: str, tells: bool) -> str:
        parts = name.split("/")
        if not name or parts[0] in self._made:
            return ""
        if any(part.startswith(".") for part in parts):
            if tells:
                self._hide(name)
            return ""
        if len(parts) > 1 and parts[-2] == "__pycache__":
            # A module read from its cache: `__pycache__/name.cpython-311.pyc` stands for `name.py`.
            parts[-2:] = [parts[-1].split(".")[0] + ".py"]
        return "/".join(parts)

    def names_of(self, path: object, folder: str = "", tells: bool = True) -> list[str]:
        """The same, and beside it the path of the link by which it is reached: that may lead elsewhere one day."""
        name = self.below(path, folder, tells=tells)
        if not name:
            return []
        full = whole(path, folder)
        given = os.path.abspath(full)
        # With `..` behind a link in it, a path leads elsewhere than it reads.
        is_so = given.startswith(self._inside) and os.path.realpath(given) == os.path.realpath(full)
        as_given = self._as_input(self._named(given), False) if is_so else ""
        return [name, as_given] if as_given not in ("", name) else [name]

    def entry(self, path: object) -> str:
        """What the page gives or takes a name; a module's bytecode has one by import, no business of the page's."""
        return "" if is_bytecode(path) else self.below(path, follows=False)

    def enter(self, path: str, *_: object) -> None:
        """The page goes to a folder: where that is through a link out of the course, what is in it is reached so."""
        name = self.relative(path)
        if name and not os.path.realpath(path).startswith(self._inside):
            self._links[os.path.realpath(path)] = name

    def full(self, name: str) -> str:
        return os.path.join(self.root, name)

    def of_module(self, source: str, full: str) -> str:
        """The same as `below` of a module's source, whose path without links is known already."""
        return "" if full.startswith(self._installed) else self.below(source)


def _installed(root: str) -> tuple[str, ...]:
    # What is installed may lie in the course, or have a link there; but a system's `/usr` holds data as well.
    places = {os.path.realpath(place) + os.sep for place in (sys.prefix, sys.base_prefix)}
    inside = root + os.sep
    # Where the course's folder is the environment, only its packages are installed.
    environments = {place for place in places if place.startswith(inside) and place != inside} | {_REAL_STANDARD}
    if sys.prefix != sys.base_prefix and not inside.startswith(os.path.realpath(sys.prefix) + os.sep):
        environments.add(os.path.realpath(sys.prefix) + os.sep)
    return tuple(environments)


def is_installed(full: str) -> bool:
    """Whether the source of a module, without links, is Python's own or a package's, or no file."""
    return bool(_PACKAGES.search(full)) or full.startswith((_REAL_STANDARD, "/dev/", "/proc/")) or "<" in full


def text(word: object) -> str:
    return os.fsdecode(word) if isinstance(word, (str, bytes, os.PathLike)) else str(word)


def whole(path: object, folder: str = "") -> str:
    if isinstance(path, int):
        return os.readlink(f"/proc/self/fd/{path}")
    return os.path.join(folder or os.getcwd(), os.fsdecode(path))  # type: ignore[arg-type]


def is_bytecode(path: object) -> bool:
    return "__pycache__" in text(path)


def caller() -> FrameType:
    """The frame of whoever does what is heard of."""
    frame: FrameType = sys._getframe(1)
    while frame.f_code.co_filename == _OWN:
        frame = frame.f_back  # type: ignore[assignment]  # the observer runs because of somebody
    return frame


def is_by_page(root: str) -> bool:
    """Whether the page's own code, or IPython for it, does what is heard of, and not a package for its purposes."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code.co_filename
        # IPython runs `!` by pexpect.
        if code != _OWN and not code.startswith("<frozen") and not re.search(r"\b(pexpect|ptyprocess)\b", code):
            if "ipykernel_" in code or code.startswith(root + os.sep) or os.sep + "IPython" + os.sep in code:
                return True
            if not code.startswith(_STANDARD) or _PACKAGES.search(code):
                return False
        frame = frame.f_back
    return True  # a thread of the standard library's, as IPython runs `%%bash` in
