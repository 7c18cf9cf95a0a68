//! Revisions that their author gives up.

use super::effect::Effect;
use super::{Refusal, RoomState};
use crate::name::Alias;
use crate::reason::ReasonCode;
use crate::statement::Deprecate;

/// What the author says of a version that it gives up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deprecation {
    /// When the author says it said so, in seconds since 1970-01-01T00:00:00Z.
    pub at: u64,
    /// Why, and what to use in its place.
    pub note: String,
    /// From when on the version does not run, if it ends.
    pub until: Option<u64>,
}

impl RoomState {
    pub(super) fn decide_deprecate(
        &self,
        party: &Alias,
        deprecate: &Deprecate,
        at: u64,
    ) -> Result<Effect, Refusal> {
        let Deprecate { notebook: name, note, revision, until } = deprecate;
        let notebook = self.notebook(name)?;
        self.require_author(party, notebook.author(), name)?;
        let version = notebook.version(revision).ok_or_else(|| {
            let why = format!("{name} has no revision {revision} in the room as it is now");
            Refusal::new(ReasonCode::NotFound, why)
        })?;
        let says_the_same = |said: &Deprecation| said.note == *note && said.until == *until;
        if version.deprecation().is_some_and(says_the_same) {
            let why = "the revision is deprecated so already";
            return Err(Refusal::new(ReasonCode::AlreadyExists, why));
        }
        Ok(Effect::Deprecate {
            notebook: name.clone(),
            revision: *revision,
            deprecation: Deprecation { at, note: note.clone(), until: *until },
        })
    }
}
