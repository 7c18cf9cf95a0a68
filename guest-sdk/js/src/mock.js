// A room of made-up rows, for tests of a notebook under `node --test`.

import { Batches } from "./batch.js";
import { encode } from "./encode.js";
import { describe, run } from "./run.js";
import { fromScalar, toScalar } from "./scalar.js";
import { parseType } from "./types.js";

/** A room that is as strict as a host about names, types and what was finished. */
export class MockRoom {
  #given;
  #outputs = new Map();

  /** What the notebook logged: `[level, line]`. */
  logs = [];
  /** What it displayed: `[mediaType, bytes]`. */
  displays = [];
  /** How far it said it was: `[done, total]`. */
  progress = [];

  constructor({
    tables = {}, outputs = {}, parameters = {}, volumes = {}, answer, batchRows = 1000, runInfo,
  } = {}) {
    this.#given = { tables, outputs, parameters, volumes, answer, batchRows, runInfo };
  }

  /** Runs a notebook: the module with a default function. Throws its error, described. */
  async run(notebook) {
    try {
      await run(notebook, this.#backend());
    } catch (error) {
      throw new Error(describe(error), { cause: error });
    }
    for (const name of Object.keys(this.#given.outputs)) {
      if (!this.#outputs.get(name)?.finished) {
        throw new Error(`output \`${name}\` was not finished`);
      }
    }
    return this;
  }

  /** The rows of an output, as objects. */
  output(name) {
    const output = this.#outputs.get(name) ?? fail("not-granted", `output \`${name}\` is not declared`);
    return output.batches.flatMap((batch) => [...new Batches(new Reader(batch.fields, [batch])).rows()]);
  }

  #backend() {
    const { tables, outputs, parameters, volumes, answer, batchRows, runInfo } = this.#given;
    const granted = (all, what, name) => Object.hasOwn(all, name)
      ? all[name]
      : fail("not-granted", `${what} \`${name}\` is not granted`);
    const scalar = (name) => toScalar(name, granted(parameters, "parameter", name));
    return {
      Schema: MockSchema,
      RecordBatch: MockBatch,
      openTable: (name) => new MockTable(granted(tables, "table", name), batchRows),
      openOutput: (name) => {
        const output = new MockOutput(name, fieldsOf(granted(outputs, "output", name)));
        this.#outputs.set(name, output);
        return output;
      },
      query: (statement, bound) => {
        const given = answer?.(statement, bound.map(fromScalar));
        return given === undefined
          ? fail("internal", `the mock room has no answer to \`${statement}\``)
          : new Reader(fieldsOf(given.columns), batchesOf(given, batchRows));
      },
      listFiles: (name) => Object.entries(granted(volumes, "volume", name)).sort().map(
        ([path, bytes]) => ({ path, size: BigInt(bytes.length), digest: "" })),
      openFile: (name, path) => {
        const bytes = granted(granted(volumes, "volume", name), "file", path);
        return { read: (offset, length) => bytes.slice(Number(offset), Number(offset) + length) };
      },
      getParameter: scalar,
      allParameters: () => Object.keys(parameters).map((name) => [name, scalar(name)]),
      currentRun: () => ({ runId: "0".repeat(32), room: "mock", component: "notebook",
        revisionDigest: `blake3:${"0".repeat(64)}`, startedAt: 0n, ...runInfo }),
      log: (level, message) => this.logs.push([level, message]),
      progress: (done, total) => this.progress.push(
        [Number(done), total === undefined ? undefined : Number(total)]),
      display: (mediaType, bytes) => this.displays.push([mediaType, bytes]),
    };
  }
}

class MockSchema {
  static create(fields) {
    return Object.assign(new MockSchema(), { fields: () => fields });
  }
}

/** A batch as the host holds it: the buffers of each column. */
class MockBatch {
  static fromColumns(schema, numRows, { nodes, buffers }) {
    const batch = new MockBatch();
    batch.fields = schema.fields();
    batch.length = numRows;
    const [nodesLeft, buffersLeft] = [nodes.values(), buffers.values()];
    batch.parts = batch.fields.map((field) =>
      takeColumn(parseType(field.dataType), nodesLeft, buffersLeft));
    batch.fields.forEach((field, index) => {
      const [node] = batch.parts[index].nodes;
      if (!field.nullable && node.nullCount > 0n) {
        fail("schema-mismatch", `a null in column \`${field.name}\`, declared without`);
      }
      if (node.length !== numRows) {
        fail("schema-mismatch", `column \`${field.name}\` has ${node.length} rows, not ${numRows}`);
      }
    });
    return batch;
  }

