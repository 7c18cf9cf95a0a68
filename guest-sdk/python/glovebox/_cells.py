"""Cells of a notebook: read once into code, then run in order in one namespace."""

from __future__ import annotations

import ast
import linecache
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

SQL_LINE = re.compile(r"^(\s*)(?:(\w+)\s*=\s*)?%sql\s+(.+)$")
NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Cell:
    """A cell as the builder found it. `line` is where it starts in its file, 0 in a notebook of
    Jupyter; `name` is where an SQL cell keeps its result."""

    number: int
    kind: str
    line: int
    source: str
    name: str = ""

    @property
    def file(self) -> str:
        """How code of this cell names its file."""
        return f"cell {self.number}"


class Problem(Exception):
    """What is wrong with a cell, found before it runs."""

    def __init__(self, cell: Cell, line: int, column: int, message: str, help: str = "") -> None:
        super().__init__(message)
        self.cell, self.line, self.column, self.message, self.help = cell, line, column, message, help


@dataclass
class Ready:
    """A cell that can run: its statements, and the last expression, which is displayed."""

    cell: Cell
    code: CodeType | None
    last: CodeType | None
    tree: ast.Module


def prepare(cell: Cell) -> Ready:
    """Compiles a cell, alone."""
    text = python_of(cell)
    try:
        tree = ast.parse(text, cell.file)
        check_clock(cell, tree)
        last = None
        body = list(tree.body)
        if body and isinstance(body[-1], ast.Expr) and not text.rstrip().endswith(";"):
            last = compile(ast.Expression(body.pop().value), cell.file, "eval")
        code = compile(ast.Module(body, []), cell.file, "exec") if body else None
    except SyntaxError as error:
        raise explain(cell, error) from None
    except ValueError as error:
        raise Problem(cell, 1, 1, str(error)) from None
    lines = cell.source.splitlines(keepends=True)
    linecache.cache[cell.file] = (len(cell.source), None, lines, cell.file)
    return Ready(cell, code, last, tree)


def python_of(cell: Cell) -> str:
    """The cell's code: `%sql` becomes a call that has as many lines."""
    if cell.kind == "sql":
        if cell.name and not NAME.fullmatch(cell.name):
            raise Problem(cell, 1, 1, f"`{cell.name}` is no name for a result")
        return f"{cell.name + ' = ' if cell.name else ''}__sql__({cell.source!r})"
    lines = []
    for line in cell.source.split("\n"):
        found = SQL_LINE.match(line)
        if found and is_outside_text(lines):
            indent, name, statement = found.groups()
            line = f"{indent}{name + ' = ' if name else ''}__sql__({statement!r})"
        lines.append(line)
    return "\n".join(lines)


def is_outside_text(lines: list[str]) -> bool:
    """Whether what stands before is complete, so that `%sql` does not continue an expression."""
    try:
        ast.parse("\n".join(lines))
    except SyntaxError as error:
        return "indented block" in str(error)
    return True


def explain(cell: Cell, error: SyntaxError) -> Problem:
    line = error.lineno or 1
    lines = cell.source.split("\n")
    text = lines[line - 1].strip() if line <= len(lines) else ""
    help = ""
    if text.startswith("%"):
        help = "`%sql` and `%%sql` are the only magics that a room knows"
    elif text.startswith("!"):
        help = "there is no shell in a room"
    return Problem(cell, line, error.offset or 1, error.msg or "invalid syntax", help)


# Calls that would read a clock; there is none.
CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}


def check_clock(cell: Cell, tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if (name, node.func.attr) in CLOCKS:
                raise Problem(
                    cell, node.lineno, node.col_offset + 1, f"`{name}.{node.func.attr}()` needs a clock",
                    "a run has one logical time, the same whenever it is repeated: "
                    'glovebox.run_info()["started_at"]',
                )


def imports_of(ready: Ready) -> list[tuple[str, list[str], int]]:
    """Modules that a cell imports, what it takes out of each, and the line."""
    found = []
    for node in ast.walk(ready.tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, [], node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.append((node.module, [alias.name for alias in node.names], node.lineno))
    return found


class Failed(Exception):
    """A cell raised an exception. The text says where."""

    def __init__(self, text: str, error: BaseException) -> None:
        super().__init__(text)
        self.text = text
        self.error = error


def run(cells: list[Ready], namespace: dict[str, Any], display: Callable[[Any], None]) -> None:
    """Runs all cells; stops at the first that fails."""
    lines = {ready.cell.file: ready.cell.line for ready in cells}
    for ready in cells:
        try:
            if ready.code:
                exec(ready.code, namespace)
            if ready.last:
                value = eval(ready.last, namespace)
                if value is not None:
                    display(value)
                    namespace["_"] = value
        except SystemExit as error:
            if error.code:
                raise Failed(report(error, lines), error) from None
            return
        except BaseException as error:
            raise Failed(report(error, lines), error) from None


def report(error: BaseException, lines: dict[str, int]) -> str:
    """A traceback that begins in the notebook, with cells and lines."""
    out: list[str] = []
    chain: list[BaseException] = [error]
    while (before := chain[0].__cause__ or (None if chain[0].__suppress_context__ else chain[0].__context__)):
        if before in chain:
            break
        chain.insert(0, before)
    for number, each in enumerate(chain):
        if number:
            out.append("\nThen:\n")
        out += frames(each, lines)
        out += traceback.format_exception_only(each)
    return "".join(out).rstrip()


def frames(error: BaseException, lines: dict[str, int]) -> list[str]:
    found = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__) if not is_ours(frame)]
    if len(found) > 20:
        # A recursion: its ends say enough.
        found = found[:5] + found[-10:]
    out = ["Traceback (most recent call last):\n"] if found else []
    for frame, line in found:
        file = frame.f_code.co_filename
        start = lines.get(file, 0)
        place = f"{file}, line {line}" + (f" (line {start + line - 1} of the file)" if start else "")
        out.append(f"  {place}, in {frame.f_code.co_name}\n")
        text = linecache.getline(file, line).strip() if file in lines else ""
        if text:
            out.append(f"    {text}\n")
    return out


def is_ours(frame: FrameType) -> bool:
    """Whether a frame is of this package, whose inside does not help an author."""
    return str(frame.f_globals.get("__name__")).partition(".")[0] == __package__


class Printed:
    """What `print` writes to: whole lines go to the log."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._log(line)
        return len(text)

    def flush(self) -> None:
        if self._rest:
            self._log(self._rest)
            self._rest = ""

    def isatty(self) -> bool:
        return False

    encoding = "utf-8"


def redirect(log: Callable[[str, str], None]) -> Callable[[], None]:
    """Sends what is printed to the log; the result sends the rest and goes back."""
    before = sys.stdout, sys.stderr
    out, err = Printed(lambda line: log("info", line)), Printed(lambda line: log("warn", line))
    sys.stdout, sys.stderr = out, err  # type: ignore[assignment]

    def back() -> None:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before

    return back
