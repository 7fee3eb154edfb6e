"""Two tables, cell by cell, in the names of their rows and columns."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..course import Tolerance
from .difference import Difference, few, short
from .markup import Table
from .numbers import is_timing
from .text import Context, compare_text


def compare_tables(old: Table, new: Table, tolerance: Tolerance, place: str = "") -> list[Difference]:
    """How two tables differ, for a reader; `place` says which of several it is."""
    return [] if old == new else few(list(_differences(old, new, tolerance, place)))


def _differences(old: Table, new: Table, tolerance: Tolerance, place: str) -> Iterator[Difference]:
    columns = list(_pairs(old.heads, new.heads))
    if len(set(old.heads)) == len(old.heads) and _is_reordered(old.heads, new.heads):
        yield _table(_list(old.heads), _list(new.heads), f"{place}the columns are in another order")
        columns = [(i, new.heads.index(head)) for i, head in enumerate(old.heads)]
    else:
        for i, j in columns:
            if i is None or j is None:
                names = [old.heads[i] if i is not None else "", new.heads[j] if j is not None else ""]
                verb = "is new" if i is None else "is gone"
                yield _table(
                    names[0], names[1], f"{place}the column '{names[0] or names[1] or 'without a head'}' {verb}"
                )
            elif old.heads[i] != new.heads[j]:
                why = f"{place}the column '{old.heads[i]}' is called '{new.heads[j]}'"
                yield _table(old.heads[i], new.heads[j], why)
    both = [(i, j) for i, j in columns if i is not None and j is not None]
    then = [tuple(_at(row, i) for i, _ in both) for row in old.rows]
    now = [tuple(_at(row, j) for _, j in both) for row in new.rows]
    if _is_reordered(then, now):
        first = next(row for row, (a, b) in enumerate(zip(then, now, strict=True)) if a != b)
        why = f"{place}the same rows in another order, from row {first + 1} on"
        yield _table(_list(then[first]), _list(now[first]), why)
        return
    for a, b in _rows(old, new, then, now):
        if a is None and b is not None:
            yield _table("", _list(now[b]), f"{place}row {b + 1}, '{short(_list(now[b]))}', is new")
        elif b is None and a is not None:
            yield _table(_list(then[a]), "", f"{place}row {a + 1}, '{short(_list(then[a]))}', is gone")
        elif a is not None and b is not None:
            named = f" ('{short(new.names[b], 30)}')" if new.names[b] else ""
            for k, (i, j) in enumerate(both):
                head = new.heads[j] or old.heads[i]
                where = f"{place}row {b + 1}{named}, column {repr(head) if head else j + 1}: "
                yield from _cells(then[a][k], now[b][k], head, new.names[b], where, tolerance)


def _cells(old: str, new: str, head: str, name: str, where: str, tolerance: Tolerance) -> Iterator[Difference]:
    if old == new or is_timing(head, "." in old):
        return
    for found in compare_text(old, new, Context(tolerance, label=f"{head} {name}", place=where, days=True)):
        yield replace(found, kind="table", old=short(old), new=short(new))


def _pairs(old: Sequence[object], new: Sequence[object]) -> Iterator[tuple[int | None, int | None]]:
    """Which of two lists belong together; equal ones, or as many as stand between those."""
    if len(old) == len(new):
        # As many: a cell may have another text, and stays in its place.
        yield from zip(range(len(old)), range(len(new)), strict=True)
        return
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        both = i_end - i if tag == "equal" else 0
        yield from zip(range(i, i + both), range(j, j + both), strict=True)
        for row in range(i + both, i_end):
            yield row, None
        for row in range(j + both, j_end):
            yield None, row


def _rows(
    old: Table, new: Table, then: Sequence[tuple[str, ...]], now: Sequence[tuple[str, ...]]
) -> Iterator[tuple[int | None, int | None]]:
    """Rows that belong together: by their names where those tell them apart, else by what is in them."""
    if len(then) == len(now):
        yield from _pairs(then, now)
    elif all(len(set(table.names)) == len(table.names) for table in (old, new)):
        yield from _pairs(old.names, new.names)
    else:
        yield from _pairs(then, now)


def _is_reordered(old: Sequence[object], new: Sequence[object]) -> bool:
    return tuple(old) != tuple(new) and Counter(old) == Counter(new)


def _at(row: Sequence[str], column: int) -> str:
    return row[column] if column < len(row) else ""


def _list(cells: Sequence[str]) -> str:
    return " | ".join(cells)


def _table(old: str, new: str, why: str) -> Difference:
    return Difference("table", short(old), short(new), why, False)
