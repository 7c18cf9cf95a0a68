//! Volumes and views: what is behind a name stays what it was while a run reads it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use glovebox_contract::manifest::Manifest;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::{
    AssetStatement, Body, Decision, Review, TableAsset, VolumeAsset,
};
use glovebox_room::run::RunObserver;
use glovebox_room::tables::DescribedTable;

use crate::fake_worker::FakeComponent;
use crate::world::{
    NOTEBOOK, Wishes, World, last_refusal, notebook_asset, outcome, revision, sign,
};

struct During<'a>(&'a dyn Fn());

impl RunObserver for During<'_> {
    fn progress(&mut self, _: u64, _: Option<u64>) {
        // A write within one tick of the file system's clock would have the same time stamp.
        std::thread::sleep(std::time::Duration::from_millis(20));
        (self.0)();
    }
}

fn approve(world: &World) {
    let mut room = world.room();
    let approve = Review {
        comment: String::new(),
        decision: Decision::Approve,
        notebook: NOTEBOOK.parse().unwrap(),
        revision: revision(&room),
    };
    let envelope = sign(&room, "weather", Body::Review(approve));
    room.submit(&envelope).unwrap();
}

/// A world whose notebook reads the volume `airline.model` of one file.
fn with_volume() -> World {
    let world = World::ready(&Wishes::default());
    fs::create_dir(world.path.join("model")).unwrap();
    fs::write(world.path.join("model/weights"), "0123").unwrap();
    let mut room = world.room();
    let name = "airline.model".parse().unwrap();
    let mut heard = Vec::new();
    let measured = room
        .measure_volume(&name, &world.path.join("model"), &mut |done, all| heard.push((done, all)))
        .unwrap();
    assert_eq!(heard.last(), Some(&(4, 4)));
    let asset = |files| {
        let asset = VolumeAsset { description: String::new(), files, name: name.clone() };
        Body::Asset(AssetStatement::Volume(asset))
    };
    // A statement about other files than those that were read is refused, and so is one that goes
    // past the call that knows the files.
    let mut others = measured.files().clone();
    others.values_mut().for_each(|file| file.bytes += 1);
    let envelope = sign(&room, "airline", asset(others));
    let error = room.add_volume(&envelope, &measured).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::VolumeChanged);
    assert_eq!(last_refusal(&room), (ReasonCode::VolumeChanged, Some("airline".into())));
    let envelope = sign(&room, "airline", asset(measured.files().clone()));
    assert!(room.submit(&envelope).is_err());
    room.add_volume(&envelope, &measured).unwrap();
    let mut component = FakeComponent::new(NOTEBOOK);
    component.manifest = Manifest {
        version: "1.1.0".into(),
        volumes: BTreeMap::from([(name, Default::default())]),
        ..component.manifest
    };
    let component = component.to_bytes();
    let envelope = sign(&room, "airline", notebook_asset(&component, &["weather"]));
    room.add_notebook(&world.settings, &envelope, &component).unwrap();
    approve(&world);
    world
}

#[test]
fn a_volume_that_changes_before_or_during_a_run_fails_it() {
    let check = |change: fn(&Path), during: &str, before: &str| {
        let world = with_volume();
        let model = world.path.join("model");
        assert_eq!(outcome(&world.run("succeed")), "succeeded");
        let ended = world.run_watched("progress", &mut During(&|| change(&model)));
        assert_eq!(outcome(&ended), during);
        assert_eq!(outcome(&world.run("succeed")), before);
    };
    check(|model| drop(fs::read(model.join("weights")).unwrap()), "succeeded", "succeeded");
    check(|model| fs::write(model.join("more"), "").unwrap(), "succeeded", "succeeded");
    check(
        |model| fs::write(model.join("weights"), "4567").unwrap(),
        "failed volume-changed",
        "refused volume-changed",
    );
    check(
        |model| fs::remove_file(model.join("weights")).unwrap(),
        "failed volume-changed",
        "refused volume-changed",
    );
    // The very same bytes in another file: this run cannot know what it read, the next one can.
    check(
        |model| {
            fs::write(model.join("new"), "0123").unwrap();
            fs::rename(model.join("new"), model.join("weights")).unwrap();
        },
        "failed volume-changed",
        "succeeded",
    );
}

const QUERY: &str = "SELECT * FROM calm, storm";

/// A world where `weather.hourly` is a view over two tables.
fn with_view() -> World {
    let world = World::ready(&Wishes::default());
    let write = |name: &str, text: &str| fs::write(world.path.join(name), text).unwrap();
    write("calm.csv", "wind\n");
    fs::create_dir(world.path.join("storm")).unwrap();
    write("storm/1.csv", "gust\n");
    write("storm/2.csv", "gust\n");
    add_view(&world, QUERY).unwrap();
    approve(&world);
    world
}

fn add_view(world: &World, stated: &str) -> Result<(), glovebox_room::RoomError> {
    let mut room = world.room();
    let name = "weather.hourly".parse().unwrap();
    let paths = BTreeMap::from([
        ("calm".parse().unwrap(), world.path.join("calm.csv")),
        ("storm".parse().unwrap(), world.path.join("storm")),
    ]);
    let described = DescribedTable::read_view(&world.settings, &name, QUERY, &paths)?;
    let table = TableAsset {
        columns: described.columns(),
        description: String::new(),
        join_keys: BTreeMap::new(),
        name,
        output: None,
        view: Some(glovebox_contract::digest::Blake3Digest::of(stated.as_bytes())),
    };
    let envelope = sign(&room, "weather", Body::Asset(AssetStatement::Table(table)));
    room.add_table(&envelope, &described).map(drop)
}

#[test]
fn a_view_pins_all_files_behind_it() {
    let world = with_view();
    let ended = world.run("succeed");
    assert_eq!(outcome(&ended), "succeeded");
    let snapshot = &ended.unwrap().receipt.inputs[&"weather.hourly".parse().unwrap()];
    assert_eq!((snapshot.files.len(), snapshot.tables.as_slice()), (3, &[1, 2][..]));
    let check = |change: fn(&Path), expect: &str| {
        let world = with_view();
        let ended = world.run_watched("progress", &mut During(&|| change(&world.path)));
        assert_eq!(outcome(&ended), expect);
    };
    check(|path| fs::write(path.join("calm.csv"), "WIND\n").unwrap(), "failed input-changed");
    check(|path| fs::write(path.join("storm/3.csv"), "gust\n").unwrap(), "failed input-changed");
    check(|path| fs::remove_file(path.join("storm/1.csv")).unwrap(), "failed input-changed");
    // The table that the view took the place of is nobody's business any more.
    check(|path| fs::write(path.join("weather.hourly/c.csv"), "wind\n").unwrap(), "succeeded");
}

#[test]
fn a_view_is_the_query_that_was_published() {
    let world = with_view();
    let error = add_view(&world, "SELECT 1").unwrap_err();
    assert_eq!(error.reason(), ReasonCode::SchemaMismatch, "{error}");
    assert_eq!(outcome(&world.run("succeed")), "succeeded");
    let database = rusqlite::Connection::open(world.room_directory().join("room.sqlite")).unwrap();
    let changed = database.execute("UPDATE source SET sql = 'SELECT 1' WHERE sql NOT NULL", []);
    assert_eq!(changed.unwrap(), 1);
    assert_eq!(outcome(&world.run("succeed")), "refused input-changed");
}
