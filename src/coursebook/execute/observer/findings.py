"""What was seen of a page, as data: how it is now beside how it was when the page first had to do with it."""

from __future__ import annotations

import json
import os
import sys
import warnings
from typing import Any, TextIO

from .notes import Notes
from .paths import Paths, is_installed

# Loaded where processes are started that know nothing of this one's hook.
_ANEW = (
    "multiprocessing.popen_spawn_posix", "multiprocessing.popen_forkserver", "multiprocessing.popen_spawn_win32",
    "joblib.externals.loky.backend.popen_loky_posix", "joblib.externals.loky.backend.popen_loky_win32",
    "loky.backend.popen_loky_posix", "loky.backend.popen_loky_win32",
)  # fmt: skip


class Deprecations:
    """What libraries said will change, in the order in which they said it, each once."""

    def __init__(self) -> None:
        self.said: dict[tuple[str, str, str], None] = {}  # where, as which category, in what words
        self._shown = warnings.showwarning

    def hear(self) -> None:
        # Python drops most of them unseen. A page that filters warnings itself still does.
        warnings.filterwarnings("default", category=DeprecationWarning)
        warnings.showwarning = self._show

    def _show(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        folder = os.path.basename(os.path.dirname(filename))
        is_cell = folder.startswith("ipykernel_")
        if issubclass(category, (DeprecationWarning, PendingDeprecationWarning, FutureWarning)):
            where = "" if is_cell else f"{folder}/{os.path.basename(filename)}"
            self.said.setdefault((where, category.__name__, str(message)))
        # As it is without us: of deprecations readers see those that a cell's own code meets.
        if is_cell or not issubclass(category, (DeprecationWarning, PendingDeprecationWarning)):
            self._shown(message, category, filename, lineno, file, line)


class Report:
    """Answers the questions that the kernel is asked. What the process had imported `before`, itself among it, is not
    the page's."""

    def __init__(
        self, paths: Paths, notes: Notes, said: dict[tuple[str, str, str], None], before: set[str], asks_for_gpu: bool
    ) -> None:
        self._paths, self._notes, self._said, self._before = paths, notes, said, before
        self._asks_for_gpu = asks_for_gpu

    def report(self) -> str:
        """What was seen, as JSON.

        Of files, what `files_seen` has; beside it `unheard` (modules, which were read before anybody could look at
        them), `read_in` (by path, of the cells that ran, those that read it, from 1), `modules` (the paths of the
        course's modules by name), `elsewhere` (the files of those that are neither the course's nor installed),
        `programs` (those that the page's own code ran), `hidden` (what the page's own code read of hidden files), and
        `own_processes` (whether it started Python anew in others). `prefix` is where this Python is, `path` where it
        looks for modules, `deprecations` what libraries said will change, where and as which
        category. `peak_memory` is in bytes; of GPUs stands there what `gpu_used` has.
        """
        here, notes = self._notes.here, self._notes
        here.is_busy, here.news = True, []
        try:
            notes.take_in()
            heard = set(notes.read)
            modules, elsewhere = self._modules()
            unheard = notes.read.keys() - heard
            first = dict(notes.read)  # a thread of the page's may be reading still
            gpu, peak = gpu_used(self._asks_for_gpu), _peak_memory()
            return json.dumps(
                {
                    **files_seen(self._paths, notes, first),
                    "unheard": sorted(unheard),
                    "read_in": {name: sorted(notes.read_in[name]) for name in first if name in notes.read_in},
                    "modules": modules,
                    "elsewhere": elsewhere,
                    "programs": sorted(set(notes.programs)),
                    "hidden": sorted(set(notes.hidden)),
                    "own_processes": any(name in sys.modules.keys() - self._before for name in _ANEW),
                    "prefix": os.path.realpath(sys.prefix),
                    "path": [place for place in sys.path if place],
                    "peak_memory": peak,
                    "deprecations": list(self._said),
                    **gpu,
                }
            )
        finally:
            here.is_busy = False

    def _modules(self) -> tuple[dict[str, str], dict[str, str]]:
        modules, elsewhere = {}, {}
        notes = self._notes
        folders: dict[str, str] = {}  # by a module's folder: where it really is, which takes a while to find out
        for name, module in list(sys.modules.items()):
            source = getattr(module, "__file__", None)
            # Of what a fork server has imported nothing is the page's.
            if not isinstance(source, str) or (name in self._before and "." in name):
                continue
            folder, base = os.path.split(source)
            if folder not in folders:
                folders[folder] = os.path.realpath(folder)
            full = os.path.join(folders[folder], base)
            full = os.path.realpath(full) if os.path.islink(full) else full
            path = self._paths.of_module(source, full)
            if path and path not in notes.written and name not in self._before:
                notes.read.setdefault(path, notes.look(path))
                modules[name] = path
            elif not path and "." not in name and not is_installed(full):
                elsewhere[name] = source
        return modules, elsewhere

    def line(self) -> str:
        """The line of the cell, from 1, at which the last traceback begins; 0 where none does. IPython's text names the
        line that ran last, which in a cell with `finally:` or `with` is another one."""
        cells = sys.modules["__main__"].__dict__
        entry = getattr(sys, "last_traceback", None)
        while entry is not None and entry.tb_frame.f_globals is not cells:
            entry = entry.tb_next
        return str(entry.tb_lineno if entry else 0)


def files_seen(paths: Paths, notes: Notes, first: dict[str, list[Any] | None]) -> dict[str, object]:
    """Paths below the root, of those that were read `first` as it says.

    `read`, `absent` (were to be read and aren't there), `edited` (somebody else changed or removed them since they were
    read), `changed` (the page itself did), `made` (when they were first read they had come or changed since the page
    began), `written` (by the page alone, folders as well), `again` (of these, what it read, and what has come again
    since it removed it). `listed` has by folder, with a slash at its end, the names that there were when it was listed
    first, without what the page itself has removed, `new` those of them that have come or changed since the page began.
    """
    files = {name: looked for name, looked in first.items() if not name.endswith("/")}
    there = {name for name in files if os.path.exists(paths.full(name))}
    own = {name for name in set(notes.written) if os.path.lexists(paths.full(name))}
    gone_again = set(notes.written) - own
    folders = [name for name in first if name.endswith("/")]
    listed = {
        name: [part for part in first[name] or [] if name.removeprefix("./") + part not in gone_again]
        for name in folders
        if name[:-1] not in gone_again and (first[name] is not None or name[:-1] in own)
    }
    came = {name for name, looked in files.items() if notes.has_come(name, looked)}
    gone = {name for name in files.keys() - there - came if files[name]}
    others = {name for name in there if notes.is_other(name)} | gone
    by_page = {name for name in others if name in notes.may_change or notes.is_removed(name)}
    # What it has removed and is there again its own programs have written.
    again = own & notes.read_again | by_page & there - notes.may_change
    return {
        "read": sorted(there),
        "listed": listed,
        "new": {name: [part for part in listed[name] if notes.is_new(name + part)] for name in listed},
        "absent": sorted(n for n in first.keys() - there if first[n] is None and n.rstrip("/") not in own),
        "edited": sorted(others - by_page),
        "changed": sorted(by_page),
        "made": sorted(came & there),
        "written": sorted(own),
        "again": sorted(again | {name[:-1] for name in folders if name[:-1] in own}),
    }


def gpu_used(asks: bool) -> dict[str, object]:
    """Of GPUs, as torch tells: `cuda` (the name of the one that was used), `cuda_memory` (its peak in bytes), `offered`
    (of one that could have been), `blind` (torch is there and finds none)."""
    gpu: dict[str, object] = {"cuda": "", "cuda_memory": 0, "offered": "", "blind": False}
    torch = sys.modules.get("torch")
    if torch is not None and asks:
        if not torch.cuda.is_available():
            gpu["blind"] = True
        elif torch.cuda.is_initialized():
            gpu["cuda"], gpu["cuda_memory"] = torch.cuda.get_device_name(), torch.cuda.max_memory_allocated()
        else:
            gpu["offered"] = torch.cuda.get_device_name()
    return gpu


def _peak_memory() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
