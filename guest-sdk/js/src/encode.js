// Values as columns for the host.

import { Column } from "./column.js";
import { UNITS } from "./types.js";

const TEXT = new TextEncoder();
const EMPTY = new Uint8Array();
const DAY = 86_400_000;

/** Appends the nodes and buffers of one column to `to`. `where` names it in errors. */
export function encode(type, values, where, to) {
  if (ArrayBuffer.isView(values) && values.constructor === type.array && type.width === 1) {
    to.nodes.push(node(values.length, 0));
    to.buffers.push(EMPTY, bytesOf(values));
    return;
  }
  if (values instanceof Column && values.type === type.text && type.array && type.width === 1) {
    to.nodes.push(node(values.length, values.nullCount));
    to.buffers.push(validity(values.length, (row) => values.isNull(row)), bytesOf(values.values));
    return;
  }
  const list = Array.from(values, (value) => value ?? null);
  const nulls = list.filter((value) => value === null).length;
  to.nodes.push(node(list.length, nulls));
  if (type.kind === "null") {
    return;
  }
  to.buffers.push(nulls === 0 ? EMPTY : validity(list.length, (row) => list[row] === null));
  encodeValues(type, list, where, to);
}

/** Values that are null are zeros, or empty. */
function encodeValues(type, list, where, to) {
  switch (type.kind) {
    case "boolean":
      check(list, where, type, (value) => typeof value === "boolean");
      to.buffers.push(bitmap(list.length, (row) => list[row] === true));
      break;
    case "utf8":
      check(list, where, type, (value) => typeof value === "string");
      pushPieces(list.map((value) => value === null ? EMPTY : TEXT.encode(value)), to);
      break;
    case "binary":
      check(list, where, type, (value) => value instanceof Uint8Array);
      pushPieces(list.map((value) => value ?? EMPTY), to);
      break;
    case "fixed_size_binary":
      check(list, where, type, (value) =>
        value instanceof Uint8Array && value.length === type.width);
      to.buffers.push(concat(list.map((value) => value ?? new Uint8Array(type.width))));
      break;
    case "list": {
      check(list, where, type, (value) => typeof value[Symbol.iterator] === "function");
      const items = list.map((value) => Array.from(value ?? []));
      to.buffers.push(offsets(items));
      encode(type.item, items.flat(), `an item of ${where}`, to);
      break;
    }
    case "struct":
      check(list, where, type, (value) => typeof value === "object");
      for (const field of type.fields) {
        const values = list.map((value) => value?.[field.name]);
        encode(field.type, values, `\`${field.name}\` of ${where}`, to);
      }
      break;
    default:
      to.buffers.push(bytesOf(fixedWidth(type, list, where)));
  }
}

function fixedWidth(type, list, where) {
  const array = new type.array(list.length * type.width);
  list.forEach((value, row) => {
    if (value === null) {
      return;
    }
    const converted = convert(type, value);
    if (converted === undefined) {
      refuse(where, type, row, value);
    }
    if (type.width === 1) {
      array[row] = converted;
    } else {
      for (let word = 0; word < type.width; word += 1) {
        array[row * type.width + word] = BigInt.asUintN(64, converted >> BigInt(64 * word));
      }
    }
  });
  return array;
}

/** The number that stands for `value` in a column of `type`; undefined if none does exactly. */
function convert(type, value) {
  switch (type.kind) {
    case "float64":
      return typeof value === "number" ? value : undefined;
    case "float32":
      return typeof value === "number" ? Math.fround(value) : undefined;
    case "float16":
      return typeof value === "number" ? numberToHalf(value) : undefined;
    case "decimal":
    case "decimal256":
      return decimal(value, type);
    case "date32":
      return integer(value instanceof Date ? value.getTime() / DAY : value, type);
    case "date64":
      return integer(value instanceof Date ? value.getTime() : value, type);
    case "timestamp":
      return integer(value instanceof Date ? units(value, type.unit) : value, type);
    default:
      return integer(value, type);
  }
}

/** A number of one to eight bytes, unchanged; undefined if it does not fit. */
function integer(value, type) {
  const big = type.array === BigInt64Array || type.array === BigUint64Array;
  const whole = typeof value === "bigint" ||
    typeof value === "number" && Number.isInteger(value) && (!big || Number.isSafeInteger(value));
  if (!whole) {
    return undefined;
  }
  const converted = big ? BigInt(value) : Number(value);
  const probe = new type.array([converted]);
  return probe[0] === converted ? converted : undefined;
}

function units(date, unit) {
  const time = date.getTime();
  return UNITS[unit] >= 1
    ? time / UNITS[unit]
    : Number.isInteger(time) ? BigInt(time) * BigInt(Math.round(1 / UNITS[unit])) : NaN;
}

/** A decimal as its unscaled number: from its text, an integer, or a number's shortest text. */
function decimal(value, { precision, scale }) {
  const parts = /^([+-]?)(\d+)(?:\.(\d*))?$/.exec(String(value));
  if (parts === null || scale < 0) {
    return undefined;
  }
  const [, sign, whole, fraction = ""] = parts;
  const kept = fraction.replace(/0+$/, "");
  if (kept.length > scale) {
    return undefined;
  }
  const unscaled = BigInt(whole + kept.padEnd(scale, "0"));
  return unscaled < 10n ** BigInt(precision) ? sign === "-" ? -unscaled : unscaled : undefined;
}

/** The nearest half float, ties to even, as its bits. */
function numberToHalf(value) {
  if (Number.isNaN(value)) {
    return 0x7e00;
  }
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size >= 65_520) {
    return sign | 0x7c00;
  }
  const exponent = Math.max(Math.floor(Math.log2(size || 2 ** -24)), -14);
  const scaled = size * 2 ** (10 - exponent);
  const down = Math.floor(scaled);
  const up = scaled - down > 0.5 || scaled - down === 0.5 && down % 2 === 1;
  return sign | ((exponent + 14) * 1024 + down + (up ? 1 : 0));
}

function check(list, where, type, fits) {
  const row = list.findIndex((value) => value !== null && !fits(value));
  if (row >= 0) {
    refuse(where, type, row, list[row]);
  }
}

/** Values of a room may be confidential: the error tells the kind of the value only. */
function refuse(where, type, row, value) {
  const kind = typeof value === "object" ? value.constructor?.name ?? "object" : typeof value;
  throw new TypeError(`row ${row} of ${where}: a ${kind} that does not fit ${type.text}`);
}

function node(length, nullCount) {
  return { length: BigInt(length), nullCount: BigInt(nullCount) };
}

function validity(length, isNull) {
  return bitmap(length, (row) => !isNull(row));
}

function bitmap(length, isSet) {
  const bytes = new Uint8Array(Math.ceil(length / 8));
  for (let row = 0; row < length; row += 1) {
    if (isSet(row)) {
      bytes[row >> 3] |= 1 << (row & 7);
    }
  }
  return bytes;
}

function pushPieces(pieces, to) {
  to.buffers.push(offsets(pieces), concat(pieces));
}

function offsets(pieces) {
  const ends = new Int32Array(pieces.length + 1);
  pieces.forEach((piece, index) => {
    ends[index + 1] = ends[index] + piece.length;
  });
  return bytesOf(ends);
}

function concat(pieces) {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let end = 0;
  for (const piece of pieces) {
    bytes.set(piece, end);
    end += piece.length;
  }
  return bytes;
}

function bytesOf(array) {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
