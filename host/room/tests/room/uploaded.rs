//! Tables, views, volumes and components that came as uploads.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use glovebox_contract::digest::{Blake3Digest, ContentDigest};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::{
    AssetStatement, Body, Delete, FileDigest, TableAsset, VolumeAsset,
};
use glovebox_room::uploaded::{UploadedRows, UploadedTable};
use glovebox_room::uploads::{UploadLimits, Uploads};
use glovebox_room::{Room, RoomError, Rows};

use crate::fake_worker::FakeComponent;
use crate::runs::During;
use crate::world::{Wishes, World, key, last_refusal, notebook_asset, outcome, sign};

const FLIGHTS: &str = "airline.flights";

fn file(content: &[u8]) -> FileDigest {
    FileDigest { bytes: content.len() as u64, digest: ContentDigest::of(content) }
}

/// Uploads as `alias`, and names what was uploaded.
pub(crate) fn upload(world: &World, alias: &str, content: &str) -> FileDigest {
    let (key, bytes) = (key(alias).public(), content.as_bytes());
    let digest = Blake3Digest::of(bytes);
    uploads(world).append(&key, &digest, 0, bytes.len() as u64, bytes).unwrap();
    file(bytes)
}

fn uploads(world: &World) -> Uploads {
    world.home.uploads().unwrap()
}

fn named(files: &[(&str, FileDigest)]) -> BTreeMap<String, FileDigest> {
    files.iter().map(|(name, file)| ((*name).to_owned(), *file)).collect()
}

pub(crate) fn rows(files: &[(&str, FileDigest)]) -> UploadedTable {
    UploadedTable { rows: UploadedRows::Files(named(files)), aliases: BTreeMap::new() }
}

/// The statement that offers a table as it is described, signed by the owner.
fn offer(world: &World, name: &str, table: &UploadedTable) -> Result<Envelope, RoomError> {
    let name: glovebox_contract::name::TableName = name.parse().unwrap();
    let key = key(name.schema()).public();
    let described =
        world.home.describe_uploaded(&world.settings, &uploads(world), &key, &name, table)?;
    let asset = TableAsset {
        columns: described.columns,
        description: String::new(),
        join_keys: BTreeMap::new(),
        name: name.clone(),
        output: None,
        view: described.definition,
    };
    Ok(sign(&world.room(), name.schema(), Body::Asset(AssetStatement::Table(asset))))
}

pub(crate) fn add(world: &World, name: &str, table: &UploadedTable) -> Result<Room, RoomError> {
    let envelope = offer(world, name, table)?;
    let mut room = world.room();
    room.add_uploaded_table(&world.settings, &uploads(world), &envelope, table)?;
    Ok(room)
}

/// The sets of files that the room keeps for a party.
pub(crate) fn kept(world: &World, alias: &str) -> Vec<PathBuf> {
    let Ok(sets) = fs::read_dir(world.room_directory().join("data").join(alias)) else {
        return Vec::new();
    };
    sets.map(|set| set.unwrap().path()).collect()
}

fn staging_is_empty(world: &World) -> bool {
    fs::read_dir(world.home.path().join("staging")).unwrap().next().is_none()
}

#[test]
fn an_uploaded_table_is_read_by_runs_and_frees_its_files_when_it_is_replaced() {
    let world = World::ready(&Wishes::default());
    let first = rows(&[
        ("a.csv", upload(&world, "airline", "origin,delay\n1,2\n")),
        ("b.csv", upload(&world, "airline", "origin,delay\n3,4\n")),
    ]);
    let room = add(&world, FLIGHTS, &first).unwrap();
    assert!(staging_is_empty(&world), "nothing is left of the look");
    let Rows::Files(files) = room.table_source(&FLIGHTS.parse().unwrap()).unwrap().unwrap().rows
    else {
        panic!("no files")
    };
    assert_eq!(kept(&world, "airline"), [files.path.parent().unwrap()]);
    assert!(files.path.join("a.csv").exists());
    let ended = world.run("succeed").unwrap();
    let inputs = &ended.receipt.inputs[&FLIGHTS.parse().unwrap()].files;
    assert_eq!(*inputs, [file(b"origin,delay\n1,2\n"), file(b"origin,delay\n3,4\n")]);

    // The uploads may go, the table stays.
    assert_eq!(uploads(&world).sweep(std::time::Duration::ZERO).unwrap(), 2);
    assert_eq!(outcome(&world.run("succeed")), "succeeded");

    let second = rows(&[("c.csv", upload(&world, "airline", "origin,delay\n5,6\n"))]);
    add(&world, FLIGHTS, &second).unwrap();
    assert_eq!(kept(&world, "airline").len(), 1);
    let ended = world.run("succeed").unwrap();
    let inputs = &ended.receipt.inputs[&FLIGHTS.parse().unwrap()].files;
    assert_eq!(*inputs, [file(b"origin,delay\n5,6\n")]);

    let mut room = world.room();
    let delete = Delete::Table { table: FLIGHTS.parse().unwrap() };
    room.submit(&sign(&room, "airline", Body::Delete(delete))).unwrap();
    assert!(kept(&world, "airline").is_empty());
    assert_eq!(room.table_source(&FLIGHTS.parse().unwrap()).unwrap(), None);
}

