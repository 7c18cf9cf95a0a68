"""The host's side of a room, through the bindings that componentize-py makes."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from typing import Any

from componentize_py_types import Err
from wit_world.imports import data, logging, outputs, parameters, sql, tables, types

try:
    # Only a component that declares volumes imports this interface.
    from wit_world.imports import volumes
except ImportError:
    volumes = None

from ._encode import Encoded
from ._room import EPOCH_MICROS, Error, Field

LEVELS = {
    "debug": logging.Level.DEBUG, "info": logging.Level.INFO,
    "warn": logging.Level.WARN, "error": logging.Level.ERROR,
}


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls the host; its error becomes an exception."""
    try:
        return function(*arguments)
    except Err as refused:
        error = refused.value
        raise Error(error.code.name.lower().replace("_", "-"), error.message) from None


def to_error(error: Error) -> types.Error:
    """The host's error as the host told it, so that the run's public reason is the host's too."""
    return types.Error(types.ErrorCode[error.code.upper().replace("-", "_")], error.message)


def fields_of(schema: Any) -> list[Field]:
    return [Field(field.name, field.data_type, field.nullable) for field in schema.fields()]


class Batch:
    def __init__(self, handle: Any) -> None:
        self.handle = handle

    def num_rows(self) -> int:
        return self.handle.num_rows()

    def columns(self, indices: list[int]) -> Any:
        return call(self.handle.columns, indices)

    def slice(self, offset: int, length: int) -> "Batch":
        return Batch(call(self.handle.slice, offset, length))

    def project(self, indices: list[int]) -> "Batch":
        return Batch(call(self.handle.project, indices))


class Reader:
    def __init__(self, handle: Any) -> None:
        self.handle = handle

    def fields(self) -> list[Field]:
        return fields_of(self.handle.schema())

    def next(self) -> Batch | None:
        handle = call(self.handle.next)
        return None if handle is None else Batch(handle)


class Table:
    def __init__(self, handle: Any) -> None:
        self.handle = handle

    def fields(self) -> list[Field]:
        return fields_of(self.handle.schema())

    def scan(self, columns: Any, filter: Any, limit: Any, batch_rows: Any) -> Reader:
        return Reader(call(self.handle.scan, tables.ScanOptions(columns, filter, limit, batch_rows)))


class Output:
    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.schema = handle.schema()

    def fields(self) -> list[Field]:
        return fields_of(self.schema)

    def write_columns(self, rows: int, encoded: Encoded) -> None:
        nodes = [data.FieldNode(length, nulls) for length, nulls in encoded.nodes]
        columns = data.Columns(nodes, encoded.buffers)
        self.write_batch(Batch(call(data.RecordBatch.from_columns, self.schema, rows, columns)))

    def write_batch(self, batch: Batch) -> None:
        call(self.handle.write, batch.handle)

    def finish(self) -> None:
        call(outputs.Output.finish, self.handle)


class File:
    def __init__(self, handle: Any) -> None:
        self.handle = handle

    def read(self, offset: int, length: int) -> bytes:
        return call(self.handle.read, offset, length)


class Host:
    """A room over the host's interfaces."""

    def query(self, statement: str, values: list[Any]) -> Reader:
        return Reader(call(sql.query, statement, [to_scalar(value) for value in values]))

    def table(self, name: str) -> Table:
        return Table(call(tables.open_table, name))

    def tables(self) -> list[str]:
        return tables.list_tables()

    def volumes(self) -> list[str]:
        return volumes.list_volumes() if volumes else []

    def files(self, volume: str) -> list[tuple[str, int, str]]:
        if not volumes:
            raise Error("not-granted", f"volume `{volume}` is not declared: no volume is")
        return [(file.path, file.size, file.digest) for file in call(volumes.list_files, volume)]

    def open_file(self, volume: str, path: str) -> "File":
        return File(call(volumes.open_file, volume, path))

    def output(self, name: str) -> Output:
        return Output(call(outputs.open_output, name))

    def outputs(self) -> list[str]:
        return outputs.list_outputs()

    def parameter(self, name: str) -> Any:
        return from_scalar(call(parameters.get, name))

    def parameters(self) -> dict[str, Any]:
        return {name: from_scalar(value) for name, value in parameters.all()}

    def log(self, level: str, message: str) -> None:
        logging.log(LEVELS[level], message)

    def progress(self, done: int, total: int | None) -> None:
        logging.progress(done, total)

    def display(self, media_type: str, shown: bytes) -> None:
        logging.display(media_type, shown)

    def run_info(self) -> dict[str, Any]:
        # Only a component whose source asks for it imports this interface.
        from wit_world.imports import context

        return dict(vars(context.current_run()))


def to_scalar(value: Any) -> Any:
    if value is None:
        return types.Scalar_Null()
    if isinstance(value, bool):
        return types.Scalar_Boolean(value)
    if isinstance(value, int):
        return types.Scalar_Int64(value) if value < 1 << 63 else types.Scalar_Uint64(value)
    if isinstance(value, float):
        return types.Scalar_Float64(value)
    if isinstance(value, str):
        return types.Scalar_Utf8(value)
    if isinstance(value, (bytes, bytearray)):
        return types.Scalar_Binary(bytes(value))
    if isinstance(value, datetime.datetime):
        span = value - (EPOCH_MICROS if value.tzinfo else EPOCH_MICROS.replace(tzinfo=None))
        return types.Scalar_TimestampMicros(span // datetime.timedelta(microseconds=1))
    if isinstance(value, datetime.date):
        return types.Scalar_Date32(value.toordinal() - 719_163)
    if isinstance(value, decimal.Decimal) and value.is_finite():
        return types.Scalar_Decimal128(to_decimal(value))
    raise TypeError(f"{value!r} cannot be a parameter of a query")


def to_decimal(value: decimal.Decimal) -> tuple[int, int, int, int]:
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    scale = max(0, -exponent)
    number = int("".join(map(str, digits))) * 10 ** max(0, exponent) * (-1 if sign else 1)
    if abs(number) >= 10**38:
        raise TypeError(f"{value} has more than 38 digits")
    precision = max(len(str(abs(number))), scale, 1)
    return number & (1 << 64) - 1, number >> 64, precision, scale


def from_scalar(scalar: Any) -> Any:
    if isinstance(scalar, types.Scalar_Null):
        return None
    if isinstance(scalar, types.Scalar_Date32):
        return datetime.date.fromordinal(719_163 + scalar.value)
    if isinstance(scalar, types.Scalar_TimestampMicros):
        return EPOCH_MICROS + datetime.timedelta(microseconds=scalar.value)
    if isinstance(scalar, types.Scalar_Decimal128):
        low, high, _, scale = scalar.value
        return decimal.Context(prec=100).scaleb(decimal.Decimal(high << 64 | low), -scale)
    return scalar.value
