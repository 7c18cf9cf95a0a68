/** What a notebook can do in its room. The notebook's default function gets all of it as one object, too. */

/** A value of a column: numbers of 64 bits are bigints, decimals are texts, dates are at midnight UTC. */
export type Value =
  | null | boolean | number | bigint | string | Date | Uint8Array | Value[]
  | { [field: string]: Value };

export type TypedArray =
  | Int8Array | Int16Array | Int32Array | BigInt64Array
  | Uint8Array | Uint16Array | Uint32Array | BigUint64Array
  | Float32Array | Float64Array;

export interface Field {
  readonly name: string;
  /** As in a manifest: `int64`, `utf8`, `timestamp(us, UTC)`. */
  readonly type: string;
  readonly nullable: boolean;
}

/** One column of a batch. */
export interface Column extends Iterable<Value> {
  readonly name: string;
  readonly type: string;
  readonly length: number;
  readonly nullCount: number;
  /** All values of a type of fixed width, without a copy; zeros where a value is null. */
  readonly values: TypedArray;
  get(row: number): Value;
  isNull(row: number): boolean;
  toArray(): Value[];
}

/** Rows that stay with the host until one of their columns is looked at. */
export interface Batch {
  readonly numRows: number;
  readonly columnNames: string[];
  column(name: string): Column;
  rows(): Generator<Record<string, Value>>;
}

/** The batches of a scan or a query, once, in order. */
export interface Batches extends Iterable<Batch> {
  readonly schema: Field[];
  rows(): Generator<Record<string, Value>>;
}

export interface ScanOptions {
  /** Columns to read, in this order; all that are granted when absent. */
  columns?: string[];
  /** A predicate in SQL over this table. */
  filter?: string;
  limit?: number | bigint;
  /** Preferred rows in a batch. */
  batchRows?: number;
}

export interface Table {
  readonly schema: Field[];
  scan(options?: ScanOptions): Batches;
}

export interface Volume {
  readonly files: { readonly path: string; readonly size: number; readonly digest: string }[];
  read(path: string, part?: { offset?: number; length?: number }): Uint8Array;
  text(path: string): string;
}

export type Row = Record<string, unknown>;
export type Columns = Record<string, TypedArray | Column | readonly unknown[]>;

export interface Output {
  readonly schema: Field[];
  /** Writes columns, an array of rows, or one row. */
  write(data: Columns | Row | readonly Row[]): this;
  /** Passes a batch on without a copy. */
  writeBatch(batch: Batch): this;
  /** Completes the output; outputs that are open when the notebook ends are completed then. */
  finish(): { rows: number; bytes: number };
}

/** A refusal of the host. */
export class GloveboxError extends Error {
  readonly code:
    | "not-granted" | "invalid-argument" | "schema-mismatch" | "limit-exceeded"
    | "policy-denied" | "closed" | "internal";
}

/** A parameter: integers beyond 2⁵³ are bigints. */
export type Scalar = null | boolean | number | bigint | string | Date | Uint8Array;

export interface RunInfo {
  readonly runId: string;
  readonly room: string;
  readonly component: string;
  readonly revisionDigest: string;
  readonly startedAt: Date;
}

/** Runs one `SELECT`; `:name` in it stands for `values.name`. */
export function sql(statement: string, values?: Record<string, Scalar>): Batches;
export function table(name: string): Table;
export function output(name: string): Output;
/** Read-only files that the revision pins, e.g. model weights. */
export function volume(name: string): Volume;
export function param(name: string): Scalar;
export function params(): Record<string, Scalar>;
export function currentRun(): RunInfo;
export function progress(done: number | bigint, total?: number | bigint): void;
/** Keeps a text, a table or an image for the author. */
export function display(
  mediaType:
    | "text/plain" | "text/html" | "text/markdown" | "text/csv"
    | "application/json" | "image/png" | "image/svg+xml",
  data: string | Uint8Array,
): void;
export const log: Record<"debug" | "info" | "warn" | "error", (...parts: unknown[]) => void>;

/** What a notebook's default function gets. */
export type Room = typeof import("./glovebox.d.ts");
