//! The control plane as a whole, with a worker that has no engines.

mod damage;
mod fake_worker;
mod inputs;
mod outputs;
mod recovery;
mod runs;
mod statements;
mod world;
