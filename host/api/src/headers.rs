//! Names of headers, in the lower case in which HTTP/2 sends them.

/// Digest of the body: `sha-256=:<base64>:` (RFC 9530), also when the body is empty.
pub const CONTENT_DIGEST: &str = "content-digest";

/// What is signed (RFC 9421).
pub const SIGNATURE_INPUT: &str = "signature-input";

/// The signature (RFC 9421).
pub const SIGNATURE: &str = "signature";

/// How many bytes of an upload the host has, or where a chunk begins.
pub const UPLOAD_OFFSET: &str = "upload-offset";

/// How many bytes the whole upload has.
pub const UPLOAD_LENGTH: &str = "upload-length";

/// How many seconds to wait before the same is asked again.
pub const RETRY_AFTER: &str = "retry-after";
