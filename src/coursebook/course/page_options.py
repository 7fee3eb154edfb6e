"""What `coursebook: {...}` in a page's front matter may say."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any

from ..ground import CourseError, did_you_mean
from .amounts import is_amount
from .option import Option
from .tolerance import Tolerance


def _is_globs(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and _is_glob(item) for item in value)


def _is_glob(text: str) -> bool:
    """Whether a text is a glob of files below a folder."""
    if text.startswith("/") or ".." in PurePosixPath(text).parts:
        return False
    try:
        next(Path(os.devnull).glob(text), None)
    except (ValueError, NotImplementedError, IndexError):  # as pathlib says it of `**.csv`, of `C:/data` and of `.`
        return False
    return True


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item.strip() for item in value)


def _as_date(value: Any) -> Any:
    """A date, also one that a notebook's metadata holds as text; anything else as it is."""
    if isinstance(value, str):
        try:
            return datetime.date.fromisoformat(value)
        except ValueError:
            return value
    return value


def _is_date(value: Any) -> bool:
    return isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)


def _is_due(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(k, str) and k and _is_date(_as_date(v)) for k, v in value.items())


def _is_tolerance(value: Any) -> bool:
    try:
        Tolerance.read(value)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class PageOptions:
    """What `coursebook: {...}` in a page's front matter may say."""

    device: str = Option(
        "cpu", lambda value: value in ("cpu", "gpu"), "`cpu` or `gpu`", "what the page is executed on; `gpu` is CUDA"
    ).field
    timeout: float | None = Option(
        None,
        is_amount,
        "a number of seconds above 0, up to 1e9",
        "seconds that one cell may run; without it `execute: timeout` in _config.yml",
    ).field
    inputs: tuple[str, ...] = Option(
        (),
        _is_globs,
        "a list of globs below the course's root, like data/*.csv or data/**/*.csv",
        "files below the course's root that the page reads where Python can't see it (compiled code, subprocesses)",
        tuple,
    ).field
    writes: tuple[str, ...] = Option(
        (),
        _is_globs,
        "a list of globs below the course's root, like data/*.csv or data/**/*.csv",
        "files below the course's root that the page writes where Python can't see it, and which are no inputs",
        tuple,
    ).field
    max_output: float = Option(
        10, is_amount, "a number of megabytes above 0, up to 1e9", "megabytes that one cell may print and draw"
    ).field
    tolerance: Tolerance = Option(
        Tolerance(),
        _is_tolerance,
        "numbers, metrics, absolute and figures (each a number from 0) and volatile (true or false)",
        "how far fresh outputs may be from the published ones before `verify` calls it drift",
        Tolerance.read,
    ).field
    release: datetime.date | None = Option(
        None,
        lambda value: _is_date(_as_date(value)),
        "a date like 2026-10-05",
        "the day from which the page is on the site",
        _as_date,
    ).field
    published: bool = Option(
        True, lambda value: isinstance(value, bool), "true or false", "false for a draft, which is never on the site"
    ).field
    solutions: datetime.date | None = Option(
        None,
        lambda value: _is_date(_as_date(value)),
        "a date like 2026-10-12",
        "the day from which the page's solutions are on the site",
        _as_date,
    ).field
    date: datetime.date | None = Option(
        None, lambda value: _is_date(_as_date(value)), "a date like 2026-10-05", "the day of the class", _as_date
    ).field
    topic: str = Option(
        "",
        lambda value: isinstance(value, str) and bool(value.strip()),
        "a sentence",
        "what the class is about, for the schedule",
    ).field
    before: str = Option(
        "",
        lambda value: isinstance(value, str) and bool(value.strip()),
        "a sentence",
        "what to do before the class, for the schedule",
    ).field
    labs: tuple[str, ...] = Option(
        (), _is_texts, "a list of pages like labs/digits", "the labs that go with the class, for the schedule", tuple
    ).field
    due: tuple[tuple[str, datetime.date], ...] = Option(
        (),
        _is_due,
        "what is due, each with its date, like {Homework 2: 2026-10-12}",
        "what is due, for the schedule and the calendar",
        lambda value: tuple((what, _as_date(day)) for what, day in value.items()),
    ).field

    @classmethod
    def read(cls, given: Any, place: Callable[[str], tuple[Path, int]]) -> PageOptions:
        """Options from front matter; `place` tells the file and line of a key.

        Raises CourseError for an unknown key or a value that is not allowed.
        """
        known: dict[str, Option] = {f.name: f.metadata["option"] for f in fields(cls)}
        allowed = ", ".join(sorted(known))
        if given is None:
            return cls()
        if not isinstance(given, Mapping):
            raise CourseError(*place("coursebook"), f"`coursebook` takes options ({allowed}), not {given!r}")
        for key, value in given.items():
            if key not in known:
                problem = f"unknown option {key!r} under `coursebook` (allowed: {allowed}){did_you_mean(key, known)}"
                raise CourseError(*place(str(key)), problem)
            if not known[key].check(value):
                raise CourseError(*place(key), f"`{key}` takes {known[key].allowed}, not {value!r}")
        return cls(**{key: known[key].convert(value) for key, value in given.items()})
