"""Stored outputs: what they depend on, whether they are current, and how they are carried elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ground.lazy import lazily

if TYPE_CHECKING:
    from .bundle import Outcome as Outcome, pack as pack, unpack as unpack
    from .decisions import (
        EXACTNESS as EXACTNESS,
        NO_GPU_HERE as NO_GPU_HERE,
        Decision as Decision,
        Device as Device,
        Environment as Environment,
        PlanOptions as PlanOptions,
        plan as plan,
    )
    from .failures import Failure as Failure, Failures as Failures
    from .fingerprint import EXECUTION_TAGS as EXECUTION_TAGS, cell_digests as cell_digests, code_digest as code_digest
    from .inputs import (
        ABSENT as ABSENT,
        CAME as CAME,
        EDITED as EDITED,
        FOLDER_NAMES as FOLDER_NAMES,
        OWN as OWN,
        declared_inputs as declared_inputs,
        file_digest as file_digest,
        folder_of as folder_of,
        is_own as is_own,
        modules_beside as modules_beside,
        names_digest as names_digest,
        own_files as own_files,
        printable as printable,
    )
    from .interpreters import (
        Interpreter as Interpreter,
        interpreter as interpreter,
        interpreter_of_kernel as interpreter_of_kernel,
    )
    from .packages import (
        distributions_of as distributions_of,
        installed_version as installed_version,
        is_released as is_released,
        same_version as same_version,
    )
    from .provenance import Provenance as Provenance
    from .reads import cell_inputs as cell_inputs, published_files as published_files
    from .reasons import UNTOUCHED as UNTOUCHED
    from .store import Store as Store, StoredPage as StoredPage, fill_outputs as fill_outputs

__getattr__ = lazily(
    __name__,
    {
        "bundle": "Outcome pack unpack",
        "decisions": "Decision Device EXACTNESS Environment NO_GPU_HERE PlanOptions plan",
        "failures": "Failure Failures",
        "fingerprint": "EXECUTION_TAGS cell_digests code_digest",
        "inputs": (
            "ABSENT CAME EDITED FOLDER_NAMES OWN declared_inputs file_digest folder_of is_own "
            "modules_beside names_digest own_files printable"
        ),
        "interpreters": "Interpreter interpreter interpreter_of_kernel",
        "packages": "distributions_of installed_version is_released same_version",
        "provenance": "Provenance",
        "reads": "cell_inputs published_files",
        "reasons": "UNTOUCHED",
        "store": "Store StoredPage fill_outputs",
    },
)
