"""Pictures in pixels: decoded, drawn, and put on a ground."""

from __future__ import annotations

import re
import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING

from .vector import parse_svg

if TYPE_CHECKING:
    from PIL.Image import Image

_LARGEST = 1600  # pixels on a side; larger pictures are made smaller
_PIXELS = 60_000_000  # of a picture that is decoded at all
_DEEPEST = 100  # nested elements, and
_PATTERN = 4000  # units of a pattern's side: resvg ends the whole process beyond what it can allocate
GROUNDS = ((255, 255, 255), (0, 0, 0))
_SIZE = re.compile(r"""\b(?P<name>width|height)\s*=\s*["']\s*(?P<number>[\d.]+(?:[eE]\d+)?)\s*(?P<unit>[a-z%]*)""")
_BOX = re.compile(r"""\bviewBox\s*=\s*["']\s*[-+\d.eE]+[\s,]+[-+\d.eE]+[\s,]+([\d.eE+]+)[\s,]+([\d.eE+]+)""")
_UNITS = {"": 1.0, "px": 1.0, "pt": 96 / 72, "pc": 16.0, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4}
_BROKEN = (OSError, ValueError, SyntaxError, TypeError, LookupError, EOFError, struct.error, zlib.error, MemoryError)


def drawn(source: str, scale: float = 1) -> Image | None:
    """An SVG as a picture (RGBA, 96 pixels an inch times `scale`), or None where it can't be drawn."""
    import resvg_py
    from PIL import Image

    size = size_of(source)
    if size is None or parse_svg(source).depth > _DEEPEST:
        return None
    for pattern in re.findall(r"<(?:pattern|mask|filter)\b[^>]*>", source):
        if any(float(found["number"]) > _PATTERN for found in _SIZE.finditer(pattern)):
            return None
    width, height = (max(1, round(side * scale)) for side in size)
    try:
        png = resvg_py.svg_to_bytes(svg_string=source, dpi=96, skip_system_fonts=True, width=width, height=height)
        return Image.open(BytesIO(bytes(png))).convert("RGBA")
    except _BROKEN:
        return None


def size_of(source: str) -> tuple[int, int] | None:
    """Pixels of an SVG, at most as many as are compared; None where it doesn't say."""
    root = re.search(r"<svg\b[^>]*>", source)
    if root is None:
        return None
    found = {
        match["name"]: float(match["number"]) * _UNITS[match["unit"]]
        for match in _SIZE.finditer(root[0])
        if match["unit"] in _UNITS
    }
    box = _BOX.search(root[0])
    try:
        if box is not None:
            width, height = float(box[1]), float(box[2])
            if width <= 0 or height <= 0:
                return None
            if len(found) == 1:
                found.setdefault("width", found.get("height", 0) * width / height)
                found.setdefault("height", found.get("width", 0) * height / width)
            found.setdefault("width", width)
            found.setdefault("height", height)
        width, height = found["width"], found["height"]
        share = min(1.0, _LARGEST / max(width, height))
        return round(width * share), round(height * share)
    except (LookupError, ValueError, OverflowError, ZeroDivisionError):
        return None


def decoded(data: bytes, most: int = 1) -> list[Image]:
    """`most` frames of a PNG, JPEG, GIF or another picture (RGBA), at even distances; none where it is broken."""
    from PIL import Image

    try:
        with Image.open(BytesIO(data)) as image:
            count = getattr(image, "n_frames", 1)
            if image.width * image.height > _PIXELS:
                return []
            frames = []
            for number in range(min(count, most)):
                image.seek(number * count // min(count, most))
                frames.append(_smaller(image.convert("RGBA")))
            return frames
    except (*_BROKEN, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return []


def frames_of(data: bytes) -> int:
    """How many frames a picture has; 0 where it is broken."""
    from PIL import Image

    try:
        with Image.open(BytesIO(data)) as image:
            return int(getattr(image, "n_frames", 1))
    except (*_BROKEN, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return 0


def _smaller(image: Image) -> Image:
    largest = max(image.size)
    if largest <= _LARGEST:
        return image
    return image.resize((max(1, image.width * _LARGEST // largest), max(1, image.height * _LARGEST // largest)))


def flat(image: Image, ground: tuple[int, int, int] = GROUNDS[0]) -> Image:
    """The picture on a ground (RGB)."""
    from PIL import Image

    below = Image.new("RGBA", image.size, (*ground, 255))
    below.alpha_composite(image.convert("RGBA"))
    return below.convert("RGB")


def png(image: Image) -> bytes:
    """The bytes of a PNG file."""
    file = BytesIO()
    image.save(file, "PNG", compress_level=6)
    return file.getvalue()
