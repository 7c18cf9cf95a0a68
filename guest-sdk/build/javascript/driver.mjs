// The steps of a build that need Node: the engine of componentize-js gets the bindings of our
// world (once), then a notebook is loaded into it and its memory kept (every build).
//
// This calls the parts of componentize-js and not its `componentize`, which puts a random path
// into the component, and needs five times as many packages.
import { spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Of the WIT package, with what the notebook asks for. */
const WORLD = "javascript-notebook";
/** No feature that needs WASI: no standard streams, random numbers, clocks, HTTP. */
const FEATURES = [];

// The stub for the clock holds the time at which it was made.
Date.now = () => 1000;

const [step, ...paths] = process.argv.slice(2);
const steps = { splice, load };
await steps[step](...paths);

async function splicer() {
  const parts = "node_modules/@bytecodealliance/componentize-js/lib/";
  const here = dirname(fileURLToPath(import.meta.url));
  const { splicer } = await import(join(here, parts, "spidermonkey-embedding-splicer.js"));
  return { splicer, engine: join(here, parts, "starlingmonkey_embedding.wasm") };
}

/** Gives the engine the bindings of the world in `wit`; leaves them in the directory `to`. */
async function splice(wit, to) {
  const { splicer: parts, engine } = await splicer();
  const spliced = parts.spliceBindings(
    await readFile(engine), FEATURES, undefined, wit, WORLD, false);
  await writeFile(join(to, "engine.wasm"), spliced.wasm);
  await writeFile(join(to, "initializer.js"), spliced.jsBindings);
  await writeFile(join(to, "environment.json"), JSON.stringify(environment(spliced)));
}

/** How the engine learns the signatures of imports and exports. */
function environment({ exports, imports }) {
  const result = {
    DEBUG: "",
    EXPORT_CNT: String(exports.length),
    FEATURE_CLOCKS: "",
    IMPORT_CNT: String(imports.length),
    SOURCE_NAME: "notebook",
  };
  exports.forEach(([name, type], index) => {
    result[`EXPORT${index}_NAME`] = name;
    result[`EXPORT${index}_ARGS`] = (type.paramptr ? "*" : "") + type.params.join(",");
    result[`EXPORT${index}_RET`] = (type.retptr ? "*" : "") + (type.ret ?? "");
    result[`EXPORT${index}_RETSIZE`] = String(type.retsize);
  });
  imports.forEach(([, name, argumentCount], index) => {
    result[`IMPORT${index}_NAME`] = name;
    result[`IMPORT${index}_ARGCNT`] = String(argumentCount);
  });
  return result;
}

/**
 * Runs the top level of `sources`/entry.js inside the engine in `spliced`, and writes the module
 * with the memory that this leaves to `output`. The engine sees the same paths on every machine.
 */
async function load(spliced, wit, sources, output) {
  const { default: wizer } = await import("@bytecodealliance/wizer");
  const loaded = spawnSync(wizer, [
    "--allow-wasi", "--inherit-env=true", "--wasm-bulk-memory=true",
    "--init-func=componentize.wizer",
    `--mapdir=/engine::${spliced}`, `--mapdir=/::${sources}`,
    `-o=${output}`, join(spliced, "engine.wasm"),
  ], {
    encoding: "utf8",
    env: JSON.parse(await readFile(join(spliced, "environment.json"), "utf8")),
    input: "--initializer-script-path /engine/initializer.js --strip-path-prefix / entry.js",
    maxBuffer: 1 << 26,
    timeout: 300_000,
  });
  if (loaded.status !== 0) {
    console.error(loaded.error ? `the notebook cannot be loaded: ${loaded.error.message}` : loaded.stderr);
    process.exit(1);
  }
  const { splicer: parts } = await splicer();
  const module = await readFile(output);
  await writeFile(output, parts.stubWasi(module, FEATURES, undefined, wit, WORLD));
}
