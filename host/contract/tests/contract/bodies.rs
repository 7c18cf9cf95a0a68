//! The bodies of statements as they are signed: one way to write each, and no other.

use std::collections::BTreeMap;
use std::fmt::Debug;

use glovebox_contract::canonical;
use glovebox_contract::digest::{Blake3Digest, Sha256Digest};
use glovebox_contract::name::RunId;
use glovebox_contract::statement::{
    AllowedValues, AutoApproval, Billing, Body, Cancel, Conditions, Deprecate, Grant, Recipient,
    RoomDocument, Rule, Share, Shared, SharedRead,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::support::{Room, document, parse};

const REVISION: &str = "blake3:0707070707070707070707070707070707070707070707070707070707070707";

const TOKEN: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn recipient(previous_until: Option<u64>) -> Share {
    let token = Sha256Digest::of(b"test");
    Share::Recipient(Recipient { expires: 90, name: parse("acme"), previous_until, token })
}

fn grant(until: Option<u64>, what: Shared) -> Share {
    Share::Grant(Grant { recipient: parse("acme"), share: parse("results"), until, what })
}

/// New kinds, and the JSON of their bodies.
fn bodies() -> Vec<(Body, String)> {
    let run = RunId::of_request(&Blake3Digest::from_bytes([7; 32]));
    let ruled = |author: Option<&str>, conditions: Conditions| {
        let (author, id, runner) = (author.map(parse), parse("r"), parse("weather"));
        Body::Rule(Rule::Add(AutoApproval { author, conditions, id, runner }))
    };
    let rule = |author: Option<&str>| ruled(author, Conditions::default());
    let conditions = Conditions {
        capabilities_not_grown: true,
        expires: Some(1_767_225_600),
        max_runs: Some(3),
        outputs_unchanged: true,
        parameters: BTreeMap::from([(
            parse("min_group"),
            AllowedValues { minimum: Some("30".into()), ..AllowedValues::default() },
        )]),
    };
    let deprecate = |note: &str, until: Option<u64>| {
        let (notebook, revision) = (parse("n"), Blake3Digest::from_bytes([7; 32]));
        Body::Deprecate(Deprecate { notebook, note: note.into(), revision, until })
    };
    let output = |output: Option<&str>| Shared::Output {
        notebook: parse("delay-by-wind"),
        output: output.map(parse),
    };
    let revoke = |share: Option<&str>| {
        Body::Share(Share::Revoke { recipient: parse("acme"), share: share.map(parse) })
    };
    let table = Shared::Table { table: parse("weather.hourly") };
    let read = SharedRead {
        owner: parse("weather"),
        recipient: parse("acme"),
        share: parse("results"),
        version: 3,
        what: "weather.hourly".into(),
    };
    let cases = [
        (Body::Cancel(Cancel { run }), r#"{"run":"07070707070707070707070707070707"}"#),
        (rule(None), r#"{"id":"r","rule":"add","runner":"weather"}"#),
        (rule(Some("partner")), r#"{"author":"partner","id":"r","rule":"add","runner":"weather"}"#),
        (
            ruled(None, conditions),
            r#"{"conditions":{"capabilities_not_grown":true,"expires":1767225600,"max_runs":3,"outputs_unchanged":true,"parameters":{"min_group":{"minimum":"30"}}},"id":"r","rule":"add","runner":"weather"}"#,
        ),
        (
            ruled(None, Conditions { max_runs: Some(1), ..Conditions::default() }),
            r#"{"conditions":{"max_runs":1},"id":"r","rule":"add","runner":"weather"}"#,
        ),
        (Body::Rule(Rule::Remove { id: parse("r") }), r#"{"id":"r","rule":"remove"}"#),
        (
            Body::Share(recipient(None)),
            r#"{"act":"recipient","expires":90,"name":"acme","token":"TOKEN"}"#,
        ),
        (
            Body::Share(recipient(Some(80))),
            r#"{"act":"recipient","expires":90,"name":"acme","previous_until":80,"token":"TOKEN"}"#,
        ),
        (
            Body::Share(grant(None, output(None))),
            r#"{"act":"grant","recipient":"acme","share":"results","what":{"notebook":"delay-by-wind","shared":"output"}}"#,
        ),
        (
            Body::Share(grant(Some(70), output(Some("t")))),
            r#"{"act":"grant","recipient":"acme","share":"results","until":70,"what":{"notebook":"delay-by-wind","output":"t","shared":"output"}}"#,
        ),
        (
            Body::Share(grant(None, Shared::Events {})),
            r#"{"act":"grant","recipient":"acme","share":"results","what":{"shared":"events"}}"#,
        ),
        (
            Body::Share(grant(None, table)),
            r#"{"act":"grant","recipient":"acme","share":"results","what":{"shared":"table","table":"weather.hourly"}}"#,
        ),
        (revoke(None), r#"{"act":"revoke","recipient":"acme"}"#),
        (revoke(Some("results")), r#"{"act":"revoke","recipient":"acme","share":"results"}"#),
        (
            Body::SharedRead(read),
            r#"{"owner":"weather","recipient":"acme","share":"results","version":3,"what":"weather.hourly"}"#,
        ),
        (deprecate("", None), r#"{"notebook":"n","revision":"REVISION"}"#),
        (
            deprecate("use 2.0.0", Some(1_767_225_600)),
            r#"{"note":"use 2.0.0","notebook":"n","revision":"REVISION","until":1767225600}"#,
        ),
    ];
    cases
        .into_iter()
        .map(|(body, text)| (body, text.replace("TOKEN", TOKEN).replace("REVISION", REVISION)))
        .collect()
}

#[test]
fn bodies_as_they_are_signed() {
    let room = Room::accepted();
    for (body, expected) in bodies() {
        let bytes = canonical::encode(&room.statement("weather", body)).unwrap();
        let statement: Value = serde_json::from_slice(&bytes).unwrap();
        let body = canonical::encode(&statement["predicate"]["body"]).unwrap();
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }
}

#[test]
fn bodies_as_people_read_them() {
    let lines: Vec<String> = bodies().iter().map(|(body, _)| body.summary()).collect();
    insta::assert_snapshot!(lines.join("\n"), @r###"
    cancels run 07070707070707070707070707070707
    approves by rule r what anyone adds for weather to run
    approves by rule r what partner adds for weather to run
    approves by rule r what anyone adds for weather to run, if it may do no more than what it reviewed last, with the same outputs, with min_group at least 30, for 3 runs, until 2026-01-01T00:00:00Z
    approves by rule r what anyone adds for weather to run, for one run
    removes the rule r
    gives the recipient acme a token
    gives the recipient acme another token
    shares the outputs of delay-by-wind with acme in the share results
    shares the output delay-by-wind.t with acme in the share results
    shares the events of the room with acme in the share results
    shares the table weather.hourly with acme in the share results
    revokes the recipient acme
    takes the share results from acme
    lets acme of weather read weather.hourly, version 3
    deprecates n blake3:0707070707070707070707070707070707070707070707070707070707070707
    deprecates n blake3:0707070707070707070707070707070707070707070707070707070707070707, which ends 2026-01-01T00:00:00Z
    "###);
}

#[test]
fn a_body_that_says_more_or_less_or_otherwise_is_refused() {
    fn refused<T: Serialize + DeserializeOwned + Debug>(good: &str, bad: &[&str]) {
        assert!(canonical::decode::<T>(good.as_bytes(), 1000).is_ok(), "{good}");
        for bad in bad {
            let read = canonical::decode::<T>(bad.as_bytes(), 1000);
            assert!(read.is_err(), "{bad}: {read:?}");
        }
    }
    refused::<Rule>(
        r#"{"id":"r","rule":"remove"}"#,
        &[
            r#"{"id":"r"}"#,
            r#"{"rule":"remove"}"#,
            r#"{"id":"r","rule":"Remove"}"#,
            r#"{"id":"r","rule":"remove","runner":"weather"}"#,
            r#"{"id":"r","rule":"remove","x":1}"#,
            r#"{"id":"R","rule":"remove"}"#,
            r#"{"id":"r","rule":"add"}"#,
            r#"{"author":null,"id":"r","rule":"add","runner":"weather"}"#,
            r#"{"author":"any","id":"r","rule":"add","runner":"weather","x":1}"#,
            r#"{"id":"r","rule":"add","rule":"remove","runner":"weather"}"#,
            r#"{"conditions":{},"id":"r","rule":"add","runner":"weather"}"#,
            r#"{"conditions":{"outputs_unchanged":false},"id":"r","rule":"add","runner":"weather"}"#,
            r#"{"conditions":{"max_runs":-1},"id":"r","rule":"add","runner":"weather"}"#,
            r#"{"conditions":{"max_runs":null},"id":"r","rule":"add","runner":"weather"}"#,
            r#"{"conditions":{"max_run":1},"id":"r","rule":"add","runner":"weather"}"#,
            r#"{"conditions":{"parameters":{"p":{"min":"1"}}},"id":"r","rule":"add","runner":"weather"}"#,
        ],
    );
    refused::<Billing>(
        r#"{"currency":"EUR","prices":{"cpu_second":"0.5"}}"#,
        &[
            r#"{"prices":{"cpu_second":"0.5"}}"#,
            r#"{"currency":"EUR","prices":{}}"#,
            r#"{"currency":"EUR","prices":{"cpu_second":"0"}}"#,
            r#"{"currency":"EUR","prices":{"cpu_second":"0.50"}}"#,
            r#"{"currency":"EUR","prices":{"cpu_second":".5"}}"#,
            r#"{"currency":"EUR","prices":{"cpu_second":"00.5"}}"#,
            r#"{"currency":"EUR","prices":{"cpu_second":"-0.5"}}"#,
            r#"{"currency":"EUR","prices":{"cpu_second":"5e-1"}}"#,
            r#"{"currency":"EUR","prices":{"cpu_second":0.5}}"#,
            r#"{"currency":"EUR","payer":null}"#,
            r#"{"currency":"EUR","prices":{"disk":"1"}}"#,
        ],
    );
    refused::<Share>(
        r#"{"act":"revoke","recipient":"acme"}"#,
        &[
            r#"{"act":"revoke"}"#,
            r#"{"act":"forget","recipient":"acme"}"#,
            r#"{"recipient":"acme"}"#,
            r#"{"act":"revoke","recipient":"acme","share":null}"#,
            r#"{"act":"revoke","recipient":"acme","what":{"shared":"table","table":"a.b"}}"#,
            r#"{"act":"revoke","recipient":"../acme"}"#,
            r#"{"act":"recipient","expires":90,"name":"acme","token":"secret"}"#,
            r#"{"act":"recipient","expires":-1,"name":"acme","token":"TOKEN"}"#,
            r#"{"act":"recipient","expires":"90","name":"acme","token":"TOKEN"}"#,
        ]
        .map(|text| text.replace("TOKEN", TOKEN))
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>(),
    );
    refused::<Shared>(
        r#"{"notebook":"n","shared":"output"}"#,
        &[
            r#"{"notebook":"n"}"#,
            r#"{"notebook":"n","shared":"table"}"#,
            r#"{"notebook":"n","shared":"output","table":"a.b"}"#,
            r#"{"notebook":"n","output":null,"shared":"output"}"#,
            r#"{"notebook":"n","output":"*","shared":"output"}"#,
            r#"{"shared":"table","table":"b"}"#,
        ],
    );
    refused::<Shared>(
        r#"{"shared":"events"}"#,
        &[
            r#"{"shared":"event"}"#,
            r#"{"notebook":"n","shared":"events"}"#,
            r#"{"shared":"events","table":"events"}"#,
        ],
    );
    refused::<Cancel>(
        r#"{"run":"07070707070707070707070707070707"}"#,
        &[r#"{"run":"07"}"#, r#"{}"#, r#"{"run":"07070707070707070707070707070707","x":1}"#],
    );
}

#[test]
fn a_room_that_is_not_packaged_is_written_as_ever() {
    let text =
        |document: &RoomDocument| String::from_utf8(canonical::encode(document).unwrap()).unwrap();
    let mut room = document(&["airline", "weather"]);
    let plain = text(&room);
    assert!(!plain.contains("package"), "{plain}");
    room.package_provider = Some(parse("weather"));
    assert_eq!(text(&room).replace(r#""package_provider":"weather","#, ""), plain);
    let null = text(&room).replace(r#""package_provider":"weather""#, r#""package_provider":null"#);
    assert!(canonical::decode::<RoomDocument>(null.as_bytes(), 10_000).is_err());
}
