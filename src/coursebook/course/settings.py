"""Coursebook's own options in `_config.yml`, below `sphinx: config:`: a new one is a row here, and Sphinx knows it."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .addresses import allowed_server
from .amounts import MOST_DAYS, is_amount
from .csp import DIRECTIVES
from .option import Option


@dataclass(frozen=True)
class Setting(Option):
    """An option of the course. Another value has Sphinx render all pages anew (`html`), or none; `types` are those that
    it is told of. `names_file`: the value is the path of a file below the course's root."""

    rebuild: Literal["", "html"] = ""
    types: tuple[type, ...] = ()
    names_file: bool = False


def is_job(name: object) -> bool:
    """Whether a job of CI may be called that."""
    return isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9][\w.-]{0,63}", name) is not None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_days(value: Any) -> bool:
    return is_amount(value, MOST_DAYS)


def _is_exactness(value: Any) -> bool:
    return isinstance(value, dict) and all(v in ("major", "minor", "patch", "exact") for v in value.values())


def _is_jobs(value: Any) -> bool:
    return isinstance(value, dict) and all(is_job(name) and _is_days(days) for name, days in value.items())


def _is_timezone(value: Any) -> bool:
    return isinstance(value, str) and value in zoneinfo.available_timezones()


def _is_branch(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"(?![-/.])[\w./-]+(?<![/.])", value) is not None


def _is_policy(value: Any) -> bool:
    return isinstance(value, dict) and all(k in DIRECTIVES and _is_sources(v) for k, v in value.items())


def _is_sources(value: Any) -> bool:
    """Whether it can stand in a header: a list of words without what separates one directive from the next."""
    return isinstance(value, list) and all(isinstance(v, str) and re.fullmatch(r"[!-+\--:<-~]+", v) for v in value)


SETTINGS: Mapping[str, Setting] = {
    "coursebook_binder_branch": Setting(
        "binder",
        _is_branch,
        "the name of a branch",
        "the branch from which Binder builds the machine that notebooks run on",
        rebuild="html",
        types=(str,),
    ),
    "coursebook_csp": Setting(
        {},
        _is_policy,
        f"lists of sources by directive ({', '.join(DIRECTIVES)})",
        "what the pages need beside what is found in them, for the Content-Security-Policy",
        types=(dict,),
    ),
    "coursebook_jobs": Setting(
        {},
        _is_jobs,
        "jobs, each with the days after which one that hasn't run is overdue, like {drift: 14}, and up to 1e6",
        "after how many days without a run each job of CI is overdue",
        types=(dict,),
    ),
    "coursebook_launch_branch": Setting(
        "launch",
        _is_branch,
        "the name of a branch",
        "the branch with the course's notebooks, which Colab and hubs open",
        rebuild="html",
        types=(str,),
    ),
    "coursebook_live_server": Setting(
        None,
        allowed_server,
        "the address of a Jupyter server, like https://jupyter.example.org, or {url: ADDRESS, token: TOKEN}",
        "the server on which code in the pages runs",
        types=(str, dict, type(None)),
    ),
    "coursebook_max_age": Setting(
        None,
        _is_days,
        "a number of days above 0, up to 1e6",
        "how old outputs may be before they are due",
        types=(int, float, type(None)),
    ),
    "coursebook_packages": Setting(
        {},
        _is_exactness,
        "distributions, each with `major`, `minor`, `patch` or `exact`",
        "how exactly a distribution's version must be the recorded one",
        types=(dict,),
    ),
    "coursebook_picture_font": Setting(
        "",
        _is_text,
        "a font file below the course's root, like assets/Inter-Bold.ttf",
        "the font of the pictures that links to pages are shown with",
        rebuild="html",
        types=(str,),
        names_file=True,
    ),
    "coursebook_timezone": Setting(
        "",
        _is_timezone,
        "a name like Europe/Zurich or America/New_York",
        "where the course is taught",
        rebuild="html",
        types=(str,),
    ),
}
