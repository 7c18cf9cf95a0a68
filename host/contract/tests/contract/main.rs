//! The contract, read as a specification: who may say what, and what a verifier accepts.

mod approvals;
mod assets;
mod billing;
mod bodies;
mod bundles;
mod cancels;
mod conditions;
mod deprecations;
mod derived;
mod differences;
mod encoding;
mod histories;
mod keys;
mod libraries;
mod membership;
mod packages;
mod proofs;
mod round_trips;
mod rules;
mod runs;
mod shares;
mod statements;
mod support;
mod vocabulary;
