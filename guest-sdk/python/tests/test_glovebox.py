"""The module `glovebox` in rooms in memory: `python3 -m unittest discover -s tests` one folder up."""

import array
import datetime
import decimal
import json
import tempfile
import unittest
from pathlib import Path

import glovebox
from glovebox import _cells, _encode, _room, _source
from glovebox._columns import decode
from glovebox._types import parse
from glovebox.testing import Failed, MockRoom, Node

FLIGHTS = {
    "origin": ("utf8", ["JFK", None, "EWR"]),
    "delay": ("float64", [1.5, -2.0, None]),
    "n": ("int64", [1, 2, 3]),
}


def room(**more):
    given = {"tables": {"airline.flights": FLIGHTS}, "outputs": {"late": ["origin utf8", "n int64 not null"]}}
    return MockRoom(**{**given, **more})


WRITE = "import glovebox\nglovebox.output('late').write({'origin': ['JFK'], 'n': [1]})"


class Values(unittest.TestCase):
    def round_trip(self, type, values):
        encoded = _encode.Encoded()
        encoded.add(parse(type), values, "column")
        column = decode(parse(type), iter([Node(*n) for n in encoded.nodes]), iter(encoded.buffers))
        self.assertEqual(column.to_pylist(), list(values), type)
        return column

    def test_every_type_crosses_and_comes_back(self):
        day, moment = datetime.date(2013, 1, 31), datetime.datetime(2013, 1, 31, 5, 0, 0, 250_000)
        utc = moment.replace(tzinfo=datetime.timezone.utc)
        for type, values in [
            ("null", [None, None]),
            ("boolean", [True, None, False] * 5),
            ("int8", [-128, None, 127]), ("uint64", [2**64 - 1, None]), ("int64", [-(2**63), 5]),
            ("float16", [1.5, None]), ("float32", [0.25, None]), ("float64", [1e300, None, -0.5]),
            ("utf8", ["", None, "grüße 東京"]), ("binary", [b"\xff", None, b""]),
            ("fixed_size_binary(2)", [b"ab", None]),
            ("decimal(10, 2)", [decimal.Decimal("12.34"), None, decimal.Decimal("-0.01")]),
            ("decimal(38, 0)", [decimal.Decimal(10**38 - 1), decimal.Decimal(-(10**38) + 1)]),
            ("decimal256(70, 5)", [decimal.Decimal("1" * 60 + ".00001"), None]),
            ("date32", [day, None, datetime.date(1969, 12, 31)]), ("date64", [day, None]),
            ("timestamp(ms)", [moment, None]), ("timestamp(us, UTC)", [utc, None]),
            ("timestamp(ns)", [1, None]), ("duration(s)", [datetime.timedelta(days=-1), None]),
            ("time32(s)", [datetime.time(23, 59, 59), None]), ("time64(us)", [moment.time()]),
            ("list(int64)", [[1, None], None, []]), ("list(list(utf8))", [[["a"], []], []]),
            ("struct(a: int64, b: list(utf8))", [{"a": 1, "b": ["x"]}, None]),
        ]:
            if values and values[-1] is None and type.startswith("struct"):
                column = self.round_trip(type, values)
                self.assertTrue(column.is_null(1))
            else:
                self.round_trip(type, values)
            self.round_trip(type, [])

    def test_numbers_are_views_of_the_bytes_that_came(self):
        column = self.round_trip("float64", [1.0, None, 3.0])
        self.assertIsInstance(column.values, memoryview)
        self.assertEqual((column.values.format, list(column.values)), ("d", [1.0, 0.0, 3.0]))
        self.assertEqual((column.null_count, column.is_null(1), column[2]), (1, True, 3.0))
        for values in (array.array("d", [1.0]), memoryview(array.array("d", [2.0])), column):
            self.round_trip("float64", values)

    def test_what_a_type_does_not_hold_is_an_error_that_names_the_row(self):
        for type, value in [
            ("int64", 1.5), ("int64", "1"), ("int64", True), ("int8", 128), ("uint8", -1),
            ("float64", "x"), ("boolean", 1), ("utf8", b"x"), ("utf8", 1), ("binary", "x"),
            ("decimal(4, 2)", decimal.Decimal("100.00")), ("decimal(4, 2)", decimal.Decimal("0.001")),
            ("decimal(4, 2)", 0.5), ("decimal(4, 2)", decimal.Decimal("NaN")),
            ("date32", "2013-01-31"), ("date32", datetime.datetime(2013, 1, 1)),
            ("timestamp(s)", datetime.datetime(2013, 1, 1, 0, 0, 0, 1)), ("timestamp(us)", "now"),
            ("time32(s)", 1.5), ("list(int64)", "12"), ("fixed_size_binary(2)", b"abc"),
        ]:
            with self.assertRaisesRegex(ValueError, "here: row 1: .* is not", msg=type):
                _encode.Encoded().add(parse(type), [None, value], "here")


