// Outputs: columns or rows in, batches out.

import { backend, calling, GloveboxError, release } from "./backend.js";
import { fieldsOf } from "./batch.js";
import { encode } from "./encode.js";
import { parseType } from "./types.js";

/** The outputs that this run has opened. */
const outputs = new Map();

/** A declared output; the same one each time. */
export function output(name) {
  if (!outputs.has(name)) {
    outputs.set(name, new Output(name));
  }
  return outputs.get(name);
}

/** Completes the outputs that are open. */
export function finishOutputs() {
  for (const open of outputs.values()) {
    if (!open.isFinished) {
      open.finish();
    }
  }
}

/** Forgets all outputs, before another run in the same process. */
export function forgetOutputs() {
  outputs.clear();
}

/** Rows of one batch when rows are written one by one. */
const BATCH_ROWS = 65_536;

/** An output table that is open. */
class Output {
  #name;
  #handle;
  #fields;
  #pending = [];

  constructor(name) {
    this.#name = name;
    this.#handle = calling(() => backend().openOutput(name));
    this.#fields = fieldsOf(this.#handle);
  }

  /** Names and types of the declared columns. */
  get schema() {
    return this.#fields.map(({ name, dataType, nullable }) => ({ name, type: dataType, nullable }));
  }

  /** Writes columns (`{name: values}`), rows (an array of objects), or one row. */
  write(data) {
    if (Array.isArray(data)) {
      data.forEach((row) => this.#pend(row));
      return this;
    }
    const lengths = Object.values(data).map((values) => isColumn(values) && values.length);
    if (lengths.every((length) => length === false)) {
      this.#pend(data);
      return this;
    }
    this.#flush();
    this.#writeColumns(data, lengths);
    return this;
  }

  /** Writes a batch of a scan, a query or a library as it is, without a copy. */
  writeBatch(batch) {
    this.#flush();
    calling(() => this.#open().write(batch.handle));
    return this;
  }

  /** Completes the output. Without it, outputs are completed when the notebook ends well. */
  finish() {
    this.#flush();
    const handle = this.#open();
    this.#handle = undefined;
    const { rows, bytes } = calling(() => handle.constructor.finish(handle));
    return { rows: Number(rows), bytes: Number(bytes) };
  }

  get isFinished() {
    return this.#handle === undefined;
  }

  #open() {
    if (this.isFinished) {
      throw new GloveboxError("closed", `output \`${this.#name}\` is finished`);
    }
    return this.#handle;
  }

  #pend(row) {
    this.#open();
    this.#checkNames(row);
    this.#pending.push(row);
    if (this.#pending.length >= BATCH_ROWS) {
      this.#flush();
    }
  }

  #flush() {
    if (this.#pending.length === 0) {
      return;
    }
    const rows = this.#pending;
    this.#pending = [];
    const column = ({ name }) => [name, rows.map((row) => row[name])];
    const lengths = this.#fields.map(() => rows.length);
    this.#writeColumns(Object.fromEntries(this.#fields.map(column)), lengths);
  }

  #writeColumns(columns, lengths) {
    this.#open();
    this.#checkNames(columns);
    if (lengths.some((length) => length !== lengths[0])) {
      throw new TypeError(`output \`${this.#name}\`: columns of different lengths, ` +
        Object.keys(columns).map((name, index) => `${name} ${lengths[index]}`).join(", "));
    }
    const encoded = { nodes: [], buffers: [] };
    for (const { name, dataType } of this.#fields) {
      const where = `column \`${name}\` of output \`${this.#name}\``;
      encode(parseType(dataType), columns[name], where, encoded);
    }
    const { Schema, RecordBatch } = backend();
    const schema = calling(() => Schema.create(this.#fields));
    const length = BigInt(lengths[0] ?? 0);
    const batch = calling(() => RecordBatch.fromColumns(schema, length, encoded));
    calling(() => this.#handle.write(batch));
    release(batch);
    release(schema);
  }

  #checkNames(data) {
    const declared = this.#fields.map((field) => field.name);
    const unknown = Object.keys(data).find((name) => !declared.includes(name));
    if (unknown !== undefined) {
      throw new TypeError(`output \`${this.#name}\` has no column \`${unknown}\`: it has ${
        declared.join(", ")}`);
    }
    const missing = declared.find((name) => !Object.hasOwn(data, name));
    if (missing !== undefined) {
      throw new TypeError(`output \`${this.#name}\`: column \`${missing}\` is missing`);
    }
  }
}

/** Arrays, typed arrays and columns; a text is one value. */
function isColumn(values) {
  return typeof values === "object" && values !== null &&
    typeof values.length === "number" && typeof values[Symbol.iterator] === "function";
}
