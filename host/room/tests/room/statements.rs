//! Statements that are taken, and statements that are refused and logged.

use glovebox_contract::digest::ContentDigest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::manifest::ComponentKind;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::{
    AssetStatement, Body, LibraryAsset, Pause, Statement, TableAsset,
};
use glovebox_room::tables::DescribedTable;
use glovebox_room::{Home, Room};

use crate::fake_worker::FakeComponent;
use crate::world::{
    START, Wishes, World, key, last_entries, last_refusal, notebook_asset, request, sign,
};

fn pause() -> Body {
    Body::Pause(Pause { comment: String::new(), notebook: None })
}

#[test]
fn a_refused_statement_is_logged_with_its_reason_and_its_verified_signer() {
    type Forge = fn(&Room) -> Envelope;
    let check = |forge: Forge, reason: ReasonCode, party: Option<&str>| {
        let world = World::ready(&Wishes::default());
        let mut room = world.room();
        let before = room.entries().unwrap().len();
        let error = room.submit(&forge(&room)).unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
        assert_eq!(last_refusal(&room), (reason, party.map(str::to_owned)));
        let again = world.room();
        assert_eq!(again.entries().unwrap().len(), before + 1, "the refusal and nothing else");
        assert!(again.state().pause().is_none());
    };
    // The very envelope that is in the log.
    check(
        |room| room.entries().unwrap()[1].envelope.clone(),
        ReasonCode::Replayed,
        Some("weather"),
    );
    // Signed by nobody the room knows.
    check(
        |room| {
            let statement = room.next_statement(&key("weather").public(), pause()).unwrap();
            Envelope::sign(&statement, &key("mallory")).unwrap()
        },
        ReasonCode::UnknownSigner,
        None,
    );
    // One party in another's name.
    check(
        |room| {
            let statement = room.next_statement(&key("weather").public(), pause()).unwrap();
            Envelope::sign(&statement, &key("airline")).unwrap()
        },
        ReasonCode::BadSignature,
        Some("airline"),
    );
    check(
        |room| {
            let next = room.next_statement(&key("weather").public(), pause()).unwrap();
            let later = Statement { sequence: next.sequence + 1, ..next };
            Envelope::sign(&later, &key("weather")).unwrap()
        },
        ReasonCode::OutOfSequence,
        Some("weather"),
    );
    check(|room| sign(room, "weather", Body::Accept), ReasonCode::AlreadyExists, Some("weather"));
}

#[test]
fn bytes_that_are_no_envelope_are_refused_and_logged() {
    let world = World::ready(&Wishes::default());
    let mut room = world.room();
    let good = sign(&room, "weather", pause()).to_bytes();
    let mut check = |bytes: &[u8], reason: ReasonCode| {
        assert_eq!(room.submit_bytes(bytes).unwrap_err().reason(), reason);
        assert_eq!(last_refusal(&room), (reason, None));
    };
    check(b"", ReasonCode::Malformed);
    check(b"{}", ReasonCode::Malformed);
    check(&good[..good.len() - 1], ReasonCode::Malformed);
    check(&[&good[..], b" "].concat(), ReasonCode::NotCanonical);
    room.submit_bytes(&good).unwrap();
    assert!(room.state().pause().is_some());
}

/// The statement that offers a component as a library.
fn library_asset(component: &[u8]) -> Body {
    let mut manifest = FakeComponent::from_bytes(component).unwrap().manifest;
    manifest.kind = ComponentKind::Library;
    manifest.inputs.clear();
    manifest.outputs.clear();
    manifest.parameters.clear();
    Body::Asset(AssetStatement::Library(Box::new(LibraryAsset {
        component: ContentDigest::of(component),
        component_bytes: component.len() as u64,
        exports: Default::default(),
        hidden: false,
        interfaces: Default::default(),
        manifest,
    })))
}

#[test]
fn what_needs_more_than_a_statement_has_its_own_call() {
    let world = World::ready(&Wishes::default());
    let mut room = world.room();
    let before = room.entries().unwrap().len();
    let component = FakeComponent::new("other").to_bytes();
    for envelope in [
        request(&room, "weather", "succeed"),
        sign(&room, "airline", notebook_asset(&component, &["weather"])),
        sign(&room, "airline", library_asset(&component)),
    ] {
        assert!(room.submit(&envelope).unwrap_err().to_string().contains("a call of its own"));
    }
    assert_eq!(room.entries().unwrap().len(), before);
}

