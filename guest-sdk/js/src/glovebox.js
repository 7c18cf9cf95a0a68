// The module `glovebox`: what a notebook can do in its room.

import { backend, calling, GloveboxError } from "./backend.js";
import { Batches, fieldsOf } from "./batch.js";
import { bind, fromScalar } from "./scalar.js";

export { GloveboxError };
export { output } from "./output.js";
export { volume } from "./volume.js";

/** Runs one `SELECT` on the host's engine; `:name` in it stands for `values.name`. */
export function sql(statement, values = {}) {
  const [text, parameters] = bind(statement, values);
  return new Batches(calling(() => backend().query(text, parameters)));
}

/** An input table that the notebook declares. */
export function table(name) {
  return new Table(calling(() => backend().openTable(name)));
}

class Table {
  #handle;

  constructor(handle) {
    this.#handle = handle;
  }

  /** Names and types of the columns that the notebook may see. */
  get schema() {
    const fields = fieldsOf(this.#handle);
    return fields.map(({ name, dataType, nullable }) => ({ name, type: dataType, nullable }));
  }

  /** The rows that match `filter`, a predicate in SQL. */
  scan({ columns, filter, limit, batchRows } = {}) {
    const options = {
      columns, filter, batchRows, limit: limit === undefined ? undefined : BigInt(limit),
    };
    return new Batches(calling(() => this.#handle.scan(options)));
  }
}

/** A parameter of the run, or its default. */
export function param(name) {
  return fromScalar(calling(() => backend().getParameter(name)));
}

/** All parameters of the run. */
export function params() {
  const all = calling(() => backend().allParameters());
  return Object.fromEntries(all.map(([name, scalar]) => [name, fromScalar(scalar)]));
}

/** What this run is, as fixed by the approved revision. */
export function currentRun() {
  const ask = backend().currentRun;
  if (ask === undefined) {
    throw new GloveboxError("not-granted", "the notebook must name currentRun to be told of its run");
  }
  const { startedAt, ...run } = calling(ask);
  return { ...run, startedAt: new Date(Number(startedAt / 1000n)) };
}

/** How far the notebook is, in its own unit. */
export function progress(done, total) {
  calling(() => backend().progress(
    BigInt(done), total === undefined ? undefined : BigInt(total)));
}

/** Keeps a text, a table or an image for the author: `data` is a text or bytes. */
export function display(mediaType, data) {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  calling(() => backend().display(mediaType, bytes));
}

function line(level) {
  return (...parts) => calling(() => backend().log(level, parts.map(shown).join(" ")));
}

function shown(value) {
  if (typeof value !== "object" || value === null) {
    return String(value);
  }
  if (value instanceof Error || value instanceof Date) {
    return value instanceof Date ? value.toISOString() : String(value);
  }
  return JSON.stringify(value, (_, inner) => typeof inner === "bigint" ? String(inner) : inner);
}

/** Lines for those whom the room names as log readers. */
export const log = {
  debug: line("debug"),
  info: line("info"),
  warn: line("warn"),
  error: line("error"),
};
