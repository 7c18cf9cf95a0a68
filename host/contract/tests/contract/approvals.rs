//! What it takes until a notebook may run, and how little it takes to stop it.

use std::collections::BTreeMap;

use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::parameter::ParameterValue;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::revision::BoundRevision;
use glovebox_contract::state::RevisionStatus;
use glovebox_contract::statement::{Body, Decision, Delete, OutputReaders, Pause, Resume, Review};

use crate::support::{
    NOW, Room, add_notebook, add_table, document, flights, hourly, name, notebook, parse, reason,
    table,
};

/// Why the weather agency may not run the notebook's newest revision now.
fn why_not(room: &Room) -> Option<ReasonCode> {
    let revision = room.revision();
    reason(room.state.approved(&name(), Some(&revision), &parse("weather"), room.now))
}

#[test]
fn every_collaborator_except_the_author_approves() {
    let mut room = Room::with_notebook();
    assert_eq!(why_not(&room), Some(ReasonCode::NotApproved));
    room.review("airline", Decision::Approve);
    assert_eq!(why_not(&room), Some(ReasonCode::NotApproved));
    // One approval is not counted twice, and the author's does not count.
    let again = room.review_body(Decision::Approve);
    assert_eq!(reason(room.tries("airline", again.clone())), Some(ReasonCode::AlreadyExists));
    assert_eq!(reason(room.tries("partner", again.clone())), Some(ReasonCode::NotPermitted));
    assert_eq!(reason(room.tries("host", again)), Some(ReasonCode::NotPermitted));
    assert_eq!(why_not(&room), Some(ReasonCode::NotApproved));
    room.review("weather", Decision::Approve);
    assert_eq!(why_not(&room), None);
}

#[test]
fn ten_collaborators_nine_approvals() {
    let aliases: Vec<String> = (0..10).map(|number| format!("p{number}")).collect();
    let aliases: Vec<&str> = aliases.iter().map(String::as_str).collect();
    let mut room = Room::create(document(&aliases)).unwrap();
    for alias in &aliases[1..] {
        room.says(alias, Body::Accept);
    }
    room.says("p1", add_table(table("p1.t", &[("a", "int64")])));
    let mut notebook = notebook("1.0.0");
    notebook.manifest.inputs = BTreeMap::from([(
        parse("p1.t"),
        glovebox_contract::manifest::InputDeclaration {
            columns: BTreeMap::from([("a".into(), parse("int64"))]),
            description: String::new(),
        },
    )]);
    notebook.runners = [parse("p2")].into();
    room.says("p0", add_notebook(notebook));
    let runnable = |room: &Room| {
        let revision = room.revision();
        reason(room.state.approved(&name(), Some(&revision), &parse("p2"), NOW))
    };
    for alias in &aliases[1..] {
        assert_eq!(runnable(&room), Some(ReasonCode::NotApproved), "{alias}");
        room.review(alias, Decision::Approve);
    }
    assert_eq!(runnable(&room), None);
}

#[test]
fn only_runners_whom_the_author_named_may_run() {
    let room = Room::approved();
    let check = |party: &str, expected: Option<ReasonCode>| {
        let result = room.state.approved(&name(), None, &parse(party), room.now);
        assert_eq!(reason(result), expected, "{party}");
    };
    check("weather", None);
    check("airline", Some(ReasonCode::NotARunner));
    check("partner", Some(ReasonCode::NotARunner));
    check("host", Some(ReasonCode::NotARunner));
    check("mallory", Some(ReasonCode::NotARunner));
}

