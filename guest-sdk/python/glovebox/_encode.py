"""Python's values as columns for the host."""

from __future__ import annotations

import array
import datetime
import decimal
import struct
from collections.abc import Iterable
from typing import Any

from ._columns import EPOCH, EXACT, UNITS, Column
from ._types import DataType

EPOCH_UTC = EPOCH.replace(tzinfo=datetime.timezone.utc)


class Encoded:
    """Nodes and buffers of columns, one after the other."""

    def __init__(self) -> None:
        self.nodes: list[tuple[int, int]] = []
        self.buffers: list[bytes] = []

    def add(self, type: DataType, values: Iterable[Any], where: str) -> int:
        """Adds a column and tells how many values it has. `where` names it in errors."""
        if self._add_as_it_is(type, values):
            return self.nodes[-1][0]
        items = list(values)
        missing = [row for row, value in enumerate(items) if value is None]
        self.nodes.append((len(items), len(missing)))
        if type.kind == "null":
            if len(missing) < len(items):
                raise ValueError(f"{where}: a column of type null has only None")
            return len(items)
        self.buffers.append(bitmap([v is not None for v in items]) if missing else b"")
        try:
            self._add_values(type, items, where)
        except (TypeError, ValueError, OverflowError, struct.error, decimal.DecimalException):
            # A closer look, row by row, only when something is wrong.
            self._explain(type, items, where)
            raise
        return len(items)

    def _add_as_it_is(self, type: DataType, values: Any) -> bool:
        """Numbers that lie in memory as the host wants them."""
        if isinstance(values, Column) and values.type.text == type.text and type.code:
            self.nodes.append((len(values), values.null_count))
            self.buffers += [bytes(values._buffers[0]), bytes(values._buffers[1])]
            return True
        if type.code and isinstance(values, (array.array, memoryview)):
            view = memoryview(values)
            if view.format == type.code and view.ndim == 1 and view.c_contiguous:
                self.nodes.append((len(view), 0))
                self.buffers += [b"", view.tobytes()]
                return True
        return False

    def _add_values(self, type: DataType, items: list[Any], where: str) -> None:
        kind = type.kind
        if kind == "boolean":
            for value in items:
                expect(value is None or isinstance(value, bool))
            self.buffers.append(bitmap([value is True for value in items]))
        elif kind in ("utf8", "binary"):
            self._add_pieces([b"" if v is None else as_bytes(kind, v) for v in items])
        elif kind == "list":
            lists = [[] if value is None else as_list(value) for value in items]
            self.buffers.append(offsets(lists))
            self.add(type.children[0][1], [item for each in lists for item in each], f"{where}, an item")
        elif kind == "struct":
            for name, child in type.children:
                part = [None if value is None else value.get(name) for value in items]
                self.add(child, part, f"{where}, `{name}`")
        elif kind == "float16":
            self.buffers.append(struct.pack(f"<{len(items)}e", *(v or 0.0 for v in items)))
        elif type.code:
            numbers = [0 if value is None else as_number(type, value) for value in items]
            self.buffers.append(array.array(type.code, numbers).tobytes())
        else:
            empty = bytes(type.width)
            self.buffers.append(b"".join(empty if v is None else as_fixed(type, v) for v in items))

    def _add_pieces(self, pieces: list[bytes]) -> None:
        self.buffers.append(offsets(pieces))
        self.buffers.append(b"".join(pieces))

    @staticmethod
    def _explain(type: DataType, items: list[Any], where: str) -> None:
        for row, value in enumerate(items):
            try:
                Encoded()._add_values(type, [value], where)
            except (AttributeError, TypeError, ValueError, OverflowError, struct.error, decimal.DecimalException):
                raise ValueError(f"{where}: row {row}: {value!r} is not {type}") from None


def expect(condition: bool) -> None:
    if not condition:
        raise TypeError


def as_bytes(kind: str, value: Any) -> bytes:
    if kind == "utf8":
        expect(isinstance(value, str))
        return value.encode()
    expect(isinstance(value, (bytes, bytearray, memoryview)))
    return bytes(value)


def as_list(value: Any) -> list[Any]:
    expect(not isinstance(value, (str, bytes)))
    return list(value)


def as_number(type: DataType, value: Any) -> Any:
    """The number that stands for `value` exactly."""
    kind = type.kind
    if kind in ("float32", "float64"):
        expect(isinstance(value, (int, float)) and not isinstance(value, bool))
        return float(value)
    if isinstance(value, int):
        expect(not isinstance(value, bool))
        return value
    if kind in ("date32", "date64"):
        expect(isinstance(value, datetime.date) and not isinstance(value, datetime.datetime))
        days = value.toordinal() - 719_163
        return days if kind == "date32" else days * 86_400_000
    factor = UNITS.get(type.unit or "", 0)
    span = as_span(kind, value) // datetime.timedelta(microseconds=1)
    if type.unit == "ns":
        return span * 1000
    expect(factor > 0 and span % factor == 0)
    return span // factor


def as_span(kind: str, value: Any) -> datetime.timedelta:
    if kind == "timestamp" and isinstance(value, datetime.datetime):
        return value - (EPOCH_UTC if value.tzinfo else EPOCH)
    if kind in ("time32", "time64") and isinstance(value, datetime.time):
        return datetime.datetime.combine(EPOCH.date(), value) - EPOCH
    expect(kind == "duration" and isinstance(value, datetime.timedelta))
    return value


def as_fixed(type: DataType, value: Any) -> bytes:
    if type.kind == "fixed_size_binary":
        expect(isinstance(value, bytes) and len(value) == type.width)
        return value
    expect(isinstance(value, (int, decimal.Decimal)) and not isinstance(value, bool))
    shifted = EXACT.scaleb(decimal.Decimal(value), type.scale)
    number = int(shifted)
    # What does not fit is an error, not rounded.
    expect(number == shifted and abs(number) < 10**type.precision)
    return number.to_bytes(type.width, "little", signed=True)


def bitmap(bits: list[bool]) -> bytes:
    packed = bytearray((len(bits) + 7) // 8)
    for index, bit in enumerate(bits):
        if bit:
            packed[index >> 3] |= 1 << (index & 7)
    return bytes(packed)


def offsets(pieces: list[Any]) -> bytes:
    places, end = array.array("i", [0]), 0
    for piece in pieces:
        end += len(piece)
        places.append(end)
    return places.tobytes()
