//! Authors who give revisions up.

use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::name::RunId;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::RevisionStatus;
use glovebox_contract::statement::{Body, Decision, Delete, Deprecate};

use crate::support::{
    NOW, Room, add_notebook, add_table, flights, name, notebook, parse, reason, table,
};

const END: u64 = NOW + 1000;

fn deprecate(revision: Blake3Digest, note: &str, until: Option<u64>) -> Body {
    Body::Deprecate(Deprecate { notebook: name(), note: note.into(), revision, until })
}

fn status(room: &Room, revision: &Blake3Digest, now: u64) -> RevisionStatus {
    room.state.status(&name(), revision, now).unwrap()
}

#[test]
fn a_deprecated_revision_runs_until_its_end() {
    let (mut room, run) = Room::requested();
    let revision = room.revision();
    room.says("partner", deprecate(revision, "use 2.0.0", None));
    assert_eq!(status(&room, &revision, u64::MAX), RevisionStatus::Approved);
    room.says("partner", deprecate(revision, "use 2.0.0", Some(END)));
    let version = room.state.notebook(&name()).unwrap().latest().unwrap();
    let said = version.deprecation().unwrap();
    assert_eq!((said.note.as_str(), said.until), ("use 2.0.0", Some(END)));
    assert_eq!(status(&room, &revision, END - 1), RevisionStatus::Approved);
    assert_eq!(status(&room, &revision, END), RevisionStatus::Superseded { since: END });
    // A request of before does not start, and no other is taken.
    assert_eq!(reason(room.state.grants_for(&run, END - 1)), None);
    assert_eq!(reason(room.state.grants_for(&run, END)), Some(ReasonCode::Superseded));
    let start = Body::RunStart(room.start(&run));
    let mut late = room.clone();
    late.now = END;
    assert_eq!(reason(late.tries("host", start.clone())), Some(ReasonCode::Superseded));
    let request = late.request();
    assert_eq!(reason(late.tries("weather", request)), Some(ReasonCode::Superseded));
    // What runs may end.
    room.says("host", start);
    room.now = END + 1;
    let receipt = Body::RunReceipt(Box::new(room.receipt(&run)));
    assert_eq!(reason(room.tries("host", receipt)), None);
}

#[test]
fn an_author_ends_a_revision_at_once_or_later_than_it_said() {
    let mut room = Room::approved();
    let revision = room.revision();
    room.says("partner", deprecate(revision, "", Some(0)));
    assert_eq!(status(&room, &revision, room.now), RevisionStatus::Superseded { since: 0 });
    room.says("partner", deprecate(revision, "", Some(END)));
    assert_eq!(status(&room, &revision, room.now), RevisionStatus::Approved);
    let same = deprecate(revision, "", Some(END));
    assert_eq!(reason(room.tries("partner", same)), Some(ReasonCode::AlreadyExists));
}

#[test]
fn revisions_stand_side_by_side_and_the_nearest_end_counts() {
    let mut room = Room::approved();
    let first = room.revision();
    let mut second = notebook("2.0.0");
    second.cutover = Some(END);
    room.says("partner", add_notebook(second));
    room.review("airline", Decision::Approve);
    room.review("weather", Decision::Approve);
    let newest = room.revision();
    for (until, expected) in [(None, END), (Some(END + 5), END), (Some(END - 5), END - 5)] {
        room.says("partner", deprecate(first, "", until));
        assert_eq!(status(&room, &first, expected - 1), RevisionStatus::Approved);
        let superseded = RevisionStatus::Superseded { since: expected };
        assert_eq!(status(&room, &first, expected), superseded);
    }
    assert_eq!(status(&room, &newest, u64::MAX), RevisionStatus::Approved);
}

#[test]
fn only_the_author_gives_up_what_is_there() {
    let check = |party: &str, of: Option<&str>, expected: Option<ReasonCode>| {
        let mut room = Room::approved();
        let revision = room.revision();
        let revision = of.map_or(revision, |text| Blake3Digest::of(text.as_bytes()));
        let result = reason(room.tries(party, deprecate(revision, "", None)));
        assert_eq!(result, expected, "{party} {of:?}");
    };
    check("partner", None, None);
    check("airline", None, Some(ReasonCode::NotPermitted));
    check("host", None, Some(ReasonCode::NotPermitted));
    check("partner", Some("another"), Some(ReasonCode::NotFound));
    let mut room = Room::approved();
    let revision = room.revision();
    let trick = deprecate(revision, "\u{202e}", None);
    assert_eq!(reason(room.tries("partner", trick)), Some(ReasonCode::Malformed));
    room.says("partner", Body::Delete(Delete::Notebook { notebook: name() }));
    let gone = deprecate(revision, "", None);
    assert_eq!(reason(room.tries("partner", gone)), Some(ReasonCode::NotFound));
}

#[test]
fn it_is_the_version_that_is_given_up() {
    let mut room = Room::approved();
    let revision = room.revision();
    room.says("partner", deprecate(revision, "", Some(END)));
    // Another table makes another revision of the same version.
    let encoded = [("origin", "large_utf8"), ("dep_delay", "float64")];
    room.says("airline", add_table(table("airline.flights", &encoded)));
    assert_ne!(room.revision(), revision);
    room.review("airline", Decision::Approve);
    room.review("weather", Decision::Approve);
    let superseded = RevisionStatus::Superseded { since: END };
    assert_eq!(status(&room, &room.revision(), END), superseded);
    room.says("airline", add_table(flights()));
    assert_eq!(status(&room, &revision, END), superseded);
    // Added again, it is not deprecated.
    room.says("partner", add_notebook(notebook("2.0.0")));
    room.says("partner", add_notebook(notebook("1.0.0")));
    assert_eq!(room.revision(), revision);
    assert_eq!(status(&room, &revision, END), RevisionStatus::Approved);
    let request = room.request();
    let run = RunId::of_request(&room.says("weather", request).digest);
    assert_eq!(reason(room.state.grants_for(&run, END)), None);
    // Nobody else deleted or paused anything meanwhile.
    assert_eq!(room.state.member(&parse("partner")).unwrap().next_sequence(), 6);
}
