//! Outputs of runs as versioned Delta tables.
#![forbid(unsafe_code)]
