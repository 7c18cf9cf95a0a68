//! The main job from the outside: the real binary, in an empty directory, step by step.

#[path = "../support/mod.rs"]
mod support;

mod bindings;
mod conditions;
mod crash;
mod determinism;
mod dry_run;
mod elsewhere;
mod formats;
mod governance;
mod jail;
mod join_keys;
mod libraries;
mod network;
mod python;
mod review;
mod rules;
mod sharing;
mod tour;
mod views;
mod volumes;
