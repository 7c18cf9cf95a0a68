//! Libraries, volumes, bindings and join keys: what a revision closes over.

use std::collections::{BTreeMap, BTreeSet};

use glovebox_contract::bundle::{ComponentUse, Expectations, verify};
use glovebox_contract::digest::{Blake3Digest, ContentDigest};
use glovebox_contract::join_key::{JoinKey, JoinKeyKind};
use glovebox_contract::library::LibraryRequirement;
use glovebox_contract::manifest::{ComponentKind, Manifest};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::Refusal;
use glovebox_contract::statement::{
    AssetStatement, Body, Decision, Delete, FileDigest, LibraryAsset, NotebookAsset, TableBinding,
    VolumeAsset,
};

use crate::support::{
    NOW, Room, add_notebook, add_table, flights, hourly, manifest, name, notebook, parse, reason,
    table,
};

const SCORE: &str = "acme:scoring/score@1.0.0";

/// A library that exports [`SCORE`] and needs `needs`.
fn library(name: &str, content: &str, needs: &[&str]) -> LibraryAsset {
    let requirement = |name: &&str| (parse(name), LibraryRequirement::default());
    LibraryAsset {
        component: ContentDigest::of(content.as_bytes()),
        component_bytes: 10,
        exports: BTreeSet::from([SCORE.into()]),
        hidden: true,
        interfaces: BTreeSet::from(["glovebox:guest/data@0.1.0".into()]),
        manifest: Manifest {
            inputs: BTreeMap::new(),
            kind: ComponentKind::Library,
            libraries: needs.iter().map(requirement).collect(),
            name: parse(name),
            outputs: BTreeMap::new(),
            parameters: BTreeMap::new(),
            ..manifest()
        },
    }
}

fn add_library(library: LibraryAsset) -> Body {
    Body::Asset(AssetStatement::Library(Box::new(library)))
}

/// The notebook, importing [`SCORE`] from the library `scoring`.
fn scoring_notebook() -> NotebookAsset {
    let mut notebook = notebook("1.0.0");
    notebook.interfaces.insert(SCORE.into());
    let interfaces = BTreeSet::from([SCORE.into()]);
    let requirement = LibraryRequirement { digest: None, interfaces };
    notebook.manifest.libraries.insert(parse("scoring"), requirement);
    notebook
}

fn with_tables() -> Room {
    let mut room = Room::accepted();
    room.says("airline", add_table(flights()));
    room.says("weather", add_table(hourly()));
    room
}

/// `scoring`, which uses `maths`, and the notebook that uses `scoring`, approved.
fn with_libraries() -> Room {
    let mut room = with_tables();
    room.says("airline", add_library(library("maths", "maths", &[])));
    room.says("airline", add_library(library("scoring", "scoring", &["maths"])));
    room.says("partner", add_notebook(scoring_notebook()));
    room.review("airline", Decision::Approve);
    room.review("weather", Decision::Approve);
    room
}

fn may_run(room: &Room) -> Option<ReasonCode> {
    let approved = room.state.approved(&name(), None, &parse("weather"), NOW);
    approved.err().map(|refusal| refusal.reason())
}

#[test]
fn a_changed_library_is_a_revision_that_nobody_approved() {
    for (changed, needs) in [("scoring", &["maths"][..]), ("maths", &[][..])] {
        let mut room = with_libraries();
        assert_eq!(may_run(&room), None);
        let before = room.revision();
        room.says("airline", add_library(library(changed, "one other byte", needs)));
        assert_ne!(room.revision(), before, "{changed}");
        assert_eq!(may_run(&room), Some(ReasonCode::NotApproved), "{changed}");
        room.review("airline", Decision::Approve);
        room.review("weather", Decision::Approve);
        assert_eq!(may_run(&room), None, "{changed}");
        // The old bytes are the old revision, which is approved still.
        room.says("airline", add_library(library(changed, changed, needs)));
        assert_eq!((room.revision(), may_run(&room)), (before, None), "{changed}");
    }
}