  schema() {
    return MockSchema.create(this.fields);
  }

  numRows() {
    return this.length;
  }

  columns(indices) {
    const parts = indices.map((index) => this.parts[index]);
    return {
      nodes: parts.flatMap((part) => part.nodes),
      buffers: parts.flatMap((part) => part.buffers),
    };
  }
}

function takeColumn(type, nodes, buffers) {
  const part = { nodes: [nodes.next().value], buffers: [] };
  const own = { null: 0, struct: 1, list: 2, utf8: 3, binary: 3 }[type.kind] ?? 2;
  for (let count = 0; count < own; count += 1) {
    part.buffers.push(buffers.next().value);
  }
  const children = type.kind === "list" ? [type.item] : (type.fields ?? []).map(({ type }) => type);
  for (const child of children) {
    const { nodes: moreNodes, buffers: moreBuffers } = takeColumn(child, nodes, buffers);
    part.nodes.push(...moreNodes);
    part.buffers.push(...moreBuffers);
  }
  return part;
}

class MockTable {
  #table;
  #batchRows;

  constructor(table, batchRows) {
    this.#table = table;
    this.#batchRows = batchRows;
  }

  schema() {
    return MockSchema.create(fieldsOf(this.#table.columns));
  }

  scan({ columns, filter, limit, batchRows }) {
    const names = columns ?? Object.keys(this.#table.columns);
    const chosen = Object.fromEntries(names.map((name) => [name, this.#table.columns[name] ??
      fail("not-granted", `column \`${name}\` is not granted`)]));
    const keep = filter === undefined ? () => true : this.#table.filters?.[filter] ??
      fail("internal", `the mock table has no filter \`${filter}\``);
    const rows = this.#table.rows.filter(keep).slice(0, limit === undefined ? undefined : Number(limit));
    return new Reader(fieldsOf(chosen), batchesOf({ columns: chosen, rows }, batchRows ?? this.#batchRows));
  }
}

class Reader {
  #fields;
  #batches;

  constructor(fields, batches) {
    this.#fields = fields;
    this.#batches = batches.values();
  }

  schema() {
    return MockSchema.create(this.#fields);
  }

  next() {
    return this.#batches.next().value;
  }
}

class MockOutput {
  batches = [];
  finished = false;

  constructor(name, fields) {
    this.name = name;
    this.fields = fields;
  }

  static finish(output) {
    output.finished = true;
    return { rows: output.batches.reduce((sum, batch) => sum + batch.numRows(), 0n), bytes: 0n };
  }

  schema() {
    return MockSchema.create(this.fields);
  }

  write(batch) {
    const shape = (fields) => JSON.stringify(fields.map(({ name, dataType }) => [name, dataType]));
    if (shape(batch.fields) !== shape(this.fields)) {
      fail("schema-mismatch", `output \`${this.name}\` has other columns than declared`);
    }
    this.batches.push(batch);
  }
}

/** `{ name: "type not null" }` as fields. */
function fieldsOf(columns) {
  return Object.entries(columns).map(([name, text]) => {
    const dataType = text.replace(/\s+not null$/i, "");
    return { name, dataType, nullable: dataType === text };
  });
}

function batchesOf({ columns, rows }, batchRows) {
  const fields = fieldsOf(columns);
  const batches = [];
  for (let start = 0; start < rows.length; start += batchRows) {
    const some = rows.slice(start, start + batchRows);
    const encoded = { nodes: [], buffers: [] };
    for (const { name, dataType } of fields) {
      encode(parseType(dataType), some.map((row) => row[name]), `column \`${name}\``, encoded);
    }
    const schema = MockSchema.create(fields);
    batches.push(MockBatch.fromColumns(schema, BigInt(some.length), encoded));
  }
  return batches;
}

/** Fails as the host does. */
function fail(code, message) {
  throw Object.assign(new Error(message), { payload: { code, message } });
}
