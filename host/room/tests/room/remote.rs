//! Tables that are elsewhere, with a broker that has them in its memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use glovebox_contract::digest::ContentDigest;
use glovebox_contract::name::TableName;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::{AssetStatement, Body, Pin, TableAsset};
use glovebox_room::RoomError;
use glovebox_room::remote::{Credential, Origin, RemoteOffer, RemoteTable, SealingKey};
use glovebox_room::tables::DescribedTable;

use crate::fake_broker::{FakeBroker, PASSWORD};
use crate::world::{Wishes, World, last_entries, last_refusal, outcome, revision, sign};

const FLIGHTS: &str = "airline.flights";

fn credential(password: &str) -> Credential {
    Credential::new([("password".to_owned(), password.to_owned())].into())
}

fn offer(place: &str, origin: Origin) -> RemoteOffer {
    let location = place.parse().unwrap();
    RemoteOffer {
        remote: RemoteTable { format: None, location, partitions: Vec::new() },
        credential: Some(credential(PASSWORD)),
        origin,
    }
}

/// A world whose host reads what a broker has.
fn world() -> (World, FakeBroker) {
    let broker = FakeBroker::new();
    let mut world = World::ready(&Wishes::default());
    world.settings.broker = Some(Arc::new(broker.clone()));
    (world, broker)
}

/// Puts `airline.flights` elsewhere.
fn add(world: &World, offer: &RemoteOffer) -> Result<(), RoomError> {
    let mut room = world.room();
    let name: TableName = FLIGHTS.parse().unwrap();
    let described = DescribedTable::read_remote(&world.settings, &name, offer)?;
    let table = TableAsset {
        columns: described.columns(),
        description: String::new(),
        join_keys: BTreeMap::new(),
        name,
        output: None,
        view: None,
    };
    let envelope = sign(&room, "airline", Body::Asset(AssetStatement::Table(table)));
    room.add_table(&envelope, &described).map(drop)
}

fn elsewhere() -> (World, FakeBroker) {
    let (world, broker) = world();
    add(&world, &offer("s3://bucket/flights", Origin::Operator)).unwrap();
    (world, broker)
}

fn operator_detail(world: &World) -> String {
    let room = world.room();
    let run = *room.state().runs().last().unwrap().id();
    room.operator_detail(&run).unwrap().unwrap_or_default()
}

/// Whether any file below `folder` holds `text`.
fn holds(folder: &Path, text: &str) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => holds(&path, text),
            false => {
                let bytes = fs::read(&path).unwrap_or_default();
                bytes.windows(text.len()).any(|window| window == text.as_bytes())
            }
        }
    })
}

#[test]
fn a_table_elsewhere_is_read_at_the_version_that_the_log_says() {
    for columns in [Some(&["origin", "delay"][..]), None] {
        let (world, broker) = world();
        broker.change(|there| there.columns = columns);
        let approved = revision(&world.room());
        add(&world, &offer("s3://bucket/flights", Origin::Operator)).unwrap();
        assert_eq!(revision(&world.room()), approved, "the same columns are the same promise");

        let ended = world.run("succeed");
        assert_eq!(outcome(&ended), "succeeded", "{}", operator_detail(&world));
        let inputs = ended.unwrap().receipt.inputs;
        let snapshot = &inputs[&FLIGHTS.parse::<TableName>().unwrap()];
        assert_eq!(snapshot.pin, Pin::Version);
        assert_eq!(snapshot.files[0].digest, ContentDigest::of(b"version 1"));
        assert_eq!(inputs[&"weather.hourly".parse().unwrap()].pin, Pin::Content);

        broker.change(|there| there.version = 2);
        let receipt = world.run("succeed").unwrap().receipt;
        let snapshot = &receipt.inputs[&FLIGHTS.parse::<TableName>().unwrap()];
        assert_eq!(snapshot.files[0].digest, ContentDigest::of(b"version 2"));
    }
}