#[test]
fn an_auditor_finds_whose_library_a_file_is() {
    let room = with_libraries();
    let found = |room: &Room, content: &str| {
        let report = verify(&room.bundle().to_bytes().unwrap(), &Expectations::default()).unwrap();
        let uses = report.uses_of_component(&ContentDigest::of(content.as_bytes()));
        let named = |used: &ComponentUse| {
            (used.library.as_ref().unwrap().to_string(), used.notebook.to_string(), used.approved)
        };
        uses.iter().map(named).collect::<Vec<_>>()
    };
    let expect = |name: &str, approved| vec![(name.into(), "delay-by-wind".into(), approved)];
    assert_eq!(found(&room, "scoring"), expect("scoring", true));
    assert_eq!(found(&room, "maths"), expect("maths", true));
    let mut changed = room.clone();
    changed.says("airline", add_library(library("maths", "one other byte", &[])));
    assert_eq!(found(&changed, "one other byte"), expect("maths", false));
    assert_eq!(found(&changed, "maths"), []);
}

#[test]
fn grants_name_every_library_of_a_run() {
    let room = with_libraries();
    let approved = room.state.approved(&name(), None, &parse("weather"), NOW).unwrap();
    let libraries = &approved.revision().revision().libraries;
    let names: Vec<_> = libraries.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["maths", "scoring"]);
    let run = glovebox_contract::name::RunId::of_request(&Blake3Digest::of(b"request"));
    let grants = approved.grants(&BTreeMap::new(), run, 0).unwrap();
    assert_eq!(grants.libraries().len(), 2);
    assert_eq!(grants.libraries()[&parse("maths")].component, ContentDigest::of(b"maths"));
    assert!(grants.requirements().contains_key(&parse("scoring")));
    assert!(!grants.requirements().contains_key(&parse("maths")));
}

#[test]
fn a_library_that_is_not_what_was_asked_for_is_refused_at_once() {
    let check = |change: fn(&mut NotebookAsset), expected: ReasonCode| {
        let mut room = with_tables();
        room.says("airline", add_library(library("scoring", "scoring", &[])));
        let mut notebook = scoring_notebook();
        change(&mut notebook);
        assert_eq!(reason(room.tries("partner", add_notebook(notebook))), Some(expected));
    };
    check(
        |n| {
            let requirement = n.manifest.libraries.remove(&parse("scoring")).unwrap();
            n.manifest.libraries.insert(parse("missing"), requirement);
        },
        ReasonCode::NotFound,
    );
    check(
        |n| {
            let scoring = n.manifest.libraries.get_mut(&parse("scoring")).unwrap();
            scoring.digest = Some(ContentDigest::of(b"other"));
        },
        ReasonCode::LibraryMismatch,
    );
    check(
        |n| {
            let other = "acme:scoring/other@1.0.0".to_owned();
            let scoring = n.manifest.libraries.get_mut(&parse("scoring")).unwrap();
            scoring.interfaces = BTreeSet::from([other.clone()]);
            n.interfaces.remove(SCORE);
            n.interfaces.insert(other);
        },
        ReasonCode::LibraryMismatch,
    );
    // An import that no library is named for, and a library whose interface is not imported.
    check(|n| n.interfaces.extend(["a:b/c@1.0.0".into()]), ReasonCode::Malformed);
    check(|n| n.interfaces.retain(|name| name != SCORE), ReasonCode::Malformed);
}

#[test]
fn a_library_reaches_nothing_by_itself() {
    let check = |change: fn(&mut LibraryAsset), expected: Option<ReasonCode>| {
        let mut room = with_tables();
        let mut library = library("scoring", "scoring", &[]);
        change(&mut library);
        assert_eq!(reason(room.tries("airline", add_library(library))), expected);
    };
    let outputs = |l: &mut LibraryAsset| l.manifest.outputs = manifest().outputs;
    check(|_| {}, None);
    check(outputs, Some(ReasonCode::Malformed));
    check(|l| l.manifest.inputs = manifest().inputs, Some(ReasonCode::Malformed));
    check(|l| l.manifest.kind = ComponentKind::Notebook, Some(ReasonCode::Malformed));
    for import in ["tables", "sql", "outputs", "script", "parameters", "context", "volumes"] {
        let mut room = with_tables();
        let mut library = library("scoring", "scoring", &[]);
        library.interfaces.insert(format!("glovebox:guest/{import}@0.1.0"));
        let refused = reason(room.tries("airline", add_library(library)));
        assert_eq!(refused, Some(ReasonCode::Malformed), "{import}");
    }
}

