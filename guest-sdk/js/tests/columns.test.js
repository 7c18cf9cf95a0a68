import assert from "node:assert/strict";
import test from "node:test";

import { Column } from "../src/column.js";
import { encode } from "../src/encode.js";
import { bind } from "../src/scalar.js";
import { parseType } from "../src/types.js";

function column(text, values) {
  const encoded = { nodes: [], buffers: [] };
  const type = parseType(text);
  encode(type, values, "c", encoded);
  return new Column("c", type, encoded.nodes.values(), encoded.buffers.values());
}

const bytes = (...values) => Uint8Array.from(values);
const DAY = new Date("2013-01-15");

const cases = [
  ["null", [null, null]],
  ["boolean", [true, null, false, true, true, true, true, true, null, true]],
  ["int8", [-128, null, 127]],
  ["uint32", [0, 4294967295]],
  ["int64", [-(2n ** 63n), null, 2n ** 63n - 1n]],
  ["uint64", [2n ** 64n - 1n]],
  ["float16", [0, -0, 1, -2.5, 65504, 2 ** -24, Infinity, NaN, null]],
  ["float32", [0.5, null, -0]],
  ["float64", [0.1, NaN, null, -Infinity]],
  ["utf8", ["", "ä漢😀", null, "x"]],
  ["binary", [bytes(), bytes(0, 255), null]],
  ["fixed_size_binary(2)", [bytes(1, 2), null]],
  ["date32", [DAY, null, new Date(0)]],
  ["date64", [DAY]],
  ["time32(ms)", [5, null]],
  ["time64(us)", [5n]],
  ["timestamp(s)", [new Date(-1000)]],
  ["timestamp(us, UTC)", [new Date(1234), null]],
  ["duration(ns)", [-1n]],
  ["decimal(5, 2)", ["-1.50", "999.99", null, "0.00"]],
  ["decimal256(60, 1)", ["-123456789012345678901234567890.1"]],
  ["list(utf8)", [["a", null], [], null, ["b"]]],
  ["list(list(int32))", [[[1], []], null, [[2, 3]]]],
  ["struct(a: int32, b: list(float64))", [{ a: 1, b: [0.5] }, null, { a: null, b: null }]],
];

for (const [type, values] of cases) {
  test(`values of ${type} come back`, () => {
    const read = column(type, values);
    assert.deepEqual(read.toArray(), values);
    assert.equal(read.nullCount, values.filter((value) => value === null).length);
    assert.deepEqual(column(type, read).toArray(), values);
  });
}

test("a column of numbers is a view, not a copy", () => {
  const values = Float64Array.of(1, 2);
  assert.equal(column("float64", values).values.buffer, values.buffer);
});

test("a column is copied when it lies at an odd place", () => {
  const odd = new Uint8Array(9).subarray(1);
  const read = new Column("c", parseType("float64"), [{ length: 1n, nullCount: 0n }].values(),
    [bytes(), odd].values());
  assert.deepEqual(read.toArray(), [0]);
});

const refused = [
  ["int8", 128], ["uint8", -1], ["int64", 0.5], ["int64", 2n ** 63n], ["float64", "1"],
  ["utf8", 1], ["boolean", 1], ["binary", "x"], ["fixed_size_binary(2)", bytes(1)],
  ["decimal(3, 1)", "1.25"], ["decimal(3, 1)", "100"], ["decimal(3, 1)", 1e21],
  ["date32", new Date(1)], ["timestamp(s)", new Date(1)], ["list(int8)", [300]],
];

for (const [type, value] of refused) {
  test(`${type} refuses ${String(value)} and does not quote it`, () => {
    assert.throws(() => column(type, [value]), (error) => error instanceof TypeError &&
      /does not fit/.test(error.message) && !error.message.includes("300"));
  });
}

test("a row that is not there", () => {
  assert.throws(() => column("int8", [1]).get(1), RangeError);
});

const statements = [
  ["SELECT :k, :l, :k", { k: 1, l: 2 }, "SELECT $1, $2, $1", 2],
  ["SELECT ':k', \":k\", a::int -- :k\n/* :k */", {}, "SELECT ':k', \":k\", a::int -- :k\n/* :k */", 0],
  ["SELECT 'it''s :k', :k", { k: 1 }, "SELECT 'it''s :k', $1", 1],
];

for (const [statement, values, expected, count] of statements) {
  test(`parameters of ${statement}`, () => {
    const [text, scalars] = bind(statement, values);
    assert.equal(text, expected);
    assert.equal(scalars.length, count);
  });
}

test("parameters that are missing or too many", () => {
  assert.throws(() => bind("SELECT :k", {}), /`:k` has no value/);
  assert.throws(() => bind("SELECT 1", { k: 1 }), /no parameter `:k`/);
});

const scalars = [
  [5, "int64"], [0.5, "float64"], [-0, "float64"], [2n ** 63n, "uint64"], ["x", "utf8"],
  [true, "boolean"], [null, "null"], [new Date(0), "timestamp-micros"], [bytes(1), "binary"],
];

for (const [value, tag] of scalars) {
  test(`${String(value)} is passed as ${tag}`, () => {
    assert.equal(bind("SELECT :v", { v: value })[1][0].tag, tag);
  });
}
