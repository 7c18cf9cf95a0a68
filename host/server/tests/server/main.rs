//! The host over HTTP as parties and strangers meet it, with a worker that has no engines.

#[path = "../../../room/tests/room/fake_broker.rs"]
mod fake_broker;
#[path = "../../../room/tests/room/fake_worker.rs"]
mod fake_worker;

mod bad_requests;
mod identity;
mod log;
mod quotas;
mod remote;
mod restart;
mod rooms;
mod runs;
#[path = "../sharing/mod.rs"]
mod sharing;
mod slow;
mod tls;
mod uploads;
mod world;
