"""What everything stands on and nothing here knows of courses: errors, files, git, the machine, where things lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazy import lazily

if TYPE_CHECKING:
    from .disk import is_changed_since as is_changed_since, look as look, look_at as look_at, replacing as replacing
    from .errors import ANSI as ANSI, CourseError as CourseError, CourseErrors as CourseErrors, plain as plain
    from .git import (
        Checkout as Checkout,
        Repository as Repository,
        ask_git as ask_git,
        commit_of as commit_of,
        reason_of_git as reason_of_git,
        run_git as run_git,
    )
    from .git_branch import (
        Published as Published,
        fetch_file as fetch_file,
        publish_files as publish_files,
        update_file as update_file,
    )
    from .gpus import gpus_here as gpus_here
    from .installed import installed_distributions as installed_distributions
    from .json_file import JsonFile as JsonFile
    from .layout import (
        CHECKS as CHECKS,
        CONFIG as CONFIG,
        MADE as MADE,
        OUTPUTS as OUTPUTS,
        SITE as SITE,
        STAGE as STAGE,
        TOC as TOC,
    )
    from .machine import (
        cores as cores,
        descendants as descendants,
        free_memory as free_memory,
        resident_memory as resident_memory,
    )
    from .processes import die_with_parent as die_with_parent, with_bytecode as with_bytecode
    from .spelling import did_you_mean as did_you_mean
    from .tar import (
        BROKEN as BROKEN,
        PlainFile as PlainFile,
        Refused as Refused,
        add_file as add_file,
        add_folder as add_folder,
        copy_out as copy_out,
        extract_plain as extract_plain,
    )
    from .templates import html_template as html_template

__getattr__ = lazily(
    __name__,
    {
        "disk": "is_changed_since look look_at replacing",
        "errors": "ANSI CourseError CourseErrors plain",
        "git": "Checkout Repository ask_git commit_of reason_of_git run_git",
        "git_branch": "Published fetch_file publish_files update_file",
        "gpus": "gpus_here",
        "installed": "installed_distributions",
        "json_file": "JsonFile",
        "layout": "CHECKS CONFIG MADE OUTPUTS SITE STAGE TOC",
        "machine": "cores descendants free_memory resident_memory",
        "processes": "die_with_parent with_bytecode",
        "spelling": "did_you_mean",
        "tar": "BROKEN PlainFile Refused add_file add_folder copy_out extract_plain",
        "templates": "html_template",
    },
)