#[test]
fn anyone_may_reject_or_revoke_at_once() {
    let check =
        |party: &str, decision: Decision, taken: Option<ReasonCode>, then: Option<ReasonCode>| {
            let mut room = Room::approved();
            let body = room.review_body(decision);
            assert_eq!(reason(room.tries(party, body)), taken, "{party} {decision:?}");
            assert_eq!(why_not(&room), then, "{party} {decision:?}");
        };
    check("weather", Decision::Revoke, None, Some(ReasonCode::Rejected));
    check("weather", Decision::Reject, None, Some(ReasonCode::Rejected));
    check("airline", Decision::Revoke, None, Some(ReasonCode::Rejected));
    check("partner", Decision::Revoke, None, Some(ReasonCode::Rejected));
    check("partner", Decision::Reject, None, Some(ReasonCode::Rejected));
    check("host", Decision::Reject, Some(ReasonCode::NotPermitted), None);

    // Only an approval can be revoked, and only its own party can approve again.
    let mut room = Room::with_notebook();
    let revoke = room.review_body(Decision::Revoke);
    assert_eq!(reason(room.tries("weather", revoke)), Some(ReasonCode::NotPermitted));
    room.review("airline", Decision::Approve);
    room.review("weather", Decision::Reject);
    assert_eq!(why_not(&room), Some(ReasonCode::Rejected));
    room.review("partner", Decision::Revoke);
    room.review("weather", Decision::Approve);
    assert_eq!(why_not(&room), Some(ReasonCode::Rejected));
    room.review("partner", Decision::Approve);
    assert_eq!(why_not(&room), None);
}

#[test]
fn a_comment_decides_nothing() {
    let mut room = Room::with_notebook();
    let comment = |room: &Room, text: &str| {
        Body::Review(Review {
            comment: text.into(),
            decision: Decision::Comment,
            notebook: name(),
            revision: room.revision(),
        })
    };
    room.review("airline", Decision::Approve);
    room.review("weather", Decision::Approve);
    let body = comment(&room, "why min_group 20?");
    room.says("airline", body);
    assert_eq!(why_not(&room), None);
    let revision = room.revision();
    assert_eq!(room.state.notebook(&name()).unwrap().reviews(&revision).len(), 3);
    for text in ["", "\u{1b}[31m", "x\u{202e}", &"x".repeat(4097)] {
        let body = comment(&room, text);
        assert_eq!(reason(room.tries("airline", body)), Some(ReasonCode::Malformed), "{text:?}");
    }
}

#[test]
fn an_approval_covers_one_revision_and_no_other() {
    // A changed component is another revision.
    let mut room = Room::approved();
    let first = room.revision();
    room.says("partner", add_notebook(notebook("1.0.1")));
    assert_ne!(room.revision(), first);
    assert_eq!(why_not(&room), Some(ReasonCode::NotApproved));
    let unknown = Blake3Digest::of(b"unknown");
    let result = room.state.approved(&name(), Some(&unknown), &parse("weather"), room.now);
    assert_eq!(reason(result), Some(ReasonCode::NotFound));
    let review = Body::Review(Review {
        comment: String::new(),
        decision: Decision::Approve,
        notebook: name(),
        revision: unknown,
    });
    assert_eq!(reason(room.tries("weather", review)), Some(ReasonCode::NotFound));
}

#[test]
fn every_part_of_a_revision_changes_its_digest() {
    let base = Room::with_notebook().revision();
    let mut digests = vec![base];
    type Change = fn(&mut glovebox_contract::statement::NotebookAsset);
    let changes: [Change; 6] = [
        |n| n.component = glovebox_contract::digest::ContentDigest::of(b"other"),
        |n| n.component.sha256 = glovebox_contract::digest::Sha256Digest::of(b"other"),
        |n| n.hidden = true,
        |n| n.interfaces = ["glovebox:guest/sql@0.1.0".into()].into(),
        |n| n.manifest.description = "other".into(),
        |n| n.runners = [parse("airline")].into(),
    ];
    for change in changes {
        let mut room = Room::with_notebook();
        let mut notebook = notebook("1.0.0");
        change(&mut notebook);
        room.says("partner", add_notebook(notebook));
        digests.push(room.revision());
    }
    // Room, limits, output rules, and who else is there.
    let documents: [fn(&mut glovebox_contract::statement::RoomDocument); 4] = [
        |d| d.nonce = "ffffffffffffffffffffffffffffffff".into(),
        |d| d.limits.wall_seconds += 1,
        |d| d.outputs.readers = OutputReaders::All,
        |d| d.outputs.time_to_live_days += 1,
    ];
    for change in documents {
        let mut document = document(&["airline", "weather", "partner"]);
        change(&mut document);
        let mut room = Room::create(document).unwrap();
        room.says("weather", Body::Accept);
        room.says("partner", Body::Accept);
        room.says("airline", add_table(flights()));
        room.says("weather", add_table(hourly()));
        room.says("partner", add_notebook(notebook("1.0.0")));
        digests.push(room.revision());
    }
    let count = digests.len();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), count);
    // The cutover date is no part of what a notebook can do.
    let mut room = Room::with_notebook();
    let mut dated = notebook("1.0.0");
    dated.cutover = Some(NOW);
    room.says("partner", add_notebook(dated));
    assert_eq!(room.revision(), base);
}

