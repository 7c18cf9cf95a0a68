// Column types: their text, and how each lies in memory.

/** Arrays of the types whose values are numbers of JavaScript or BigInts. */
const PLAIN = {
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  float16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
  date32: Int32Array,
  date64: BigInt64Array,
  time32: Int32Array,
  time64: BigInt64Array,
  timestamp: BigInt64Array,
  duration: BigInt64Array,
};

/** Milliseconds of one unit; a microsecond is a thousandth. */
export const UNITS = { s: 1000, ms: 1, us: 1e-3, ns: 1e-6 };

/**
 * A type as an object: `kind` is the word before the parenthesis, `array` the class of its
 * values where they have a fixed width.
 */
export function parseType(text) {
  const [, kind, inner] = /^(\w+)\s*(?:\((.*)\))?$/s.exec(text.trim()) ?? [];
  const words = inner === undefined ? [] : splitArguments(inner);
  switch (kind) {
    case "null":
    case "boolean":
    case "utf8":
    case "binary":
      return { text, kind };
    case "fixed_size_binary":
      return { text, kind, array: Uint8Array, width: Number(words[0]) };
    case "decimal":
    case "decimal256":
      return { text, kind, array: BigUint64Array, width: kind === "decimal" ? 2 : 4,
        precision: Number(words[0]), scale: Number(words[1]) };
    case "list":
      return { text, kind, item: parseType(words[0]) };
    case "struct":
      return { text, kind, fields: words.map(parseField) };
    default:
      if (!Object.hasOwn(PLAIN, kind ?? "")) {
        throw new TypeError(`type \`${text}\` is not known`);
      }
      return { text, kind, array: PLAIN[kind], width: 1, unit: words[0] };
  }
}

function parseField(text) {
  const colon = text.indexOf(":");
  return { name: text.slice(0, colon).trim(), type: parseType(text.slice(colon + 1)) };
}

/** Splits at commas outside parentheses. */
function splitArguments(text) {
  const parts = [];
  let [depth, start] = [0, 0];
  for (let index = 0; index < text.length; index += 1) {
    const letter = text[index];
    depth += letter === "(" ? 1 : letter === ")" ? -1 : 0;
    if (letter === "," && depth === 0) {
      parts.push(text.slice(start, index).trim());
      start = index + 1;
    }
  }
  parts.push(text.slice(start).trim());
  return parts;
}
