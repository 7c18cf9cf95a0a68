/** A room of made-up rows, for tests of a notebook under `node --test`. */

import type { Room, RunInfo, Scalar, Value } from "./glovebox.d.ts";

/** Types by column, `{ k: "utf8 not null" }`. */
export type Columns = Record<string, string>;

export interface MockTable {
  columns: Columns;
  rows: Record<string, unknown>[];
  /** The rows that a scan with exactly this filter keeps. */
  filters?: Record<string, (row: Record<string, unknown>) => boolean>;
}

export interface MockRoomOptions {
  tables?: Record<string, MockTable>;
  outputs?: Record<string, Columns>;
  parameters?: Record<string, Scalar>;
  /** Files by path, of volumes by name. */
  volumes?: Record<string, Record<string, Uint8Array>>;
  /** Answers a query, with `$1` for its first parameter. */
  answer?: (statement: string, values: Scalar[]) => MockTable | undefined;
  /** Most rows in a batch, so that a small table comes in several. */
  batchRows?: number;
  runInfo?: Partial<RunInfo>;
}

export class MockRoom {
  constructor(options?: MockRoomOptions);
  readonly logs: ["debug" | "info" | "warn" | "error", string][];
  readonly displays: [string, Uint8Array][];
  readonly progress: [number, number | undefined][];
  /** Runs a notebook's module; its error says where in the notebook it was. */
  run(notebook: { default: (room: Room) => void | Promise<void> }): Promise<this>;
  /** The rows of an output. */
  output(name: string): Record<string, Value>[];
}
