//! What a party and a host say to each other over HTTP.
//!
//! Everything here is pure: the shapes of requests and answers ([`wire`]), the errors and their
//! status codes ([`error`]), where things are ([`path`]), and the signature that a party puts on
//! every request ([`signature`]). The server and the client link the same definitions, so neither
//! can drift from the other.
//!
//! Bodies are JSON in UTF-8 unless said otherwise, and unknown fields are refused on both sides.
//! Times are seconds since 1970-01-01T00:00:00Z, sizes are bytes. Statements are DSSE envelopes
//! exactly as `glovebox-contract` writes them: where the body of a request is an envelope, it is
//! its canonical bytes, [`glovebox_contract::envelope::Envelope::to_bytes`].
//!
//! A signature on a request proves who asks. It changes nothing in a room: for that there must be
//! a signed statement in the body, which stands in the log and can be checked by everyone.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable
    )
)]
#![forbid(unsafe_code)]

pub mod error;
pub mod headers;
pub mod limits;
pub mod media;
pub mod path;
pub mod signature;
pub mod wire;

pub use error::{ApiError, ErrorBody, status_of};