class Rooms(unittest.TestCase):
    def test_a_notebook_reads_batches_and_writes_rows(self):
        run = room(batch_rows=2, parameters={"k": 2}).run_cells([
            "import glovebox\nrows = []",
            "for batch in glovebox.table('airline.flights').scan(columns=['n', 'origin']):\n"
            "    glovebox.progress(batch.num_rows)\n"
            "    rows += [{'n': n, 'origin': o} for n, o in zip(batch.column('n'), batch.column('origin'))]",
            "glovebox.output('late').write([row for row in rows if row['n'] >= glovebox.param('k')])",
        ])
        self.assertEqual(run.output("late"), [{"origin": None, "n": 2}, {"origin": "EWR", "n": 3}])
        self.assertEqual(run.progress, [(2, None), (1, None)])

    def test_a_batch_passes_to_an_output_as_it_is(self):
        run = MockRoom(
            tables={"a.b": {"n": ("int64", [1, 2])}}, outputs={"copy": ["n int64"]},
        ).run_cells(["import glovebox\nglovebox.output('copy').write(glovebox.table('a.b').scan())"])
        self.assertEqual(run.output("copy"), [{"n": 1}, {"n": 2}])

    def test_queries_have_named_parameters(self):
        asked = []

        def answer(statement, values):
            asked.append((statement, values))
            return {"n": ("int64", [7])}

        run = room(answers=answer, parameters={"k": 5}).run_cells([
            "import glovebox\na = glovebox.sql(\"SELECT ':no', x::int FROM t -- :no\\nWHERE a > :k AND b > :k AND c = :m;\", k=1, m='x')",
            _source.python_or_sql(2, 0, ["%%sql found", "SELECT n FROM t WHERE n > :k"]),
            "low = 3\n%sql SELECT :low",
            "row, = found.rows()\n" + WRITE,
        ])
        self.assertEqual(asked[0], ("SELECT ':no', x::int FROM t -- :no\nWHERE a > $1 AND b > $1 AND c = $2", [1, "x"]))
        self.assertEqual(asked[1], ("SELECT n FROM t WHERE n > $1", [5]))
        self.assertEqual(asked[2], ("SELECT $1", [3]))
        self.assertEqual(run.displays, [("text/plain", "n\n─\n7".encode())])

    def test_what_is_wrong_with_an_output_is_said(self):
        for call, expect in [
            ("write({'origin': ['a']})", "lacks column `n`"),
            ("write({'origin': ['a'], 'n': [1], 'x': [1]})", "`x` of what is written is not declared"),
            ("write({'origin': ['a'], 'n': [1, 2]})", "differ in length"),
            ("write([{'origin': 'a'}])", "row 0 lacks column `n`"),
            ("write({'origin': ['a'], 'n': ['1']})", "row 0: '1' is not int64"),
            ("write({'origin': ['a'], 'n': [None]})", "declared not null"),
            ("finish(); glovebox.output('late').write({'origin': [], 'n': []})", "is finished"),
        ]:
            with self.assertRaisesRegex(Failed, expect):
                room().run_cells([f"import glovebox\nglovebox.output('late').{call}"])
        with self.assertRaisesRegex(glovebox.Error, "was not finished"):
            room().run_cells(["1"])
        with self.assertRaisesRegex(Failed, "`other` is not declared"):
            room().run_cells(["import glovebox\nglovebox.output('other')"])

    def test_printed_lines_and_last_expressions_are_kept(self):
        class_text = "class Rich:\n    def _repr_html_(self): return '<b>x</b>'\nRich()"
        run = room().run_cells([
            WRITE, "print('a', end='')\nprint('b\\nc')", "{'x': 1}", "'text'", "display('as it is')", "5;", "None",
            class_text, "glovebox.table('airline.flights').scan()", "glovebox.table('airline.flights')",
            "import sys; print('odd', file=sys.stderr); glovebox.log.warn(3)",
        ])
        self.assertEqual(run.log, [("info", "ab"), ("info", "c"), ("warn", "odd"), ("warn", "3")])
        shown = [(media, data.decode()) for media, data in run.displays]
        self.assertEqual(shown[:4], [
            ("text/plain", "{'x': 1}"), ("text/plain", "'text'"), ("text/plain", "as it is"), ("text/html", "<b>x</b>"),
        ])
        self.assertEqual(shown[4][1].splitlines()[2], "JFK     1.5    1")
        self.assertTrue(shown[5][1].startswith("table airline.flights"))

    def test_an_exception_names_cell_and_line(self):
        with self.assertRaises(Failed) as caught:
            room().run_cells(["def f(x):\n    return 1 / x", "a = 1\n\nf(0)"])
        self.assertEqual(caught.exception.text.splitlines(), [
            "Traceback (most recent call last):", "  cell 2, line 3, in <module>", "    f(0)",
            "  cell 1, line 2, in f", "    return 1 / x", "ZeroDivisionError: division by zero",
        ])

    def test_an_exception_in_a_call_of_the_module_is_shown_at_the_call(self):
        with self.assertRaises(Failed) as caught:
            room().run_cells(["import glovebox\n\nglovebox.table('a.b')"])
        self.assertEqual(caught.exception.text.splitlines()[1:], [
            "  cell 1, line 3, in <module>", "    glovebox.table('a.b')",
            "glovebox.Error: table `a.b` is not granted",
        ])

    def test_a_peek_does_not_eat_rows(self):
        cells = ["import glovebox\nb = glovebox.table('airline.flights').scan(limit=3)", "display(b)",
                 "assert len(b.to_pylist()) == 3", WRITE]
        room(batch_rows=1).run_cells(cells)


