//! Where the host's call enters a notebook.

use crate::backend;
use crate::bindings::glovebox::guest::types;
use crate::error::Result;
use crate::room::{Level, Room};

/// A panic ends in a trap, which has no text. So the text goes to the log before.
pub(crate) fn prepare() {
    std::panic::set_hook(Box::new(|panic| {
        backend::Room.log(Level::Error, &panic.to_string().replacen(":\n", ": ", 1));
    }));
}

/// Runs a notebook on behalf of the host.
pub fn run(notebook: fn(&Room) -> Result<()>) -> Result<(), types::Error> {
    prepare();
    notebook(&Room { inner: backend::Room }).map_err(Into::into)
}