#[test]
fn a_library_belongs_to_the_party_that_added_it() {
    let mut room = with_libraries();
    let theirs = library("scoring", "theirs", &[]);
    assert_eq!(reason(room.tries("weather", add_library(theirs))), Some(ReasonCode::NotPermitted));
    let same = library("maths", "maths", &[]);
    assert_eq!(reason(room.tries("airline", add_library(same))), Some(ReasonCode::AlreadyExists));
    let delete = || Body::Delete(Delete::Library { library: parse("maths") });
    assert_eq!(reason(room.tries("weather", delete())), Some(ReasonCode::NotPermitted));
    room.says("airline", delete());
    assert_eq!(may_run(&room), Some(ReasonCode::NotFound));
}

#[test]
fn libraries_that_need_each_other_are_refused() {
    let mut room = with_tables();
    let lonely = library("scoring", "scoring", &["maths"]);
    assert_eq!(reason(room.tries("airline", add_library(lonely))), Some(ReasonCode::NotFound));
    room.says("airline", add_library(library("maths", "maths", &[])));
    room.says("airline", add_library(library("scoring", "scoring", &["maths"])));
    let circle = library("maths", "circle", &["scoring"]);
    let refused = reason(room.tries("airline", add_library(circle)));
    assert_eq!(refused, Some(ReasonCode::LibraryMismatch));
}

fn volume(path: &str, content: &[u8]) -> Body {
    let file = FileDigest { bytes: content.len() as u64, digest: ContentDigest::of(content) };
    Body::Asset(AssetStatement::Volume(VolumeAsset {
        description: String::new(),
        files: BTreeMap::from([(path.to_owned(), file)]),
        name: parse("partner.model"),
    }))
}

#[test]
fn a_revision_pins_the_files_of_its_volumes() {
    let mut room = with_tables();
    let mut notebook = notebook("1.0.0");
    notebook.manifest.volumes.insert(parse("partner.model"), Default::default());
    let missing = reason(room.tries("partner", add_notebook(notebook.clone())));
    assert_eq!(missing, Some(ReasonCode::NotFound));
    room.says("partner", volume("weights.onnx", b"weights"));
    room.says("partner", add_notebook(notebook));
    room.review("airline", Decision::Approve);
    room.review("weather", Decision::Approve);
    assert_eq!(may_run(&room), None);
    assert_eq!(
        reason(room.tries("weather", volume("weights.onnx", b"theirs"))),
        Some(ReasonCode::NotPermitted)
    );
    let before = room.revision();
    room.says("partner", volume("weights.onnx", b"other weights"));
    assert_ne!(room.revision(), before);
    assert_eq!(may_run(&room), Some(ReasonCode::NotApproved));
    room.says("partner", Body::Delete(Delete::Volume { volume: parse("partner.model") }));
    assert_eq!(may_run(&room), Some(ReasonCode::NotFound));
}

#[test]
fn paths_in_a_volume_are_plain() {
    let check = |path: &str, expected: Option<ReasonCode>| {
        let refused = reason(Room::accepted().tries("partner", volume(path, b"content")));
        assert_eq!(refused, expected, "{path}");
    };
    check("a/b c/d.bin", None);
    for path in
        ["", "/etc/passwd", "../x", "a/../b", "./a", "a//b", "a/", "a\\b", "a\n", "a\u{202e}b"]
    {
        check(path, Some(ReasonCode::Malformed));
    }
}

/// `air.flights` of the notebook is `airline.flights`, where `origin` is called `station`.
fn bound(columns: &[(&str, &str)]) -> NotebookAsset {
    let mut notebook = notebook("1.0.0");
    let input = notebook.manifest.inputs.remove(&parse("airline.flights")).unwrap();
    notebook.manifest.inputs.insert(parse("air.flights"), input);
    let columns = columns.iter().map(|(name, of)| ((*name).into(), (*of).into())).collect();
    let binding = TableBinding { columns, table: parse("airline.flights") };
    notebook.bindings.insert(parse("air.flights"), binding);
    notebook
}

