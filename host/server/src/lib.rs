//! The host over HTTP: rooms for parties, outputs for Delta Sharing clients.
#![forbid(unsafe_code)]
