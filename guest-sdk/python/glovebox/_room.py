"""What a notebook can do in its room: the same over a host and over a room in memory."""

from __future__ import annotations

import datetime
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from ._columns import Column, decode
from ._encode import Encoded
from ._types import DataType, parse


EPOCH_MICROS = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


class Error(Exception):
    """The room refused a call. `code` is one of the interface's codes, such as `not-granted`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Backend(Protocol):
    """What stands behind the room."""

    def query(self, statement: str, parameters: list[Any]) -> Any: ...
    def table(self, name: str) -> Any: ...
    def tables(self) -> list[str]: ...
    def output(self, name: str) -> Any: ...
    def outputs(self) -> list[str]: ...
    def volumes(self) -> list[str]: ...
    def files(self, volume: str) -> list[tuple[str, int, str]]: ...
    def open_file(self, volume: str, path: str) -> Any: ...
    def parameter(self, name: str) -> Any: ...
    def parameters(self) -> dict[str, Any]: ...
    def log(self, level: str, message: str) -> None: ...
    def progress(self, done: int, total: int | None) -> None: ...
    def display(self, media_type: str, data: bytes) -> None: ...
    def run_info(self) -> dict[str, Any]: ...


class Field:
    """A column's name and type."""

    def __init__(self, name: str, type: str, nullable: bool) -> None:
        self.name = name
        self.type: DataType = parse(type)
        self.nullable = nullable

    def __repr__(self) -> str:
        return f"{self.name} {self.type}{'' if self.nullable else ' not null'}"


def index_of(fields: Sequence[Field], name: str) -> int:
    for index, field in enumerate(fields):
        if field.name == name:
            return index
    raise KeyError(f"no column `{name}`; there are {', '.join(field.name for field in fields)}")


class Batch:
    """Some rows. The host holds them; a column is copied into Python when it is first looked at."""

    def __init__(self, handle: Any, fields: list[Field]) -> None:
        self.fields = fields
        self._handle = handle
        self._seen: dict[int, Column] = {}

    @property
    def num_rows(self) -> int:
        return int(self._handle.num_rows())

    def column(self, name: str) -> Column:
        """The column called `name`."""
        index = index_of(self.fields, name)
        self._read([index])
        return self._seen[index]

    def columns(self) -> dict[str, Column]:
        """All columns, in one call to the host."""
        self._read([index for index in range(len(self.fields)) if index not in self._seen])
        return {field.name: self._seen[index] for index, field in enumerate(self.fields)}

    def _read(self, indices: list[int]) -> None:
        wanted = [index for index in indices if index not in self._seen]
        if wanted:
            columns = self._handle.columns(wanted)
            nodes, buffers = iter(columns.nodes), iter(columns.buffers)
            for index in wanted:
                self._seen[index] = decode(self.fields[index].type, nodes, buffers)

    def slice(self, offset: int, length: int) -> "Batch":
        """Some of the rows, without a copy."""
        return Batch(self._handle.slice(offset, length), self.fields)

    def project(self, names: Sequence[str]) -> "Batch":
        """Some of the columns, without a copy."""
        indices = [index_of(self.fields, name) for name in names]
        return Batch(self._handle.project(indices), [self.fields[index] for index in indices])

    def to_pydict(self) -> dict[str, list[Any]]:
        return {name: column.to_pylist() for name, column in self.columns().items()}

    def to_pylist(self) -> list[dict[str, Any]]:
        columns = self.to_pydict()
        return [dict(zip(columns, row)) for row in zip(*columns.values())]

    def __len__(self) -> int:
        return self.num_rows