#[test]
fn a_changed_table_voids_approvals_until_it_is_as_it_was() {
    let mut room = Room::approved();
    let approved = room.revision();
    let status = |room: &Room| room.state.statuses(&name(), room.now).unwrap().remove(0);
    // A column that the notebook does not see changes nothing.
    let wider =
        [("origin", "utf8"), ("dep_delay", "float64"), ("tailnum", "utf8"), ("price", "int64")];
    room.says("airline", add_table(table("airline.flights", &wider)));
    assert_eq!(room.revision(), approved);
    // A type that it sees, in another encoding, is another revision.
    room.says(
        "airline",
        add_table(table("airline.flights", &[("origin", "large_utf8"), ("dep_delay", "float64")])),
    );
    assert_ne!(room.revision(), approved);
    assert_eq!(why_not(&room), Some(ReasonCode::NotApproved));
    let old = room.state.approved(&name(), Some(&approved), &parse("weather"), room.now);
    assert_eq!(reason(old), Some(ReasonCode::NotFound));
    // A type that does not fit, or no table at all, leaves no revision.
    room.says(
        "airline",
        add_table(table("airline.flights", &[("origin", "int64"), ("dep_delay", "float64")])),
    );
    assert!(
        matches!(status(&room), RevisionStatus::Unbound { refusal } if refusal.reason() == ReasonCode::SchemaMismatch)
    );
    room.says("airline", Body::Delete(Delete::Table { table: parse("airline.flights") }));
    assert!(
        matches!(status(&room), RevisionStatus::Unbound { refusal } if refusal.reason() == ReasonCode::NotFound)
    );
    room.says("airline", add_table(flights()));
    assert_eq!(room.revision(), approved);
    assert_eq!(why_not(&room), None);
}

#[test]
fn an_approved_revision_works_until_the_cutover_of_the_next() {
    let mut room = Room::approved();
    let first = room.revision();
    let mut second = notebook("2.0.0");
    let cutover = NOW + 1000;
    second.cutover = Some(cutover);
    room.says("partner", add_notebook(second));
    let of_first = |room: &Room, now: u64| {
        reason(room.state.approved(&name(), Some(&first), &parse("weather"), now))
    };
    let newest = |room: &Room, now: u64| {
        room.state
            .approved(&name(), None, &parse("weather"), now)
            .map(|approved| approved.manifest().version.clone())
    };
    // Before the second is approved, its cutover date means nothing.
    assert_eq!(of_first(&room, cutover + 1), None);
    assert_eq!(newest(&room, cutover + 1).as_deref(), Ok("1.0.0"));
    room.review("airline", Decision::Approve);
    room.review("weather", Decision::Approve);
    assert_eq!(newest(&room, NOW).as_deref(), Ok("2.0.0"));
    assert_eq!(of_first(&room, cutover - 1), None);
    assert_eq!(of_first(&room, cutover), Some(ReasonCode::Superseded));
    // If the second is revoked, the first works again.
    room.review("airline", Decision::Revoke);
    assert_eq!(of_first(&room, cutover), None);
    assert_eq!(newest(&room, cutover).as_deref(), Ok("1.0.0"));
}

