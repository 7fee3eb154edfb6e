"""Runs inside a page's kernel, before its first cell: sees which files below the course's root the page reads.

Its source is sent to the kernel as text, so it imports nothing but the standard library and leaves no name behind. An
audit hook hears of every `open` and of every listed folder; what compiled code opens by itself it cannot hear (a page
names such files with `coursebook: {inputs: [...]}`).
"""

import json
import os
import sys
import types
import warnings

NAME = "_coursebook_observe"
# Not inputs: what builds and caches, and hidden files.
_LEFT_OUT = ("_build", "outputs", "node_modules")


def _start(root: str, asks_for_gpu: bool, hears_deprecations: bool) -> None:
    root = os.path.realpath(root)
    # What a fork server has imported, itself among it, is not the page's.
    before = set(sys.modules)
    read: dict[str, None] = {}
    read_in: dict[str, set[int]] = {}  # by path: in which of the cells that ran, from 1
    ran = 0
    written: set[str] = set()

    def begin(info) -> None:  # type: ignore[no-untyped-def]
        # What a cell runs itself by IPython's `run_cell` is a part of it, and isn't kept in the history.
        nonlocal ran
        ran += bool(info.store_history)

    def note(name: str) -> None:
        read.setdefault(name)
        read_in.setdefault(name, set()).add(ran)

    def below(path: object) -> str:
        """The path relative to the root, with slashes, or nothing for what is no input."""
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, (str, os.PathLike)):
            return ""
        full = os.path.realpath(os.fspath(path))
        if not full.startswith(root + os.sep):
            return ""
        parts = full[len(root) + 1 :].split(os.sep)
        if parts[0] in _LEFT_OUT or any(part.startswith(".") for part in parts):
            return ""
        if len(parts) > 1 and parts[-2] == "__pycache__":
            # A module read from its cache: `__pycache__/name.cpython-311.pyc` stands for `name.py`.
            parts[-2:] = [parts[-1].split(".")[0] + ".py"]
        return "/".join(parts)

    def hear(event: str, arguments: tuple) -> None:  # type: ignore[type-arg]
        try:
            if event == "open":
                path, mode, flags = arguments
                name = below(path)
                if not name:
                    return
                is_written = (
                    flags & (os.O_WRONLY | os.O_RDWR) if isinstance(flags, int) else mode not in (None, "r", "rb")
                )
                if is_written:
                    written.add(name)
                elif name not in written:
                    note(name)
            elif event in ("os.listdir", "os.scandir"):
                # Whatever looks for modules or installed packages lists the folder that the page is in, too; that
                # says nothing about the page.
                caller = sys._getframe(1).f_code.co_filename
                if "importlib" not in caller and not caller.endswith("pkgutil.py"):
                    name = below(arguments[0] if arguments and arguments[0] is not None else ".")
                    if name:
                        note(name + "/")
        except Exception:
            pass

    def report() -> str:
        """What was seen, as JSON: `read` (paths below the root), `read_in` (by path, of the cells that ran those that
        read it, from 1), `modules` (the paths of those below the root, by name), `peak_memory` (bytes), and of GPUs, as
        torch tells: `cuda` (the name of the one that was used), `cuda_memory` (its peak in bytes), `offered` (of one
        that could have been), `blind` (torch is there and finds none); `deprecations` (what libraries said will
        change)."""
        modules: dict[str, str] = {}
        for name in sys.modules.keys() - before:
            module = sys.modules.get(name)
            source = getattr(module, "__file__", None)
            path = below(source) if source else ""
            if path:
                read.setdefault(path)
                modules[name] = path
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
        seen = [name for name in read if name not in written and os.path.exists(os.path.join(root, name))]
        by_cell = {"read_in": {name: sorted(read_in[name]) for name in seen if name in read_in}, "modules": modules}
        return json.dumps(
            {"read": sorted(seen), "peak_memory": peak, "deprecations": list(deprecations), **by_cell, **gpu}
        )

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
