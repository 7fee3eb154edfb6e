"""Two printed texts, word by word and number by number."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..course import Tolerance
from .difference import Difference, Kind, few, short
from .numbers import compare_numbers, is_metric, is_timing
from .screen import shown
from .tokens import Line, Token, tokenize

_HEAD = 60  # rows of a printed table that one head has
_LONG = 3000  # lines; of longer texts equal ends are left out
_MANY = 800  # lines of a text, or words of a line; of more, what is frequent isn't looked for elsewhere


@dataclass(frozen=True)
class Context:
    """With which `tolerance` two texts are compared, and how what differs is told.

    `label` says what the text's numbers are, `place` where it stands (for `why`). Differences are of kind `number` or
    of `kind`. `days`: dates without a time of day are data.
    """

    tolerance: Tolerance
    label: str = ""
    kind: Kind = "text"
    place: str = ""
    days: bool = False

    def changed(self, old: str, new: str, why: str) -> Difference:
        """A difference that is beyond any tolerance."""
        return Difference(self.kind, short(old), short(new), self.place + why, False)


def compare_text(old: str, new: str, context: Context) -> list[Difference]:
    """How `new` differs from `old`, for a reader."""
    return [] if old == new else few(list(_differences(shown(old), shown(new), context)))


def _differences(old: str, new: str, context: Context) -> Iterator[Difference]:
    if old == new:
        return
    old, new = _without_equal_ends(old, new)
    before, after = tokenize(old, context.days), tokenize(new, context.days)
    heads = _Heads(before), _Heads(after)

    def paired(then: Line, now: Line) -> Iterator[Difference]:
        yield from _numbers(then, now, heads, context)

    shapes = [line.shape for line in before], [line.shape for line in after]
    if shapes[0] == shapes[1]:
        found = [difference for pair in zip(before, after, strict=True) for difference in paired(*pair)]
        if any(not difference.is_allowed for difference in found) and _is_reordered(before, after):
            yield _reordered(before, after, context)
            return
        yield from found or _spaces(before, after, context)
        return
    if _is_reordered(before, after):
        yield _reordered(before, after, context)
        return
    matcher = difflib.SequenceMatcher(None, *shapes, autojunk=max(map(len, shapes)) > _MANY)
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        if tag == "equal":
            for then, now in zip(before[i:i_end], after[j:j_end], strict=True):
                yield from paired(then, now)
            continue
        both = min(i_end - i, j_end - j)
        for then, now in zip(before[i : i + both], after[j : j + both], strict=True):
            yield _changed_line(then, now, context)
        for line in before[i + both : i_end]:
            yield context.changed(line.text, "", f"the line '{short(line.text)}' is gone")
        for line in after[j + both : j_end]:
            yield context.changed("", line.text, f"the line '{short(line.text)}' is new")


def _without_equal_ends(old: str, new: str) -> tuple[str, str]:
    """Long texts without the lines that they begin and end with alike, save those that may be the head of a table."""
    if min(old.count("\n"), new.count("\n")) < _LONG:
        return old, new
    before, after = old.split("\n"), new.split("\n")
    first, most = 0, min(len(before), len(after))
    while first < most and before[first] == after[first]:
        first += 1
    last = 0
    while last < most - first and before[-1 - last] == after[-1 - last]:
        last += 1
    first = max(0, first - _HEAD)
    last = max(0, last - _HEAD)
    return "\n".join(before[first : len(before) - last]), "\n".join(after[first : len(after) - last])


def _is_reordered(before: Sequence[Line], after: Sequence[Line]) -> bool:
    if len(before) != len(after) or len(before) < 2:
        return False
    contents = [line.content for line in before], [line.content for line in after]
    return contents[0] != contents[1] and Counter(contents[0]) == Counter(contents[1])


def _reordered(before: Sequence[Line], after: Sequence[Line], context: Context) -> Difference:
    then, now = next((a, b) for a, b in zip(before, after, strict=True) if a.content != b.content)
    return context.changed(then.text, now.text, f"the same lines in another order, from '{short(now.text)}' on")


def _changed_line(then: Line, now: Line, context: Context) -> Difference:
    """Which words of a line differ."""
    old, new = [token.text for token in then.tokens], [token.text for token in now.tokens]
    shapes = then.shape, now.shape
    gone: list[str] = []
    come: list[str] = []
    matcher = difflib.SequenceMatcher(None, *shapes, autojunk=max(map(len, shapes)) > _MANY)
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        if tag != "equal":
            gone += old[i:i_end]
            come += new[j:j_end]
    said = f" in '{short(now.text)}'"
    if not any(re.search(r"[^\W\d_]", word) for word in (*gone, *come)):
        why = f"'{short(then.text)}' became '{short(now.text)}'"
    elif sorted(gone) == sorted(come):
        why = f"the same words in another order{said}"
    elif gone and come:
        why = f"'{short(' '.join(gone))}' became '{short(' '.join(come))}'{said}"
    elif gone:
        why = f"'{short(' '.join(gone))}' is gone{said}"
    else:
        why = f"'{short(' '.join(come))}' is new{said}"
    return context.changed(then.text, now.text, why)


def _spaces(before: Sequence[Line], after: Sequence[Line], context: Context) -> Iterator[Difference]:
    """Indents of texts whose words and numbers are the same, where the width of no number or time explains them."""
    if any(
        then.text != now.text
        for a, b in zip(before, after, strict=True)
        for then, now in zip(a.tokens, b.tokens, strict=True)
    ):
        return
    for then, now in zip(before, after, strict=True):
        if then.indent != now.indent and not any(token.is_number for token in now.tokens):
            why = f"'{short(now.text)}' is indented by {now.indent} instead of {then.indent}"
            yield context.changed(then.text, now.text, why)


class _Heads:
    """The heads of columns in a printed table: words above numbers, where only such rows stand between."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._rows: dict[int, list[Token]] = {}
        for line in lines:
            for token in line.tokens:
                self._rows.setdefault(token.row, []).append(token)
        self._above: dict[int, list[Token]] = {}

    def above(self, token: Token) -> str:
        """The words that stand above a number, or "" where none do."""
        if token.row not in self._above:
            self._above[token.row] = self._heads_of(token.row)
        words = [word for word in self._above[token.row] if word.start <= token.end and word.end >= token.start]
        return " ".join(dict.fromkeys(word.text for word in words))

    def _heads_of(self, row: int) -> list[Token]:
        heads: list[Token] = []
        for number in range(row - 1, max(-1, row - _HEAD), -1):
            tokens = self._rows.get(number)
            if tokens is None:
                break
            is_head = not any(token.is_number for token in tokens)
            if is_head and len(tokens) > 1:
                # A head's neighbor belongs to it when one space is between: `test loss`.
                heads += [self._joined(tokens, index) for index in range(len(tokens)) if tokens[index].kind == "word"]
            elif heads or is_head:
                break
        return heads

    @staticmethod
    def _joined(tokens: list[Token], index: int) -> Token:
        first = last = index
        while first > 0 and tokens[first].start - tokens[first - 1].end <= 1:
            first -= 1
        while last + 1 < len(tokens) and tokens[last + 1].start - tokens[last].end <= 1:
            last += 1
        if last - first > 2:  # a sentence, no head
            first = last = index
        text = " ".join(token.text for token in tokens[first : last + 1])
        return tokens[index]._replace(text=text, start=tokens[first].start, end=tokens[last].end)


