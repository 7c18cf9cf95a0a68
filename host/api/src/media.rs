//! Media types of bodies.

/// JSON, for everything that has no type of its own.
pub const JSON: &str = "application/json";

/// Bytes as they are: chunks of uploads.
pub const BYTES: &str = "application/octet-stream";

/// A Parquet file: an output.
pub const PARQUET: &str = "application/vnd.apache.parquet";

/// A WebAssembly component.
pub const WASM: &str = "application/wasm";

/// A bundle: a room's log and its checkpoint, see `glovebox_contract::bundle`.
pub const BUNDLE: &str = "application/vnd.glovebox.bundle+json";
