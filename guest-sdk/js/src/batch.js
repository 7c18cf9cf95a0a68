// Batches, and streams of them.

import { calling, release } from "./backend.js";
import { Column } from "./column.js";
import { parseType } from "./types.js";

/** Columns of equal length. The rows stay with the host until a column is looked at. */
export class Batch {
  #handle;
  #fields;
  #columns = new Map();

  constructor(handle, fields) {
    this.#handle = handle;
    this.#fields = fields;
    this.numRows = Number(calling(() => handle.numRows()));
  }

  /** @returns {string[]} */
  get columnNames() {
    return this.#fields.map((field) => field.name);
  }

  /** Copies a column out of the host, once. */
  column(name) {
    const index = this.#fields.findIndex((field) => field.name === name);
    if (index < 0) {
      throw new RangeError(`the batch has no column \`${name}\`: it has ${this.columnNames}`);
    }
    if (!this.#columns.has(name)) {
      const { nodes, buffers } = calling(() => this.#handle.columns([index]));
      const type = parseType(this.#fields[index].dataType);
      this.#columns.set(name, new Column(name, type, nodes.values(), buffers.values()));
    }
    return this.#columns.get(name);
  }

  /** All rows as objects; slower than columns. */
  *rows() {
    const columns = this.columnNames.map((name) => this.column(name));
    for (let row = 0; row < this.numRows; row += 1) {
      yield Object.fromEntries(columns.map((column) => [column.name, column.get(row)]));
    }
  }

  /** The host's handle, for an output that takes the batch as it is. */
  get handle() {
    return this.#handle;
  }
}

/** The batches of a scan or a query, once, in order. */
export class Batches {
  #reader;
  #fields;

  constructor(reader) {
    this.#reader = reader;
    this.#fields = fieldsOf(reader);
  }

  /** Names and types of the columns. */
  get schema() {
    return this.#fields.map(({ name, dataType, nullable }) => ({ name, type: dataType, nullable }));
  }

  /** A batch is given back to the host when the loop goes on: keep columns, not batches. */
  *[Symbol.iterator]() {
    let handle;
    try {
      while ((handle = calling(() => this.#reader.next())) !== undefined) {
        yield new Batch(handle, this.#fields);
        release(handle);
        handle = undefined;
      }
    } finally {
      release(handle);
      release(this.#reader);
    }
  }

  /** All rows as objects, batch by batch. */
  *rows() {
    for (const batch of this) {
      yield* batch.rows();
    }
  }
}

/** The fields of something with a schema. */
export function fieldsOf(handle) {
  const schema = calling(() => handle.schema());
  try {
    return calling(() => schema.fields());
  } finally {
    release(schema);
  }
}
