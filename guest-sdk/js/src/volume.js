// Volumes: read-only files whose content the approved revision pins.

import { backend, calling, GloveboxError, release } from "./backend.js";

/** Bytes that are asked for at once. */
const PIECE = 1 << 20;

/** A volume that the notebook declares, for example `acme.model`. */
export function volume(name) {
  const { listFiles } = backend();
  if (listFiles === undefined) {
    throw new GloveboxError("not-granted", `volume \`${name}\` is not declared: no volume is`);
  }
  return new Volume(name, calling(() => listFiles(name)));
}

class Volume {
  #name;

  constructor(name, files) {
    this.#name = name;
    /** Paths, sizes and digests, in the order of their paths. */
    this.files = files.map(({ path, size, digest }) => ({ path, size: Number(size), digest }));
  }

  /** The bytes of a file, or `length` of them from `offset` on. */
  read(path, { offset = 0, length = Infinity } = {}) {
    const file = calling(() => backend().openFile(this.#name, path));
    try {
      const pieces = [];
      let [position, left] = [offset, length];
      while (left > 0) {
        const piece = calling(() => file.read(BigInt(position), Math.min(left, PIECE)));
        if (piece.length === 0) {
          break;
        }
        pieces.push(piece);
        position += piece.length;
        left -= piece.length;
      }
      return concat(pieces);
    } finally {
      release(file);
    }
  }

  /** A file as text. */
  text(path) {
    return new TextDecoder("utf-8", { fatal: true }).decode(this.read(path));
  }
}

function concat(pieces) {
  if (pieces.length === 1) {
    return pieces[0];
  }
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let end = 0;
  for (const piece of pieces) {
    bytes.set(piece, end);
    end += piece.length;
  }
  return bytes;
}
