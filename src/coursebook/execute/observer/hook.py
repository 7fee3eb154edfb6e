"""Which audit event means what, and the hook that hears them."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable

from .findings import Deprecations, Report
from .notes import Notes
from .paths import Paths, caller, is_bytecode, text, whole
from .programs import commands_of, database, is_harmless

Handler = Callable[..., None]  # gets the arguments of its event


class Events:
    """Each kind of event, with the arguments that Python's table of audit events names."""

    def __init__(self, paths: Paths, notes: Notes) -> None:
        self._paths, self._notes = paths, notes

    def table(self) -> dict[str, Handler]:
        """By event: what hears it."""
        return {
            "open": self._opened,
            "os.listdir": self._listed,
            "os.scandir": self._listed,
            "os.chdir": self._paths.enter,
            "os.rename": self._renamed,
            "os.mkdir": self._folder_made,
            "os.link": self._named_once_more,
            "os.symlink": self._linked,
            "os.remove": self._removed,
            "os.rmdir": self._removed,
            "shutil.rmtree": self._removed,
            "os.chmod": self._marked,
            "os.chown": self._marked,
            "os.setxattr": self._marked,
            "os.removexattr": self._marked,
            "os.utime": self._changed,
            "os.truncate": self._changed,
            "sqlite3.connect": self._database_opened,
            "ctypes.dlopen": self._library_loaded,
            "os.system": self._run,
            "subprocess.Popen": self._started,
            "os.exec": self._executed,
            "os.posix_spawn": self._executed,
        }

    def _opened(self, path: object, mode: object, flags: object) -> None:
        paths, notes = self._paths, self._notes
        names = paths.names_of(path)
        if not isinstance(flags, int):
            flags = os.O_RDONLY if mode in (None, "r", "rb") else os.O_WRONLY
        is_written = bool(flags & (os.O_WRONLY | os.O_RDWR))
        # The bytecode of a module that was read stands for it otherwise.
        if not names or (is_written and is_bytecode(path)) or os.path.isdir(paths.full(names[0])):
            return
        if flags & os.O_EXCL and os.path.lexists(whole(path)):  # it is going to fail
            return
        for name in names:
            if is_written and flags & os.O_TRUNC:
                notes.write(name)
            elif is_written:
                notes.change(name)
            else:
                # A name that os.open gets may be relative to a folder that it doesn't tell of.
                notes.note(name, may_be_absent=mode is not None)

    def _listed(self, path: object = None, *_: object) -> None:
        # Whatever looks for modules or installed packages lists the folder that the page is in, too; that says nothing
        # about the page.
        lister = caller().f_code.co_filename
        if "importlib" not in lister and not lister.endswith("pkgutil.py"):
            path = path if path is not None else "."
            root = self._paths.root
            is_root = isinstance(path, (str, bytes, os.PathLike)) and os.path.realpath(os.fsdecode(path)) == root
            # Whoever walks through all folders meets hidden ones, too.
            for name in ["."] if is_root else self._paths.names_of(path, tells=False):
                self._notes.note(name + "/")

    def _renamed(self, source: object, target: object, *_: object) -> None:
        if os.path.lexists(whole(source)):  # else it is going to fail
            self._removed(source)
            self._made(target)

    def _folder_made(self, path: object, *_: object) -> None:
        if not os.path.isfile(whole(path)):
            self._made(path)

    def _named_once_more(self, source: object, target: object, *_: object) -> None:
        self._linked(source, target)
        self._marked(source)

    def _linked(self, source: object, target: object, *_: object) -> None:
        if not os.path.lexists(whole(target)):  # else it is going to fail
            self._made(target)

    def _made(self, path: object) -> None:
        """What gets a name is written, though nobody opens it."""
        if name := self._paths.entry(path):
            self._notes.write(name)

    def _removed(self, path: object, *_: object) -> None:
        if name := self._paths.entry(path):
            self._notes.remove(name)

    def _marked(self, path: object, *_: object) -> None:
        for name in self._paths.names_of(whole(path)):
            if os.path.isfile(self._paths.full(name)):
                self._notes.mark(name)

    def _changed(self, path: object, *_: object) -> None:
        for name in self._paths.names_of(path):
            if os.path.isfile(self._paths.full(name)):
                self._notes.change(name)

    def _database_opened(self, path: object, *_: object) -> None:
        for name in self._paths.names_of(database(path)):
            self._notes.change(name)

    def _library_loaded(self, path: object, *_: object) -> None:
        for name in self._paths.names_of(path):
            self._notes.note(name, may_be_absent=False)

    def _started(self, program: object, words: object, folder: object, *_: object) -> None:
        self._run(words, folder)

    def _executed(self, program: object, words: object, *_: object) -> None:
        self._run(words)

    def _run(self, words: object, folder: object = None) -> None:
        """A program is started: the files that its arguments name are read or written, who knows."""
        base = text(folder) if folder else ""
        for command in commands_of(words):
            name = os.path.basename(command[0]) if command else ""
            if name and not is_harmless(command):
                self._notes.run(name)
            for before, word in zip(["", *command], command, strict=False):
                self._given(word, base, is_target=before == ">")

    def _given(self, word: str, folder: str, is_target: bool) -> None:
        for name in self._paths.names_of(word, folder):
            full = self._paths.full(name)
            if is_target and not os.path.lexists(full):
                self._notes.write(name)
            elif os.path.isfile(full):
                self._notes.change(name)


def hook(table: dict[str, Handler], notes: Notes) -> Callable[[str, tuple[object, ...]], None]:
    """What hears all audit events. It is a plain function, as most events are none of ours and cost just its call."""
    here, own = notes.here, os.getpid()

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        if event not in table or here.is_busy:
            return
        here.is_busy, here.news = True, []
        try:
            table[event](*arguments)
            if here.news and os.getpid() != own:
                notes.tell()
        except Exception:
            pass
        finally:
            here.is_busy = False

    return hear


def start(
    name: str, root: str, made: tuple[str, ...], shared: str, asks_for_gpu: bool, hears_deprecations: bool
) -> None:
    """Observe what is read below `root`, but for the folders `made` at its top, and answer as the module `name`.
    `shared` is a file through which processes that the page forks tell what they read."""
    before = set(sys.modules)
    root = os.path.realpath(root)
    notes = Notes(root, made, shared)
    paths = Paths(root, made, notes.hide)
    deprecations = Deprecations()
    if hears_deprecations:
        deprecations.hear()
    report = Report(paths, notes, deprecations.said, before, asks_for_gpu)
    module = types.ModuleType(name)
    module.report, module.line = report.report, report.line  # type: ignore[attr-defined]
    sys.modules[name] = module
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None:
        shell.events.register("pre_run_cell", notes.begin)
    sys.addaudithook(hook(Events(paths, notes).table(), notes))
