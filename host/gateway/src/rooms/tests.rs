use glovebox_contract::key::PrivateKey;
use glovebox_contract::statement::{LogReaders, OutputReaders};
use serde_json::{Value, json};

use super::body::{CleanRoom, Founding};
use super::json::clean_room;
use super::*;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

fn founding() -> Founding {
    let nonce = "00112233445566778899aabbccddeeff".into();
    Founding { creator: key(1).public(), host: key(9).public(), now: 1_700_000_000, nonce }
}

/// What the client sends to create a room of two.
fn asked() -> Value {
    json!({
        "name": "campaigns",
        "comment": "reach",
        "remote_detailed_info": {
            "cloud_vendor": "glovebox",
            "region": "test",
            "collaborators": [
                {
                    "collaborator_alias": "retail",
                    "organization_name": "Retail inc",
                    "global_metastore_id": format!("glovebox:test:{}", key(1).public()),
                },
                {
                    "collaborator_alias": "media",
                    "global_metastore_id": format!("glovebox:test:{}", key(2).public()),
                    "invite_recipient_email": "people@media.example",
                },
            ],
        },
    })
}

fn read(body: Value) -> Result<CleanRoom, String> {
    serde_json::from_value(body).map_err(|error| error.to_string())
}

/// The room with one change, or why it is refused.
fn with(change: impl Fn(&mut Value)) -> Result<glovebox_contract::statement::RoomDocument, String> {
    let mut body = asked();
    change(&mut body);
    read(body)?.document(founding()).map_err(|failure| failure.message().to_owned())
}

#[test]
fn a_clean_room_is_a_document_that_says_the_same() {
    let document = with(|_| {}).unwrap();
    assert_eq!(document.creator.as_str(), "retail");
    assert_eq!(document.region, "test");
    assert_eq!(document.collaborators[1].public_key, key(2).public());
    assert_eq!(document.collaborators[1].organisation, "media");
    assert_eq!(document.outputs.readers, OutputReaders::Runner);
    let shared = with(|body| body["remote_detailed_info"]["enable_shared_output"] = true.into());
    assert_eq!(shared.unwrap().outputs.readers, OutputReaders::All);
    let packaged = with(|body| {
        body["remote_detailed_info"]["package_provider_collaborator_alias"] = "media".into();
    });
    let packaged = packaged.unwrap();
    assert_eq!(packaged.package_provider.unwrap().as_str(), "media");
    assert_eq!(packaged.log_readers, LogReaders::Runner);
    // The creator may leave its own id out: nobody invites it.
    let unnamed = with(|body| {
        let creator = &mut body["remote_detailed_info"]["collaborators"][0];
        creator.as_object_mut().unwrap().remove("global_metastore_id");
    });
    assert_eq!(unnamed.unwrap().collaborators[0].public_key, key(1).public());
}

#[test]
fn what_would_not_hold_is_refused() {
    let check = |why: &str, change: &dyn Fn(&mut Value)| {
        let refused = with(change).unwrap_err();
        assert!(refused.contains(why), "{why}: {refused}");
    };
    check("`surprise`", &|body| body["surprise"] = 1.into());
    check("`surprise`", &|body| body["remote_detailed_info"]["surprise"] = 1.into());
    check("cloud_vendor", &|body| body["remote_detailed_info"]["cloud_vendor"] = "aws".into());
    check("region is the room's", &|body| body["remote_detailed_info"]["region"] = "else".into());
    check("none of the collaborators", &|body| {
        let other = format!("glovebox:test:{}", key(3).public());
        body["remote_detailed_info"]["collaborators"][0]["global_metastore_id"] = other.into();
    });
    check("two keys", &|body| {
        let same = format!("glovebox:test:{}", key(1).public());
        body["remote_detailed_info"]["collaborators"][1]["global_metastore_id"] = same.into();
    });
    check("global_metastore_id", &|body| {
        let party = &mut body["remote_detailed_info"]["collaborators"][1];
        party["global_metastore_id"] = "aws:us-east-1:19a84bee-54bc".into();
    });
    check("name", &|body| body["name"] = "../etc".into());
    for access in [
        json!({ "restriction_mode": "FULL_ACCESS" }),
        json!({ "allowed_internet_destinations": [{ "destination": "example.com" }] }),
        json!({ "allowed_storage_destinations": [{ "bucket_name": "b" }] }),
    ] {
        check("nothing leaves a run", &|body| {
            body["remote_detailed_info"]["egress_network_policy"] =
                json!({ "internet_access": access });
        });
    }
    check("compliance", &|body| {
        body["remote_detailed_info"]["compliance_security_profile"] = json!({ "is_enabled": true });
    });
}