#[test]
fn a_run_keeps_the_files_that_it_reads_until_it_ends() {
    let world = World::ready(&Wishes::default());
    let first = upload(&world, "airline", "origin,delay\n1,2\n");
    add(&world, FLIGHTS, &rows(&[("a.csv", first)])).unwrap();
    let old = kept(&world, "airline");
    let mut replace = || {
        let second = upload(&world, "airline", "origin,delay\n3,4\n");
        add(&world, FLIGHTS, &rows(&[("a.csv", second)])).unwrap();
        uploads(&world).sweep(std::time::Duration::ZERO).unwrap();
        assert_eq!(kept(&world, "airline").len(), 2);
        assert!(old[0].exists());
    };
    let ended = world.run_watched("progress", &mut During(&mut replace));
    assert_eq!(outcome(&ended), "succeeded");
    let inputs = &ended.unwrap().receipt.inputs[&FLIGHTS.parse().unwrap()].files;
    assert_eq!(*inputs, [first]);
    drop(world.room());
    assert!(!old[0].exists());
    assert_eq!(kept(&world, "airline").len(), 1);
}

#[test]
fn a_view_is_made_of_uploads_of_its_own() {
    let world = World::ready(&Wishes::default());
    let tables = BTreeMap::from([
        ("f".parse().unwrap(), named(&[("x.csv", upload(&world, "airline", "delay\n1\n"))])),
        ("g".parse().unwrap(), named(&[("x.csv", upload(&world, "airline", "origin\n2\n"))])),
    ]);
    let sql = "SELECT * FROM f, g".to_owned();
    let definition = Blake3Digest::of(sql.as_bytes());
    let view = UploadedTable { rows: UploadedRows::View { sql, tables }, aliases: BTreeMap::new() };
    let room = add(&world, FLIGHTS, &view).unwrap();
    let table = room.state().table(&FLIGHTS.parse().unwrap()).unwrap();
    assert_eq!(table.view, Some(definition));
    assert_eq!(kept(&world, "airline").len(), 1);
    // The same set, under two names.
    let source = room.table_source(&FLIGHTS.parse().unwrap()).unwrap().unwrap();
    let Rows::View { tables, .. } = source.rows else { panic!("no view") };
    assert!(tables.values().all(|files| files.path.join("x.csv").exists()));
}

#[test]
fn columns_are_published_under_other_names_than_the_files() {
    let world = World::ready(&Wishes::default());
    let uploaded = upload(&world, "airline", "orig,delay\n1,2\n");
    let aliases = BTreeMap::from([("origin".to_owned(), "orig".to_owned())]);
    let table = UploadedTable { aliases, ..rows(&[("a.csv", uploaded)]) };
    let room = add(&world, FLIGHTS, &table).unwrap();
    let columns = &room.state().table(&FLIGHTS.parse().unwrap()).unwrap().columns;
    assert_eq!(columns[0].name, "origin");
    let wrong = BTreeMap::from([("origin".to_owned(), "none".to_owned())]);
    let table = UploadedTable { aliases: wrong, ..rows(&[("a.csv", uploaded)]) };
    assert_eq!(offer(&world, FLIGHTS, &table).unwrap_err().reason(), ReasonCode::NotFound);
}