def _labels(line: Line) -> list[str]:
    """For each token the words before it, as far back as the number before; behind a last number also what follows."""
    labels: list[str] = []
    words: list[str] = []
    is_closed = False
    for index, token in enumerate(line.tokens):
        if token.kind == "word":
            if is_closed:
                words, is_closed = [], False
            words.append(token.text)
        elif token.is_number:
            is_closed = True
        label = " ".join(words)
        if token.is_number:
            label += " " + _behind(line.tokens, index)
        labels.append(label)
    return labels


def _behind(tokens: tuple[Token, ...], index: int) -> str:
    """A word that follows a number and isn't the name of the next: `97 % accuracy`, `0.12 loss`."""
    rest = [token for token in tokens[index + 1 : index + 4] if token.text != "%"][:2]
    if not rest or rest[0].kind != "word" or (len(rest) > 1 and (rest[1].is_number or rest[1].text in (":", "="))):
        return ""
    return rest[0].text


def _numbers(then: Line, now: Line, heads: tuple[_Heads, _Heads], context: Context) -> Iterator[Difference]:
    """The numbers of two lines that say the same in words."""
    if then.text == now.text:
        return
    label, labels = context.label, list[str]()
    for index, (old, new) in enumerate(zip(then.tokens, now.tokens, strict=True)):
        if not old.is_number or (old.text == new.text and old.kind == new.kind):
            continue
        labels = labels or _labels(now)
        above = "" if is_metric(label + " " + labels[index]) else heads[1].above(new) or heads[0].above(old)
        if above and is_timing(above, new.kind == "float"):
            continue
        is_percent = index + 1 < len(now.tokens) and now.tokens[index + 1].text == "%"
        found = compare_numbers(old, new, context.tolerance, is_metric(f"{label} {labels[index]} {above}"), is_percent)
        if found is not None:
            where = "" if now.text.strip() == new.text else f", in '{short(now.text)}'"
            where += f" below '{above}'" if above else ""
            yield replace(found, why=f"{context.place}{found.why}{where}")
