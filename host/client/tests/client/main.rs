//! The client against a host that is honest, one that fails, and ones that cheat.
//!
//! The host here is some hundred lines over `std::net`, so that it can do what no library lets a
//! server do.

mod cheats;
mod failures;
mod fake;
mod http;
mod mirrors;
mod rooms;
mod uploads;

/// The rooms of the tests of the contract.
#[path = "../../../contract/tests/contract/support.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod support;
