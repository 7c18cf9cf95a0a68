"""Notebooks as files: percent cells in `.py`, Jupyter's `.ipynb`."""

from __future__ import annotations

import json
import re
import textwrap

from ._cells import Cell

MARK = re.compile(r"#\s*%%(?!%)(?=[\s\[]|$)(.*)")
TAG = re.compile(r"\[(\w+)\]")
SQL_CELL = re.compile(r"(?:#\s*)?%%sql\b[ \t]*(.*)")


def cells_of(text: str, jupyter: bool) -> list[Cell]:
    """The cells that run, in order. All cells are counted, so that numbers are those one sees."""
    return of_jupyter(text) if jupyter else of_percent(text)


def of_percent(text: str) -> list[Cell]:
    pieces: list[tuple[str, int, list[str]]] = [("", 1, [])]
    for number, line in enumerate(text.splitlines(), 1):
        mark = MARK.fullmatch(line.rstrip())
        if mark:
            pieces.append((mark.group(1).strip(), number + 1, []))
        else:
            pieces[-1][2].append(line)
    first = pieces[0][2]
    if all(not line.strip() or line.lstrip().startswith("#") for line in first):
        # Only the header, or nothing, stands before the first mark.
        del pieces[0]
    cells = []
    for number, (title, line, lines) in enumerate(pieces, 1):
        tag = TAG.search(title)
        kind = tag.group(1).lower() if tag else "python"
        if kind in ("markdown", "md", "raw"):
            continue
        if kind == "sql":
            name = title[tag.end():].strip() if tag else ""
            cells.append(Cell(number, "sql", line, uncommented(lines), name))
        else:
            cells.append(python_or_sql(number, line, lines))
    return cells


def of_jupyter(text: str) -> list[Cell]:
    notebook = json.loads(text)
    if notebook.get("nbformat") != 4:
        raise ValueError(f"a notebook of format 4 is expected, this is {notebook.get('nbformat')}")
    cells = []
    for number, cell in enumerate(notebook["cells"], 1):
        if cell["cell_type"] == "code":
            source = cell["source"]
            joined = source if isinstance(source, str) else "".join(source)
            cells.append(python_or_sql(number, 0, joined.splitlines()))
    return cells


def python_or_sql(number: int, line: int, lines: list[str]) -> Cell:
    """An SQL cell, if `%%sql` is its first word."""
    for index, text in enumerate(lines):
        found = SQL_CELL.fullmatch(text.rstrip())
        if found:
            body = [""] * (index + 1) + lines[index + 1:]
            return Cell(number, "sql", line, uncommented(body), found.group(1).strip())
        if text.strip():
            break
    return Cell(number, "python", line, "\n".join(lines))


def uncommented(lines: list[str]) -> str:
    """SQL that may be hidden from Python's editors: in comments or in a text of three quotes."""
    filled = [line for line in lines if line.strip()]
    if filled and all(line.startswith("#") for line in filled):
        lines = [line.removeprefix("#").removeprefix(" ") for line in lines]
    text = "\n".join(lines)
    bare = text.strip()
    if len(bare) >= 6 and bare.startswith('"""') and bare.endswith('"""'):
        text = text.replace('"""', "   ", 1)
        at = text.rindex('"""')
        text = text[:at] + text[at + 3:]
    return textwrap.dedent(text).rstrip()