fn room() -> RoomState {
    let document = with(|_| {}).unwrap();
    let party = document.creator.clone();
    let body = Body::Room(document);
    let statement = Statement { body, issued_at: 1, party, room: None, sequence: 1 };
    RoomState::open(&Envelope::sign(&statement, &key(1)).unwrap()).unwrap()
}

fn say(state: &mut RoomState, party: &str, key: &PrivateKey, body: Body) {
    let statement = state.next_statement(&party.parse().unwrap(), body, 2).unwrap();
    state.apply(&Envelope::sign(&statement, key).unwrap()).unwrap();
}

#[test]
fn a_room_looks_as_the_client_expects() {
    let mut state = room();
    let (retail, media) = ("retail".parse().unwrap(), "media".parse().unwrap());
    let notes = RoomNotes { comment: Some("reach".into()), ..RoomNotes::default() };
    let shown = clean_room(&state, &retail, Some("alice"), &notes, true);
    assert_eq!(shown["status"], "ACTIVE");
    assert_eq!(shown["created_at"], 1_700_000_000_000_u64);
    assert_eq!(shown["local_collaborator_alias"], "retail");
    let detail = &shown["remote_detailed_info"];
    let access = &detail["egress_network_policy"]["internet_access"];
    assert_eq!(access["restriction_mode"], "RESTRICTED_ACCESS");
    assert_eq!(access["allowed_internet_destinations"], json!([]));
    assert_eq!(detail["creator"]["collaborator_alias"], "retail");
    let ids: Vec<&str> = detail["collaborators"]
        .as_array()
        .unwrap()
        .iter()
        .map(|party| party["global_metastore_id"].as_str().unwrap())
        .collect();
    assert!(ids.contains(&format!("glovebox:test:{}", key(2).public()).as_str()));
    // What was shown can be sent back, and agrees with the room.
    let back = read(crate::call::without_nulls(shown)).unwrap();
    assert_eq!(back.agrees_with(state.document()), Ok(()));

    assert_eq!(clean_room(&state, &media, None, &notes, false)["status"], "PROVISIONING");
    say(&mut state, "media", &key(2), Body::Accept);
    let listed = clean_room(&state, &media, None, &notes, false);
    assert_eq!(
        (&listed["status"], &listed["remote_detailed_info"]),
        (&"ACTIVE".into(), &Value::Null)
    );
    let pause = |comment: &str| Body::Pause(Pause { comment: comment.into(), notebook: None });
    say(&mut state, "media", &key(2), pause("a moment"));
    assert_eq!(clean_room(&state, &retail, None, &notes, false)["status"], "ACTIVE");
    say(&mut state, "media", &key(2), pause(json::DELETED));
    assert_eq!(clean_room(&state, &retail, None, &notes, false)["status"], "DELETED");
}

#[test]
fn only_the_very_room_is_accepted() {
    let state = room();
    let document = state.document();
    let agrees = |change: &dyn Fn(&mut Value)| {
        let mut body = asked();
        change(&mut body);
        read(body).unwrap().agrees_with(document).is_ok()
    };
    assert!(agrees(&|_| ()));
    assert!(read(json!({ "name": "campaigns" })).unwrap().agrees_with(document).is_ok());
    let detail = |name: &'static str, value: Value| {
        move |body: &mut Value| body["remote_detailed_info"][name] = value.clone()
    };
    assert!(!agrees(&detail("region", "else".into())));
    assert!(!agrees(&detail("enable_shared_output", true.into())));
    assert!(!agrees(&detail("package_provider_collaborator_alias", "media".into())));
    assert!(!agrees(&detail("creator", json!({ "collaborator_alias": "media" }))));
    assert!(agrees(&detail(
        "collaborators",
        json!([
            { "collaborator_alias": "retail" }, { "collaborator_alias": "media" },
        ])
    )));
    assert!(!agrees(&detail("collaborators", json!([{ "collaborator_alias": "retail" }]))));
    assert!(!agrees(&|body| {
        let other = format!("glovebox:test:{}", key(3).public());
        body["remote_detailed_info"]["collaborators"][1]["global_metastore_id"] = other.into();
    }));
}
