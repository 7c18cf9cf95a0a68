//! The gateway of one party: the REST shape of Databricks Clean Rooms, for that party's people and
//! tools, so that `databricks-sdk` works unchanged.
//!
//! The gateway holds the party's key and runs on the party's side. What its people ask for over
//! REST it signs as statements of the party and brings to the host; what it answers it has folded
//! from the room's log itself. Who may ask for what, [`access`] decides.
//!
//! | Databricks | here |
//! |---|---|
//! | clean room | room; created by a signed document, or accepted when the party is invited to one of that name |
//! | `global_metastore_id` | `glovebox:<region>:<public key of the party>` |
//! | `TABLE`, `VIEW`, `VOLUME` with a `local_name` | what the party's catalog file has under that name |
//! | `NOTEBOOK_FILE` | a notebook: a built component, or `.sql`, `.py`, `.ipynb` that is built here |
//! | `etag` | the digest of the revision, which anyone can compute |
//! | review, auto-approval rule | the same, signed |
//! | `clean_rooms_notebook_task` | a signed request for a run of an approved revision |
//! | run id | the first 53 bits of our run's id |
//! | output schema | `run_<id of the run>` in the room's output catalog |
//! | egress policy | `RESTRICTED_ACCESS` without destinations, always |
//!
//! Outputs are read as `files.download("/Volumes/<catalog>/run_<id>/outputs/<table>.parquet")`.
//!
//! # Where it is not Databricks
//!
//! - Creating a room is done when it is in the log, so the first answer says `ACTIVE`. A room that
//!   the party is invited to is `PROVISIONING` until it accepts, and accepting is `create` with its
//!   name: what the body says of the room must be what its creator signed.
//! - Deleting a room signs a pause of all runs in it, and hides it from this party. The others see
//!   it as `DELETED`; the log stays with them.
//! - An update of a room changes its `owner` and `comment`, which are the party's own. The rest was
//!   signed by all.
//! - A notebook says what it is called, what it does and which version it is; `name` must agree,
//!   `description` is left out or the same. It comes after its tables; when one of them is taken
//!   out of the room, the notebook is `PENDING` and has no `etag`. `notebook_content` of an answer is its source where that is one
//!   file, the component otherwise, and empty for a hidden notebook of another party.
//! - A review names an `etag` that the room has now, or is refused with `ABORTED`.
//! - `columns` of a table that is added chooses among what the catalog offers. There are no
//!   `partitions`: a view says which rows.
//! - `FOREIGN_TABLE` and `JAR_ANALYSIS` are refused: the files of the one are a table, the compiled
//!   program of the other is a notebook.
//! - `runs/submit` takes one task, and refuses what it would have to ignore: `timeout_seconds` (the
//!   room's limits say how long a run takes), retries, `run_as`. A run has one number, also as a
//!   task and as a job.
//! - A failed run's `state_message` ends with our reason code. Its words, `error`, `logs` and
//!   `notebook_output`, are there for those whom the room lets read them.
//! - Fields that nobody knows are refused with `INVALID_PARAMETER_VALUE`, in bodies and queries.
//!
//! It prints nothing and reads neither arguments nor environment.
#![forbid(unsafe_code)]
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

pub mod access;
mod app;
mod assets;
mod call;
mod catalog;
mod columns;
mod error;
mod host;
mod local;
#[cfg(test)]
mod mapping;
mod outputs;
mod page;
mod paging;
mod reviews;
mod rooms;
mod routes;
mod rules;
mod runs;
mod serve;
mod store;
mod tls;
#[cfg(test)]
#[path = "../../contract/tests/contract/support.rs"]
#[expect(dead_code, reason = "the tests of the contract use the rest")]
mod world;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use glovebox_contract::digest::ContentDigest;
use glovebox_contract::key::{PrivateKey, PublicKey};
use glovebox_contract::manifest::Manifest;

pub use page::{PreviewColumn, ReadTable, TablePreview};
pub use serve::{GatewayError, serve};

/// What an operator of a party decides.
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Certificate and key; plain HTTP when absent, for the machine itself or behind a proxy.
    pub tls: Option<Tls>,
    /// The party's key.
    pub key: PrivateKey,
    /// The address of the host.
    pub host: String,
    /// How the host is reached, and where what is remembered of it is kept.
    pub options: glovebox_client::Options,
    /// The directory for what the gateway keeps: principals, the audit, run numbers.
    pub state: PathBuf,
    /// The party's catalog, a TOML file; without it no tables, views or volumes can be added.
    pub catalog: Option<PathBuf>,
    /// A directory of Cedar policies in place of the built-in ones.
    pub policies: Option<PathBuf>,
    /// The party's OIDC issuer, when its tokens are taken.
    pub oidc: Option<access::OidcConfig>,
    /// Looks into a component.
    pub inspect: Inspect,
    /// Reads the first rows of an output for its page; without it a page offers the file only.
    pub preview: Option<ReadTable>,
    /// Called once, when all addresses are listened on.
    pub bound: Option<Box<dyn FnOnce(Bound) + Send>>,
}

/// The files of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and those that lead to its root, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// Where the gateway listens and for whom it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The addresses with their real ports, in the order of [`Config::listen`].
    pub addresses: Vec<SocketAddr>,
    /// The party's public key.
    pub public_key: PublicKey,
}

/// Looks into a component without running it, or says why a room would not take it. Comes from
/// outside, so that this crate links no engine.
pub type Inspect = fn(&[u8]) -> Result<Inspected, String>;

/// What was found in a component.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// Its digests.
    pub digest: ContentDigest,
    /// What it says about itself.
    pub manifest: Manifest,
    /// The interfaces that it imports.
    pub imports: BTreeSet<String>,
    /// The interfaces that it exports.
    pub exports: BTreeSet<String>,
    /// Whether it hides its source.
    pub hidden: bool,
}
