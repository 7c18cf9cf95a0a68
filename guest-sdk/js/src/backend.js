// What the module `glovebox` stands on: the host's interfaces in a component, or a mock of them.

/** An error of the host, or of a call that it would refuse. `code` is one of the WIT package's. */
export class GloveboxError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = "GloveboxError";
    this.code = code;
  }
}

let current;

/** Sets what the calls of a notebook reach; nothing when it does not run. */
export function connect(backend) {
  current = backend;
}

/** The host, while a notebook runs. */
export function backend() {
  if (current === undefined) {
    throw new GloveboxError("closed",
      "the room can be used while the notebook runs only: move the call into its function");
  }
  return current;
}

/** Does `act`; an error of the host becomes a GloveboxError. */
export function calling(act) {
  try {
    return act();
  } catch (error) {
    const payload = error?.payload;
    if (typeof payload?.message !== "string") {
      throw error;
    }
    throw new GloveboxError(payload.code, payload.message);
  }
}

/** Gives a handle back to the host; the garbage collector would do it late. */
export function release(handle) {
  handle?.[Symbol.dispose ?? Symbol.for("dispose")]?.();
}
