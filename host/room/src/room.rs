//! One room: its log, its state, and the only way to add to it.

use std::path::PathBuf;

use cap_std::fs::Dir;
use glovebox_contract::bundle::Bundle;
use glovebox_contract::checkpoint;
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::log::Log;
use glovebox_contract::name::{Alias, RoomId};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::{Applied, Refusal, RoomState};
use glovebox_contract::statement::{Body, Refused, Statement};

use crate::error::{Result, RoomError};
use crate::home::Home;
use crate::staging::OutputStore;
use crate::store::{NewEntry, Store, tampered};

/// File of a room's log.
const DATABASE: &str = "room.sqlite";

/// Longest envelope that is taken.
const MAX_ENVELOPE_BYTES: usize = 1 << 20;
