"""What came or changed while a page was executed: its own doing, or somebody's edit?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ..course import INSTALLED, relative_name, walk_course
from ..outputs import ABSENT, CAME, EDITED, FOLDER_NAMES, OWN, Provenance, is_own, names_digest, printable


class Before:
    """What there is below a course's root before pages are executed."""

    def __init__(self, root: Path) -> None:
        self._files = {relative_name(root, entry.path) for entry in walk_course(root)}
        self._folders = {parent.as_posix() for name in self._files for parent in PurePosixPath(name).parents}

    def has(self, name: str) -> bool:
        """Whether a file or a folder was there; among installed packages, where nobody has looked, all was."""
        path = PurePosixPath(name)
        if name in self._files or name in self._folders or {*INSTALLED} & {*path.parts}:
            return True
        return any(parent.as_posix() in self._files for parent in path.parents)  # a link to a folder


def settled(now: Provenance, there: Before, earlier: Provenance | None) -> Provenance:
    """The provenance `now` of a page, with an answer for what came or changed while it was executed.

    That is the page's own if it wasn't `there`, or was the page's own by its `earlier` provenance already. Else
    somebody has edited it: before the page read it, which does no harm, or afterwards.
    """
    was = earlier.inputs if earlier else {}
    inputs, unseen = dict(now.inputs), dict.fromkeys(now.unseen)

    def is_the_page_s(name: str) -> bool:
        return is_own(was[name]) if was.get(name, ABSENT) != ABSENT else not there.has(name)

    for name, digest in now.inputs.items():
        if digest == CAME + EDITED:
            inputs[name] = OWN if is_the_page_s(name) else EDITED
            if inputs[name] == OWN:
                unseen[f"{printable(name)}, which the page changes"] = None
        elif digest.startswith(CAME):
            inputs[name] = digest if is_the_page_s(name) else digest.removeprefix(CAME)
        elif not digest.startswith((EDITED, OWN, FOLDER_NAMES)) and was.get(name) in (OWN, CAME + digest):
            inputs[name] = CAME + digest  # which it found, this time
    listed = {
        name: json.loads(digest.removeprefix(FOLDER_NAMES))
        for name, digest in inputs.items()
        if digest.startswith(FOLDER_NAMES)
    }
    for folder, (names, new) in listed.items():
        place = folder.removeprefix("./")
        found = {place + name for name in names if is_own(was.get(place + name, ABSENT))}
        own = found | {place + name for name in new if is_the_page_s(place + name)}
        inputs = dict.fromkeys(own, OWN) | inputs
        if place and is_the_page_s(folder[:-1]) and own >= {place + name for name in names}:
            inputs.setdefault(folder[:-1], OWN)
    for folder, (names, _) in listed.items():
        inputs[folder] = names_digest(folder, names, inputs)
    return replace(now, inputs=dict(sorted(inputs.items())), unseen=tuple(unseen))
