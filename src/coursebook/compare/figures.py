"""Two figures by what they show: their words, where that can be known, and how they look."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..course import Tolerance
from .difference import Difference, few, short
from .pixels import Apart, drawings_apart, pictures_apart
from .raster import decoded, frames_of
from .text import Context, compare_text
from .vector import Vector, Words, parse_svg, without

_FRAMES = 8  # of an animation, compared at even distances
_UNSEEN = 0.05  # pixels
_OUTLINE = 0.25  # units of a letter, a marker or a filled area: its form, not its place
_NEAR_COLOR = 8  # of 255
_FEW = 3


@dataclass(frozen=True)
class Figure:
    """A figure as an output holds it: an SVG's `source`, or the bytes (`data`) of a PNG, JPEG or GIF."""

    source: str = ""
    data: bytes = b""


def compare_figures(old: Figure, new: Figure, tolerance: Tolerance) -> list[Difference]:
    """How two figures differ, for a reader."""
    if old == new:
        return []
    if old.source and new.source:
        return few(list(_vectors(old.source, new.source, tolerance)))
    if bool(old.source) != bool(new.source):
        names = ("an SVG" if old.source else "pixels"), ("an SVG" if new.source else "pixels")
        return [Difference("output", *names, f"the figure was {names[0]} and is {names[1]}", False)]
    return few(list(_pixels(old.data, new.data, tolerance)))


def distance(old: Figure, new: Figure) -> float:
    """How far two figures look apart, from 0 to 1.

    Both are drawn on white, and on black as well where they are transparent, at twice 96 pixels an inch (pictures are
    enlarged). What a shift by half a pixel (of those at 96) and antialiasing explain is left out. Of the rest the
    densest window of 12 by 12 pixels counts, so that a small legend isn't lost in a large figure: 1 is a window that
    is black in one and white in the other. Of two SVGs with the same elements, styles and words, whose points have only
    moved, it is at most 0.01 for each pixel by which one moved.

    Measured on the pairs in `tests/compare/planted.py`: of SVGs the farthest harmless pair is at 0.0001 and the nearest
    planted one at 0.046, so that the 0.02 of `Tolerance.figures` leaves room on both sides. Of PNGs at 96 pixels an
    inch they are at 0.017 and 0.023, and one planted pair (round markers of 6 pixels that became square) is at 0.005:
    what is drawn as SVG is judged with more certainty.
    """
    if old == new:
        return 0.0
    if old.source and new.source:
        a, b = parse_svg(old.source), parse_svg(new.source)
        moved = _moved(a, b)
        looks = drawings_apart(old.source, new.source)
        found = 1.0 if looks is None else looks.distance
        return found if moved is None else min(found, moved / 100)
    pictures = decoded(old.data), decoded(new.data)
    return pictures_apart(pictures[0][0], pictures[1][0]).distance if all(pictures) else 1.0


def _vectors(old: str, new: str, tolerance: Tolerance) -> Iterator[Difference]:
    before, after = parse_svg(old), parse_svg(new)
    words = list(_compare_words(before.words, after.words, tolerance))
    moved = _moved(before, after)
    if moved is not None and moved < _UNSEEN and not words:
        return
    yield from words
    if moved is not None and moved / 100 <= tolerance.figures:
        why = f"nothing in the figure moved by more than {moved:.1f} pixels"
        yield Difference("figure", "", "", why, True)
        return
    # What was said in words already isn't looked for in the picture.
    allowed = {(word.old, word.new) for word in words if word.is_allowed}
    if allowed and not any(not word.is_allowed for word in words):
        old, new = _without_allowed(before, after)
    look = drawings_apart(old, new)
    if look is None:
        why = "the figure's source is another, and it can't be drawn to compare what it shows"
        yield Difference("figure", _digest(old.encode()), _digest(new.encode()), why, False)
    elif look.distance:
        yield _seen(look, tolerance, _parts(before, after))


def _pixels(old: bytes, new: bytes, tolerance: Tolerance) -> Iterator[Difference]:
    counts = frames_of(old), frames_of(new)
    if counts[0] != counts[1]:
        if not all(counts):
            yield _broken(old, new, "is" if counts[1] == 0 else "was")
            return
        why = f"{counts[0]} frames became {counts[1]}"
        yield Difference("figure", str(counts[0]), str(counts[1]), why, False)
        return
    before, after = decoded(old, _FRAMES), decoded(new, _FRAMES)
    if not before or not after:
        yield _broken(old, new, "is" if before or not after else "was")
        return
    looks = [pictures_apart(then, now) for then, now in zip(before, after, strict=True)]
    worst = max(looks, key=lambda look: look.distance)
    if worst.distance:
        prefix = "" if counts[0] == 1 else f"frame {looks.index(worst) * counts[0] // len(looks) + 1} of {counts[0]}: "
        found = _seen(worst, tolerance, "")
        yield replace(found, why=prefix + found.why)


def _broken(old: bytes, new: bytes, verb: str) -> Difference:
    why = f"the picture {verb} broken, and its bytes are others"
    return Difference("figure", _digest(old), _digest(new), why, False)


def _seen(look: Apart, tolerance: Tolerance, parts: str) -> Difference:
    if look.is_other_size:
        return Difference("figure", "", "", f"the figure has another size, {look.where}{parts}", False)
    share = f"{100 * look.share:.1f} %" if look.share >= 0.001 else "less than 0.1 %"
    why = (
        f"{share} of the picture differs, most {look.where}{parts} "
        f"(a distance of {look.distance:.2g}, {tolerance.figures:.2g} is allowed)"
    )
    return Difference("figure", "", "", why, look.distance <= tolerance.figures)