#[test]
fn one_party_pauses_and_all_resume() {
    for target in [None, Some(name())] {
        let mut room = Room::approved();
        let pause = Body::Pause(Pause { comment: "incident".into(), notebook: target.clone() });
        let resume = Body::Resume(Resume { notebook: target });
        assert_eq!(reason(room.tries("airline", resume.clone())), Some(ReasonCode::NotFound));
        assert_eq!(reason(room.tries("host", pause.clone())), Some(ReasonCode::NotPermitted));
        room.says("weather", pause.clone());
        assert_eq!(why_not(&room), Some(ReasonCode::Paused));
        room.says("airline", resume.clone());
        assert_eq!(reason(room.tries("airline", resume.clone())), Some(ReasonCode::AlreadyExists));
        room.says("weather", resume.clone());
        assert_eq!(why_not(&room), Some(ReasonCode::Paused));
        // A second pause asks everyone again.
        room.says("partner", pause);
        room.says("partner", resume.clone());
        assert_eq!(why_not(&room), Some(ReasonCode::Paused));
        room.says("airline", resume.clone());
        assert_eq!(why_not(&room), Some(ReasonCode::Paused));
        room.says("weather", resume);
        assert_eq!(why_not(&room), None);
    }
    let mut room = Room::approved();
    let unknown = Body::Pause(Pause { comment: String::new(), notebook: Some(parse("other")) });
    assert_eq!(reason(room.tries("airline", unknown)), Some(ReasonCode::NotFound));
}

#[test]
fn nothing_runs_before_all_have_accepted() {
    let mut room = Room::create(document(&["airline", "weather", "partner"])).unwrap();
    room.says("partner", Body::Accept);
    room.says("airline", add_table(flights()));
    let mut notebook = notebook("1.0.0");
    notebook.manifest.inputs.remove(&parse("weather.hourly"));
    notebook.runners = [parse("airline")].into();
    room.says("partner", add_notebook(notebook));
    room.review("airline", Decision::Approve);
    let request = room.request();
    assert_eq!(reason(room.tries("airline", request)), Some(ReasonCode::NotAccepted));
}

#[test]
fn parameters_are_read_checked_and_completed() {
    let room = Room::approved();
    let approved = room.state.approved(&name(), None, &parse("weather"), room.now).unwrap();
    let check = |given: &[(&str, &str)], expected: Result<i64, &str>| {
        let given = given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let resolved = approved
            .read_parameters(&given)
            .and_then(|values| approved.resolve_parameters(&values));
        match (resolved, expected) {
            (Ok(values), Ok(expected)) => {
                let value = ParameterValue::Int64(expected);
                assert_eq!(values, BTreeMap::from([(parse("min_group"), value)]));
            }
            (Err(refusal), Err(expected)) => {
                assert_eq!(refusal.reason(), ReasonCode::ParameterInvalid);
                assert!(refusal.detail().contains(expected), "{refusal}");
            }
            (resolved, expected) => panic!("{resolved:?} is not {expected:?}"),
        }
    };
    check(&[], Ok(50));
    check(&[("min_group", "20")], Ok(20));
    check(&[("min_group", "19")], Err("below the minimum"));
    check(&[("min_group", "many")], Err("not a value of type int64"));
    check(&[("min_grp", "20")], Err("no parameter `min_grp`"));
    let wrong = BTreeMap::from([(parse("min_group"), ParameterValue::Utf8("50".into()))]);
    assert_eq!(reason(approved.resolve_parameters(&wrong)), Some(ReasonCode::ParameterInvalid));
}

#[test]
fn grants_are_the_revision_and_no_more() {
    let (room, run) = Room::requested();
    let grants = room.state.grants_for(&run, room.now).unwrap();
    let tables: Vec<String> = grants
        .tables()
        .iter()
        .map(|(table, columns)| {
            let columns: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            format!("{table}: {}", columns.join(", "))
        })
        .collect();
    assert_eq!(tables, ["airline.flights: origin, dep_delay", "weather.hourly: origin, wind"]);
    assert_eq!(grants.started_at(), i64::try_from(room.now).unwrap() * 1_000_000);
    assert_eq!(grants.revision(), &room.revision());
    let output = &grants.outputs()[&parse("delay_by_wind")];
    assert_eq!((output.max_rows, output.max_bytes), (Some(1000), Some(1 << 30)));
    assert_eq!(grants.parameters()[&parse("min_group")], ParameterValue::Int64(30));
}

#[test]
fn anyone_can_compute_the_revision_digest() {
    let room = Room::with_notebook();
    let bound: &BoundRevision =
        room.state.notebook(&name()).unwrap().versions()[0].revision().unwrap();
    let json = glovebox_contract::canonical::encode(bound.revision()).unwrap();
    assert_eq!(Blake3Digest::of(&json), *bound.digest());
}
