"""Two pictures laid over each other, and how far apart they look."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .raster import GROUNDS, drawn, flat, size_of

if TYPE_CHECKING:
    from PIL.Image import Image

_SCALE = 2  # times: at twice the size a pixel's neighbors are half a pixel away, which is what antialiasing moves
_NOISE = 28  # of 255: what antialiasing and the rounding of colors leave
_WINDOW = 12 * _SCALE  # pixels
_MARGIN = 2  # white pixels around, so that nothing is compared with the other edge
_NEAR = 0.04  # of the size: two pictures whose sizes differ by more don't show the same
_PLAIN = 0.1  # a distance beyond doubt
_ENLARGED = 1300  # pixels on a side, to which pictures are enlarged at most


@dataclass(frozen=True)
class Apart:
    """How two pictures differ: `distance` (0 to 1), the share of pixels that differ, and where most."""

    distance: float
    share: float
    where: str
    is_other_size: bool = False


def _of_other_size(old: tuple[int, int], new: tuple[int, int]) -> Apart:
    return Apart(1.0, 1.0, f"{new[0]} by {new[1]} pixels instead of {old[0]} by {old[1]}", True)


def drawings_apart(old: str, new: str) -> Apart | None:
    """How far two SVGs look apart, see `figures.distance`; None where one can't be drawn."""
    sizes = size_of(old), size_of(new)
    if sizes[0] is None or sizes[1] is None:
        return None
    if _is_other_size(sizes[0], sizes[1]):
        return _of_other_size(sizes[0], sizes[1])
    scale = _scale(sizes[0], sizes[1])
    pictures = drawn(old, scale), drawn(new, scale)
    if pictures[0] is None or pictures[1] is None:
        return None
    return _apart(pictures[0], pictures[1])


def pictures_apart(old: Image, new: Image) -> Apart:
    """How far two pictures (RGBA) look apart, see `figures.distance`."""
    if _is_other_size(old.size, new.size):
        return _of_other_size(old.size, new.size)
    return _apart(*_enlarged(old, new))


def _scale(*sizes: tuple[int, int]) -> float:
    return max(1.0, min(_SCALE, _ENLARGED / max(side for size in sizes for side in size)))


def _enlarged(old: Image, new: Image) -> tuple[Image, Image]:
    from PIL import Image

    scale = _scale(old.size, new.size)

    def larger(image: Image.Image) -> Image.Image:
        size = round(image.width * scale), round(image.height * scale)
        return image if scale == 1 else image.resize(size, Image.Resampling.BICUBIC)

    return larger(old), larger(new)


def _apart(old: Image, new: Image) -> Apart:
    worst = _on(old, new, GROUNDS[0])
    # What is white on a transparent ground is seen on another.
    if worst.distance < _PLAIN and _is_transparent(old, new):
        worst = max(worst, _on(old, new, GROUNDS[1]), key=lambda found: found.distance)
    return worst


def _is_other_size(old: tuple[int, int], new: tuple[int, int]) -> bool:
    return any(abs(a - b) > max(4, _NEAR * max(a, b)) for a, b in zip(old, new, strict=True))


def _is_transparent(old: Image, new: Image) -> bool:
    def lowest(image: Image) -> int:
        low = image.convert("RGBA").getchannel("A").getextrema()[0]
        return int(low) if isinstance(low, (int, float)) else 255

    return min(lowest(old), lowest(new)) < 255


def _on(old: Image, new: Image, ground: tuple[int, int, int]) -> Apart:
    rest = _residue(flat(old, ground), flat(new, ground), ground)
    counts = rest.histogram()
    if not any(counts[1:]):
        return Apart(0.0, 0.0, "")
    highest, column, line = _densest(rest)
    return Apart(highest, sum(counts[1:]) / (rest.width * rest.height), _where(column, line))


def _residue(old: Image, new: Image, ground: tuple[int, int, int] = GROUNDS[0]) -> Image:
    """What of two pictures (RGB) neither a shift by a pixel nor antialiasing explains, as shades of gray (0: nothing).

    A pixel is explained where the other picture has its shade, or one lighter and one darker, within a pixel of it.
    """
    from PIL import ImageChops

    old, new = _aligned(old, new, ground)
    left: Image | None = None
    for one, other in zip(old.split(), new.split(), strict=True):
        for a, b in ((one, other), (other, one)):
            over = ImageChops.subtract(a, _spread(b, lighter=True))
            under = ImageChops.subtract(_spread(b, lighter=False), a)
            found = ImageChops.lighter(over, under)
            left = found if left is None else ImageChops.lighter(left, found)
    assert left is not None  # a picture in color has three bands
    scale = 255 / (255 - _NOISE)
    return left.point([round(max(0, value - _NOISE) * scale) for value in range(256)])