#[test]
fn names_that_play_tricks_are_refused() {
    let world = World::ready(&Wishes::default());
    let uploaded = upload(&world, "airline", "origin,delay\n");
    let good = offer(&world, FLIGHTS, &rows(&[("a.csv", uploaded)])).unwrap();
    let before = world.room().state().statements();
    let check = |name: &str, expect: ReasonCode| {
        let table = rows(&[("a.csv", uploaded), (name, uploaded)]);
        let error = offer(&world, FLIGHTS, &table).unwrap_err();
        assert_eq!(error.reason(), expect, "{name:?}: {error}");
        let mut room = world.room();
        let error =
            room.add_uploaded_table(&world.settings, &uploads(&world), &good, &table).unwrap_err();
        assert_eq!(error.reason(), expect, "{name:?}: {error}");
        assert!(error.to_string().len() < 400, "{error}");
        assert_eq!(room.state().statements(), before);
        assert!(kept(&world, "airline").is_empty() && staging_is_empty(&world), "{name:?}");
    };
    let long = format!("{}.csv", "x".repeat(296));
    for name in [
        "",
        ".",
        "..",
        "../x.csv",
        "/etc/x.csv",
        "a/b.csv",
        "a\\b.csv",
        "x\0.csv",
        "x\n.csv",
        &long,
    ] {
        check(name, ReasonCode::Malformed);
    }
    for name in [".x.csv", "_x.csv", "x", "x.exe", ".csv", "pins.json"] {
        check(name, ReasonCode::InputUnreadable);
    }
    let none = rows(&[]);
    assert_eq!(offer(&world, FLIGHTS, &none).unwrap_err().reason(), ReasonCode::InputUnreadable);
    let longest = format!("{}.csv", "x".repeat(251));
    add(&world, FLIGHTS, &rows(&[("ä ö.csv", uploaded), (&longest, uploaded)])).unwrap();
}

#[test]
fn a_statement_is_about_uploads_of_its_signer() {
    let world = World::ready(&Wishes::default());
    // Not here, only begun, another's, with another SHA-256, with another length.
    let missing = file(b"origin,delay\n9,9\n");
    let begun = file(b"origin,delay\n7,7\n");
    uploads(&world)
        .append(&key("airline").public(), &begun.digest.blake3, 0, begun.bytes, b"origin")
        .unwrap();
    let others = upload(&world, "weather", "origin,delay\n8,8\n");
    let uploaded = upload(&world, "airline", "origin,delay\n");
    let mut other_sha = uploaded;
    other_sha.digest.sha256 = missing.digest.sha256;
    let other_length = FileDigest { bytes: 3, ..uploaded };
    let good = offer(&world, FLIGHTS, &rows(&[("a.csv", uploaded)])).unwrap();
    let before = world.room().state().statements();
    for (file, expect) in [
        (missing, ReasonCode::UploadIncomplete),
        (begun, ReasonCode::UploadIncomplete),
        (others, ReasonCode::UploadIncomplete),
        (other_sha, ReasonCode::UploadMismatch),
        (other_length, ReasonCode::UploadMismatch),
    ] {
        let mut room = world.room();
        let table = rows(&[("a.csv", uploaded), ("b.csv", file)]);
        let added = room.add_uploaded_table(&world.settings, &uploads(&world), &good, &table);
        assert_eq!(added.unwrap_err().reason(), expect);
        assert_eq!(room.state().statements(), before, "the statement is as good as before");
        assert!(kept(&world, "airline").is_empty());
    }
    let mut room = world.room();
    let table = rows(&[("a.csv", uploaded)]);
    room.add_uploaded_table(&world.settings, &uploads(&world), &good, &table).unwrap();
    // The very same again is a replay: nothing is lost by it.
    let again = room.add_uploaded_table(&world.settings, &uploads(&world), &good, &table);
    assert_eq!(again.unwrap_err().reason(), ReasonCode::Replayed);
    assert_eq!(last_refusal(&room), (ReasonCode::Replayed, Some("airline".into())));
    assert_eq!(kept(&world, "airline").len(), 1);
    assert_eq!(outcome(&world.run("succeed")), "succeeded");
}