#[test]
fn a_credential_is_sealed_and_shows_nowhere() {
    let (world, broker) = elsewhere();
    assert_eq!(outcome(&world.run("succeed")), "succeeded");
    broker.change(|there| there.fails = Some(ReasonCode::SourceUnavailable));
    assert_eq!(outcome(&world.run("succeed")), "failed source-unavailable");
    assert_eq!(operator_detail(&world), "s3://bucket/flights said no to […]");
    assert!(holds(&world.path.join("home"), "s3://bucket/flights"), "the place is in the store");
    assert!(!holds(&world.path.join("home"), PASSWORD));
    assert!(!holds(&world.path.join("home"), "horse"));
    let bundle = world.room().bundle().unwrap();
    assert!(!String::from_utf8_lossy(&bundle).contains("bucket"), "no statement has the place");
}

#[test]
fn what_changes_during_a_run_makes_it_fail() {
    struct Meanwhile(FakeBroker);
    impl glovebox_room::run::RunObserver for Meanwhile {
        fn progress(&mut self, _: u64, _: Option<u64>) {
            self.0.change(|there| there.version += 1);
        }
    }
    let (world, broker) = elsewhere();
    let ended = world.run_watched("progress", &mut Meanwhile(broker));
    assert_eq!(outcome(&ended), "failed input-changed");
}

#[test]
fn a_schema_that_changed_is_noticed_before_anything_is_read() {
    let check = |columns: &'static [&'static str], expect: &str| {
        let (world, broker) = elsewhere();
        broker.change(|there| there.columns = Some(columns));
        let ended = world.run("succeed");
        assert_eq!(outcome(&ended), expect, "{columns:?}");
        if let Err(error) = ended {
            assert!(
                error.to_string().starts_with("table airline.flights: its column `origin` is not")
            );
        }
    };
    check(&["delay", "origin"], "succeeded");
    check(&["new", "origin", "delay"], "succeeded");
    check(&["delay"], "refused schema-mismatch");
}

#[test]
fn credentials_are_replaced_without_a_new_statement() {
    let (world, broker) = elsewhere();
    let owner = "airline".parse().unwrap();
    let table: TableName = FLIGHTS.parse().unwrap();
    let replace = |owner, table, password: &str, origin| {
        let mut room = world.room();
        let new = room.new_credential(owner, table, credential(password), origin)?;
        room.replace_credential(&new.checked(&world.settings)?)
    };
    broker.change(|there| there.password = "another password");
    let ended = world.run("succeed");
    assert_eq!(outcome(&ended), "refused source-denied");
    let error = ended.unwrap_err().to_string();
    assert_eq!(error, "table airline.flights: its credential is not accepted");
    assert_eq!(last_refusal(&world.room()).0, ReasonCode::SourceDenied);
    let detail = operator_detail(&world);
    assert!(detail.contains("s3://bucket/flights") && !detail.contains("horse"), "{detail}");

    let refused = |result: Result<(), RoomError>, reason| {
        let error = result.unwrap_err();
        assert_eq!(error.reason(), reason);
        assert!(!error.to_string().contains("wrong password"), "{error}");
    };
    let other = "weather".parse().unwrap();
    let denied = replace(&owner, &table, "wrong password", Origin::Operator);
    refused(denied, ReasonCode::SourceDenied);
    let not_theirs = replace(&other, &table, "another password", Origin::Network);
    refused(not_theirs, ReasonCode::NotPermitted);
    let hourly = "weather.hourly".parse().unwrap();
    refused(replace(&other, &hourly, "x", Origin::Network), ReasonCode::NotFound);
    assert_eq!(outcome(&world.run("succeed")), "refused source-denied", "nothing was replaced");

    let before = world.room().state().statements();
    replace(&owner, &table, "another password", Origin::Operator).unwrap();
    assert_eq!(world.room().state().statements(), before, "nothing is logged");
    assert_eq!(outcome(&world.run("succeed")), "succeeded");
    assert_eq!(last_entries(&world.room(), 1), ["run-receipt"]);
}

