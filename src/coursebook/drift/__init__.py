"""What fresh executions say otherwise than the published outputs, and the records of that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ground.lazy import lazily

if TYPE_CHECKING:
    from .canary import canary_environment as canary_environment
    from .judging import PageDrift as PageDrift
    from .records import (
        Checks as Checks,
        JobRun as JobRun,
        PageCheck as PageCheck,
        Watched as Watched,
        is_link as is_link,
        watched as watched,
    )
    from .report import write_report as write_report
    from .since_commit import changes_since as changes_since, heading_since as heading_since
    from .verification import (
        heading_of_verification as heading_of_verification,
        page_checks as page_checks,
        verify as verify,
    )
    from .words import (
        Heading as Heading,
        deprecations_in as deprecations_in,
        place_of as place_of,
        reasons_of as reasons_of,
        summary_of as summary_of,
    )

__getattr__ = lazily(
    __name__,
    {
        "canary": "canary_environment",
        "judging": "PageDrift",
        "records": "Checks JobRun PageCheck Watched is_link watched",
        "report": "write_report",
        "since_commit": "changes_since heading_since",
        "verification": "heading_of_verification page_checks verify",
        "words": "Heading deprecations_in place_of reasons_of summary_of",
    },
)
