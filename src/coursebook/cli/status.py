"""`coursebook status`: say of every page whether its outputs are current, and why not."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape

from .console import count
from .options import add_root

COLORS = {"current": "green", "failed": "red", "altered": "red", "unreadable": "red"}


def declare(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Say of every page with code whether its outputs still follow from its code, the files it read and the "
        "packages it imported, and what a build would do. Nothing is changed."
    )
    add_root(parser)
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument("--check", action="store_true", help="exit with 1 unless every page is current")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, out: Console) -> int:
    from ..course import Course
    from ..outputs import Environment, Store, plan

    course = Course.load(arguments.root)
    decisions = plan(course, Store(course.root), Environment())
    if arguments.json:
        rows = [
            {
                "page": decision.page.docname,
                "state": decision.state,
                "reasons": [str(reason) for reason in decision.reasons],
                "unseen": list(decision.stored.provenance.unseen) if decision.stored else [],
                "executes": decision.executes,
                "waits": decision.waits,
                "seconds": decision.seconds,
                "wants": decision.page.options.device,
                "provenance": asdict(decision.stored.provenance) if decision.stored else None,
            }
            for decision in decisions
        ]
        out.file.write(json.dumps(rows, indent=1) + "\n")
    else:
        width = max((len(decision.page.docname) for decision in decisions), default=0)
        for decision in decisions:
            color = COLORS.get(decision.state, "yellow")
            took = f"{decision.seconds:.1f} s" if decision.seconds is not None else "-"
            reasons = f": {'; '.join(map(str, decision.reasons))}" if decision.reasons else ""
            reasons += " (waits for a GPU)" if decision.waits else ""
            reasons += f" (not watched: {decision.unseen})" if decision.unseen else ""
            out.print(
                f"{escape(decision.page.docname):<{width}}  {took:>8}  [{color}]{decision.state}[/]{escape(reasons)}"
            )
        wanted = [decision for decision in decisions if decision.executes]
        known = sum(decision.seconds or 0.0 for decision in wanted)
        out.print(
            f"{count(decisions, 'page')} with code; a build executes {len(wanted)}"
            + (f", which took {known:.0f} s last time" if known else "")
        )
        if waiting := [decision for decision in decisions if decision.waits]:
            out.print(f"{count(waiting, 'page')} must wait for a GPU, and there is none here")
    return int(arguments.check and any(decision.state != "current" for decision in decisions))
