"""Are two sets of outputs the same, as a reader would judge?

Nothing is executed and nothing printed here: outputs go in as nbformat has them, differences come out in words. What
a reader doesn't see (metadata, execution counts, ids) and what changes from run to run by its nature (times, addresses
and more: see `tokens`) doesn't count.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import nbformat

from ..course import Tolerance
from .difference import Difference, Kind, Verdict, short
from .figures import Figure, compare_figures
from .fragments import compare_html
from .markup import parse_html
from .pixels import marked
from .raster import decoded, drawn, flat, png
from .streams import compare_errors, joined, streams
from .text import Context, compare_text

_GLUED = "application/papermill.record/"
_PIXELS = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp")
# What a page shows of an output that comes in several forms: the first of these.
_SHOWN = (
    "application/vnd.jupyter.widget-view+json",
    "text/html",
    "image/svg+xml",
    *_PIXELS,
    "text/markdown",
    "text/latex",
    "application/json",
)
_NAMES = {
    "text/html": "HTML",
    "image/svg+xml": "a figure",
    "text/markdown": "Markdown",
    "text/latex": "mathematics",
    "text/plain": "text",
    "application/vnd.jupyter.widget-view+json": "a widget",
    **dict.fromkeys(_PIXELS, "a figure"),
}


@dataclass(frozen=True)
class CellComparison:
    """What differs in the outputs of cell `number` (from 1)."""

    number: int
    differences: tuple[Difference, ...]

    @property
    def verdict(self) -> Verdict:
        if any(not difference.is_allowed for difference in self.differences):
            return "changed"
        return "within tolerance" if self.differences else "same"


@dataclass(frozen=True)
class _Output:
    """An output that isn't a stream: its place among a cell's, the form that readers see, and its name if glued."""

    index: int
    mime: str
    value: Any
    name: str = ""
    plain: str = ""

    @property
    def kind(self) -> str:
        """What it is, in a word or two."""
        what = _NAMES.get(self.mime, self.mime)
        if self.mime == "error":
            return "an error"
        return f"{what} glued as '{self.name}'" if self.name else what


def compare_cell(
    number: int,
    old: Sequence[nbformat.NotebookNode],
    new: Sequence[nbformat.NotebookNode],
    tolerance: Tolerance | None = None,
) -> CellComparison:
    """How a cell's `new` outputs (nbformat 4) differ from the `old`, for a reader.

    Takes what kernels and people put into notebooks, also what is broken.
    """
    allowed = Tolerance() if tolerance is None else tolerance
    if old == new:
        return CellComparison(number, ())
    before, after = _known(old), _known(new)
    found = [*_compare_streams(before, after, allowed), *_compare_rich(before, after, allowed)]
    return CellComparison(number, tuple(found))


def _known(outputs: Any) -> list[Mapping[str, Any]]:
    return [output if isinstance(output, Mapping) else {} for output in outputs or ()]


def _compare_streams(
    old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], tolerance: Tolerance
) -> Iterator[Difference]:
    before, after = streams(old), streams(new)
    for name in sorted({*before, *after}):
        then, now = before.get(name), after.get(name)
        place = now.output if now is not None else then.output if then is not None else 0
        texts = "" if then is None else then.text, "" if now is None else now.text
        if tolerance.volatile:
            # Warnings come and go with what is measured; what it prints at all doesn't.
            if name != "stderr" and bool(texts[0].strip()) != bool(texts[1].strip()):
                verb = "nothing is printed any more" if texts[0].strip() else "something is printed"
                yield Difference("output", short(texts[0]), short(texts[1]), f"{verb} ({name})", False, place)
            continue
        is_error = name == "stderr"
        differences = compare_errors(*texts, tolerance) if is_error else compare_text(*texts, Context(tolerance))
        for found in differences:
            yield replace(found, output=place)


def _compare_rich(
    old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], tolerance: Tolerance
) -> Iterator[Difference]:
    before, after = list(_rich(old)), list(_rich(new))
    kinds = [one.kind for one in before], [one.kind for one in after]
    for tag, i, i_end, j, j_end in difflib.SequenceMatcher(None, *kinds, autojunk=False).get_opcodes():
        if tag == "equal":
            for then, now in zip(before[i:i_end], after[j:j_end], strict=True):
                for found in _compare_outputs(then, now, tolerance):
                    yield replace(found, output=now.index)
            continue
        both = min(i_end - i, j_end - j)
        for then, now in zip(before[i : i + both], after[j : j + both], strict=True):
            if then.mime == "error" or now.mime == "error":
                yield from (_vanished(then), _appeared(now))
            else:
                why = f"{then.kind} became {now.kind}"
                yield Difference("output", _summary(then), _summary(now), why, False, now.index)
        for one in before[i + both : i_end]:
            yield _vanished(one)
        for one in after[j + both : j_end]:
            yield _appeared(one)


def _vanished(one: _Output) -> Difference:
    kind: Kind = "error" if one.mime == "error" else "output"
    what = f"the error is gone: {_summary(one)}" if kind == "error" else f"{one.kind} is gone"
    return Difference(kind, _summary(one), "", what, False, one.index)


def _appeared(one: _Output) -> Difference:
    kind: Kind = "error" if one.mime == "error" else "output"
    what = f"a new error: {_summary(one)}" if kind == "error" else f"{one.kind} is new"
    return Difference(kind, "", _summary(one), what, False, one.index)


def _rich(outputs: Sequence[Mapping[str, Any]]) -> Iterator[_Output]:
    for index, output in enumerate(outputs):
        kind = output.get("output_type")
        if kind == "stream":
            continue
        if kind == "error":
            value = joined(output.get("ename")), joined(output.get("evalue"))
            yield _Output(index, "error", value)
            continue
        data = output.get("data")
        if not isinstance(data, Mapping) or not data:
            continue
        forms = {str(mime).removeprefix(_GLUED): value for mime, value in data.items()}
        mime = next((known for known in _SHOWN if known in forms), "")
        if not mime:
            # A form of a library of its own, else the text.
            others = sorted(form for form in forms if form not in ("text/plain", "application/javascript"))
            mime = others[0] if others else "text/plain" if "text/plain" in forms else next(iter(forms))
        metadata = output.get("metadata")
        record = metadata.get("scrapbook") if isinstance(metadata, Mapping) else None
        name = joined(record.get("name")) if isinstance(record, Mapping) else ""
        yield _Output(index, mime, forms[mime], name, joined(forms.get("text/plain")))


def _compare_outputs(old: _Output, new: _Output, tolerance: Tolerance) -> Iterator[Difference]:
    if old.value == new.value and old.mime == new.mime and old.mime != "application/vnd.jupyter.widget-view+json":
        return
    if new.mime == "error":
        yield from _compare_exceptions(old.value, new.value, tolerance)
    elif tolerance.volatile:
        return
    elif new.mime == "application/vnd.jupyter.widget-view+json":
        # The model's id differs each time; its state isn't in the output, but its kind and values are.
        yield from compare_text(old.plain, new.plain, Context(tolerance))
    elif new.mime == "text/html":
        yield from compare_html(joined(old.value), joined(new.value), tolerance, new.name)
    elif new.mime == "image/svg+xml" or new.mime in _PIXELS:
        yield from compare_figures(_figure(old), _figure(new), tolerance)
    else:
        yield from compare_text(_text(old.value), _text(new.value), Context(tolerance, label=new.name))


def _compare_exceptions(old: tuple[str, str], new: tuple[str, str], tolerance: Tolerance) -> Iterator[Difference]:
    if old[0] != new[0]:
        why = f"a {new[0]} instead of a {old[0]}: {short(new[1])}"
        yield Difference("error", short(": ".join(old)), short(": ".join(new)), why, False)
    elif not tolerance.volatile:
        for found in compare_text(old[1], new[1], Context(tolerance, kind="error", place=f"{new[0]}: ")):
            yield replace(found, kind="error")


def _figure(output: _Output) -> Figure:
    text = joined(output.value)
    if output.mime == "image/svg+xml":
        return Figure(source=text)
    return Figure(data=_bytes(output.value))


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    text = joined(value)
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return text.encode("utf-8", "replace")


def _text(value: Any) -> str:
    if isinstance(value, str) or (isinstance(value, list) and all(isinstance(piece, str) for piece in value)):
        return joined(value)
    return json.dumps(value, indent=1, ensure_ascii=False, default=str)


def _summary(output: _Output) -> str:
    if output.mime == "error":
        return short(": ".join(part for part in output.value if part))
    if output.mime in _PIXELS or output.mime == "image/svg+xml":
        return output.plain and short(output.plain)
    return short(output.plain or parse_html(_text(output.value)).text)


def picture_of(output: Mapping[str, Any]) -> bytes | None:
    """What an output draws, of an animation the first frame, as a PNG on white; None where it draws nothing."""
    for one in _rich(_known([output])):
        if one.mime == "text/html":
            drawings = parse_html(joined(one.value)).figures[:1]
        elif one.mime == "image/svg+xml" or one.mime in _PIXELS:
            drawings = [_figure(one)]
        else:
            continue
        for drawing in drawings:
            image = drawn(drawing.source) if drawing.source else next(iter(decoded(drawing.data)), None)
            if image is not None:
                return png(flat(image))
    return None


def difference_picture(old_png: bytes, new_png: bytes) -> bytes:
    """The new picture, pale, with what differs in red, as a PNG. Raises ValueError for what is no picture."""
    old, new = decoded(old_png), decoded(new_png)
    if not old or not new:
        raise ValueError(f"the {'old' if not old else 'new'} picture can't be read")
    return png(marked(old[0], new[0]))