#[test]
fn a_sealing_key_outside_the_home_is_needed_from_then_on() {
    let (world, _) = world();
    let key = || SealingKey::from_bytes([7; 32]);
    let with_key = |home: glovebox_room::Home| {
        home.use_sealing_key(key()).unwrap();
        home.room("lab").unwrap()
    };
    let name: TableName = FLIGHTS.parse().unwrap();
    let offer = offer("s3://bucket/flights", Origin::Operator);
    add(&world, &offer).unwrap();
    let mut room = with_key(world.room_home());
    let run = |room: &mut glovebox_room::Room| {
        let request = crate::world::request(room, "weather", "succeed");
        outcome(&room.run(&world.settings, &request, &mut ()))
    };
    assert_eq!(run(&mut room), "succeeded", "what the home's own key sealed stays readable");

    let replace = |room: &mut glovebox_room::Room| {
        let owner = "airline".parse().unwrap();
        let new = room.new_credential(&owner, &name, credential(PASSWORD), Origin::Operator)?;
        room.replace_credential(&new.checked(&world.settings)?)
    };
    replace(&mut room).unwrap();
    assert_eq!(run(&mut room), "succeeded");
    assert_eq!(run(&mut world.room()), "refused source-denied");
    assert!(operator_detail(&world).contains("sealed with another key"));
    let error = replace(&mut world.room()).unwrap_err();
    assert!(error.to_string().contains("--sealing-key"), "{error}");
    let error = world.room_home().use_sealing_key(SealingKey::from_bytes([8; 32])).unwrap_err();
    assert!(error.to_string().contains("another sealing key"), "{error}");
    assert_eq!(run(&mut with_key(world.room_home())), "succeeded");
}

#[test]
fn the_network_reaches_less_than_this_machine() {
    let (world, broker) = world();
    let error = add(&world, &offer("file:///etc", Origin::Network)).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::SourceRefused);
    assert_eq!(broker.0.lock().unwrap().opened, 0, "nobody has even looked");
    add(&world, &offer("file:///srv/delta", Origin::Operator)).unwrap();

    // What the network says about a table of this machine's makes it one of the network's.
    let owner = "airline".parse().unwrap();
    let table = FLIGHTS.parse().unwrap();
    let room = world.room();
    let new = room.new_credential(&owner, &table, credential(PASSWORD), Origin::Network).unwrap();
    let error = new.checked(&world.settings).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::SourceRefused);
}

#[test]
fn a_host_without_a_broker_says_so() {
    let (mut world, _) = elsewhere();
    world.settings.broker = None;
    assert_eq!(outcome(&world.run("succeed")), "refused source-refused");
    let offer = offer("s3://bucket/flights", Origin::Operator);
    assert_eq!(add(&world, &offer).unwrap_err().reason(), ReasonCode::SourceRefused);
}

#[test]
fn a_table_that_comes_back_here_is_read_here() {
    let (world, broker) = elsewhere();
    world.add_table(FLIGHTS).unwrap();
    let opened = broker.0.lock().unwrap().opened;
    assert_eq!(outcome(&world.run("succeed")), "succeeded");
    assert_eq!(broker.0.lock().unwrap().opened, opened);
    let owner = "airline".parse().unwrap();
    let room = world.room();
    let again =
        room.new_credential(&owner, &FLIGHTS.parse().unwrap(), credential("x"), Origin::Operator);
    assert_eq!(again.unwrap_err().reason(), ReasonCode::NotFound, "its credential is gone");
}

#[test]
fn a_store_of_the_version_before_is_brought_up_to_date() {
    let (world, _) = world();
    let store = world.room_directory().join("room.sqlite");
    let connection = rusqlite::Connection::open(&store).unwrap();
    connection.execute_batch("DROP TABLE remote_source; PRAGMA user_version = 2;").unwrap();
    drop(connection);
    assert_eq!(outcome(&world.run("succeed")), "succeeded");
    add(&world, &offer("s3://bucket/flights", Origin::Operator)).unwrap();
    assert_eq!(outcome(&world.run("succeed")), "succeeded");
    let connection = rusqlite::Connection::open(&store).unwrap();
    let version = |connection: &rusqlite::Connection| {
        connection.pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0)).unwrap()
    };
    assert_eq!(version(&connection), 3);
    connection.execute_batch("PRAGMA user_version = 4;").unwrap();
    assert_eq!(world.try_room().err().unwrap().reason(), ReasonCode::HomeVersion);
}
