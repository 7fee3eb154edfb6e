"""Runs inside a page's kernel, before its first cell: sees which files below the course's root the page reads.

Its source is sent to the kernel as text, so it imports nothing but the standard library and leaves no name behind. An
audit hook (https://docs.python.org/3/library/audit_events.html) hears of every `open` and of every listed folder, of
databases and libraries, and of programs with the files that their arguments name; also in processes that were forked.
What compiled code or a program opens by itself it cannot hear: it tells of the program, and a page names such files
with `coursebook: {inputs: [...]}`.
"""

import json
import os
import re
import shlex
import sys
import threading
import time
import types
import warnings
from urllib.parse import unquote

NAME = "_coursebook_observe"
# Programs that read nothing of a course; the others there only without one of these words.
_HARMLESS = (
    "date", "echo", "false", "free", "hostname", "lscpu", "nproc", "nvidia-smi", "sleep", "true", "uname", "which",
)  # fmt: skip
_INSTALLERS = {"conda": ("run",), "mamba": ("run",), "pip": ("-e", "."), "uv": ("run", "-e", ".")}
_SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "cmd", "cmd.exe")
_STANDARD = os.path.dirname(os.__file__) + os.sep
_REAL_STANDARD = os.path.realpath(_STANDARD) + os.sep
_PACKAGES = re.compile(r"[/\\](site|dist)-packages([/\\]|$)")


