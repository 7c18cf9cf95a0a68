"""Rooms in memory, to test a notebook natively.

    from glovebox.testing import MockRoom

    room = MockRoom(tables={"airline.flights": {"origin": ("utf8", ["JFK"])}},
                    outputs={"late": ["origin utf8", "flights int64"]},
                    parameters={"k": 50})
    run = room.run("notebook.py")
    assert run.output("late") == [{"origin": "JFK", "flights": 1}]

Values cross as Arrow buffers, as they do between host and component, and outputs are as strict. A
mock room has no query engine: `answers` says what a query gives, and `filters` what a filter keeps.
`python -m glovebox.testing NOTEBOOK` checks that every cell is read.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import _cells, _notebook
from ._cells import Cell
from ._columns import Column, decode
from ._encode import Encoded
from ._room import Error, Field
from ._source import cells_of

Columns = Mapping[str, tuple[str, Sequence[Any]]]


@dataclass
class Node:
    length: int
    null_count: int


@dataclass
class Crossed:
    """Columns between the two sides."""

    nodes: list[Node]
    buffers: list[bytes]


class Rows:
    """Columns of equal length, on the host's side."""

    def __init__(self, columns: Columns) -> None:
        self.names = list(columns)
        self.types = [type for type, _ in columns.values()]
        self.values = [list(values) for _, values in columns.values()]
        if len({len(values) for values in self.values}) > 1:
            raise ValueError("the columns differ in length")

    @property
    def length(self) -> int:
        return len(self.values[0]) if self.values else 0

    def take(self, names: Sequence[str], rows: Sequence[int]) -> "Rows":
        taken = Rows({})
        for name in names:
            if name not in self.names:
                raise Error("not-granted", f"column `{name}` is not granted")
            index = self.names.index(name)
            taken.names.append(name)
            taken.types.append(self.types[index])
            taken.values.append([self.values[index][row] for row in rows])
        return taken

    def fields(self) -> list[Field]:
        return [Field(name, type, True) for name, type in zip(self.names, self.types)]


@dataclass
class MockBatch:
    rows: Rows

    def num_rows(self) -> int:
        return self.rows.length

    def columns(self, indices: list[int]) -> Crossed:
        encoded = Encoded()
        for index in indices:
            name = self.rows.names[index]
            encoded.add(Field(name, self.rows.types[index], True).type, self.rows.values[index], name)
        return Crossed([Node(*node) for node in encoded.nodes], encoded.buffers)

    def slice(self, offset: int, length: int) -> "MockBatch":
        if offset + length > self.rows.length:
            raise Error("invalid-argument", f"the batch has {self.rows.length} rows")
        return MockBatch(self.rows.take(self.rows.names, range(offset, offset + length)))

    def project(self, indices: list[int]) -> "MockBatch":
        return MockBatch(self.rows.take([self.rows.names[i] for i in indices], range(self.rows.length)))


@dataclass
class MockReader:
    rows: Rows
    batch_rows: int
    at: int = 0

    def fields(self) -> list[Field]:
        return self.rows.fields()

    def next(self) -> MockBatch | None:
        if self.at >= self.rows.length:
            return None
        end = min(self.at + self.batch_rows, self.rows.length)
        batch = MockBatch(self.rows.take(self.rows.names, range(self.at, end)))
        self.at = end
        return batch


@dataclass
class MockTable:
    name: str
    rows: Rows
    room: "MockRoom"

    def fields(self) -> list[Field]:
        return self.rows.fields()

    def scan(self, columns: Any, filter: str | None, limit: int | None, batch_rows: int | None) -> MockReader:
        kept = list(range(self.rows.length))
        if filter is not None:
            keep = self.room.filters.get((self.name, filter))
            if keep is None:
                raise Error("not-granted", f"tell `filters` what ({self.name!r}, {filter!r}) keeps")
            records = [dict(zip(self.rows.names, row)) for row in zip(*self.rows.values)]
            kept = [row for row in kept if keep(records[row])]
        rows = self.rows.take(columns or self.rows.names, kept[:limit])
        return MockReader(rows, batch_rows or self.room.batch_rows)


class MockOutput:
    def __init__(self, name: str, fields: list[Field]) -> None:
        self.name, self.declared = name, fields
        self.written: list[dict[str, Any]] = []
        self.finished = False

    def fields(self) -> list[Field]:
        return self.declared

    def write_columns(self, rows: int, encoded: Encoded) -> None:
        nodes, buffers = iter(Node(*node) for node in encoded.nodes), iter(encoded.buffers)
        self._write([decode(field.type, nodes, buffers) for field in self.declared])

    def write_batch(self, batch: MockBatch) -> None:
        given = list(zip(batch.rows.names, batch.rows.types))
        if given != [(field.name, field.type.text) for field in self.declared]:
            raise Error("schema-mismatch", f"the batch does not have the columns of `{self.name}`")
        crossed = batch.columns(list(range(len(self.declared))))
        nodes, buffers = iter(crossed.nodes), iter(crossed.buffers)
        self._write([decode(field.type, nodes, buffers) for field in self.declared])

    def _write(self, columns: list[Column]) -> None:
        if self.finished:
            raise Error("closed", f"output `{self.name}` is finished")
        for field, column in zip(self.declared, columns):
            if not field.nullable and column.null_count:
                raise Error("schema-mismatch", f"column `{field.name}` has nulls and is declared not null")
        names = [field.name for field in self.declared]
        self.written += [dict(zip(names, row)) for row in zip(*columns)]

    def finish(self) -> None:
        self.finished = True


