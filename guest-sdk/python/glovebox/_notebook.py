"""A notebook as a component: what happens at build time, and `run`."""

from __future__ import annotations

import builtins
import importlib
import json
import os
import random
import sys
import time
from typing import Any, NoReturn

import glovebox

from . import _cells, _room, _show
from ._cells import Cell, Failed, Problem, Ready
from ._source import cells_of

# Modules that others import when they are first used, and what cells need most.
USUAL = """_strptime base64 bisect calendar collections collections.abc contextlib copy csv
dataclasses datetime decimal encodings.ascii encodings.cp1252 encodings.idna encodings.latin_1
encodings.utf_16 encodings.utf_8_sig enum fractions functools hashlib heapq html io itertools json
linecache locale math numbers operator pprint random re statistics string struct textwrap
traceback typing unicodedata uuid zlib""".split()

# The time that stands still outside `run_info`: 2020-01-01T00:00:00Z.
NOW = 1_577_836_800

PROBLEM = "glovebox-problem "


def load(path: str) -> list[Ready]:
    """Compiles all cells of a file and imports what they import. Runs at build time, in the
    interpreter that will run them, so that grammar and modules are the same."""
    stop_clocks()
    with open(path, encoding="utf-8") as file:
        cells = cells_of(file.read(), path.endswith(".ipynb"))
    try:
        ready = [_cells.prepare(cell) for cell in cells]
        for each in ready:
            for module, names, line in _cells.imports_of(each):
                import_for(each.cell, module, names, line)
    except Problem as problem:
        tell(problem)
    for module in USUAL:
        importlib.import_module(module)
    return ready


def import_for(cell: Cell, module: str, names: list[str], line: int) -> None:
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or module).partition(".")[0]
        if missing != module.partition(".")[0]:
            raise Problem(cell, line, 1, f"module `{module}` needs `{missing}`, which a room does not have") from None
        raise Problem(
            cell, line, 1,
            f"module `{missing}` is neither in the standard library nor bundled",
            'a package of pure Python can be bundled: add requirements = ["name==version"] to the header',
        ) from None
    except Exception as error:
        raise Problem(cell, line, 1, f"module `{module}` cannot be imported: {error}") from None
    for name in names:
        if name != "*" and not hasattr(loaded, name):
            try:
                importlib.import_module(f"{module}.{name}")
            except ModuleNotFoundError:
                raise Problem(cell, line, 1, f"module `{module}` has no `{name}`") from None


def tell(problem: Problem) -> NoReturn:
    """Ends the build; the builder reads the line."""
    cell = problem.cell
    raise SystemExit(PROBLEM + json.dumps({
        "cell": cell.number, "line": problem.line, "column": problem.column,
        "file_line": cell.line, "message": problem.message, "help": problem.help,
    }))


def stop_clocks() -> None:
    """A run has no clock. The interpreter would end in a trap; here time stands still instead."""
    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
        setattr(time, name, lambda: float(NOW))
        setattr(time, f"{name}_ns", lambda: NOW * 1_000_000_000)
    time.sleep = lambda seconds: None
    time.localtime = lambda seconds=NOW: time.gmtime(seconds)  # type: ignore[assignment]
    gmtime = time.gmtime
    time.gmtime = lambda seconds=NOW: gmtime(NOW if seconds is None else seconds)  # type: ignore[assignment]


def close_files() -> None:
    """After the last import: a run has no files and no randomness. The interpreter would end in a
    trap, which says nothing."""

    def refuse(what: str) -> Any:
        def refused(*arguments: Any, **named: Any) -> NoReturn:
            raise OSError(f"there is {what} in a run")
        return refused

    for name in ("listdir", "scandir", "stat", "lstat", "open", "mkdir", "remove", "rename", "getcwd"):
        setattr(os, name, refuse("no file system"))
    builtins.open = refuse("no file system")
    # Far deeper than this, the machine's stack ends, and with it the run, without a traceback.
    set_limit = sys.setrecursionlimit
    sys.setrecursionlimit = lambda limit: set_limit(min(limit, 100_000))
    os.urandom = refuse("no randomness; `random` gives the same numbers every time")
    random._urandom = os.urandom  # type: ignore[attr-defined]
    # What is not loaded now cannot be loaded later: there are no files to look for it in.
    sys.path.clear()
    sys.path_importer_cache.clear()
    sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "__name__", "") != "PathFinder"]


def play(cells: list[Ready], backend: _room.Backend) -> None:
    """Runs a notebook in a room."""
    room = _room.Room(backend)
    glovebox._enter(room)
    back = _cells.redirect(backend.log)
    namespace: dict[str, Any] = {"__name__": "__main__", "display": glovebox.display}

    def query(statement: str) -> glovebox.Batches:
        def value_of(name: str) -> Any:
            return namespace[name] if name in namespace else backend.parameter(name)

        text, values = _room.number_parameters(statement, value_of)
        return glovebox.Batches(backend.query(text.strip().removesuffix(";"), values))

    namespace["__sql__"] = query
    try:
        _cells.run(cells, namespace, lambda value: backend.display(*_show.represent(value)))
        room.finish()
    finally:
        back()
        glovebox._enter(None)


def run(cells: list[Ready]) -> None:
    """The component's `run`."""
    from componentize_py_types import Err

    from . import _wasm

    host = _wasm.Host()
    try:
        play(cells, host)
    except Failed as failed:
        host.log("error", failed.text)
        if isinstance(failed.error, glovebox.Error):
            raise Err(_wasm.to_error(failed.error)) from None
        raise Err(_wasm.types.Error(_wasm.types.ErrorCode.INTERNAL, failed.text)) from None
    except glovebox.Error as error:
        raise Err(_wasm.to_error(error)) from None