#[test]
fn two_processes_append_in_turns_and_see_each_other() {
    let world = World::ready(&Wishes::default());
    let (mut one, mut other) = (world.room(), world.room());
    one.submit(&sign(&one, "weather", pause())).unwrap();
    assert!(other.state().pause().is_none());
    // Signed on the old state, taken on the new one.
    other.submit(&sign(&other, "airline", pause())).unwrap();
    assert_eq!(other.state().pause().unwrap().by().as_str(), "airline");
    one.refresh().unwrap();
    assert_eq!(one.state().statements(), other.state().statements());
    assert_eq!(one.checkpoint(), other.checkpoint());
    assert_eq!(one.bundle().unwrap(), other.bundle().unwrap());
}

#[test]
fn a_room_is_found_by_name_by_id_and_by_its_beginning() {
    let world = World::ready(&Wishes::default());
    let id = world.room().id().0;
    let check = |wanted: &str, expect: bool| {
        assert_eq!(world.home.room(wanted).is_ok(), expect, "{wanted}");
    };
    check("lab", true);
    check(&id.to_hex(), true);
    check(&id.to_string(), true);
    check(&id.to_hex()[..4], true);
    check(&id.to_string()[..20], true);
    check(&id.to_hex()[..3], false);
    check("", false);
    check("blake3:", false);
    check("../lab", false);
    check("la", false);
    let listed = world.home.rooms().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].name.as_str(), listed[0].id.0), ("lab", id));
}

#[test]
fn a_room_of_a_name_that_two_have_is_asked_for_by_id() {
    let world = World::ready(&Wishes::default());
    let mut document = world.document(&Wishes::default());
    document.nonce = "ffeeddccbbaa99887766554433221100".into();
    let statement = Statement {
        body: Body::Room(document),
        issued_at: START,
        party: "airline".parse().unwrap(),
        room: None,
        sequence: 1,
    };
    let envelope = Envelope::sign(&statement, &key("airline")).unwrap();
    let second = world.home.create_room(&envelope).unwrap();
    let error = world.home.room("lab").err().unwrap();
    assert!(error.to_string().contains("any of 2 rooms"), "{error}");
    assert_eq!(world.home.room(&second.id().to_string()).unwrap().id(), second.id());
    assert_eq!(
        world.home.create_room(&envelope).err().unwrap().reason(),
        ReasonCode::AlreadyExists,
        "the same room again"
    );
}

#[test]
fn a_room_that_names_another_host_is_not_made() {
    let world = World::ready(&Wishes::default());
    let mut document = world.document(&Wishes::default());
    document.host_key = key("another host").public();
    let statement = Statement {
        body: Body::Room(document),
        issued_at: START,
        party: "airline".parse().unwrap(),
        room: None,
        sequence: 1,
    };
    let envelope = Envelope::sign(&statement, &key("airline")).unwrap();
    let error = world.home.create_room(&envelope).err().unwrap();
    assert_eq!(error.reason(), ReasonCode::NotPermitted);
    assert_eq!(world.home.rooms().unwrap().len(), 1);
    let staging = std::fs::read_dir(world.path.join("home/staging")).unwrap();
    assert_eq!(staging.count(), 0, "nothing is left behind");
}

#[test]
fn a_table_offers_only_columns_that_its_files_have() {
    let world = World::ready(&Wishes::default());
    let mut room = world.room();
    let name: glovebox_contract::name::TableName = "weather.hourly".parse().unwrap();
    let path = world.path.join("weather.hourly");
    let described = DescribedTable::read(&world.settings, &name, &path, None).unwrap();
    assert_eq!((described.files(), described.bytes()), (2, 10));
    assert_eq!(described.select(&[]).unwrap(), described.columns());
    assert_eq!(described.select(&["wind".into()]).unwrap(), described.columns());
    assert_eq!(described.select(&["rain".into()]).unwrap_err().reason(), ReasonCode::NotFound);
    let mut columns = described.columns().to_vec();
    columns[0].name = "rain".into();
    let table = TableAsset {
        columns,
        description: String::new(),
        join_keys: std::collections::BTreeMap::new(),
        name: name.clone(),
        output: None,
        view: None,
    };
    let envelope = sign(&room, "weather", Body::Asset(AssetStatement::Table(table)));
    let error = room.add_table(&envelope, &described).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::SchemaMismatch);
    assert_eq!(last_refusal(&room), (ReasonCode::SchemaMismatch, Some("weather".into())));
}