fn renamed_flights() -> Body {
    add_table(table("airline.flights", &[("station", "utf8"), ("dep_delay", "float64")]))
}

#[test]
fn one_notebook_serves_every_partys_names() {
    let mut room = Room::accepted();
    room.says("airline", renamed_flights());
    room.says("weather", add_table(hourly()));
    room.says("partner", add_notebook(bound(&[("origin", "station")])));
    let before = room.revision();
    let notebook = room.state.notebook(&name()).unwrap();
    let revision = notebook.latest().unwrap().revision().unwrap().revision().clone();
    let input = &revision.inputs[0];
    assert_eq!((input.name.as_str(), input.table.as_str()), ("air.flights", "airline.flights"));
    assert_eq!(input.owner.as_str(), "airline");
    assert_eq!(input.renamed, BTreeMap::from([("origin".into(), "station".into())]));
    let names: Vec<_> = input.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["origin", "dep_delay"]);
    // The owner offers the table with another type: bound again, another revision.
    let other = table("airline.flights", &[("station", "utf8_view"), ("dep_delay", "float64")]);
    room.says("airline", add_table(other));
    assert_ne!(room.revision(), before);
}

#[test]
fn a_binding_that_does_not_fit_says_which_column_and_type() {
    let check = |columns: &[(&str, &str)], expected: &str| {
        let mut room = Room::accepted();
        room.says("airline", renamed_flights());
        room.says("weather", add_table(hourly()));
        let refusal: Refusal = room.tries("partner", add_notebook(bound(columns))).unwrap_err();
        assert!(refusal.to_string().contains(expected), "{refusal}");
    };
    check(&[], "it has no column `origin`; the notebook expects one of type utf8");
    check(
        &[("origin", "place")],
        "it has no column `place`; the notebook expects one of type utf8",
    );
    check(
        &[("origin", "dep_delay")],
        "the column `dep_delay` is float64, the notebook expects utf8",
    );
    check(&[("destination", "station")], "the input has no column `destination`");
}

fn hashed(profile: &str, key: Option<&[u8]>) -> JoinKey {
    JoinKey {
        key: key.map(Blake3Digest::of),
        kind: JoinKeyKind::Email,
        profile: parse(profile),
        version: 1,
    }
}

#[test]
fn join_keys_that_cannot_match_are_refused_before_the_run() {
    let check = |one: Option<JoinKey>, other: Option<JoinKey>, expected: Option<ReasonCode>| {
        let mut room = Room::accepted();
        for (mut table, key) in [(flights(), one), (hourly(), other)] {
            let owner = table.name.schema().to_owned();
            table.join_keys = key.map(|key| ("origin".into(), key)).into_iter().collect();
            room.says(&owner, add_table(table));
        }
        assert_eq!(reason(room.tries("partner", add_notebook(notebook("1.0.0")))), expected);
    };
    let uid2 = || Some(hashed("uid2", None));
    check(uid2(), uid2(), None);
    check(uid2(), None, None);
    check(uid2(), Some(hashed("meta", None)), Some(ReasonCode::JoinKeyMismatch));
    check(uid2(), Some(hashed("uid2", Some(b"k"))), Some(ReasonCode::JoinKeyMismatch));
    let key = |key: &'static [u8]| Some(hashed("uid2", Some(key)));
    check(key(b"k"), key(b"k"), None);
    check(key(b"k"), key(b"l"), Some(ReasonCode::JoinKeyMismatch));
    let newer = Some(JoinKey { version: 2, ..hashed("uid2", None) });
    check(uid2(), newer, Some(ReasonCode::JoinKeyMismatch));
    let phone = Some(JoinKey { kind: JoinKeyKind::Phone, ..hashed("meta", None) });
    check(uid2(), phone, None);
}

#[test]
fn a_join_key_is_of_a_column_that_is_offered() {
    let mut table = flights();
    table.join_keys.insert("email".into(), hashed("uid2", None));
    let refused = reason(Room::accepted().tries("airline", add_table(table)));
    assert_eq!(refused, Some(ReasonCode::Malformed));
}
