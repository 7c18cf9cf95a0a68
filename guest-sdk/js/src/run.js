// Runs a notebook: connects it, completes its outputs, says where it failed.

import { connect, GloveboxError } from "./backend.js";
import * as room from "./glovebox.js";
import { finishOutputs, forgetOutputs } from "./output.js";

/** Refuses a module that is no notebook. */
export function check(module) {
  if (typeof module.default !== "function") {
    throw new TypeError(
      "the notebook exports no function: write `export default function (room) { … }`");
  }
}

/** Calls the notebook's function with `backend` behind the module `glovebox`. */
export async function run(module, backend) {
  check(module);
  connect(backend);
  forgetOutputs();
  try {
    await module.default(room);
    finishOutputs();
  } finally {
    connect(undefined);
  }
}

/** An error as its author reads it: what, and the lines of the notebook that led there. */
export function describe(error) {
  if (!(error instanceof Error)) {
    return `the notebook threw ${String(error)}`;
  }
  const words = `${error.name}: ${error.message}`;
  const frames = String(error.stack ?? "").split("\n")
    .map((line) => /([^@\s(]*)@?.*?(notebook\.m?js:\d+:\d+)/.exec(line))
    .filter((frame) => frame !== null)
    .map(([, name, place]) => `  at ${place}${name ? ` in ${name}` : ""}`);
  const cause = error.cause === undefined ? "" : `\ncaused by ${describe(error.cause)}`;
  return [words, ...frames].join("\n") + cause;
}

/** The code that the host is told. */
export function codeOf(error) {
  return error instanceof GloveboxError ? error.code : "internal";
}
