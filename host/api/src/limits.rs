//! Bounds that both sides keep to.

/// Most bytes of the body of a request.
pub const MAX_REQUEST_BYTES: usize = 16 << 20;

/// Most bytes of a chunk of an upload, and the size that a client sends.
pub const UPLOAD_CHUNK_BYTES: usize = 8 << 20;

/// Most seconds that a request for the log waits for more entries.
pub const MAX_WAIT_SECONDS: u64 = 30;

/// Most entries in one answer with a part of the log, and how many there are unless asked for
/// fewer.
pub const LOG_PAGE_ENTRIES: u64 = 1000;

/// A host adds no further entry to an answer once its entries have this many bytes.
pub const LOG_PAGE_BYTES: usize = 8 << 20;

/// Most bytes of any JSON answer; a client reads no more. An answer with a part of the log is the
/// largest: [`LOG_PAGE_BYTES`], one more entry, a checkpoint and what stands around them.
pub const MAX_ANSWER_BYTES: usize = 16 << 20;

/// Most rooms in one answer.
pub const MAX_ROOMS_PAGE: u64 = 1000;

/// Rooms in one answer unless another number is asked for.
pub const ROOMS_PAGE: u64 = 100;

/// Most bytes of a page token.
pub const MAX_PAGE_TOKEN_BYTES: usize = 512;

/// Most files of one table, or of one table behind a view.
pub const MAX_TABLE_FILES: usize = 4096;

/// Most bytes of all uploads of one key together, unless the operator says otherwise.
pub const UPLOAD_QUOTA_BYTES: u64 = 20 << 30;

/// An upload that nobody has used for so many seconds is swept.
pub const UPLOAD_IDLE_SECONDS: u64 = 24 * 60 * 60;

/// How far `created` of a request may be from the host's clock, either way, in seconds.
pub const MAX_SKEW_SECONDS: u64 = 300;

/// How many seconds a host remembers a nonce: one second longer than the request could be sent
/// again.
pub const NONCE_SECONDS: u64 = 2 * MAX_SKEW_SECONDS + 1;
