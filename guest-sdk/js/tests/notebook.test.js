import assert from "node:assert/strict";
import test from "node:test";

import { MockRoom } from "glovebox/mock";
import { sql } from "glovebox";
import { report } from "../src/run.js";
import * as notebook from "./notebook.js";

const COLUMNS = { k: "utf8", v: "int64" };
const ROWS = [{ k: "x", v: 1 }, { k: null, v: 2n }, { k: "x", v: null }, { k: "y", v: 4 }];

function room(more = {}) {
  return new MockRoom({
    tables: { "a.t": { columns: COLUMNS, rows: ROWS } },
    outputs: { totals: { k: "utf8", v: "int64 not null" }, counts: { n: "int64" } },
    parameters: { least: 2 },
    answer: (statement, values) => ({ columns: { n: "int64" }, rows: [{ n: values[0] }] }),
    batchRows: 3,
    ...more,
  });
}

test("a notebook reads, asks, writes, and completes its outputs", async () => {
  const run = await room().run(notebook);
  assert.deepEqual(run.output("totals"), [{ k: "x", v: 1n }, { k: null, v: 2n }, { k: "y", v: 4n }]);
  assert.deepEqual(run.output("counts"), [{ n: 2n }]);
  assert.deepEqual(run.logs, [["info", "counted 2"]]);
  assert.deepEqual(run.progress, [[1, 2]]);
  assert.deepEqual(run.displays.map(([type, bytes]) => [type, String.fromCharCode(...bytes)]),
    [["text/csv", "k,v\n"]]);
});

test("an error says where the notebook was", async () => {
  await assert.rejects(room({ parameters: {} }).run(notebook),
    /GloveboxError: parameter `least` is not granted\n.*  at notebook\.js:15:\d+/s);
});

test("the host knows its own error again, and the log says where it was", async () => {
  const failed = await room({ parameters: {} }).run(notebook).catch((error) => error.cause);
  const lines = [];
  const told = report(failed, (level, line) => lines.push(level, line));
  assert.deepEqual(told, { code: "not-granted", message: "parameter `least` is not granted" });
  assert.equal(lines[0], "error");
  assert.match(lines[1], /^at notebook\.js:15:\d+/);
  assert.match(report(new TypeError("x"), assert.fail).message, /^TypeError: x/);
});

test("the room is closed outside of a run", () => {
  assert.throws(() => sql("SELECT 1"), /move the call into its function/);
});

const mistakes = [
  ["a column too few", { k: ["x"] }, /column `v` is missing/],
  ["a column too many", { k: ["x"], v: [1], w: [1] }, /has no column `w`: it has k, v/],
  ["columns of different lengths", { k: ["x"], v: [1, 2] }, /different lengths, k 1, v 2/],
  ["another type", { k: ["x"], v: ["1"] }, /row 0 of column `v` .*: a string that does not fit int64/],
  ["a number with a fraction", { k: ["x"], v: [1.5] }, /does not fit int64/],
  ["a number that is not exact", { k: ["x"], v: [2 ** 53] }, /does not fit int64/],
  ["a null where none may be", { k: ["x"], v: [null] }, /a null in column `v`/],
  ["a row of another shape", [{ k: "x" }], /column `v` is missing/],
];

for (const [name, data, expected] of mistakes) {
  test(`an output refuses ${name}`, async () => {
    const module = { default: ({ output }) => output("totals").write(data) };
    await assert.rejects(room().run(module), expected);
  });
}

test("a declared output must be written", async () => {
  await assert.rejects(room().run({ default: () => {} }), /output `totals` was not finished/);
});

test("a module without a function is no notebook", async () => {
  await assert.rejects(room().run({}), /export default function/);
});

test("volumes are read in pieces", async () => {
  const weights = Uint8Array.from({ length: (1 << 20) + 5 }, (_, index) => index % 251);
  const volumes = { "acme.model": { "w.bin": weights, "a.txt": new TextEncoder().encode("ä") } };
  const module = { default: ({ output, volume }) => {
    const model = volume("acme.model");
    assert.deepEqual(model.files.map(({ path, size }) => [path, size]), [["a.txt", 2], ["w.bin", weights.length]]);
    assert.deepEqual(model.read("w.bin"), weights);
    assert.deepEqual(model.read("w.bin", { offset: weights.length - 2, length: 9 }), weights.slice(-2));
    assert.equal(model.text("a.txt"), "ä");
    assert.throws(() => model.read("b.txt"), /file `b.txt` is not granted/);
    output("totals").write([]);
    output("counts").write([]);
  } };
  await room({ volumes }).run(module);
});

test("scans have columns, filters, limits", async () => {
  const table = { columns: COLUMNS, rows: ROWS, filters: { "v > 1": (row) => row.v > 1 } };
  const seen = [];
  const module = { default: ({ output, table }) => {
    assert.deepEqual(table("a.t").schema.map(({ name, type }) => `${name} ${type}`), ["k utf8", "v int64"]);
    const scan = table("a.t").scan({ columns: ["v"], filter: "v > 1", limit: 1 });
    seen.push(...scan.rows());
    output("totals").write({ k: [], v: [] });
    output("counts").write([]);
  } };
  await room({ tables: { "a.t": table } }).run(module);
  assert.deepEqual(seen, [{ v: 2n }]);
});