#[test]
fn a_table_of_other_columns_than_stated_is_refused_and_keeps_nothing() {
    let world = World::ready(&Wishes::default());
    let stated = upload(&world, "airline", "origin,delay\n");
    let envelope = offer(&world, FLIGHTS, &rows(&[("a.csv", stated)])).unwrap();
    let other = upload(&world, "airline", "origin\n");
    let mut room = world.room();
    let table = rows(&[("a.csv", other)]);
    let error =
        room.add_uploaded_table(&world.settings, &uploads(&world), &envelope, &table).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::SchemaMismatch);
    assert_eq!(last_refusal(&room), (ReasonCode::SchemaMismatch, Some("airline".into())));
    assert!(kept(&world, "airline").is_empty());
}

#[test]
fn what_a_host_left_that_was_killed_is_freed() {
    let world = World::ready(&Wishes::default());
    let uploaded = upload(&world, "airline", "origin,delay\n");
    let table = rows(&[("a.csv", uploaded)]);
    let envelope = offer(&world, FLIGHTS, &table).unwrap();
    // As if it had died while it kept the files of this statement, and of another.
    let data = world.room_directory().join("data/airline");
    let own = data.join(envelope.digest().to_hex());
    let stray = data.join("0".repeat(64));
    for set in [&own, &stray] {
        fs::create_dir_all(set.join("rows")).unwrap();
        fs::write(set.join("rows/b.csv"), "half").unwrap();
    }
    fs::write(world.room_directory().join("data/file"), "").unwrap();
    let mut room = world.room();
    assert!(!own.exists() && !stray.exists());
    fs::create_dir_all(own.join("rows")).unwrap();
    room.add_uploaded_table(&world.settings, &uploads(&world), &envelope, &table).unwrap();
    assert_eq!(kept(&world, "airline"), [own]);
    assert_eq!(outcome(&world.run("succeed")), "succeeded");
}

#[test]
fn files_that_changed_on_the_hosts_disk_stop_a_run() {
    let check = |change: fn(PathBuf)| {
        let world = World::ready(&Wishes::default());
        let uploaded = upload(&world, "airline", "origin,delay\n1,2\n");
        add(&world, FLIGHTS, &rows(&[("a.csv", uploaded)])).unwrap();
        uploads(&world).sweep(std::time::Duration::ZERO).unwrap();
        change(kept(&world, "airline")[0].join("rows"));
        assert_eq!(outcome(&world.run("succeed")), "refused input-changed");
    };
    check(|rows| {
        let path = rows.join("a.csv");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(path, "origin,delay\n1,3\n").unwrap();
    });
    check(|rows| fs::write(rows.join("b.csv"), "origin,delay\n").unwrap());
    check(|rows| fs::rename(rows.join("a.csv"), rows.join("b.csv")).unwrap());
}

#[test]
fn a_party_keeps_no_more_than_its_share_in_a_room() {
    let world = World::ready(&Wishes::default());
    let limits = UploadLimits { kept_bytes: 40, ..UploadLimits::default() };
    let uploads = world.home.uploads_with(limits).unwrap();
    let add = |name: &str, content: &str| {
        let table = rows(&[("a.csv", upload(&world, "airline", content))]);
        let envelope = offer(&world, name, &table).unwrap();
        let mut room = world.room();
        let added = room.add_uploaded_table(&world.settings, &uploads, &envelope, &table);
        added.map(drop).map_err(|error| error.reason())
    };
    assert_eq!(add(FLIGHTS, "origin,delay\n1,2\n"), Ok(()));
    assert_eq!(add("airline.planes", "origin,delay\n3,4\n"), Ok(()));
    assert_eq!(add("airline.crews", "origin,delay\n5,6\n"), Err(ReasonCode::PolicyLimit));
    assert_eq!(kept(&world, "airline").len(), 2);
}

/// The statement of a volume with these files, signed by the airline.
fn volume(world: &World, files: &[(&str, FileDigest)]) -> Envelope {
    let asset = VolumeAsset {
        description: String::new(),
        files: named(files),
        name: "airline.model".parse().unwrap(),
    };
    sign(&world.room(), "airline", Body::Asset(AssetStatement::Volume(asset)))
}

