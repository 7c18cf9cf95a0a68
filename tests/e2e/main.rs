//! The main job from the outside: the real binary, in an empty directory, step by step.

#[path = "../support/mod.rs"]
mod support;

mod crash;
mod determinism;
mod expected;
mod formats;
mod governance;
mod jail;
mod tour;
