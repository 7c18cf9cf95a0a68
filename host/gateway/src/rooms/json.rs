//! A room as Databricks writes a `CleanRoom`.

use glovebox_contract::name::Alias;
use glovebox_contract::state::{Member, RoomState};
use glovebox_contract::statement::OutputReaders;
use serde_json::{Value, json};

use super::body::{CLOUD_VENDOR, metastore_id};
use crate::app::ms;
use crate::store::RoomNotes;

/// The comment of the pause by which a party deletes a room.
pub(super) const DELETED: &str = "this party has deleted the clean room";

/// A room, for the party `me`. A list has no details.
pub(super) fn clean_room(
    state: &RoomState,
    me: &Alias,
    owner: Option<&str>,
    notes: &RoomNotes,
    detailed: bool,
) -> Value {
    let document = state.document();
    let created_at = ms(document.created);
    let shared = document.outputs.readers == OutputReaders::All;
    let catalog = match &notes.output_catalog {
        Some(name) => json!({ "catalog_name": name, "status": "CREATED" }),
        None => json!({ "status": "NOT_CREATED" }),
    };
    json!({
        "name": document.name,
        "owner": owner,
        "comment": notes.comment,
        "created_at": created_at,
        "updated_at": notes.updated_at.unwrap_or(created_at).max(created_at),
        "status": status(state, me),
        "access_restricted": "NO_RESTRICTION",
        "local_collaborator_alias": me,
        "enable_shared_output": shared,
        "output_catalog": catalog,
        "remote_detailed_info": detailed.then(|| remote_detail(state, shared)),
    })
}

/// Invited parties see it being provisioned until they accept; a party that deletes it ends it for
/// all, for nothing runs before all of them agree to resume.
fn status(state: &RoomState, me: &Alias) -> &'static str {
    let accepted = state.member(me).is_ok_and(Member::has_accepted);
    match state.pause() {
        Some(pause) if pause.comment() == DELETED => "DELETED",
        _ if accepted => "ACTIVE",
        _ => "PROVISIONING",
    }
}

fn remote_detail(state: &RoomState, shared: bool) -> Value {
    let document = state.document();
    let collaborator = |member: &Member| {
        json!({
            "collaborator_alias": member.alias(),
            "display_name": member.organisation(),
            "organization_name": member.organisation(),
            "global_metastore_id": metastore_id(&document.region, member.public_key()),
        })
    };
    json!({
        "central_clean_room_id": state.id(),
        "cloud_vendor": CLOUD_VENDOR,
        "region": document.region,
        "billing": document.billing,
        "collaborators": state.members().map(collaborator).collect::<Vec<_>>(),
        "creator": state.member(&document.creator).ok().map(collaborator),
        "enable_shared_output": shared,
        "package_provider_collaborator_alias": document.package_provider,
        "compliance_security_profile": { "is_enabled": false },
        "egress_network_policy": {
            "internet_access": {
                "restriction_mode": "RESTRICTED_ACCESS",
                "allowed_internet_destinations": [],
                "allowed_storage_destinations": [],
            },
        },
    })
}