def _start(root: str, made: tuple[str, ...], shared: str, asks_for_gpu: bool, hears_deprecations: bool) -> None:
    """Observe what is read below `root`, but for the folders `made` at its top. `shared` is a file through which
    processes that the page forks tell what they read."""
    root, own = os.path.realpath(root), os.getpid()
    # What a fork server has imported, itself among it, is not the page's.
    before = set(sys.modules)
    # By path: what it looked like when it was first read; None for what isn't there.
    read: dict[str, list | None] = {}  # type: ignore[type-arg]
    read_in: dict[str, set[int]] = {}  # by path: in which of the cells that ran, from 1
    ran, began = 0, time.time()
    written: set[str] = set()  # by the page itself: no inputs
    read_again: set[str] = set()  # of these, by the page
    removed: set[str] = set()
    may_change: set[str] = set()  # what the page reads and may change, itself or by a program
    marked: set[str] = set()  # what the page gives permissions or one more name, which changes nothing in it
    links: dict[str, str] = {}  # by where a link leads that the page has gone through: its path below the root
    programs: set[str] = set()
    hidden: set[str] = set()
    kinds = {"again": read_again, "remove": removed, "mark": marked, "program": programs, "hidden": hidden}
    # What is installed may lie in the course, or have a link there; but a system's `/usr` holds data as well.
    places = {os.path.realpath(place) + os.sep for place in (sys.prefix, sys.base_prefix)}
    environments = {place for place in places if place.startswith(root + os.sep)} | {_REAL_STANDARD}
    if sys.prefix != sys.base_prefix and not (root + os.sep).startswith(os.path.realpath(sys.prefix) + os.sep):
        environments.add(os.path.realpath(sys.prefix) + os.sep)
    installed = tuple(environments)
    # Of each thread: whether it is in here, as what is done here is no business of the page's, and what is new.
    here = threading.local()

    def begin(info) -> None:  # type: ignore[no-untyped-def]
        # What a cell runs itself by IPython's `run_cell` is a part of it, and isn't kept in the history.
        nonlocal ran, began
        ran += bool(info.store_history)
        if ran == 1:
            began = time.time()

    def whole(path: object, folder: str = "") -> str:
        if isinstance(path, int):
            return os.readlink(f"/proc/self/fd/{path}")
        return os.path.join(folder or os.getcwd(), os.fsdecode(path))  # type: ignore[arg-type]

    def relative(path: object, folder: str = "", follows: bool = True) -> str:
        """The path relative to the root, with slashes, or nothing for what isn't below. What is a link itself counts
        as what it leads to, or not (`follows`)."""
        if not isinstance(path, (str, bytes, os.PathLike)):
            return ""
        full = whole(path, folder)
        real = os.path.realpath(full)
        if not follows:
            real = os.path.join(os.path.realpath(os.path.dirname(full)), os.path.basename(full))
        if real.startswith(installed) or _PACKAGES.search(real[len(root) :]):
            return ""
        if real.startswith(root + os.sep):
            return real[len(root) + 1 :].replace(os.sep, "/")
        for place, name in links.items():
            if real.startswith(place + os.sep):
                return name + real[len(place) :].replace(os.sep, "/")
        # Through a link that leads out of the course, to a large disk, say.
        full = os.path.abspath(full)
        return full[len(root) + 1 :].replace(os.sep, "/") if full.startswith(root + os.sep) else ""

    def below(path: object, folder: str = "", follows: bool = True, tells: bool = True) -> str:
        """The path relative to the root of what may be an input, or nothing."""
        return as_input(relative(path, folder, follows), tells)

    def as_input(name: str, tells: bool) -> str:
        parts = name.split("/")
        if not name or parts[0] in made:
            return ""
        if any(part.startswith(".") for part in parts):
            if tells and name not in hidden and _is_by_page():
                hidden.add(name)
                here.news.append(["hidden", name])
            return ""
        if len(parts) > 1 and parts[-2] == "__pycache__":
            # A module read from its cache: `__pycache__/name.cpython-311.pyc` stands for `name.py`.
            parts[-2:] = [parts[-1].split(".")[0] + ".py"]
        return "/".join(parts)

    def names_of(path: object, folder: str = "", tells: bool = True) -> list[str]:
        """The same, and beside it the path of the link by which it is reached: that may lead elsewhere one day."""
        name = below(path, folder, tells=tells)
        if not name:
            return []
        full = whole(path, folder)
        given = os.path.abspath(full)
        # With `..` behind a link in it, a path leads elsewhere than it reads.
        is_so = given.startswith(root + os.sep) and os.path.realpath(given) == os.path.realpath(full)
        as_given = as_input(given[len(root) + 1 :].replace(os.sep, "/"), False) if is_so else ""
        return [name, as_given] if as_given not in ("", name) else [name]

    def note(name: str, may_be_absent: bool = True) -> None:
        if name in written:
            if name not in read_again:
                read_again.add(name)
                here.news.append(["again", name])
            return
        if name in read and ran in read_in[name]:
            return
        looked = read[name] if name in read else look(name)
        if looked is None and not may_be_absent:
            return
        read[name] = looked
        read_in.setdefault(name, set()).add(ran)
        here.news.append(["read", name, looked, ran])

    def write(name: str) -> None:
        """The page writes it: its own, unless it has read before what others had written."""
        if name in read and read[name] is None:  # which it has looked for in vain, and makes now
            del read[name]
        (may_change if name in read else written).add(name)
        here.news.append(["write", name])

    def named(path: object) -> str:
        """What the page gives or takes a name; a module's bytecode has one by import, no business of the page's."""
        return "" if "__pycache__" in _text(path) else below(path, follows=False)

    def remove(path: object) -> None:
        """The page removes a file or a folder, or gives it another name."""
        if name := named(path):
            removed.add(name)
            here.news.append(["remove", name])

    def make(path: object) -> None:
        """What gets a name is written, though nobody opens it."""
        if name := named(path):
            write(name)

    def mark(path: object) -> None:
        """The page changes what the system knows of a file, and not what is in it. By another name it may be read."""
        for name in names_of(whole(path)):
            if os.path.isfile(os.path.join(root, name)):
                note(name)
                marked.add(name)
                here.news.append(["mark", name])

    def is_other(name: str) -> bool:
        """Whether it isn't what it was when it was first read."""
        first, now = read[name], look(name)
        if name in marked and isinstance(first, list) and isinstance(now, list):
            return first[:3] != now[:3]  # without the time that the system gave it
        return first != now

    def is_new(name: str) -> bool:
        """Whether a file or folder has come or changed since the page began."""
        try:
            return os.lstat(os.path.join(root, name)).st_ctime > began - _TICK
        except OSError:
            return False

    def is_removed(name: str) -> bool:
        """Whether it is gone by the page's own doing, with its folder or alone."""
        parts = name.split("/")
        return any("/".join(parts[: n + 1]) in removed for n in range(len(parts)))

    def change(name: str) -> None:
        """The page may read and may write it: its own where it wasn't there before."""
        if os.path.exists(os.path.join(root, name)):
            note(name)
        write(name)

    def look(name: str) -> list | None:  # type: ignore[type-arg]
        """What tells a file from the one that it becomes by being edited, or a folder's names."""
        path = os.path.join(root, name)
        try:
            if name.endswith("/"):
                left_out = (*made, "__pycache__") if name == "./" else ("__pycache__",)
                return sorted(n for n in os.listdir(path) if not n.startswith(".") and n not in left_out)
            found = os.stat(path)
        except OSError:
            return None
        # As `files.look` has it, which can't be imported here.
        return [found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns]

    def opened(path: object, mode: object, flags: object) -> None:
        names = names_of(path)
        if not isinstance(flags, int):
            flags = os.O_RDONLY if mode in (None, "r", "rb") else os.O_WRONLY
        is_written = bool(flags & (os.O_WRONLY | os.O_RDWR))
        is_bytecode = "__pycache__" in _text(path)  # of a module that was read, which stands for it otherwise
        if not names or (is_written and is_bytecode) or os.path.isdir(os.path.join(root, names[0])):
            return
        if flags & os.O_EXCL and os.path.lexists(whole(path)):  # it is going to fail
            return
        for name in names:
            if is_written and flags & os.O_TRUNC:
                write(name)
            elif is_written:
                change(name)
            else:
                # A name that os.open gets may be relative to a folder that it doesn't tell of.
                note(name, may_be_absent=mode is not None)

    def listed(path: object, caller: str) -> None:
        # Whatever looks for modules or installed packages lists the folder that the page is in, too; that says nothing
        # about the page.
        if "importlib" not in caller and not caller.endswith("pkgutil.py"):
            path = path if path is not None else "."
            is_root = isinstance(path, (str, bytes, os.PathLike)) and os.path.realpath(os.fsdecode(path)) == root
            # Whoever walks through all folders meets hidden ones, too.
            for name in ["."] if is_root else names_of(path, tells=False):
                note(name + "/")

    def run(words: object, folder: object) -> None:
        """A program is started: the files that its arguments name are read or written, who knows."""
        texts = [_text(word) for word in (words if isinstance(words, (list, tuple)) else [words])]
        base = _text(folder) if folder else ""
        commands = [texts] if len(texts) > 1 else _split(texts[0])
        program = os.path.basename(texts[0])
        if program in _SHELLS and "-c" in texts[:-1]:
            commands = _split(texts[texts.index("-c") + 1])
        for inner in re.findall(r"\$\(([^()]*)\)|`([^`]*)`", " ".join(texts)):
            commands += _split("".join(inner))
        for command in commands:
            name = os.path.basename(command[0]) if command else ""
            if name and not _is_harmless(command) and name not in programs and _is_by_page():
                programs.add(name)
                here.news.append(["program", name])
            for before, word in zip(["", *command], command, strict=False):
                for name in names_of(word, base):
                    if before == ">" and not os.path.lexists(os.path.join(root, name)):
                        write(name)
                    elif os.path.isfile(os.path.join(root, name)):
                        change(name)

    def hear(event: str, arguments: tuple) -> None:  # type: ignore[type-arg]
        if event not in HEARD or getattr(here, "is_busy", False):
            return
        here.is_busy, here.news = True, []
        try:
            if event == "open":
                opened(*arguments)
            elif event in ("os.listdir", "os.scandir"):
                listed(arguments[0] if arguments else None, sys._getframe(1).f_code.co_filename)
            elif event == "os.chdir":
                name = relative(arguments[0])
                if name and not os.path.realpath(arguments[0]).startswith(root + os.sep):
                    links[os.path.realpath(arguments[0])] = name
            elif event == "sqlite3.connect":
                for name in names_of(_database(arguments[0])):
                    change(name)
            elif event == "ctypes.dlopen":
                for name in names_of(arguments[0]):
                    note(name, may_be_absent=False)
            elif event == "os.rename":
                if os.path.lexists(whole(arguments[0])):  # else it is going to fail
                    remove(arguments[0])
                    make(arguments[1])
            elif event == "os.mkdir":
                if not os.path.isfile(whole(arguments[0])):
                    make(arguments[0])
            elif event in ("os.link", "os.symlink"):
                if not os.path.lexists(whole(arguments[1])):  # else it is going to fail
                    make(arguments[1])
                if event == "os.link":
                    mark(arguments[0])
            elif event in ("os.remove", "os.rmdir", "shutil.rmtree"):
                remove(arguments[0])
            elif event in ("os.chmod", "os.chown", "os.setxattr", "os.removexattr"):
                mark(arguments[0])
            elif event in ("os.utime", "os.truncate"):
                for name in names_of(arguments[0]):
                    if os.path.isfile(os.path.join(root, name)):
                        change(name)
            elif event == "subprocess.Popen":
                run(arguments[1], arguments[2])
            elif event == "os.system":
                run(arguments[0], None)
            else:  # os.exec, os.posix_spawn
                run(arguments[1], None)
            if here.news and os.getpid() != own:
                # A process that the page forked says what it has seen: its memory isn't the kernel's.
                with open(shared, "a", encoding="utf-8") as file:
                    file.write("".join(json.dumps(row) + "\n" for row in here.news))
        except Exception:
            pass
        finally:
            here.is_busy = False

    def take_in() -> None:
        """What forked processes have told."""
        try:
            with open(shared, encoding="utf-8") as file:
                lines = file.readlines()
        except OSError:
            return
        for line in lines:
            try:
                kind, name, *more = json.loads(line)
            except ValueError:  # it was killed when it told this
                continue
            if kind == "read" and name not in written:
                read.setdefault(name, more[0])
                read_in.setdefault(name, set()).add(more[1])
            elif kind == "write":
                if name in read and (read[name] is None or _is_since(read[name], began, name in marked)):
                    del read[name]
                    read_again.add(name)
                (may_change if name in read else written).add(name)
            elif kind in kinds:
                kinds[kind].add(name)

    def report() -> str:
        """What was seen, as JSON.

        Paths below the root: `read`, `absent` (were to be read and aren't there), `unheard` (modules, which were read
        before anybody could look at them), `edited` (somebody else changed or removed them since they were read),
        `changed` (the page itself did), `made` (when they were first read they had come or changed since the page
        began), `written` (by the page alone, folders as well), `again` (of these, what it read, and what has come again
        since it removed it), `hidden` (the page's own code read them). `listed` has by folder, with a slash at its end,
        the names that there were when it was listed first, without what the page itself has removed, `new` those of
        them that have come or changed since the page began.
        `read_in` has by path, of the cells that ran, those that read it, from 1; `modules` the paths of the course's
        modules by name, `elsewhere` the files of those that are neither the course's nor installed. `programs` are
        those that the page's own code ran, `own_processes` tells whether it started Python anew in others. `prefix` is
        where this Python is, `path` where it looks for modules. `peak_memory` is in bytes. Of GPUs, as torch tells:
        `cuda` (the name of the one that was used), `cuda_memory` (its peak in bytes), `offered` (of one that could
        have been), `blind` (torch is there and finds none). `deprecations` are what libraries said will change.
        """
        here.is_busy, here.news = True, []
        try:
            take_in()
            heard = set(read)
            modules, elsewhere = _modules()
            unheard = read.keys() - heard
            first = dict(read)  # a thread of the page's may be reading still
            gpu = {"cuda": "", "cuda_memory": 0, "offered": "", "blind": False}
            torch = sys.modules.get("torch")
            if torch is not None and asks_for_gpu:
                if not torch.cuda.is_available():
                    gpu["blind"] = True
                elif torch.cuda.is_initialized():
                    gpu["cuda"], gpu["cuda_memory"] = torch.cuda.get_device_name(), torch.cuda.max_memory_allocated()
                else:
                    gpu["offered"] = torch.cuda.get_device_name()
            try:
                import resource

                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            except ImportError:  # Windows
                peak = 0
            files = {name: looked for name, looked in first.items() if not name.endswith("/")}
            there = {name for name in files if os.path.exists(os.path.join(root, name))}
            own = {name for name in set(written) if os.path.lexists(os.path.join(root, name))}
            gone_again = set(written) - own
            folders = [name for name in first if name.endswith("/")]
            listed = {
                name: [part for part in first[name] or [] if name.removeprefix("./") + part not in gone_again]
                for name in folders
                if name[:-1] not in gone_again and (first[name] is not None or name[:-1] in own)
            }
            came = {name for name, looked in files.items() if _is_since(looked, began, name in marked)}
            gone = {name for name in files.keys() - there - came if files[name]}
            others = {name for name in there if is_other(name)} | gone
            by_page = {name for name in others if name in may_change or is_removed(name)}
            # What it has removed and is there again its own programs have written.
            again = own & read_again | by_page & there - may_change
            return json.dumps(
                {
                    "read": sorted(there),
                    "listed": listed,
                    "new": {name: [part for part in listed[name] if is_new(name + part)] for name in listed},
                    "absent": sorted(n for n in first.keys() - there if first[n] is None and n.rstrip("/") not in own),
                    "unheard": sorted(unheard),
                    "edited": sorted(others - by_page),
                    "changed": sorted(by_page),
                    "made": sorted(came & there),
                    "written": sorted(own),
                    "again": sorted(again | {name[:-1] for name in folders if name[:-1] in own}),
                    "read_in": {name: sorted(read_in[name]) for name in first if name in read_in},
                    "modules": modules,
                    "elsewhere": elsewhere,
                    "programs": sorted(set(programs)),
                    "hidden": sorted(set(hidden)),
                    "own_processes": any(name in sys.modules.keys() - before for name in _ANEW),
                    "prefix": os.path.realpath(sys.prefix),
                    "path": [place for place in sys.path if place],
                    "peak_memory": peak,
                    "deprecations": list(deprecations),
                    **gpu,
                }
            )
        finally:
            here.is_busy = False

    def _modules() -> tuple[dict[str, str], dict[str, str]]:
        modules, elsewhere = {}, {}
        folders: dict[str, str] = {}  # by a module's folder: where it really is, which takes a while to find out
        for name, module in list(sys.modules.items()):
            source = getattr(module, "__file__", None)
            # Of what a fork server has imported nothing is the page's.
            if not isinstance(source, str) or (name in before and "." in name):
                continue
            folder, base = os.path.split(source)
            if folder not in folders:
                folders[folder] = os.path.realpath(folder)
            full = os.path.join(folders[folder], base)
            full = os.path.realpath(full) if os.path.islink(full) else full
            path = "" if full.startswith(installed) else below(source)
            if path and path not in written and name not in before:
                read.setdefault(path, look(path))
                modules[name] = path
            elif not path and "." not in name and not _is_installed(full):
                elsewhere[name] = source
        return modules, elsewhere

    def line() -> str:
        """The line of the cell, from 1, at which the last traceback begins; 0 where none does. IPython's text names the
        line that ran last, which in a cell with `finally:` or `with` is another one."""
        cells = sys.modules["__main__"].__dict__
        entry = getattr(sys, "last_traceback", None)
        while entry is not None and entry.tb_frame.f_globals is not cells:
            entry = entry.tb_next
        return str(entry.tb_lineno if entry else 0)

    deprecations: dict[str, None] = {}
    shown = warnings.showwarning

    def show(message, category, filename, lineno, file=None, line=None):  # type: ignore[no-untyped-def]
        is_cell = os.path.basename(os.path.dirname(filename)).startswith("ipykernel_")
        if issubclass(category, (DeprecationWarning, PendingDeprecationWarning, FutureWarning)):
            where = "" if is_cell else f"{os.path.basename(os.path.dirname(filename))}/{os.path.basename(filename)}: "
            deprecations.setdefault(f"{where}{category.__name__}: {message}")
        # As it is without us: of deprecations readers see those that a cell's own code meets.
        if is_cell or not issubclass(category, (DeprecationWarning, PendingDeprecationWarning)):
            shown(message, category, filename, lineno, file, line)

    def _is_by_page() -> bool:
        """Whether the page's own code, or IPython for it, does what is heard of, and not a package for its purposes."""
        frame: object = sys._getframe(2)
        while frame is not None:
            code = frame.f_code.co_filename  # type: ignore[attr-defined]
            # IPython runs `!` by pexpect.
            if (
                code != "coursebook"
                and not code.startswith("<frozen")
                and not re.search(r"\b(pexpect|ptyprocess)\b", code)
            ):
                if "ipykernel_" in code or code.startswith(root + os.sep) or os.sep + "IPython" + os.sep in code:
                    return True
                if not code.startswith(_STANDARD) or _PACKAGES.search(code):
                    return False
            frame = frame.f_back  # type: ignore[attr-defined]
        return True  # a thread of the standard library's, as IPython runs `%%bash` in

    if hears_deprecations:
        # Python drops most of them unseen. A page that filters warnings itself still does.
        warnings.filterwarnings("default", category=DeprecationWarning)
        warnings.showwarning = show

    module = types.ModuleType(NAME)
    module.report, module.line = report, line  # type: ignore[attr-defined]
    sys.modules[NAME] = module
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None:
        shell.events.register("pre_run_cell", begin)
    sys.addaudithook(hear)


