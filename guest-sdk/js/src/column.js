// Columns as they come from the host: typed arrays over its buffers, and values out of them.

import { UNITS } from "./types.js";

const TEXT = new TextDecoder();
const DAY = 86_400_000;

/** One column of a batch. */
export class Column {
  #type;
  #validity;
  #values;
  #offsets;
  #children;

  /** Takes the column's nodes and buffers, and those of its children, from two iterators. */
  constructor(name, type, nodes, buffers) {
    const node = nodes.next().value;
    this.name = name;
    this.type = type.text;
    this.length = Number(node.length);
    this.nullCount = Number(node.nullCount);
    this.#type = type;
    if (type.kind === "null") {
      return;
    }
    this.#validity = buffers.next().value;
    if (type.kind === "list" || type.kind === "utf8" || type.kind === "binary") {
      this.#offsets = view(Int32Array, buffers.next().value);
    }
    if (type.kind === "list") {
      this.#children = [new Column("item", type.item, nodes, buffers)];
    } else if (type.kind === "struct") {
      const child = ({ name, type }) => new Column(name, type, nodes, buffers);
      this.#children = type.fields.map(child);
    } else {
      this.#values = view(type.array ?? Uint8Array, buffers.next().value);
    }
  }

  /**
   * The values of a type of fixed width, as one typed array: no copy, zeros where a value is
   * null. Days for `date32`, units for times, half floats as 16 bits, two words for a decimal.
   */
  get values() {
    if (this.#type.array === undefined) {
      throw new TypeError(`column \`${this.name}\` of type ${this.type} has no array of values: ` +
        "use get(row), toArray() or a loop");
    }
    return this.#values;
  }

  /** Whether the value of `row` is null. */
  isNull(row) {
    if (this.#type.kind === "null") {
      return true;
    }
    return this.#validity.length > 0 && !bit(this.#validity, row);
  }

  /** The value of `row`; null where there is none. */
  get(row) {
    if (!(row >= 0 && row < this.length)) {
      throw new RangeError(`column \`${this.name}\` has ${this.length} rows, not a row ${row}`);
    }
    return this.isNull(row) ? null : this.#get(row);
  }

  /** All values. */
  toArray() {
    return Array.from(this);
  }

  *[Symbol.iterator]() {
    for (let row = 0; row < this.length; row += 1) {
      yield this.isNull(row) ? null : this.#get(row);
    }
  }

  #get(row) {
    const type = this.#type;
    switch (type.kind) {
      case "boolean":
        return bit(this.#values, row);
      case "utf8":
        return TEXT.decode(this.#bytes(row));
      case "binary":
        return this.#bytes(row).slice();
      case "fixed_size_binary":
        return this.#values.slice(row * type.width, (row + 1) * type.width);
      case "decimal":
      case "decimal256":
        return decimalText(this.#values.subarray(row * type.width, (row + 1) * type.width),
          type.scale);
      case "date32":
        return new Date(this.#values[row] * DAY);
      case "date64":
        return new Date(Number(this.#values[row]));
      case "timestamp":
        return new Date(milliseconds(this.#values[row], type.unit));
      case "float16":
        return halfToNumber(this.#values[row]);
      case "list": {
        const [item] = this.#children;
        const rows = { length: this.#offsets[row + 1] - this.#offsets[row] };
        return Array.from(rows, (_, index) => item.get(this.#offsets[row] + index));
      }
      case "struct":
        return Object.fromEntries(this.#children.map((child) => [child.name, child.get(row)]));
      default:
        return this.#values[row];
    }
  }

  #bytes(row) {
    return this.#values.subarray(this.#offsets[row], this.#offsets[row + 1]);
  }
}

/** Another array over the same bytes; a copy only if they lie at an odd place. */
function view(array, bytes) {
  const width = array.BYTES_PER_ELEMENT;
  const placed = bytes.byteOffset % width === 0 ? bytes : bytes.slice();
  return new array(placed.buffer, placed.byteOffset, Math.floor(placed.byteLength / width));
}

function bit(bytes, index) {
  return (bytes[index >> 3] >> (index & 7) & 1) === 1;
}

function milliseconds(value, unit) {
  const factor = UNITS[unit];
  if (factor >= 1) {
    return Number(value) * factor;
  }
  const units = BigInt(Math.round(1 / factor));
  // Times before 1970 are rounded down too.
  return Number((value - ((value % units) + units) % units) / units);
}

/** Words, the lowest first, as a number of two's complement with `scale` decimal places. */
function decimalText(words, scale) {
  const bits = BigInt(words.length * 64);
  const unsigned = words.reduceRight((number, word) => number << 64n | word, 0n);
  const value = BigInt.asIntN(Number(bits), unsigned);
  if (scale <= 0) {
    return String(value * 10n ** BigInt(-scale));
  }
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, "0");
  return `${value < 0n ? "-" : ""}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

function halfToNumber(bits) {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, bits >> 10 & 31, bits & 1023];
  if (exponent === 31) {
    return fraction === 0 ? sign * Infinity : NaN;
  }
  return exponent === 0
    ? sign * fraction * 2 ** -24
    : sign * (1024 + fraction) * 2 ** (exponent - 25);
}
