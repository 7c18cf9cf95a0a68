//! The log itself as a table.

use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::AssetName;
use glovebox_contract::statement::Statement;
use serde_json::json;

use crate::columns::STATEMENTS;
use crate::error::AuditError;
use crate::rows::{Rows, Table};
use crate::values::{digest, micros, number_of};

/// The statements of a log, whose room is called `name`, in its order. Whoever reads a journal of
/// the same log knows that they hold up.
///
/// # Errors
/// When an entry is no statement.
pub fn statements(name: &AssetName, entries: &[Envelope]) -> Result<Table, AuditError> {
    let mut rows = Rows::new(STATEMENTS)?;
    let room = entries.first().map(|first| glovebox_contract::name::RoomId(first.digest()));
    for (envelope, position) in entries.iter().zip(0..) {
        let statement = envelope.unverified()?;
        let Statement { body, issued_at, party, sequence, .. } = &statement;
        rows.push(&json!({
            "clean_room_name": name,
            "central_clean_room_id": room.map(|room| room.to_string()),
            "position": number_of(position),
            "kind": body.kind().as_str(),
            "party": party,
            "sequence": number_of(*sequence),
            "issued_at": micros(*issued_at),
            "summary": body.summary(),
            "digest": digest(&envelope.digest()),
            "key_id": envelope.key_id().to_string(),
            "statement": serde_json::to_string(&statement)?,
        }))?;
    }
    rows.table()
}