class Batches:
    """Batches of rows, read one after the other while a loop asks for them, and once."""

    def __init__(self, reader: Any) -> None:
        self.fields: list[Field] = reader.fields()
        self._reader = reader
        self._ahead: deque[Batch] = deque()

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        if self._ahead:
            return self._ahead.popleft()
        handle = self._reader.next()
        if handle is None:
            raise StopIteration
        return Batch(handle, self.fields)

    def peek(self, rows: int) -> tuple[list[dict[str, Any]], bool]:
        """The first rows, and whether there are more. A loop still sees them."""
        seen: list[Batch] = []
        count = 0
        while count <= rows:
            batch = next(self, None)
            if batch is None:
                break
            seen.append(batch)
            count += batch.num_rows
        self._ahead.extendleft(reversed(seen))
        found: list[dict[str, Any]] = []
        for batch in seen:
            left = rows - len(found)
            found += batch.slice(0, min(left, batch.num_rows)).to_pylist() if left > 0 else []
        return found, count > rows

    def to_pydict(self) -> dict[str, list[Any]]:
        """All rows as lists of values by column."""
        columns: dict[str, list[Any]] = {field.name: [] for field in self.fields}
        for batch in self:
            for name, values in batch.to_pydict().items():
                columns[name] += values
        return columns

    def to_pylist(self) -> list[dict[str, Any]]:
        """All rows as dicts."""
        return [row for batch in self for row in batch.to_pylist()]

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows as dicts, batch by batch."""
        for batch in self:
            yield from batch.to_pylist()


class Table:
    """An input table."""

    def __init__(self, handle: Any, name: str) -> None:
        self.name = name
        self.fields: list[Field] = handle.fields()
        self._handle = handle

    def scan(self, columns: Sequence[str] | None = None, filter: str | None = None,
             limit: int | None = None, batch_rows: int | None = None) -> Batches:
        """Reads these columns of the rows for which the SQL predicate `filter` is true."""
        return Batches(self._handle.scan(columns and list(columns), filter, limit, batch_rows))


class Output:
    """A declared output table. It is finished by itself when the run ends well."""

    def __init__(self, handle: Any, name: str) -> None:
        self.name = name
        self.fields: list[Field] = handle.fields()
        self._handle = handle
        self._finished = False

    def write(self, data: Any) -> None:
        """Writes columns (`{"n": [1, 2]}`), rows (`[{"n": 1}, {"n": 2}]`), or, without a copy, a
        batch or batches that have the declared columns in order."""
        if isinstance(data, Batch):
            self._handle.write_batch(data._handle)
        elif isinstance(data, Batches):
            for batch in data:
                self._handle.write_batch(batch._handle)
        elif isinstance(data, Mapping):
            self._write_columns(data)
        else:
            self._write_rows(list(data))

    def _write_rows(self, rows: list[Mapping[str, Any]]) -> None:
        for number, row in enumerate(rows):
            self._check_names(row, f"row {number}")
        self._write_columns({field.name: [row[field.name] for row in rows] for field in self.fields})

    def _write_columns(self, columns: Mapping[str, Iterable[Any]]) -> None:
        self._check_names(columns, "what is written")
        encoded = Encoded()
        lengths = {}
        for field in self.fields:
            where = f"column `{field.name}` of output `{self.name}`"
            lengths[field.name] = encoded.add(field.type, columns[field.name], where)
        if len(set(lengths.values())) > 1:
            text = ", ".join(f"`{name}` has {length}" for name, length in lengths.items())
            raise ValueError(f"the columns of output `{self.name}` differ in length: {text}")
        self._handle.write_columns(next(iter(lengths.values())), encoded)

    def _check_names(self, given: Mapping[str, Any], what: str) -> None:
        declared = [field.name for field in self.fields]
        for name in declared:
            if name not in given:
                raise ValueError(f"output `{self.name}`: {what} lacks column `{name}`")
        for name in given:
            if name not in declared:
                raise ValueError(f"output `{self.name}`: column `{name}` of {what} is not declared")

    def finish(self) -> None:
        """Ends the table; nothing can be written to it any more."""
        if not self._finished:
            self._finished = True
            self._handle.finish()

    def __enter__(self) -> "Output":
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if kind is None:
            self.finish()


class File(NamedTuple):
    """A file of a volume, as the approved revision pins it."""

    path: str
    size: int
    digest: str


class Volume:
    """Read-only files: model weights, documents, images."""

    PIECE = 1 << 20

    def __init__(self, backend: Backend, name: str) -> None:
        self.name = name
        self.files = [File(*file) for file in backend.files(name)]
        self._backend = backend

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """The bytes of a file, or `length` of them from `offset` on."""
        file = self._backend.open_file(self.name, path)
        content = bytearray()
        while length is None or len(content) < length:
            left = self.PIECE if length is None else min(self.PIECE, length - len(content))
            piece = file.read(offset + len(content), left)
            if not piece:
                break
            content += piece
        return bytes(content)

    def text(self, path: str) -> str:
        """A file as text."""
        return self.read(path).decode("utf-8")


# What must be left alone in SQL, or `:name`.
NAMED = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|::|:([A-Za-z_]\w*)", re.DOTALL
)


def number_parameters(statement: str, value_of: Any) -> tuple[str, list[Any]]:
    """The statement with `$1`, `$2`, … for `:name`, and their values."""
    numbers: dict[str, int] = {}
    values: list[Any] = []

    def number(found: re.Match[str]) -> str:
        name = found.group(1)
        if name is None:
            return found.group()
        if name not in numbers:
            values.append(value_of(name))
            numbers[name] = len(values)
        return f"${numbers[name]}"

    return NAMED.sub(number, statement), values


class Room:
    """The room of this run."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.opened: dict[str, Output] = {}

    def sql(self, statement: str, parameters: Mapping[str, Any]) -> Batches:
        used: set[str] = set()

        def value_of(name: str) -> Any:
            if name not in parameters:
                raise TypeError(f"the statement has `:{name}`: pass {name}=… as well")
            used.add(name)
            return parameters[name]

        text, values = number_parameters(statement, value_of)
        for name in parameters:
            if name not in used:
                raise TypeError(f"the statement has no `:{name}`")
        return Batches(self.backend.query(text.strip().removesuffix(";"), values))

    def table(self, name: str) -> Table:
        return Table(self.backend.table(name), name)

    def volume(self, name: str) -> Volume:
        return Volume(self.backend, name)

    def output(self, name: str) -> Output:
        if name not in self.opened:
            self.opened[name] = Output(self.backend.output(name), name)
        return self.opened[name]

    def finish(self) -> None:
        for output in self.opened.values():
            output.finish()


def today(micros: int) -> datetime.datetime:
    """A logical time as a `datetime` in UTC."""
    return EPOCH_MICROS + datetime.timedelta(microseconds=micros)
