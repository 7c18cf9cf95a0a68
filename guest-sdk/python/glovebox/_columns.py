"""Columns that came from the host, as views of the bytes that came."""

from __future__ import annotations

import datetime
import decimal
import struct
from collections.abc import Iterator
from typing import Any

from ._types import DataType

EPOCH = datetime.datetime(1970, 1, 1)
UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}
EXACT = decimal.Context(prec=100)


class Column:
    """Values of one type, some of them null.

    `values` is a `memoryview` of numbers over the very bytes that came from the host: zeros stand
    where a value is null. Indexing, loops and `to_pylist()` give Python's own values, `None` for
    null: `int`, `float`, `bool`, `str`, `bytes`, `Decimal`, `date`, `datetime`, `time`,
    `timedelta`, lists and dicts. Nanoseconds are whole numbers, for Python has no type for them.
    """

    def __init__(self, type: DataType, length: int, null_count: int, buffers: list[bytes],
                 children: list["Column"]) -> None:
        self.type = type
        self.null_count = null_count
        self._length = length
        self._buffers = buffers
        self._children = children
        self._python: list[Any] | None = None

    @property
    def values(self) -> memoryview:
        """The numbers, or the bytes of values that are no numbers, without a copy."""
        code = self.type.code
        if self.type.kind in ("utf8", "binary"):
            return memoryview(self._buffers[2])
        if not self._buffers or self._children:
            raise TypeError(f"a column of type {self.type} has no values of its own")
        view = memoryview(self._buffers[1])
        return view.cast(code) if code else view

    @property
    def offsets(self) -> memoryview:
        """Where each text, bytes or list begins, and where the last one ends."""
        return memoryview(self._buffers[1] or bytes(4)).cast("i")

    def is_null(self, row: int) -> bool:
        """Whether the value in `row` is null."""
        if self.type.kind == "null":
            return True
        bits = self._buffers[0]
        return bool(bits) and not bits[row >> 3] >> (row & 7) & 1

    def to_pylist(self) -> list[Any]:
        """All values, `None` for null."""
        if self._python is None:
            values = self._convert()
            if self.null_count and self.type.kind != "null":
                values = [None if self.is_null(row) else value for row, value in enumerate(values)]
            self._python = values
        return list(self._python)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Any]:
        return iter(self.to_pylist())

    def __getitem__(self, row: int) -> Any:
        if self._python is None:
            self.to_pylist()
        assert self._python is not None
        return self._python[row]

    def __repr__(self) -> str:
        return f"<column of {self._length} values of type {self.type}>"

    def _convert(self) -> list[Any]:
        kind = self.type.kind
        if kind == "null":
            return [None] * self._length
        if kind == "boolean":
            bits = self._buffers[1]
            return [bool(bits[row >> 3] >> (row & 7) & 1) for row in range(self._length)]
        if kind in ("utf8", "binary"):
            data, places = self._buffers[2], self.offsets.tolist()
            pieces = (data[start:end] for start, end in zip(places, places[1:]))
            return [piece.decode() for piece in pieces] if kind == "utf8" else list(pieces)
        if kind == "list":
            items, places = self._children[0].to_pylist(), self.offsets.tolist()
            return [items[start:end] for start, end in zip(places, places[1:])]
        if kind == "struct":
            names = [name for name, _ in self.type.children]
            parts = [child.to_pylist() for child in self._children]
            return [dict(zip(names, row)) for row in zip(*parts)]
        if kind == "float16":
            return list(struct.unpack(f"<{self._length}e", self._buffers[1]))
        if self.type.code is None:
            return self._of_bytes()
        return self._of_numbers(self.values.tolist())

    def _of_bytes(self) -> list[Any]:
        data, width = self._buffers[1], self.type.width
        pieces = [data[at:at + width] for at in range(0, width * self._length, width)]
        if self.type.kind == "fixed_size_binary":
            return list(pieces)
        scale = -self.type.scale
        numbers = (int.from_bytes(piece, "little", signed=True) for piece in pieces)
        return [EXACT.scaleb(decimal.Decimal(number), scale) for number in numbers]

    def _of_numbers(self, numbers: list[Any]) -> list[Any]:
        kind, factor = self.type.kind, UNITS.get(self.type.unit or "", 0)
        if kind == "date32":
            return [datetime.date.fromordinal(719_163 + day) for day in numbers]
        if kind == "date64":
            return [datetime.date.fromordinal(719_163 + ms // 86_400_000) for ms in numbers]
        if factor == 0:
            return numbers
        spans = (datetime.timedelta(microseconds=number * factor) for number in numbers)
        if kind == "duration":
            return list(spans)
        if kind in ("time32", "time64"):
            return [(EPOCH + span).time() for span in spans]
        zone = datetime.timezone.utc if len(self.type.arguments) > 1 else None
        return [(EPOCH + span).replace(tzinfo=zone) for span in spans]


def decode(type: DataType, nodes: Iterator[Any], buffers: Iterator[bytes]) -> Column:
    """Takes one column, and its children, from what the host sent."""
    node = next(nodes)
    counts = {"null": 0, "utf8": 3, "binary": 3, "struct": 1}
    own = [next(buffers) for _ in range(counts.get(type.kind, 2))]
    children = [decode(child, nodes, buffers) for _, child in type.children]
    return Column(type, node.length, node.null_count, own, children)
