//! The control plane as a whole, with a worker that has no engines.

mod cancel;
mod compiled;
mod damage;
mod fake_broker;
mod fake_worker;
mod full_disk;
mod inputs;
mod outputs;
mod pinned;
mod recovery;
mod remote;
mod runs;
mod service;
mod statements;
mod uploaded;
mod uploads;
mod world;
