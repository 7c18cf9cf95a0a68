//! The host's control plane: the home directory, the log of every room, components, the files of
//! parties, runs, publishing and recovery.
//!
//! It links neither engine: compiling a component, reading a party's files and running a notebook
//! happen in jailed child processes, which it talks to through `glovebox-job`. It prints nothing
//! and reads neither arguments nor environment.
//!
//! # The calls
//!
//! A party signs on its side; every call that changes a room takes the signed envelope.
//!
//! | what | call | signed body |
//! |---|---|---|
//! | make or open a home | [`Home::open_or_create`], [`Home::open`] | |
//! | the host's public key, for the room document | [`Home::host_key`] | |
//! | create a room | [`Home::create_room`] | `Room` |
//! | list, open (by name, id or its beginning) | [`Home::rooms`], [`Home::room`] | |
//! | the next statement of a key, to sign | [`Room::next_statement`] | |
//! | accept, review, pause, resume, rotate, delete | [`Room::submit`] | `Accept`, `Review`, … |
//! | look at a party's files, or plan a view of them, in a jailed child | [`tables::DescribedTable::read`], [`tables::DescribedTable::read_view`] | |
//! | open a table that is elsewhere, find its columns | [`tables::DescribedTable::read_remote`] | |
//! | add a table or a view, wherever it is | [`Room::add_table`] | `Asset(Table)` |
//! | add a table that is an output of a notebook | [`Room::add_derived_table`] | `Asset(Table)` |
//! | give a table that is elsewhere other credentials | [`Room::new_credential`], [`Room::replace_credential`] | |
//! | seal credentials with a key that is not in the home | [`Home::use_sealing_key`] | |
//! | read a volume's files, add it | [`Room::measure_volume`], [`Room::add_volume`] | `Asset(Volume)` |
//! | add a notebook: checked, compiled, kept | [`Room::add_notebook`] | `Asset(Notebook)` |
//! | add a library, the same way | [`Room::add_library`] | `Asset(Library)` |
//! | the bytes of a component, verified | [`Room::component`] | |
//! | run, wait, get the receipt | [`Room::run`] | `RunRequest` |
//! | what a run said, for those who may know | [`Room::run_text`] | |
//! | which outputs a party may read | [`Room::readable_outputs`] | |
//! | read an output: the verified Parquet file | [`Room::read_output`] | `OutputRead` |
//! | state, log, bundle, checkpoint | [`Room::state`], [`Room::entries`], [`Room::bundle`], [`Room::checkpoint`] | |
//!
//! What a host needs besides that serves parties elsewhere:
//!
//! | what | call | signed body |
//! |---|---|---|
//! | end what an earlier process left, in every room | [`Home::recover_all`] | |
//! | open a room by its id alone | [`Home::room_by_id`] | |
//! | take a party's files in pieces; its quota; sweep | [`Home::uploads`], [`uploads::Uploads`] | |
//! | look at uploaded files | [`Home::describe_uploaded`] | |
//! | add a table or a view over uploads | [`Room::add_uploaded_table`] | `Asset(Table)` |
//! | add a volume of uploads | [`Room::add_uploaded_volume`] | `Asset(Volume)` |
//! | add an uploaded notebook or library | [`Room::add_uploaded_component`] | `Asset(Notebook)`, `Asset(Library)` |
//! | a component for one party | [`Room::component_for`] | |
//! | know that a request is in the log, let it wait | [`run::RunObserver::admit`] | |
//! | the run of a request that comes again | [`Room::run_of_request`] | `RunRequest` |
//! | cancel a run, or change rules and shares | [`Room::submit`] | `Cancel`, `Rule`, `Share` |
//! | a page of the log, whether it grew | [`Room::entries_from`], [`Room::log_size_on_disk`] | |
//! | delete what has expired | [`Room::sweep_expired`] | |
//! | serve outputs to recipients | [`Room::published_output`], [`Room::record_shared_read`] | |
//!
//! Every refusal of a statement is in the log, signed by the host, and comes back as a
//! [`RoomError`] with its public [`RoomError::reason`].
//!
//! Opening a room folds its whole log again, compares it with the host's last signed checkpoint
//! (`log tampered` if they differ), and finishes or undoes what a dead process left half done.
//! Several processes may have the same home open, and one process a room several times: appends to
//! a room take turns, a run holds up nobody, so a pause or a cancel gets in while a run goes on. A
//! value of [`Room`] is for one thread at a time.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable
    )
)]
#![forbid(unsafe_code)]

mod cancel;
pub mod clock;
mod components;
pub mod crash;
mod derived;
pub mod error;
mod execute;
mod files;
pub mod home;
mod inputs;
mod kept;
mod libraries;
mod notebooks;
pub mod outputs;
mod private;
mod publish;
pub mod remote;
pub mod room;
pub mod rooms;
pub mod run;
mod sources;
mod staging;
mod store;
pub mod tables;
mod tree;
pub mod uploaded;
pub mod uploads;
pub mod volumes;
pub mod worker;

pub use error::RoomError;
pub use home::Home;
pub use private::{Display, LogLine};
pub use room::Room;
pub use sources::{Files, Rows, Source};