def _moved(before: Vector, after: Vector) -> float | None:
    """By how many pixels at most the points of two SVGs are apart; None where they differ in more than places."""
    if before.skeleton != after.skeleton or len(before.places) != len(after.places):
        return None
    if len(before.outlines) != len(after.outlines) or _farthest(before.outlines, after.outlines) > _OUTLINE:
        return None
    return _farthest(before.places, after.places) * max(before.unit, after.unit)


def _farthest(old: Sequence[float], new: Sequence[float]) -> float:
    return max((abs(a - b) for a, b in zip(old, new, strict=True)), default=0.0)


def _grouped(words: Sequence[Words]) -> dict[str, list[Words]]:
    groups: dict[str, list[Words]] = {}
    for text in words:
        groups.setdefault(text.place, []).append(text)
    return groups


def _compare_words(old: Sequence[Words], new: Sequence[Words], tolerance: Tolerance) -> Iterator[Difference]:
    before, after = _grouped(old), _grouped(new)
    for place in dict.fromkeys([*before, *after]):
        then, now = [text.text for text in before.get(place, [])], [text.text for text in after.get(place, [])]
        if then == now:
            continue
        if sorted(then) == sorted(now):
            why = f"{place}: the same in another order"
            yield Difference("figure", short(", ".join(then)), short(", ".join(now)), why, False)
        elif "tick labels" in place:
            yield from _compare_ticks(place, then, now, tolerance)
        else:
            yield from _compare_each(place, then, now, tolerance)


def _compare_ticks(place: str, then: list[str], now: list[str], tolerance: Tolerance) -> Iterator[Difference]:
    said = short(", ".join(then)), short(", ".join(now))
    if len(then) == len(now):
        found = [
            d for a, b in zip(then, now, strict=True) for d in compare_text(a, b, Context(tolerance, kind="figure"))
        ]
        if not found:
            return
        if all(difference.is_allowed for difference in found):
            yield Difference("figure", *said, f"{place}: {found[0].why}", True)
            return
    yield Difference("figure", *said, f"{place} are {said[1] or 'gone'} instead of {said[0] or 'none'}", False)


def _compare_each(place: str, then: list[str], now: list[str], tolerance: Tolerance) -> Iterator[Difference]:
    for tag, i, i_end, j, j_end in difflib.SequenceMatcher(None, then, now, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        both = min(i_end - i, j_end - j)
        for a, b in zip(then[i : i + both], now[j : j + both], strict=True):
            found = compare_text(a, b, Context(tolerance))
            if found and all(difference.is_allowed for difference in found):
                yield Difference("figure", short(a), short(b), f"{place}: {found[0].why}", True)
            elif found:
                why = f"{place} '{short(a)}' became '{short(b)}'"
                yield Difference("figure", short(a), short(b), why, False)
        for text in then[i + both : i_end]:
            yield Difference("figure", short(text), "", f"{place} '{short(text)}' is gone", False)
        for text in now[j + both : j_end]:
            yield Difference("figure", "", short(text), f"{place} '{short(text)}' is new", False)


def _without_allowed(before: Vector, after: Vector) -> tuple[str, str]:
    """Both SVGs without the texts that differ within tolerance: their letters differ, and that has been judged."""
    then, now = _grouped(before.words), _grouped(after.words)
    old: list[Words] = []
    new: list[Words] = []
    for place in then.keys() & now.keys():
        for a, b in zip(then[place], now[place], strict=False):
            if a.text != b.text:
                old.append(a)
                new.append(b)
    return without(before.source, old), without(after.source, new)


def _parts(before: Vector, after: Vector) -> str:
    """What of the figure has gone or come, where its source tells."""
    said: list[str] = []
    for name, one, more in (("axes", "panel", "panels"), ("legend", "legend", "legends")):
        a, b = before.count(name), after.count(name)
        if a == 1 and b == 0:
            said.append(f"the {one} is gone")
        elif a != b:
            said.append(f"{a} {one if a == 1 else more} became {b}")
    if before.has_dashes != after.has_dashes:
        said.append("its dashed lines are gone" if before.has_dashes else "dashed lines are new")
    gone = [color for color in sorted(before.colors) if not _has_near(color, after.colors)]
    come = [color for color in sorted(after.colors) if not _has_near(color, before.colors)]
    for colors, verb in ((gone, "gone"), (come, "new")):
        if 0 < len(colors) <= _FEW:
            said.append(
                f"the color {colors[0]} is {verb}" if len(colors) == 1 else f"the colors {', '.join(colors)} are {verb}"
            )
        elif colors:
            said.append(f"{len(colors)} colors are {verb}")
    return "".join(f"; {part}" for part in said)


def _has_near(color: str, others: frozenset[str]) -> bool:
    """Whether a color, or one that eyes don't tell from it, is among others."""
    mine = _channels(color)
    if color in others or mine is None:
        return color in others
    return any(
        max(abs(a - b) for a, b in zip(mine, theirs, strict=True)) <= _NEAR_COLOR
        for theirs in map(_channels, others)
        if theirs is not None
    )


def _channels(color: str) -> tuple[int, int, int] | None:
    if len(color) != 7 or not color.startswith("#"):
        return None
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _digest(data: bytes) -> str:
    return f"{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()[:12]}"
