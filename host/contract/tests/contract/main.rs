//! The contract, read as a specification: who may say what, and what a verifier accepts.

mod approvals;
mod assets;
mod bundles;
mod differences;
mod encoding;
mod keys;
mod libraries;
mod membership;
mod proofs;
mod round_trips;
mod runs;
mod statements;
mod support;
mod vocabulary;
