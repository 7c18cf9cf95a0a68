// Parameters: of the run, and of queries.

import { GloveboxError } from "./backend.js";

const DAY = 86_400_000;

/** A parameter of the run as a value of JavaScript. */
export function fromScalar({ tag, val }) {
  switch (tag) {
    case "null":
      return null;
    case "int64":
    case "uint64":
      return val >= Number.MIN_SAFE_INTEGER && val <= Number.MAX_SAFE_INTEGER ? Number(val) : val;
    case "date32":
      return new Date(val * DAY);
    case "timestamp-micros":
      return new Date(Number(val / 1000n));
    default:
      return val;
  }
}

/** A value of JavaScript as a parameter of a query. */
export function toScalar(name, value) {
  switch (typeof value) {
    case "undefined":
      throw new GloveboxError("invalid-argument", `parameter \`:${name}\` has no value`);
    case "boolean":
      return { tag: "boolean", val: value };
    case "string":
      return { tag: "utf8", val: value };
    case "bigint":
      return value < 2n ** 63n ? { tag: "int64", val: value } : { tag: "uint64", val: value };
    case "number":
      return Number.isSafeInteger(value) && !Object.is(value, -0)
        ? { tag: "int64", val: BigInt(value) }
        : { tag: "float64", val: value };
    default:
      if (value === null) {
        return { tag: "null" };
      }
      if (value instanceof Date) {
        return { tag: "timestamp-micros", val: BigInt(value.getTime()) * 1000n };
      }
      if (value instanceof Uint8Array) {
        return { tag: "binary", val: value };
      }
      throw new GloveboxError("invalid-argument",
        `parameter \`:${name}\` is a ${value.constructor?.name ?? "object"}: give a text, a ` +
        "number, a boolean, a date or null");
  }
}

/** Quoted texts and names, comments, casts; or the name of a parameter. */
const TOKENS = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[^]*?\*\/|::|:([A-Za-z_]\w*)/g;

/** The statement with `$1`, `$2`, … for its `:name`s, and the values in this order. */
export function bind(statement, values) {
  const names = [];
  const text = statement.replace(TOKENS, (token, name) => {
    if (name === undefined) {
      return token;
    }
    if (!names.includes(name)) {
      names.push(name);
    }
    return `$${names.indexOf(name) + 1}`;
  });
  const unused = Object.keys(values).find((name) => !names.includes(name));
  if (unused !== undefined) {
    throw new GloveboxError("invalid-argument", `the statement has no parameter \`:${unused}\``);
  }
  return [text, names.map((name) => toScalar(name, values[name]))];
}