HEARD = frozenset(
    (
        "open", "os.listdir", "os.scandir", "os.chdir", "os.rename", "os.link", "os.symlink", "os.mkdir",
        "os.rmdir", "os.remove", "shutil.rmtree", "os.chmod", "os.chown", "os.setxattr", "os.removexattr", "os.utime",
        "os.truncate", "sqlite3.connect", "ctypes.dlopen", "subprocess.Popen", "os.system", "os.exec",
        "os.posix_spawn",
    )
)  # fmt: skip
# Loaded where processes are started that know nothing of this one's hook.
_ANEW = (
    "multiprocessing.popen_spawn_posix", "multiprocessing.popen_forkserver", "multiprocessing.popen_spawn_win32",
    "joblib.externals.loky.backend.popen_loky_posix", "joblib.externals.loky.backend.popen_loky_win32",
    "loky.backend.popen_loky_posix", "loky.backend.popen_loky_win32",
)  # fmt: skip
# Seconds by which a file system's clock may be behind: it counts in ticks of the kernel.
_TICK = 0.01


def _is_since(look: object, began: float, is_marked: bool) -> bool:
    """Whether a file has become what it looks like after the page began; `is_marked`: the system gave it a new time."""
    if not isinstance(look, list) or len(look) != 4 or not isinstance(look[3], int):  # a folder's names
        return False
    changed = look[1] if is_marked else max(look[3], look[1] if os.name == "nt" else 0)
    return changed / 1e9 > began - _TICK


