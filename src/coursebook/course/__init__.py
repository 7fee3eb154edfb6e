"""What is written: a course with its configuration, its pages, their cells and their options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ground.lazy import lazily

if TYPE_CHECKING:
    from .addresses import BadAddress as BadAddress, site_address as site_address
    from .cell import Cell as Cell, CellError as CellError
    from .config import line_of_key as line_of_key
    from .course import Course as Course
    from .csp import (
        BASE_POLICY as BASE_POLICY,
        HEADER as HEADER,
        HEADERS as HEADERS,
        Sources as Sources,
        policy_of as policy_of,
        script_digest as script_digest,
        sources_of as sources_of,
    )
    from .files import (
        INSTALLED as INSTALLED,
        PATTERNS as PATTERNS,
        can_be_input as can_be_input,
        names_in as names_in,
        relative_name as relative_name,
        walk_course as walk_course,
    )
    from .imports import full_names_in as full_names_in, imported_modules as imported_modules, modules_in as modules_in
    from .kernelspec import kernel_name as kernel_name, language as language
    from .markdown import rows_of as rows_of
    from .memory import remember as remember
    from .page import SUFFIXES as SUFFIXES, Page as Page, source_text as source_text
    from .release import Moment as Moment, in_words as in_words
    from .repository import Repository as Repository
    from .settings import SETTINGS as SETTINGS, is_job as is_job
    from .tags import (
        CLAIM as CLAIM,
        hides_source as hides_source,
        is_in_notebook as is_in_notebook,
        is_removed as is_removed,
        shows_outputs as shows_outputs,
        shows_stream as shows_stream,
    )
    from .tolerance import Tolerance as Tolerance

__getattr__ = lazily(
    __name__,
    {
        "addresses": "BadAddress site_address",
        "cell": "Cell CellError",
        "config": "line_of_key",
        "course": "Course",
        "csp": "BASE_POLICY HEADER HEADERS Sources policy_of script_digest sources_of",
        "files": "INSTALLED PATTERNS can_be_input names_in relative_name walk_course",
        "imports": "full_names_in imported_modules modules_in",
        "kernelspec": "kernel_name language",
        "markdown": "rows_of",
        "memory": "remember",
        "page": "Page SUFFIXES source_text",
        "release": "Moment in_words",
        "repository": "Repository",
        "settings": "SETTINGS is_job",
        "tags": "CLAIM hides_source is_in_notebook is_removed shows_outputs shows_stream",
        "tolerance": "Tolerance",
    },
)
