//! One component in many rooms: the party that brings it waits for one compilation.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::statement::{Body, RoomDocument, Statement};
use glovebox_job::process::WorkerProgram;
use glovebox_room::Room;
use glovebox_room::worker::WorkerSettings;

use crate::fake_worker::FakeComponent;
use crate::world::{START, Wishes, World, key, notebook_asset, settings, sign};

/// Another room of the same two parties, which both have accepted.
fn another_room(world: &World, name: &str, change: impl FnOnce(&mut RoomDocument)) -> Room {
    let mut document = world.document(&Wishes::default());
    document.name = name.parse().unwrap();
    change(&mut document);
    let statement = Statement {
        body: Body::Room(document),
        issued_at: START,
        party: "airline".parse().unwrap(),
        room: None,
        sequence: 1,
    };
    let envelope = Envelope::sign(&statement, &key("airline")).unwrap();
    let mut room = world.home.create_room(&envelope).unwrap();
    let accept = sign(&room, "weather", Body::Accept);
    room.submit(&accept).unwrap();
    room
}

/// A notebook that needs no table.
fn component(name: &str) -> Vec<u8> {
    let mut fake = FakeComponent::new(name);
    fake.manifest.inputs.clear();
    fake.to_bytes()
}

/// A world in which `airline` has brought the component to a room.
fn world() -> World {
    let world = World::ready(&Wishes::default());
    let mut first = another_room(&world, "first", |_| ());
    assert!(add(&mut first, "airline", &component("plain"), &settings()));
    world
}

fn cached(world: &World) -> BTreeSet<PathBuf> {
    let files = fs::read_dir(world.path.join("home/cache")).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

/// A host that cannot compile.
fn without_compiler() -> WorkerSettings {
    WorkerSettings { program: WorkerProgram::new("/nonexistent"), ..settings() }
}

fn add(room: &mut Room, party: &str, component: &[u8], settings: &WorkerSettings) -> bool {
    let envelope = sign(room, party, notebook_asset(component, &["weather"]));
    room.add_notebook(settings, &envelope, component).is_ok()
}

#[test]
fn a_party_waits_for_one_compilation_of_a_component() {
    let world = world();
    let component = component("plain");
    let none = without_compiler();
    let mut same = another_room(&world, "same", |_| ());
    assert!(add(&mut same, "airline", &component, &none));
    // Whatever may change the answer is asked anew.
    let mut narrow = another_room(&world, "narrow", |room| room.limits.threads = 2);
    assert!(!add(&mut narrow, "airline", &component, &none), "other limits");
    let mut other = another_room(&world, "other", |_| ());
    assert!(!add(&mut other, "weather", &component, &none), "another party");
    let renamed = self::component("renamed");
    assert!(!add(&mut other, "airline", &renamed, &none), "another component");
    let binary = Blake3Digest::of(b"another host");
    let newer = WorkerSettings { host_binary: binary, ..without_compiler() };
    assert!(!add(&mut other, "airline", &component, &newer), "another program");
    assert!(add(&mut other, "weather", &component, &settings()));
}

#[test]
fn an_answer_that_is_damaged_or_without_its_code_is_asked_again() {
    let check = |ending: &str, change: fn(&std::path::Path)| {
        let world = World::ready(&Wishes::default());
        let before = cached(&world);
        let component = component("plain");
        let mut room = another_room(&world, "first", |_| ());
        assert!(add(&mut room, "airline", &component, &settings()));
        let after = cached(&world);
        let mut new = after.difference(&before);
        change(new.find(|file| file.to_str().unwrap().ends_with(ending)).unwrap());
        let mut room = another_room(&world, "other", |_| ());
        assert!(!add(&mut room, "airline", &component, &without_compiler()), "{ending}");
        assert!(add(&mut room, "airline", &component, &settings()), "{ending}");
    };
    check(".compiled", |path| fs::write(path, b"{}").unwrap());
    check(".compiled", |path| fs::remove_file(path).unwrap());
    check(".code", |path| fs::write(path, b"\x90\x90").unwrap());
    check(".digest", |path| fs::remove_file(path).unwrap());
}

#[test]
fn a_remembered_answer_is_compared_with_the_statement_too() {
    let world = world();
    let component = component("plain");
    let mut room = another_room(&world, "other", |_| ());
    let Body::Asset(glovebox_contract::statement::AssetStatement::Notebook(mut asset)) =
        notebook_asset(&component, &["weather"])
    else {
        panic!("a notebook")
    };
    asset.hidden = true;
    let body = Body::Asset(glovebox_contract::statement::AssetStatement::Notebook(asset));
    let envelope = sign(&room, "airline", body);
    let error = room.add_notebook(&without_compiler(), &envelope, &component).unwrap_err();
    assert_eq!(error.reason(), glovebox_contract::reason::ReasonCode::ComponentMismatch);
}