#[test]
fn a_volume_keeps_the_files_that_its_statement_pins() {
    let world = World::ready(&Wishes::default());
    let (weights, readme) = (upload(&world, "airline", "0123"), upload(&world, "airline", "hi"));
    let envelope = volume(&world, &[("sub/weights", weights), (".hidden/readme", readme)]);
    let mut room = world.room();
    room.add_uploaded_volume(&uploads(&world), &envelope).unwrap();
    let sets = kept(&world, "airline");
    assert_eq!(fs::read_to_string(sets[0].join("files/sub/weights")).unwrap(), "0123");
    assert_eq!(fs::read_to_string(sets[0].join("files/.hidden/readme")).unwrap(), "hi");

    let before = room.state().statements();
    let mut check = |files: &[(&str, FileDigest)], expect: ReasonCode| {
        let error = room.add_uploaded_volume(&uploads(&world), &volume(&world, files)).unwrap_err();
        assert_eq!(error.reason(), expect, "{error}");
        assert_eq!(room.state().statements(), before);
    };
    check(&[("a", weights), ("a/b", readme)], ReasonCode::Malformed);
    check(&[("a/b/c", weights), ("a", readme)], ReasonCode::Malformed);
    check(&[(&format!("{}x", "d/".repeat(20)), weights)], ReasonCode::Malformed);
    check(&[("a", file(b"missing"))], ReasonCode::UploadIncomplete);
    assert_eq!(kept(&world, "airline"), sets);

    let delete = Delete::Volume { volume: "airline.model".parse().unwrap() };
    room.submit(&sign(&room, "airline", Body::Delete(delete))).unwrap();
    assert!(kept(&world, "airline").is_empty());
}

#[test]
fn a_component_comes_as_an_upload_of_its_author() {
    let world = World::ready(&Wishes::default());
    let component = FakeComponent::new("other").to_bytes();
    let text = String::from_utf8(component.clone()).unwrap();
    let mut room = world.room();
    let envelope = sign(&room, "airline", notebook_asset(&component, &["weather"]));
    let uploads = uploads(&world);
    upload(&world, "weather", &text);
    let missing = room.add_uploaded_component(&world.settings, &uploads, &envelope);
    assert_eq!(missing.unwrap_err().reason(), ReasonCode::UploadIncomplete);
    upload(&world, "airline", &text);
    room.add_uploaded_component(&world.settings, &uploads, &envelope).unwrap();
    assert_eq!(room.component(&ContentDigest::of(&component)).unwrap(), component);
    let again = room.add_uploaded_component(&world.settings, &uploads, &envelope);
    assert_eq!(again.unwrap_err().reason(), ReasonCode::Replayed);
    assert_eq!(last_refusal(&room), (ReasonCode::Replayed, Some("airline".into())));
}

#[test]
fn a_home_that_is_moved_finds_the_files_that_it_keeps() {
    let mut world = World::ready(&Wishes::default());
    for (name, content) in [(FLIGHTS, "origin,delay\n"), ("weather.hourly", "wind\n")] {
        let alias = name.split('.').next().unwrap();
        let table = rows(&[("a.csv", upload(&world, alias, content))]);
        add(&world, name, &table).unwrap();
    }
    let moved = world.path.join("moved");
    fs::create_dir(&moved).unwrap();
    fs::rename(world.path.join("home"), moved.join("home")).unwrap();
    world.path = moved;
    assert_eq!(outcome(&world.run("succeed")), "succeeded");
}

#[test]
fn a_full_quota_takes_first_what_rooms_keep() {
    let world = World::ready(&Wishes::default());
    let first = upload(&world, "airline", "origin,delay\n1,2\n");
    add(&world, FLIGHTS, &rows(&[("a.csv", first)])).unwrap();
    let limits = UploadLimits { bytes: 40, ..UploadLimits::default() };
    let uploads = world.home.uploads_with(limits).unwrap();
    let key = key("airline").public();
    let begin = |content: &[u8], length: u64| {
        uploads.append(&key, &Blake3Digest::of(content), 0, length, b"").is_ok()
    };
    assert!(begin(b"a", 20));
    assert!(uploads.status(&key, &first.digest.blake3).unwrap().is_some());
    assert!(begin(b"b", 20), "the kept file's upload goes");
    assert!(uploads.status(&key, &first.digest.blake3).unwrap().is_none());
    assert!(!begin(b"c", 1));
    assert_eq!(outcome(&world.run("succeed")), "succeeded");
}
