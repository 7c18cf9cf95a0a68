//! What a statement means as events.
//!
//! Most statements are one event. A notebook that rules approve as it is added, and a run that
//! starts by rules, are several: each use of a rule is an event of the rule's owner.

mod assets;
mod runs;

use glovebox_contract::name::{Alias, AssetName};
use glovebox_contract::statement::{
    Body, Delete, Pause, Refused, Resume, RoomDocument, Rule, Share, SharedRead,
};
use serde_json::{Map, Value, json};

use crate::said::Said;
use crate::values::number_of;

/// An event in the making: what it is called, and the columns that it alone has.
pub(crate) struct Event {
    name: &'static str,
    /// Who acts, if not the signer of the statement.
    by: Option<Alias>,
    columns: Map<String, Value>,
}

impl Event {
    fn new(name: &'static str) -> Self {
        Self { name, by: None, columns: Map::new() }
    }

    /// With a value in a column.
    fn with(mut self, column: &str, value: impl Into<Value>) -> Self {
        self.columns.insert(column.to_owned(), value.into());
        self
    }

    /// As an act of another party than the signer.
    fn by(self, party: &Alias) -> Self {
        Self { by: Some(party.clone()), ..self }
    }
}

/// The rows of a statement.
pub(crate) fn of(said: &Said<'_>) -> Vec<Value> {
    let row = |(number, event): (usize, Event)| {
        let mut row = said.row(event.name, number);
        row.extend(event.columns);
        if let Some(party) = event.by {
            // It acts by what it signed before, with no key now.
            row.insert("initiator_global_metastore_id".into(), json!(said.metastore_of(&party)));
            row.insert("initiator_collaborator_alias".into(), json!(party));
            row.remove("acting_principal");
        }
        Value::Object(row)
    };
    happened(said).into_iter().enumerate().map(row).collect()
}

fn happened(said: &Said<'_>) -> Vec<Event> {
    let one = |event| vec![event];
    match &said.statement().body {
        Body::Room(document) => one(created(said, document)),
        Body::Accept => one(Event::new("CLEAN_ROOM_ACCEPTED")),
        Body::Asset(asset) => assets::added(said, asset),
        Body::Review(review) => one(assets::reviewed(said, review)),
        Body::Deprecate(deprecate) => {
            one(Event::new("NOTEBOOK_DEPRECATED").with("notebook_name", json!(deprecate.notebook)))
        }
        Body::RunRequest(_) => one(runs::requested(said)),
        Body::RunStart(start) => runs::started(said, &start.run),
        Body::RunReceipt(receipt) => one(runs::ended(said, receipt)),
        Body::Cancel(cancel) => {
            one(runs::event(said, "RUN_NOTEBOOK_CANCEL_REQUESTED", &cancel.run))
        }
        Body::OutputRead(read) => one(runs::event(said, "OUTPUT_READ", &read.run)
            .with("output_read_metadata", json!({ "output": read.output }))),
        Body::SharedRead(read) => one(read_by_recipient(read)),
        Body::Pause(Pause { notebook, .. }) => {
            one(about(notebook.as_ref(), "NOTEBOOK_PAUSED", "CLEAN_ROOM_PAUSED"))
        }
        Body::Resume(Resume { notebook }) => {
            one(about(notebook.as_ref(), "NOTEBOOK_RESUME_AGREED", "CLEAN_ROOM_RESUME_AGREED"))
        }
        // The row says which key acted; the summary, which one acts from here on.
        Body::Rotate(_) => one(Event::new("COLLABORATOR_KEY_CHANGED")),
        Body::Delete(Delete::Outputs { run }) => one(runs::outputs_deleted(said, run)),
        Body::Delete(delete) => one(assets::removed(delete)),
        Body::Refused(refused) => one(turned_down(said, refused)),
        Body::Rule(rule) => one(rule_changed(said, rule)),
        Body::Share(share) => one(share_changed(share)),
    }
}

fn created(said: &Said<'_>, document: &RoomDocument) -> Event {
    let party = |party: &glovebox_contract::statement::Collaborator| {
        json!({
            "collaborator_global_metastore_id": said.metastore_of(&party.alias),
            "collaborator_alias": party.alias,
            "organisation": party.organisation,
        })
    };
    Event::new("CLEAN_ROOM_CREATED").with(
        "clean_room_created_metadata",
        json!({
            "collaborators": document.collaborators.iter().map(party).collect::<Vec<_>>(),
            // What runs has no network, in any room.
            "egress_network_policy": "DENY_ALL",
        }),
    )
}

/// An event about one notebook, or about the whole room.
fn about(notebook: Option<&AssetName>, of_notebook: &'static str, of_room: &'static str) -> Event {
    let name = if notebook.is_some() { of_notebook } else { of_room };
    Event::new(name).with("notebook_name", json!(notebook))
}

/// Something was asked for and not given. A run that was in the log ends by it.
fn turned_down(said: &Said<'_>, refused: &Refused) -> Event {
    let event = match &refused.run {
        Some(run) => runs::event(said, "REQUEST_REFUSED", run),
        None => Event::new("REQUEST_REFUSED").with("requested_by", json!(refused.party)),
    };
    event.with("refused_request", json!(refused.what)).with("reason", json!(refused.reason))
}

fn rule_changed(said: &Said<'_>, rule: &Rule) -> Event {
    let owner = &said.statement().party;
    match rule {
        Rule::Add(added) => {
            let (name, action) = match said.before.existed {
                false => ("AUTO_APPROVAL_RULE_CREATED", "CREATED"),
                true => ("AUTO_APPROVAL_RULE_REPLACED", "REPLACED"),
            };
            let conditions = json!(added.conditions).to_string();
            Event::new(name).with(
                "rule_metadata",
                json!({
                    "owner": owner,
                    "rule_id": added.id,
                    "action": action,
                    "author": added.author,
                    "runner": added.runner,
                    "conditions": Some(conditions).filter(|text| text != "{}"),
                }),
            )
        }
        Rule::Remove { id } => Event::new("AUTO_APPROVAL_RULE_DELETED")
            .with("rule_metadata", json!({ "owner": owner, "rule_id": id, "action": "DELETED" })),
    }
}

fn share_changed(share: &Share) -> Event {
    let (name, recipient, share) = match share {
        Share::Recipient(recipient) => ("SHARE_RECIPIENT_UPDATED", &recipient.name, None),
        Share::Grant(grant) => ("SHARE_GRANTED", &grant.recipient, Some(&grant.share)),
        Share::Revoke { recipient, share } => ("SHARE_REVOKED", recipient, share.as_ref()),
    };
    Event::new(name).with("output_read_metadata", json!({ "recipient": recipient, "share": share }))
}

fn read_by_recipient(read: &SharedRead) -> Event {
    Event::new("SHARED_TABLE_READ").with(
        "output_read_metadata",
        json!({
            "output": read.what,
            "owner": read.owner,
            "recipient": read.recipient,
            "share": read.share,
            "version": number_of(read.version),
        }),
    )
}