@dataclass
class MockFile:
    content: bytes

    def read(self, offset: int, length: int) -> bytes:
        return self.content[offset : offset + length]


@dataclass
class MockRun:
    """What a notebook left behind."""

    log: list[tuple[str, str]]
    displays: list[tuple[str, bytes]]
    progress: list[tuple[int, int | None]]
    outputs: dict[str, MockOutput] = field(repr=False)

    def output(self, name: str) -> list[dict[str, Any]]:
        """Rows of an output."""
        return self.outputs[name].written


class MockRoom:
    """A room of test data."""

    def __init__(
        self,
        tables: Mapping[str, Columns] | None = None,
        outputs: Mapping[str, Sequence[str]] | None = None,
        parameters: Mapping[str, Any] | None = None,
        volumes: Mapping[str, Mapping[str, bytes]] | None = None,
        answers: Mapping[str, Columns] | Callable[[str, list[Any]], Columns | None] | None = None,
        filters: Mapping[tuple[str, str], Callable[[dict[str, Any]], bool]] | None = None,
        batch_rows: int = 1 << 30,
        started_at: int = 0,
    ) -> None:
        self._tables = {name: Rows(columns) for name, columns in (tables or {}).items()}
        self._outputs = {name: [declared(text) for text in texts] for name, texts in (outputs or {}).items()}
        self._parameters = dict(parameters or {})
        self._volumes = {name: dict(files) for name, files in (volumes or {}).items()}
        self._answers = answers or {}
        self.filters = dict(filters or {})
        self.batch_rows = batch_rows
        self._started_at = started_at
        self._run = MockRun([], [], [], {})

    def run(self, notebook: str | Path) -> MockRun:
        """Runs a notebook's file.

        A cell that fails raises `glovebox.testing.Failed`, with the text that its author would read.
        """
        path = Path(notebook)
        return self.run_cells(cells_of(path.read_text("utf-8"), path.suffix == ".ipynb"))

    def run_cells(self, cells: Sequence[Cell | str]) -> MockRun:
        """Runs cells, given as texts of Python or as the builder has them."""
        self._run = MockRun([], [], [], {})
        given = [c if isinstance(c, Cell) else Cell(n, "python", 0, c) for n, c in enumerate(cells, 1)]
        ready = [_cells.prepare(cell) for cell in given]
        _notebook.play(ready, self)
        for name in self._outputs:
            if name not in self._run.outputs:
                raise Error("invalid-argument", f"output `{name}` was not finished")
        return self._run

    def query(self, statement: str, values: list[Any]) -> MockReader:
        answers = self._answers
        answer = answers(statement, values) if callable(answers) else answers.get(statement)
        if answer is None:
            raise Error("not-granted", f"tell `answers` what {statement!r} gives")
        return MockReader(Rows(answer), self.batch_rows)

    def table(self, name: str) -> MockTable:
        if name not in self._tables:
            raise Error("not-granted", f"table `{name}` is not granted")
        return MockTable(name, self._tables[name], self)

    def tables(self) -> list[str]:
        return list(self._tables)

    def volumes(self) -> list[str]:
        return list(self._volumes)

    def files(self, volume: str) -> list[tuple[str, int, str]]:
        if volume not in self._volumes:
            raise Error("not-granted", f"volume `{volume}` is not granted")
        # Digests are the host's.
        return [(path, len(data), "") for path, data in sorted(self._volumes[volume].items())]

    def open_file(self, volume: str, path: str) -> MockFile:
        if path not in self._volumes[volume]:
            raise Error("not-granted", f"volume {volume} has no file `{path}`")
        return MockFile(self._volumes[volume][path])

    def output(self, name: str) -> MockOutput:
        if name not in self._outputs:
            raise Error("not-granted", f"output `{name}` is not declared")
        return self._run.outputs.setdefault(name, MockOutput(name, self._outputs[name]))

    def outputs(self) -> list[str]:
        return list(self._outputs)

    def parameter(self, name: str) -> Any:
        if name not in self._parameters:
            raise Error("not-granted", f"parameter `{name}` is not declared")
        return self._parameters[name]

    def parameters(self) -> dict[str, Any]:
        return dict(self._parameters)

    def log(self, level: str, message: str) -> None:
        self._run.log.append((level, message))

    def progress(self, done: int, total: int | None) -> None:
        self._run.progress.append((done, total))

    def display(self, media_type: str, data: bytes) -> None:
        self._run.displays.append((media_type, data))

    def run_info(self) -> dict[str, Any]:
        return {"run_id": "", "room": "", "component": "", "revision_digest": "", "started_at": self._started_at}


Failed = _cells.Failed


def declared(text: str) -> Field:
    """`name type` or `name type not null`, as in a header."""
    name, _, type = text.strip().partition(" ")
    plain = type.strip().removesuffix(" not null")
    return Field(name, plain, plain == type.strip())


def main() -> None:
    for name in sys.argv[1:]:
        path = Path(name)
        try:
            for cell in cells_of(path.read_text("utf-8"), path.suffix == ".ipynb"):
                _cells.prepare(cell)
        except _cells.Problem as problem:
            sys.exit(f"{name}: cell {problem.cell.number}, line {problem.line}: {problem.message}")


if __name__ == "__main__":
    main()
