//! What changed between two revisions, part by part: nothing that an approval covers is left out.

use glovebox_contract::canonical;
use glovebox_contract::difference::{Effect, Part, RevisionFacts, between_revisions};
use glovebox_contract::manifest::{Manifest, OutputMode};
use glovebox_contract::revision::Revision;
use serde_json::{Value, json};

use crate::support::{Room, add_notebook, manifest, name, notebook};

fn revision() -> Revision {
    let room = Room::with_notebook();
    let version = room.state.notebook(&name()).unwrap().latest().unwrap().clone();
    version.revision().unwrap().revision().clone()
}

fn differences(old: &Revision, new: &Revision) -> Vec<(Part, Effect)> {
    let manifest = manifest();
    let facts = |revision| RevisionFacts { revision, manifest: &manifest };
    let found = between_revisions(facts(old), facts(new));
    found.into_iter().map(|change| (change.part, change.effect)).collect()
}

/// The revision with one part replaced.
fn with(revision: &Revision, part: &str, value: Value) -> Revision {
    let mut changed = serde_json::to_value(revision).unwrap();
    let (parent, key) = part.rsplit_once('/').unwrap();
    let parent = changed.pointer_mut(parent).unwrap_or_else(|| panic!("{part}"));
    parent.as_object_mut().unwrap().insert(key.into(), value);
    serde_json::from_value(changed).unwrap_or_else(|error| panic!("{part}: {error}"))
}

#[test]
fn every_part_of_a_revision_is_told_and_weighed() {
    use Effect::{Alters, Narrows, Widens};
    let revision = revision();
    let blake3 = format!("blake3:{}", "0".repeat(64));
    let sha256 = format!("sha256:{}", "0".repeat(64));
    let digest = json!({ "blake3": blake3, "sha256": sha256 });
    let library = json!({ "component": digest, "manifest": blake3, "owner": "partner" });
    let column = |name: &str, kind: &str| json!({ "name": name, "type": kind });
    let join_key = json!({ "kind": "email", "profile": "uid2", "version": 1 });
    let earlier = json!({ "notebook": "earlier", "output": "totals" });
    // Each part, another value of it, what is told, what it means, and what going back means.
    let cases = [
        ("/component", digest, Part::Component, Alters, Alters),
        ("/hidden", json!(true), Part::Source, Widens, Narrows),
        ("/interfaces", json!(["glovebox:guest/sql@0.1.0"]), Part::Import, Widens, Narrows),
        ("/libraries", json!({ "scoring": library }), Part::Library, Widens, Narrows),
        ("/limits/wall_seconds", json!(1_000_000_000), Part::Limit, Widens, Narrows),
        ("/limits/output_rows", json!(1), Part::Limit, Narrows, Widens),
        ("/outputs/readers", json!("all"), Part::OutputReaders, Widens, Narrows),
        ("/outputs/time_to_live_days", json!(9_999), Part::OutputDays, Widens, Narrows),
        ("/runners", json!(["airline", "partner", "weather"]), Part::Runner, Widens, Narrows),
        ("/volumes", json!({ "weather.maps": blake3 }), Part::Volume, Widens, Narrows),
        ("/inputs/0/table", json!("airline.other"), Part::Binding, Alters, Alters),
        ("/inputs/0/renamed", json!({ "origin": "from" }), Part::Binding, Alters, Alters),
        ("/inputs/0/join_keys", json!({ "origin": join_key }), Part::JoinKey, Alters, Alters),
        ("/inputs/0/output", earlier, Part::DerivedFrom, Alters, Alters),
        ("/inputs/0/view", json!(blake3), Part::View, Alters, Alters),
        (
            "/inputs/0/columns",
            json!([column("origin", "utf8"), column("dep_delay", "float64"), column("x", "utf8")]),
            Part::InputColumn,
            Widens,
            Narrows,
        ),
    ];
    for (part, value, told, forth, back) in cases {
        let changed = with(&revision, part, value);
        let digests = [&revision, &changed].map(|revision| canonical::digest(revision).unwrap());
        assert_ne!(digests[0], digests[1], "{part} is what it was");
        for (old, new, effect) in [(&revision, &changed, forth), (&changed, &revision, back)] {
            let found = differences(old, new);
            assert!(found.contains(&(told, effect)), "{part}: {found:?}");
            let others = found.iter().filter(|(part, _)| *part != told).count();
            assert_eq!(others, 0, "{part}: {found:?}");
        }
    }
    assert_eq!(differences(&revision, &revision), []);
}

#[test]
fn the_gravest_change_comes_first() {
    let old = revision();
    let new = with(&old, "/limits/output_rows", json!(1));
    let new = with(&new, "/inputs/0/table", json!("airline.other"));
    let new = with(&new, "/hidden", json!(true));
    let effects: Vec<_> = differences(&old, &new).into_iter().map(|(_, effect)| effect).collect();
    assert_eq!(effects, [Effect::Widens, Effect::Alters, Effect::Narrows]);
}

fn appending() -> Manifest {
    let mut manifest = manifest();
    manifest.outputs.values_mut().for_each(|output| output.mode = OutputMode::Append);
    manifest
}

#[test]
fn what_becomes_of_earlier_rows_is_approved_and_told() {
    let (replacing, appending) = (manifest(), appending());
    let revision = revision();
    let facts = |manifest| RevisionFacts { revision: &revision, manifest };
    for (old, new) in [(&replacing, &appending), (&appending, &replacing)] {
        let found = between_revisions(facts(old), facts(new));
        let mode = |manifest: &Manifest| {
            manifest.outputs.values().next().map(|output| output.mode.to_string())
        };
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].part, found[0].effect), (Part::OutputMode, Effect::Alters));
        assert_eq!((&found[0].old, &found[0].new), (&mode(old), &mode(new)));
    }
    let mut room = Room::approved();
    let approved = room.revision();
    let mut other = notebook("1.0.0");
    other.manifest = appending;
    room.says("partner", add_notebook(other));
    assert_ne!(room.revision(), approved);
}

#[test]
fn a_manifest_that_replaces_is_written_as_ever() {
    let bytes =
        |manifest: &Manifest| String::from_utf8(canonical::encode(manifest).unwrap()).unwrap();
    let (replacing, appending) = (bytes(&manifest()), bytes(&appending()));
    assert!(!replacing.contains("mode"), "{replacing}");
    assert_eq!(appending.replace(r#","mode":"append""#, ""), replacing);
    let read = |text: &str| canonical::decode::<Manifest>(text.as_bytes(), 10_000).is_ok();
    assert!(read(&replacing) && read(&appending));
    for other in ["replace", "Append", "overwrite", ""] {
        assert!(!read(&appending.replace("\"append\"", &format!("{other:?}"))), "{other}");
    }
}
