//! Attacks from the outside in: what a hostile author, runner, file or disk can try, and the one
//! clear answer that each gets.

#[path = "../support/mod.rs"]
mod support;

mod files;
mod guests;
mod sources;
mod sql;
mod statements;
