"""freshness.html: every page with code, the state of its outputs and why, as one table that a reader can sort, and the
jobs that watch over them. freshness.json says the same to programs, badge.svg in a few words.

Nobody may rebuild the site: the page's script tells what has become overdue since.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from ...course import CLAIM
from ...drift import Checks, PageCheck, Watched, watched
from ...ground import html_template
from ...outputs import Decision, Provenance
from .. import Color, badge_svg
from .assets import TEMPLATES
from .current import Current, current_of
from .feed import put
from .notice import worth_naming
from .order import connect
from .share import BUILDERS

NAME, TITLE = "freshness", "Freshness of the outputs"
_BAD = ("failed", "altered", "unreadable")


@dataclass(frozen=True)
class _Found:
    """What checks have found, `now`: about pages whose outputs are still those, by docname, and about jobs."""

    pages: dict[str, PageCheck]
    jobs: Sequence[Watched]
    now: datetime.datetime

    @classmethod
    def here(cls, current: Current) -> _Found:
        pages, runs = Checks(current.root).read()
        known = {
            docname: pages[docname]
            for docname, decision in current.decisions.items()
            if docname in pages and decision.stored and decision.stored.digest == pages[docname].outputs
        }
        limits = current.course.jobs if current.course else {}
        return cls(known, watched(limits, runs), datetime.datetime.now(datetime.UTC))


def _pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    current = current_of(app)
    if app.builder.name != "html" or NAME in app.env.found_docs or not current.decisions:
        return
    yield NAME, {"title": TITLE, "body": _body(app, _Found.here(current))}, "page.html"


def _look_again(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Sphinx writes this page when it writes another: the home page, where there is something new to be said here."""
    current = current_of(app)
    if app.builder.name != "html" or not current.decisions:
        return []
    before, now = getattr(env, "coursebook_freshness", ""), _body(app, _Found.here(current))
    env.coursebook_freshness = now  # type: ignore[attr-defined]
    return [app.config.root_doc] if before != now else []


def _offer_target(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Pages refer to it as they do to a heading: {ref}`freshness`."""
    standard: Any = env.get_domain("std")
    standard.note_hyperlink_target(NAME, NAME, "", TITLE)


def _body(app: Sphinx, found: _Found) -> str:
    current = current_of(app)
    max_age = current.course.max_age if current.course else None
    return html_template(TEMPLATES, "coursebook/freshness.html").render(
        title=TITLE,
        now=found.now,
        fresh=sum(decision.state == "current" for decision in current.decisions.values()),
        days=f"{max_age.total_seconds() / 86400:g}" if max_age else "",
        jobs=found.jobs,
        rows=[_Row.of(app, decision, found) for decision in current.decisions.values()],
    )


@dataclass(frozen=True)
class _Row:
    """What the table says of a page: `made` are its outputs, `check` is what became of them when executed afresh."""

    title: str
    address: str
    state: str
    reasons: tuple[str, ...]
    unseen: str
    made: Provenance | None
    device: str
    packages: str
    claims: int
    check: PageCheck | None

    @classmethod
    def of(cls, app: Sphinx, decision: Decision, found: _Found) -> _Row:
        docname = decision.page.docname
        made = decision.stored.provenance if decision.stored else None
        return cls(
            title=app.env.titles[docname].astext() if docname in app.env.titles else docname,
            address=app.builder.get_relative_uri(NAME, docname),
            state=decision.state,
            reasons=tuple(map(str, decision.reasons)),
            unseen=decision.unseen,
            made=made,
            device=_device(made) if made else "",
            packages=", ".join(f"{name} {version}" for name, version in worth_naming(made)) if made else "",
            claims=sum(CLAIM in cell.tags for cell in decision.page.cells),
            check=found.pages.get(docname),
        )


def _device(made: Provenance) -> str:
    name = made.device_name or made.device.upper()
    return f"{name}, {made.device_memory / 2**30:.1f} GiB" if made.device_memory else name


def _summary(current: Current, found: _Found) -> tuple[str, Color]:
    """What the badge says: about outputs, drift and jobs, each with its day."""
    states = [decision.state for decision in current.decisions.values()]
    fresh = states.count("current")
    parts = [f"{fresh} of {len(states)} current {found.now:%Y-%m-%d}"]
    drifted = sum(check.verdict in ("changed", "failed") for check in found.pages.values())
    if found.pages:
        # The oldest check: on that day at the latest every one of them was compared.
        day = min(check.checked for check in found.pages.values())[:10]
        among = "" if len(found.pages) == len(states) else f" in {len(found.pages)} checked"
        parts.append(f"drift {drifted or 'none'}{among} {day}")
    jobs = {job.name: job.state(found.now) for job in found.jobs if job.days is not None}
    wrong = [f"{name} {'has never run' if state == 'never' else state}" for name, state in jobs.items()]
    parts += [said for said in wrong if not said.endswith("on time")]
    if drifted or "failed" in jobs.values() or any(state in _BAD for state in states):
        return ", ".join(parts), "bad"
    is_good = fresh == len(states) and set(jobs.values()) <= {"on time"}
    return ", ".join(parts), "good" if is_good else "warn"


def _data(current: Current, found: _Found) -> dict[str, Any]:
    """freshness.json: the same for programs."""
    pages = []
    for docname, decision in current.decisions.items():
        stored, check = decision.stored, found.pages.get(docname)
        pages.append(
            {
                "page": docname,
                "state": decision.state,
                "reasons": [str(reason) for reason in decision.reasons],
                "unseen": list(stored.provenance.unseen) if stored else [],
                "executed": stored.provenance.executed if stored else None,
                "device": stored.provenance.device if stored else None,
                "drift": {"verdict": check.verdict, "checked": check.checked, "cells": check.changed}
                if check
                else None,
            }
        )
    jobs = [
        {
            "job": job.name,
            "state": job.state(found.now),
            "ran": job.run.ran if job.run else None,
            "outcome": job.run.outcome if job.run else None,
            "succeeded": (job.run.succeeded or None) if job.run else None,
            "link": job.run.link if job.run else "",
            "days": job.days,
        }
        for job in found.jobs
    ]
    return {"as_of": f"{found.now:%Y-%m-%d}", "pages": pages, "jobs": jobs}


def _write(app: Sphinx, exception: Exception | None) -> None:
    current = current_of(app)
    if exception or app.builder.name not in BUILDERS:
        return
    files: dict[str, bytes | None] = {"badge.svg": None, "freshness.json": None}
    if current.decisions:
        found = _Found.here(current)
        files["badge.svg"] = badge_svg("outputs", *_summary(current, found))
        files["freshness.json"] = (json.dumps(_data(current, found), indent=1, ensure_ascii=False) + "\n").encode()
    for name, content in files.items():
        put(app, name, content)


def _add_script(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    if pagename == NAME:
        app.add_js_file("freshness.js", loading_method="defer")


def setup(app: Sphinx) -> None:
    connect(app, "env-before-read-docs", _offer_target)
    connect(app, "env-updated", _look_again)
    connect(app, "html-collect-pages", _pages)
    connect(app, "html-page-context", _add_script)
    connect(app, "build-finished", _write)
