//! A statement of the log with what the room was before and after it.

use glovebox_contract::key::PublicKey;
use glovebox_contract::name::Alias;
use glovebox_contract::state::{Applied, RoomState};
use glovebox_contract::statement::{
    AssetStatement, Body, HOST_ALIAS, RoomDocument, Rule, Statement,
};
use serde_json::{Map, Value, json};

use crate::runs::Known;
use crate::values::{micros, number_of};

/// What has to be known of the room before a statement changes it.
pub(crate) struct Before {
    /// The key of the signer, which the statement may replace.
    key: PublicKey,
    /// Whether there is already what the statement adds.
    pub(crate) existed: bool,
}

impl Before {
    /// `None` when the statement is of no party.
    pub(crate) fn of(state: &RoomState, statement: &Statement) -> Option<Self> {
        let key = key_of(state, &statement.party)?;
        Some(Self { key, existed: exists(state, statement) })
    }

    /// Before the first statement there is the key that it names.
    pub(crate) fn of_first(document: &RoomDocument) -> Option<Self> {
        let creator = document.collaborators.iter().find(|party| party.alias == document.creator);
        Some(Self { key: creator?.public_key, existed: false })
    }
}

/// The key with which a party signs now, the host included.
fn key_of(state: &RoomState, party: &Alias) -> Option<PublicKey> {
    if party.as_str() == HOST_ALIAS {
        return Some(state.document().host_key);
    }
    state.member(party).ok().map(|member| *member.public_key())
}

fn exists(state: &RoomState, statement: &Statement) -> bool {
    match &statement.body {
        Body::Asset(AssetStatement::Table(table)) => state.table(&table.name).is_some(),
        Body::Asset(AssetStatement::Notebook(asset)) => {
            state.notebook(&asset.manifest.name).is_ok()
        }
        Body::Asset(AssetStatement::Library(asset)) => {
            state.library(&asset.manifest.name).is_some()
        }
        Body::Asset(AssetStatement::Volume(volume)) => state.volume(&volume.name).is_some(),
        Body::Rule(Rule::Add(rule)) => state
            .rules()
            .any(|present| present.owner == statement.party && present.rule.id == rule.id),
        _ => false,
    }
}

/// A statement that the log has.
pub(crate) struct Said<'a> {
    pub(crate) before: Before,
    /// The room with it.
    pub(crate) state: &'a RoomState,
    pub(crate) applied: &'a Applied,
    /// Its position in the log, from 0.
    pub(crate) position: u64,
    /// What is known of the runs, that of this statement included.
    pub(crate) runs: &'a Known,
}

impl Said<'_> {
    pub(crate) fn statement(&self) -> &Statement {
        &self.applied.statement
    }

    /// The name by which Databricks would know the party with a key.
    fn metastore(&self, key: &PublicKey) -> String {
        format!("glovebox:{}:{key}", self.state.document().region)
    }

    /// The same for a party of the room as it is now.
    pub(crate) fn metastore_of(&self, party: &Alias) -> Option<String> {
        key_of(self.state, party).map(|key| self.metastore(&key))
    }

    /// What all events of the statement have in common.
    pub(crate) fn row(&self, event: &str, number: usize) -> Map<String, Value> {
        let Statement { body, issued_at, party, .. } = self.statement();
        let document = self.state.document();
        let id = self.applied.digest;
        let event_id = if number == 0 { id.to_string() } else { format!("{id}/{number}") };
        let columns = [
            ("account_id", json!(document.host_key.to_string())),
            ("metastore_id", json!(self.metastore(&document.host_key))),
            ("event_id", json!(event_id)),
            ("clean_room_name", json!(document.name)),
            ("central_clean_room_id", json!(self.state.id().to_string())),
            ("initiator_global_metastore_id", json!(self.metastore(&self.before.key))),
            ("initiator_collaborator_alias", json!(party)),
            ("event_time", micros(*issued_at)),
            ("event_type", json!(event)),
            ("position", number_of(self.position)),
            ("statement_kind", json!(body.kind().as_str())),
            ("statement_digest", json!(id.to_string())),
            ("acting_principal", json!(self.before.key.to_string())),
            ("summary", json!(body.summary())),
        ];
        columns.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