def _spread(band: Image, lighter: bool) -> Image:
    """The lightest or darkest shade within a pixel."""
    from PIL import ImageChops

    choose = ImageChops.lighter if lighter else ImageChops.darker
    wide = choose(choose(band, ImageChops.offset(band, 1, 0)), ImageChops.offset(band, -1, 0))
    return choose(choose(wide, ImageChops.offset(wide, 0, 1)), ImageChops.offset(wide, 0, -1))


def _aligned(old: Image, new: Image, ground: tuple[int, int, int]) -> tuple[Image, Image]:
    """Both on a canvas of one size, where their sizes differ moved so that they fit best: a margin shows nothing."""
    from PIL import Image

    shift = (0, 0)
    if old.size != new.size:
        most = max(abs(old.width - new.width), abs(old.height - new.height)) + 2
        shift = _shift(old, new, most, 0), _shift(old, new, most, 1)
    size = (
        max(old.width, new.width + shift[0]) - min(0, shift[0]) + 2 * _MARGIN,
        max(old.height, new.height + shift[1]) - min(0, shift[1]) + 2 * _MARGIN,
    )
    placed = []
    for image, by in ((old, (0, 0)), (new, shift)):
        canvas = Image.new("RGB", size, ground)
        canvas.paste(image, tuple(_MARGIN + b - min(0, s) for b, s in zip(by, shift, strict=True)))  # type: ignore[arg-type]
        placed.append(canvas)
    return placed[0], placed[1]


def _shift(old: Image, new: Image, most: int, axis: int) -> int:
    """By how many pixels `new` has to move along an axis (0: to the right) to fit on `old` best."""
    from PIL import Image

    def profile(image: Image.Image) -> bytes:
        gray = image.convert("L")
        return gray.resize((gray.width, 1) if axis == 0 else (1, gray.height), Image.Resampling.BOX).tobytes()

    then, now = profile(old), profile(new)

    def misfit(by: int) -> tuple[float, int]:
        pairs = list(zip(then[max(0, by) :], now[max(0, -by) :], strict=False))
        return sum(abs(a - b) for a, b in pairs) / max(1, len(pairs)), abs(by)

    return min(range(-most, most + 1), key=misfit)


def _densest(rest: Image) -> tuple[float, float, float]:
    """The mean of the window where most is left (0 to 1), and its place (0 to 1 from the left, from the top)."""
    from PIL import Image

    shades = rest.convert("F")
    best = (0.0, 0.0, 0.0)
    columns, lines = max(1, rest.width // _WINDOW), max(1, rest.height // _WINDOW)
    half = _WINDOW / 2
    for right in (0.0, half):
        for down in (0.0, half):
            # Windows that overlap by half, so that nothing is cut in two by all of them.
            box = (right, down, right + (columns - bool(right)) * _WINDOW, down + (lines - bool(down)) * _WINDOW)
            if box[2] <= box[0] or box[3] <= box[1] or box[2] > rest.width or box[3] > rest.height:
                if right or down:
                    continue
                box = (0.0, 0.0, float(rest.width), float(rest.height))
            size = max(1, columns - bool(right)), max(1, lines - bool(down))
            means = shades.resize(size, Image.Resampling.BOX, box=box)
            values = struct.unpack(f"{size[0] * size[1]}f", means.tobytes())
            highest = max(values)
            if highest / 255 > best[0]:
                index = values.index(highest)
                x = (box[0] + (index % size[0] + 0.5) * _WINDOW) / rest.width
                y = (box[1] + (index // size[0] + 0.5) * _WINDOW) / rest.height
                best = (highest / 255, min(1.0, x), min(1.0, y))
    return best


def _where(column: float, line: float) -> str:
    across = "left" if column < 1 / 3 else "right" if column > 2 / 3 else ""
    down = "upper" if line < 1 / 3 else "lower" if line > 2 / 3 else ""
    if across and down:
        return f"at the {down} {across}"
    if across or down:
        return f"at the {across}" if across else "at the top" if down == "upper" else "at the bottom"
    return "in the middle"


def marked(old: Image, new: Image) -> Image:
    """The new picture, pale, with what differs in red: for people who look for a difference."""
    from PIL import Image

    if _is_other_size(old.size, new.size):
        old = old.resize(new.size)
    then, now = _enlarged(old, new)
    rest = _residue(flat(then), flat(now)).point([0] + [255] * 255)
    _, below = _aligned(flat(then), flat(now), GROUNDS[0])
    pale = Image.blend(below.convert("L").convert("RGB"), Image.new("RGB", below.size, GROUNDS[0]), 0.6)
    pale.paste((214, 32, 32), (0, 0), _spread(rest, lighter=True))
    whole = pale.crop((_MARGIN, _MARGIN, pale.width - _MARGIN, pale.height - _MARGIN))
    scale = _scale(old.size, new.size)
    return whole.resize((round(whole.width / scale), round(whole.height / scale)), Image.Resampling.BOX)
