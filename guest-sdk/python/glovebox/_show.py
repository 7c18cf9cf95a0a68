"""What is displayed of a value: the richest form that it has, else text."""

from __future__ import annotations

import pprint
from typing import Any

from ._columns import Column
from ._room import Batch, Batches, Table

# Rows and characters of a displayed table.
MAX_ROWS = 20
MAX_CELL = 40

RICH = [
    ("_repr_png_", "image/png"),
    ("_repr_svg_", "image/svg+xml"),
    ("_repr_html_", "text/html"),
    ("_repr_markdown_", "text/markdown"),
]


def represent(value: Any) -> tuple[str, bytes]:
    """Media type and bytes."""
    for method, media_type in RICH:
        form = getattr(value, method, None)
        shown = form() if callable(form) and not isinstance(value, type) else None
        if shown is not None:
            return media_type, shown.encode() if isinstance(shown, str) else bytes(shown)
    return "text/plain", text(value).encode("utf-8", "replace")


def text(value: Any) -> str:
    if isinstance(value, Table):
        return "\n".join([f"table {value.name}", *(f"  {field!r}" for field in value.fields)])
    if isinstance(value, Batches):
        rows, more = value.peek(MAX_ROWS)
        return table([field.name for field in value.fields], rows, "more rows follow" if more else "")
    if isinstance(value, Batch):
        rows = value.slice(0, min(MAX_ROWS, value.num_rows)).to_pylist()
        left = value.num_rows - len(rows)
        return table([field.name for field in value.fields], rows, f"{left} more rows" if left else "")
    if isinstance(value, Column):
        return repr(value)
    return pprint.pformat(value, width=100, sort_dicts=False)


def table(names: list[str], rows: list[dict[str, Any]], note: str) -> str:
    cells = [names, *([cell(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(names))]
    lines = ["  ".join(word.ljust(width) for word, width in zip(line, widths)).rstrip() for line in cells]
    lines.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join([*lines, *([f"({note})"] if note else [])])


def cell(value: Any) -> str:
    shown = "" if value is None else str(value).replace("\n", " ")
    return shown if len(shown) <= MAX_CELL else shown[: MAX_CELL - 1] + "…"