PERCENT = '''# /// glovebox
# name = "x"
# ///
# %% [markdown]
# # Title
# %% first
a = 1
# %% [sql] found
# SELECT 1
#   FROM t
# %%
%%sql other
SELECT 2
# %% [sql]
"""
SELECT 3
"""
# %%
b = 2
'''


class Sources(unittest.TestCase):
    def test_percent_cells(self):
        cells = _source.cells_of(PERCENT, False)
        found = [(c.number, c.kind, c.line, c.name, c.source.strip()) for c in cells]
        self.assertEqual(found, [
            (2, "python", 7, "", "a = 1"), (3, "sql", 9, "found", "SELECT 1\n  FROM t"),
            (4, "sql", 12, "other", "SELECT 2"), (5, "sql", 15, "", "SELECT 3"), (6, "python", 19, "", "b = 2"),
        ])
        alone = _source.cells_of("a = 1\n# %%\nb = 2\n", False)
        self.assertEqual([(c.number, c.line) for c in alone], [(1, 1), (2, 3)])

    def test_jupyter_cells(self):
        text = json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [
            {"cell_type": "raw", "source": "/// glovebox\n///"},
            {"cell_type": "code", "source": ["a = 1\n", "a"], "outputs": []},
            {"cell_type": "code", "source": "%%sql\nSELECT 1", "outputs": []},
        ]})
        found = [(c.number, c.kind, c.line, c.source) for c in _source.cells_of(text, True)]
        self.assertEqual(found, [(2, "python", 0, "a = 1\na"), (3, "sql", 0, "\nSELECT 1")])
        with self.assertRaisesRegex(ValueError, "format 4"):
            _source.cells_of('{"nbformat": 3, "cells": []}', True)

    def test_mistakes_have_a_cell_and_a_line(self):
        for source, line, expect in [
            ("a = 1\nif a\n    b", 2, "expected ':'"), ("a\n!ls", 2, "invalid syntax"),
            ("%matplotlib inline", 1, "invalid syntax"), ("x = '\\0' + \x00", 1, "null"),
            ("import datetime\ndatetime.datetime.now()", 2, "needs a clock"),
        ]:
            with self.assertRaises(_cells.Problem) as caught:
                _cells.prepare(_cells.Cell(4, "python", 0, source))
            problem = caught.exception
            self.assertEqual((problem.cell.number, problem.line), (4, line), source)
            self.assertIn(expect, problem.message)

    def test_a_magic_in_a_text_is_text(self):
        ready = _cells.prepare(_cells.Cell(1, "python", 0, 'a = """\n%sql SELECT 1\n"""\n%sql SELECT 2'))
        self.assertEqual(len(ready.tree.body), 2)

    def test_a_file_runs(self):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "notebook.py"
            path.write_text("# %%\n" + WRITE)
            self.assertEqual(room().run(path).output("late"), [{"origin": "JFK", "n": 1}])


class Statements(unittest.TestCase):
    def test_missing_and_unused_parameters(self):
        made = _room.Room(room())
        with self.assertRaisesRegex(TypeError, "pass k="):
            made.sql("SELECT :k", {})
        with self.assertRaisesRegex(TypeError, "no `:x`"):
            made.sql("SELECT 1", {"x": 1})


class Volumes(unittest.TestCase):
    def test_files_are_read_whole_and_in_part(self):
        large = bytes(range(256)) * 9_000
        here = room(volumes={"acme.model": {"sub/large": large, "words": "grüße".encode(), "none": b""}})
        run = here.run_cells([
            WRITE,
            "v = glovebox.volume('acme.model')\n"
            "assert [file.path for file in v.files] == ['none', 'sub/large', 'words'], v.files\n"
            "assert glovebox.volumes() == ['acme.model']\n"
            "assert len(v.read('sub/large')) == v.files[1].size == 2_304_000\n"
            "assert v.read('sub/large', 255, 3) == b'\\xff\\x00\\x01'\n"
            "assert v.read('words', 100) == v.read('none') == v.read('words', 0, 0) == b''\n"
            "assert v.text('words') == 'grüße'",
        ])
        self.assertEqual(len(run.output("late")), 1)

    def test_what_is_not_granted_is_refused(self):
        for ask in ["glovebox.volume('acme.other')", "glovebox.volume('acme.model').read('../x')"]:
            with self.assertRaises(Failed) as failed:
                room(volumes={"acme.model": {"x": b""}}).run_cells(["import glovebox\n" + ask])
            self.assertIn("acme.", str(failed.exception))


if __name__ == "__main__":
    unittest.main()