#[test]
fn nobody_adds_a_table_in_anothers_name() {
    let world = World::ready(&Wishes::default());
    let mut room = world.room();
    let name: glovebox_contract::name::TableName = "weather.hourly".parse().unwrap();
    let path = world.path.join("airline.flights");
    let described = DescribedTable::read(&world.settings, &name, &path, None).unwrap();
    let table = TableAsset {
        columns: described.columns().to_vec(),
        description: String::new(),
        join_keys: std::collections::BTreeMap::new(),
        name: name.clone(),
        output: None,
        view: None,
    };
    let envelope = sign(&room, "airline", Body::Asset(AssetStatement::Table(table)));
    let before = room.table_source(&name).unwrap();
    assert_eq!(
        room.add_table(&envelope, &described).unwrap_err().reason(),
        ReasonCode::NotPermitted
    );
    assert_eq!(room.table_source(&name).unwrap(), before, "the files of the owner stay");
}

#[test]
fn a_notebook_statement_that_does_not_fit_its_component_is_refused() {
    type Change = fn(&mut FakeComponent);
    let check = |change: Change, reason: ReasonCode| {
        let world = World::ready(&Wishes::default());
        let mut room = world.room();
        let said = FakeComponent::new("other");
        let mut real = said.clone();
        change(&mut real);
        // The statement speaks about the bytes, but says other things about them.
        let bytes = real.to_bytes();
        let mut body = notebook_asset(&said.to_bytes(), &["weather"]);
        if let Body::Asset(AssetStatement::Notebook(asset)) = &mut body {
            asset.component = glovebox_contract::digest::ContentDigest::of(&bytes);
            asset.component_bytes = bytes.len() as u64;
        }
        let envelope = sign(&room, "airline", body);
        let error = room.add_notebook(&world.settings, &envelope, &bytes).unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
        assert_eq!(last_refusal(&room), (reason, Some("airline".into())));
    };
    check(
        |real| real.imports = ["glovebox:guest/tables@0.1.0".into()].into(),
        ReasonCode::ComponentMismatch,
    );
    check(|real| real.manifest.description = "does more".into(), ReasonCode::ComponentMismatch);
    check(|real| real.source_paths.clear(), ReasonCode::ComponentMismatch);
}

#[test]
fn a_component_that_is_not_the_signed_one_is_refused_before_it_is_compiled() {
    let check = |bytes: &[u8], reason: ReasonCode| {
        let world = World::ready(&Wishes::default());
        let mut room = world.room();
        let envelope = sign(
            &room,
            "airline",
            notebook_asset(&FakeComponent::new("other").to_bytes(), &["weather"]),
        );
        let error = room.add_notebook(&world.settings, &envelope, bytes).unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
        assert_eq!(last_entries(&room, 1), ["refused"]);
    };
    check(b"another component", ReasonCode::ComponentMismatch);
    check(&FakeComponent::new("another").to_bytes(), ReasonCode::ComponentMismatch);
    check(&vec![0; (1 << 20) + 1], ReasonCode::PolicyLimit);
}

#[test]
fn a_room_carried_into_another_home_is_refused() {
    let world = World::ready(&Wishes::default());
    let other = World::ready(&Wishes::default());
    // A room's directory carried into another home names the wrong host.
    let room = world.room_directory();
    let name = room.file_name().unwrap().to_owned();
    let target = other.path.join("home/rooms").join(&name);
    std::fs::create_dir(&target).unwrap();
    for file in std::fs::read_dir(&room).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            std::fs::copy(file.path(), target.join(file.file_name())).unwrap();
        }
    }
    let opened = Home::open(&other.path.join("home")).unwrap().room(name.to_str().unwrap());
    assert!(opened.err().unwrap().to_string().contains("another host's key"));
}
