"""The picture that a link to a page is shown with elsewhere: its title, the course's name and the site's address.

Drawn once and kept: the file's name says what is in it. Text is pixels here: whatever a title says is only shown.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

WIDTH, HEIGHT = 1200, 630  # pixels, what the networks ask for
# The dark colors of coursebook.css.
GROUND, TITLE, MUTED, ACCENT = "#12171e", "#eef2f6", "#9aa7b5", "#f2a65a"
_MARGIN, _LINES, _SIZES = 96, 4, (84, 72, 62, 52)
_SHADES = 16  # of each color, for smooth letters
_LONGEST = 200  # characters of a title; more aren't read in a picture
_DRAWING = 1  # counts the changes of how it looks


@dataclass(frozen=True)
class Picture:
    """What stands in it, and in which `font` (a file, None: Open Sans)."""

    title: str
    course: str
    address: str
    font: Path | None = None

    @property
    def name(self) -> str:
        """The file's name: the same for the same picture."""
        said = [str(_DRAWING), _pillow(), self.title, self.course, self.address, _digest(self.font)]
        return hashlib.sha256("\0".join(said).encode("utf-8", "replace")).hexdigest()[:20] + ".png"

    def draw(self) -> bytes:
        """The PNG, or nothing where the font can't show the title or the course's name."""
        # Imported here: only a new title needs it.
        from PIL import Image, ImageDraw

        bold, plain = self._font("OpenSans-Bold", _SIZES[0]), self._font("OpenSans-SemiBold", 34)
        title, course = _drawable(self.title, bold), _drawable(self.course, plain)
        if not title or course is None:
            return b""
        image = Image.new("P", (WIDTH, HEIGHT))
        image.putpalette(bytes(_palette()))
        image.paste(_SHADES - 1, (0, 0, 20, HEIGHT))

        def write(text: str, font: FreeTypeFont, baseline: float, ink: int) -> None:
            """Put a line there; `ink` counts the colors of the palette, each from the ground's to its own."""
            strip = Image.new("L", (WIDTH - _MARGIN, 2 * round(font.size)))
            ImageDraw.Draw(strip).text((0, 1.4 * font.size), text, font=font, fill=255, anchor="ls")
            shades = strip.point([value * (_SHADES - 1) // 255 + ink * _SHADES for value in range(256)])
            letters = strip.point([0] + [255] * 255)
            image.paste(shades, (_MARGIN, round(baseline - 1.4 * font.size)), letters)

        if course != title:
            write(_fitting(course, plain), plain, 84, 0)
        font, lines = self._lines(title)
        height = font.size * 1.22
        first = (HEIGHT - height * (len(lines) - 1) + font.size * 0.7) / 2
        for number, line in enumerate(lines):
            write(line, font, first + number * height, 1)
        address = _drawable(re.sub(r"^https?://|/$", "", self.address), plain)
        write(_fitting(address or "", plain), plain, HEIGHT - 60, 2)
        file = BytesIO()
        image.save(file, "PNG", compress_level=6)
        return file.getvalue()

    def _lines(self, title: str) -> tuple[FreeTypeFont, list[str]]:
        """The title in the largest letters with which it takes no more than so many lines."""
        for size in _SIZES:
            font = self._font("OpenSans-Bold", size)
            lines = list(_wrapped(title, font))
            if len(lines) <= _LINES:
                return font, lines
        return font, [*lines[: _LINES - 1], _fitting(f"{lines[_LINES - 1]}…", font, ending="…")]

    def _font(self, face: str, size: int) -> FreeTypeFont:
        from PIL import ImageFont

        path = self.font or Path(str(distribution("ttf-opensans").locate_file(f"ttf_opensans/ttf/{face}.ttf")))
        # The other engine is there on some machines only, and the same picture should be the same bytes on all.
        return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def _palette() -> Iterator[int]:
    """Red, green and blue of every shade from the ground's color to each of the others."""
    ground = bytes.fromhex(GROUND[1:])
    for color in (ACCENT, TITLE, MUTED):
        for shade in range(_SHADES):
            share = shade / (_SHADES - 1)
            yield from (round(g + (c - g) * share) for g, c in zip(ground, bytes.fromhex(color[1:]), strict=True))


def _drawable(text: str, font: FreeTypeFont) -> str | None:
    """`text` on one line and without symbols that the font doesn't have; None where it lacks a letter.

    Nor can scripts be drawn that run from right to left or put their marks together.
    """
    text = " ".join(unicodedata.normalize("NFC", text).split())[:_LONGEST]
    missing = bytes(font.getmask("\uffff"))
    kept = []
    for character in text:
        kind = unicodedata.category(character)
        if kind[0] == "C" or character in "\ufe0e\ufe0f":  # invisible ones, and how an emoji is to be drawn
            continue
        is_there = character == " " or bytes(font.getmask(character)) != missing
        if kind[0] == "S" and not is_there:
            continue
        if not is_there or kind[0] == "M" or unicodedata.bidirectional(character) in ("R", "AL"):
            return None
        kept.append(character)
    return " ".join("".join(kept).split())


def _wrapped(text: str, font: FreeTypeFont) -> Iterator[str]:
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if font.getlength(longer) <= WIDTH - 2 * _MARGIN:
            line = longer
            continue
        if line:
            yield line
        while font.getlength(word) > WIDTH - 2 * _MARGIN:
            part = _fitting(word, font, ending="")
            yield part
            word = word[len(part) :]
        line = word
    if line:
        yield line


def _fitting(text: str, font: FreeTypeFont, ending: str = "…") -> str:
    """`text`, or as much of it as fits on a line, with `ending`."""
    if font.getlength(text) <= WIDTH - 2 * _MARGIN:
        return text
    width = WIDTH - 2 * _MARGIN
    fits = [font.getlength(text[:count] + ending) <= width for count in range(len(text))]
    most = fits.index(False) - 1 if False in fits else len(fits)
    return text[: max(most, 1)] + ending


@cache
def _pillow() -> str:
    from PIL import __version__

    return __version__


@cache
def _digest(font: Path | None) -> str:
    return hashlib.sha256(font.read_bytes()).hexdigest() if font else ""
