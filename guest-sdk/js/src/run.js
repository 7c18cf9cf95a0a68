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

/**
 * What the host is told of an error. Its own words go back as they were, so that it knows its
 * error again and the run has its reason; where the notebook was then goes to the log.
 */
export function report(error, log) {
  const words = describe(error);
  if (!(error instanceof GloveboxError)) {
    return { code: "internal", message: words };
  }
  for (const line of words.split("\n").slice(1)) {
    log("error", line.trim());
  }
  return { code: error.code, message: error.message };
}
