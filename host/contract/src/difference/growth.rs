//! Whether a revision may do more than one that was reviewed before.

use super::{Change, Effect, Part, RevisionFacts, between_revisions};

/// What a rule asks of two revisions of a notebook. Whatever is in doubt counts as growth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Growth {
    /// Something widens ([`Effect::Widens`]); or an input is bound to another table or column, a
    /// parameter has another type, or a library is another party's. Other code, and what the owners
    /// of tables, views and volumes change about them, is no growth.
    pub capabilities: bool,
    /// An output is new, gone, or has other columns, another order, mode or cap; or outputs are
    /// read by others or for another time.
    pub outputs: bool,
}

impl Growth {
    /// Compares `new` with what was reviewed.
    pub fn between(old: RevisionFacts<'_>, new: RevisionFacts<'_>) -> Self {
        let changes = between_revisions(old, new);
        let libraries = &old.revision.libraries;
        let of_others = new.revision.libraries.iter().any(|(name, library)| {
            libraries.get(name).is_none_or(|before| before.owner != library.owner)
        });
        Self {
            capabilities: of_others || changes.iter().any(grows),
            outputs: changes.iter().any(|change| is_of_outputs(change.part)),
        }
    }
}

fn grows(change: &Change) -> bool {
    change.effect == Effect::Widens
        || matches!(change.part, Part::Binding | Part::Parameter) && change.effect == Effect::Alters
}

fn is_of_outputs(part: Part) -> bool {
    matches!(
        part,
        Part::Output
            | Part::OutputColumn
            | Part::OutputOrder
            | Part::OutputMode
            | Part::OutputRows
            | Part::OutputBytes
            | Part::OutputReaders
            | Part::OutputDays
    )
}
