"""What a Python notebook uses in its room.

    import glovebox

    for batch in glovebox.table("airline.flights").scan(columns=["dep_delay"]):
        delays = batch.column("dep_delay").values
    rows = glovebox.sql("SELECT origin FROM airline.flights LIMIT :k", k=50).to_pylist()
    glovebox.output("late").write({"origin": ["JFK"], "flights": [1]})
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import _show
from ._columns import Column
from ._room import Batch, Batches, Error, Field, File, Output, Room, Table, Volume, today

__all__ = [
    "Batch", "Batches", "Column", "Error", "Field", "File", "Output", "Table", "Volume",
    "display", "log", "output", "outputs", "param", "params", "progress", "run_info", "sql",
    "table", "tables", "volume", "volumes",
]

# How a traceback names it.
Error.__module__ = __name__

_entered: Room | None = None


def _current() -> Room:
    if _entered is None:
        raise RuntimeError("there is no room: a notebook's cells run in one, and glovebox.testing makes one")
    return _entered


def _enter(room: Room | None) -> None:
    global _entered
    _entered = room


def sql(statement: str, /, **parameters: Any) -> Batches:
    """Runs one `SELECT` on the host's engine; `:name` stands for the argument of that name."""
    return _current().sql(statement, parameters)


def table(name: str) -> Table:
    """An input table, for example `airline.flights`."""
    return _current().table(name)


def tables() -> list[str]:
    """Names of the tables that this notebook may read."""
    return _current().backend.tables()


def volume(name: str) -> Volume:
    """Files that the notebook declares, for example `acme.model`."""
    return _current().volume(name)


def volumes() -> list[str]:
    """Names of the volumes that this notebook may read."""
    return _current().backend.volumes()


def output(name: str) -> Output:
    """A declared output; the same one however often it is asked for."""
    return _current().output(name)


def outputs() -> list[str]:
    """Names of the declared outputs."""
    return _current().backend.outputs()


def param(name: str) -> Any:
    """The value of a declared parameter."""
    return _current().backend.parameter(name)


def params() -> Mapping[str, Any]:
    """All parameters."""
    return _current().backend.parameters()


def progress(done: int, total: int | None = None) -> None:
    """Says how much of the work is done, of how much when that is known."""
    _current().backend.progress(done, total)


def display(value: Any) -> None:
    """Keeps `value` for the author, as the last expression of a cell is kept; a text as it is."""
    shown = ("text/plain", value.encode()) if isinstance(value, str) else _show.represent(value)
    _current().backend.display(*shown)


def run_info() -> dict[str, Any]:
    """What this run is; `started_at` is its only time. Reviewers see that a notebook asks."""
    info = _current().backend.run_info()
    return {**info, "started_at": today(info["started_at"])}


class _Log:
    """Lines for those whom the room names as readers of its log."""

    def debug(self, message: Any) -> None:
        _current().backend.log("debug", str(message))

    def info(self, message: Any) -> None:
        _current().backend.log("info", str(message))

    def warn(self, message: Any) -> None:
        _current().backend.log("warn", str(message))

    def error(self, message: Any) -> None:
        _current().backend.log("error", str(message))


log = _Log()
