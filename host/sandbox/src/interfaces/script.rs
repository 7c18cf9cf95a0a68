//! `script`: an SQL notebook as one text.

use super::bindings::glovebox::guest::script::Host;
use crate::state::{Failure, HostState};

impl Host for HostState {
    fn run(&mut self, text: String) -> Result<(), Failure> {
        Ok(self.query.run_script(&text, &mut self.outputs)?)
    }
}
