"""Types of columns: their text, as in a manifest, and how their values lie in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

# The code of one value in `memoryview.cast` and `array.array`.
CODES = {
    "int8": "b", "int16": "h", "int32": "i", "int64": "q",
    "uint8": "B", "uint16": "H", "uint32": "I", "uint64": "Q",
    "float16": "H", "float32": "f", "float64": "d",
    "date32": "i", "date64": "q", "time32": "i", "time64": "q",
    "timestamp": "q", "duration": "q",
}
OTHERS = {"null", "boolean", "utf8", "binary", "fixed_size_binary", "decimal", "decimal256", "list", "struct"}


@dataclass(frozen=True)
class DataType:
    """A type as in a manifest: `kind` is the word before the parenthesis."""

    text: str
    kind: str
    arguments: tuple[str, ...] = ()
    children: tuple[tuple[str, "DataType"], ...] = field(default=(), compare=False)

    @property
    def code(self) -> str | None:
        """The code of a number of this type; none if values are no numbers of one machine word."""
        return CODES.get(self.kind)

    @property
    def unit(self) -> str | None:
        return self.arguments[0] if self.arguments else None

    @property
    def width(self) -> int:
        """Bytes of a value of a type whose values are bytes."""
        widths = {"decimal": 16, "decimal256": 32}
        return widths.get(self.kind) or int(self.arguments[0])

    @property
    def scale(self) -> int:
        return int(self.arguments[1])

    @property
    def precision(self) -> int:
        return int(self.arguments[0])

    def __str__(self) -> str:
        return self.text


@lru_cache(maxsize=1024)
def parse(text: str) -> DataType:
    """Reads a type from its text."""
    kind, parenthesis, inner = text.strip().partition("(")
    kind = kind.strip()
    arguments = split(inner.rstrip()[:-1]) if parenthesis else ()
    if kind not in CODES and kind not in OTHERS:
        raise ValueError(f"type `{text}` is not known")
    children: tuple[tuple[str, DataType], ...] = ()
    if kind == "list":
        children = (("item", parse(arguments[0])),)
    if kind == "struct":
        named = (argument.partition(":") for argument in arguments)
        children = tuple((name.strip(), parse(rest)) for name, _, rest in named)
    return DataType(text, kind, arguments, children)


def split(text: str) -> tuple[str, ...]:
    """Splits at commas outside parentheses."""
    parts, depth, start = [], 0, 0
    for index, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(text[start:index].strip())
            start = index + 1
    return (*parts, text[start:].strip())