def _text(word: object) -> str:
    return os.fsdecode(word) if isinstance(word, (str, bytes, os.PathLike)) else str(word)


def _is_harmless(command: list[str]) -> bool:
    name = os.path.basename(command[0])
    return name in _HARMLESS or (name in _INSTALLERS and not {*_INSTALLERS[name]} & {*command[1:]})


def _split(command: str) -> list[list[str]]:
    """The commands of a shell's line, each as words."""
    try:
        lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        words = command.split()
    commands: list[list[str]] = [[]]
    for word in words:
        if word and not word.strip("|&;()"):
            commands.append([])
        elif commands[-1] or not re.fullmatch(r"\w+=.*", word):
            commands[-1].append(word)
    return [command for command in commands if command]


def _database(name: object) -> object:
    """The file of a database, also where it is named by an address (https://www.sqlite.org/uri.html)."""
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    if not isinstance(name, str) or not name.startswith("file:"):
        return name
    address = unquote(name.removeprefix("file:").partition("#")[0].partition("?")[0])
    return re.sub(r"^//(localhost)?(?=/)", "", address)


def _is_installed(full: str) -> bool:
    """Whether the source of a module, without links, is Python's own or a package's, or no file."""
    return bool(_PACKAGES.search(full)) or full.startswith((_REAL_STANDARD, "/dev/", "/proc/")) or "<" in full
