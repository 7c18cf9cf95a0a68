//! `context`: what this run is.

use super::bindings::glovebox::guest::context::{Host, RunInfo};
use crate::state::HostState;

impl Host for HostState {
    fn current_run(&mut self) -> wasmtime::Result<RunInfo> {
        Ok(RunInfo {
            run_id: self.facts.run.clone(),
            room: self.facts.room.clone(),
            component: self.facts.notebook.clone(),
            revision_digest: self.facts.revision.clone(),
            started_at: self.facts.started_at,
        })
    }
}
