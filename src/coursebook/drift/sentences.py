"""Sentences with glued values, which change when the values do."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nbformat import NotebookNode
from nbformat.v4 import new_output

from ..compare import CellComparison, Difference, Verdict, compare_cell, is_metric, relative_distance
from ..course import Page, Tolerance, rows_of
from .glue import glued, tolerance_of

_ROLE = re.compile(r"\{glue:(?P<kind>text|md)\}`(?P<target>[^`]+)`")
_BLOCK = re.compile(r"^(?:`{3,}|:{3,})\{glue:md\}\s*(?P<target>\S+)", re.MULTILINE)
_SENTENCES = re.compile(r"(?<=[.!?])\s+(?=[*`\"“(\[{]*[A-Z0-9{])")


@dataclass(frozen=True)
class Sentence:
    """A sentence with glued values, of the page at `path`, that has changed, be it within tolerance."""

    path: str
    line: int
    old: str
    new: str
    differences: tuple[Difference, ...]

    @property
    def verdict(self) -> Verdict:
        return CellComparison(0, self.differences).verdict


def changed_sentences(
    page: Page, texts: Iterable[Page], before: Sequence[NotebookNode], after: Sequence[NotebookNode]
) -> Iterator[Sentence]:
    """The sentences that have changed, as a value that `page` glues has."""
    values = glued(before), glued(after)
    tolerances = {
        name: tolerance_of(page, cell)
        for cell, *runs in zip(page.cells, before, after, strict=True)
        for name in glued(runs)
    }
    for other in texts:
        is_from = _is_from(page, other)
        for line, text in _passages(other.text):
            old, new = (_reading(text, known, is_from) for known in values)
            if old == new:
                continue
            differences = tuple(
                difference
                for match in _ROLE.finditer(text)
                for difference in _role_differences(match, values, tolerances, is_from)
            )
            if differences:
                yield Sentence(other.path.as_posix(), line, old, new, differences)


def _role_differences(
    match: re.Match[str],
    values: tuple[Mapping[str, NotebookNode], Mapping[str, NotebookNode]],
    tolerances: Mapping[str, Tolerance],
    is_from: Callable[[str], bool],
) -> Sequence[Difference]:
    """What became of one glued value of a sentence: judged by its own size, not by the digits that are shown."""
    old, new = (_pasted(match, known, is_from) for known in values)
    name = name_of_glued(match["target"])
    tolerance = tolerances.get(name, Tolerance())
    if old == new or tolerance.volatile:
        return ()
    numbers = [_float(known.get(name)) for known in values]
    if match["kind"] == "text" and numbers[0] is not None and numbers[1] is not None:
        learned = is_metric(name) or match["target"].endswith("%")
        share = tolerance.metrics if learned else tolerance.numbers
        apart = relative_distance(numbers[0], numbers[1])
        is_small = max(map(abs, numbers)) <= tolerance.absolute  # type: ignore[arg-type]
        return [Difference("number", old, new, f"{old} -> {new}", apart <= share or is_small)]
    then, fresh = (new_output("stream", name="stdout", text=said) for said in (old, new))  # type: ignore[no-untyped-call]
    return compare_cell(0, [then], [fresh], tolerance).differences


def _float(output: NotebookNode | None) -> float | None:
    """The float that was glued; None for whole numbers, which are exact, and for whatever else it was."""
    try:
        value = ast.literal_eval(output["data"]["text/plain"]) if output else None
    except (KeyError, SyntaxError, ValueError):
        return None
    return value if isinstance(value, float) else None


def _passages(text: str) -> Iterator[tuple[int, str]]:
    """Sentences, rows of tables and blocks in which something is glued, each with its line from 1."""
    start, rows = 0, list[str]()
    for number, row, kind in [*rows_of(text), (0, "", "text")]:
        bare = row.strip()
        if kind != "text" or not bare or bare.startswith(("|", "- ", "* ", "#")):
            yield from _split(start, rows)
            start, rows = number, []
        if kind == "frame" and (block := _BLOCK.match(row)):
            yield number, f"{{glue:md}}`{block['target']}`"
        elif kind == "text" and bare:
            start, rows = (start if rows else number), [*rows, row]


def _split(start: int, rows: Sequence[str]) -> Iterator[tuple[int, str]]:
    offset, whole = 0, "\n".join(rows)
    for sentence in _SENTENCES.split(whole):
        at = whole.index(sentence, offset)
        offset = at + len(sentence)
        if _ROLE.search(sentence):
            yield start + whole.count("\n", 0, at), " ".join(sentence.split())


def _is_from(page: Page, reader: Page) -> Callable[[str], bool]:
    """Whether a path that `reader` names in front of `::` is that of `page`; without one it is the reader itself."""
    folder = posixpath.dirname(reader.docname)

    def is_from(path: str) -> bool:
        full = posixpath.normpath(posixpath.join(folder, path)) if path[:1] != "/" else path[1:]
        return (posixpath.splitext(full)[0] if path else reader.docname) == page.docname

    return is_from


def _reading(text: str, values: Mapping[str, NotebookNode], is_from: Callable[[str], bool]) -> str:
    """A passage as it reads with `values`, where they are from the page that is meant."""
    return _ROLE.sub(lambda match: _pasted(match, values, is_from), text)


def _pasted(match: re.Match[str], values: Mapping[str, NotebookNode], is_from: Callable[[str], bool]) -> str:
    path, _, target = match["target"].rpartition("::")
    if not is_from(path):
        return match[0]
    name, _, form = target.rpartition(":") if ":" in target else (target, "", "")
    if name not in values:
        return f"(nothing was glued as {name})"
    data = values[name]["data"]
    if match["kind"] == "md":
        return str(data.get("text/markdown", data.get("text/plain", "")))
    return _formatted(str(data.get("text/plain", "")), form or "s")


def _formatted(text: str, form: str) -> str:
    from myst_nb.core.variables import format_plain_text

    formatter: Callable[[str, str], str] = format_plain_text
    try:
        return formatter(text, form)
    except (ValueError, SyntaxError, TypeError):
        return text


def name_of_glued(target: str) -> str:
    return target.rpartition("::")[2].partition(":")[0]
