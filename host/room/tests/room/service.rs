//! What a host that serves many parties needs: many rooms, runs at once, reads without a statement.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Barrier, Mutex, MutexGuard};

use glovebox_contract::digest::{Blake3Digest, Sha256Digest};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::{RoomId, RunId};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::RunStatus;
use glovebox_contract::statement::{
    AssetStatement, Body, Grant, NotebookAsset, Recipient, Share, Shared, SharedRead, Statement,
};
use glovebox_room::run::RunObserver;

use crate::fake_worker::FakeComponent;
use crate::world::{
    DAY, START, Wishes, World, key, last_entries, notebook_asset, outcome, read, request, sign,
};

/// Lets go of the turn once the request is in the log, then waits for the others in the run.
struct Together<'a> {
    turn: Option<MutexGuard<'a, ()>>,
    all: &'a Barrier,
}

impl RunObserver for Together<'_> {
    fn admit(&mut self, _: &RunId) -> Result<(), ReasonCode> {
        self.turn = None;
        Ok(())
    }

    fn progress(&mut self, _: u64, _: Option<u64>) {
        self.all.wait();
    }
}

#[test]
fn ten_runs_of_a_room_go_on_at_once() {
    let world = World::ready(&Wishes::default());
    let (turns, all) = (Mutex::new(()), Barrier::new(10));
    let runs: Vec<RunId> = std::thread::scope(|scope| {
        let run = || {
            // Statements of one party have numbers, so requests are made in turn.
            let turn = turns.lock().unwrap();
            let mut room = world.home.room("lab").unwrap();
            let envelope = request(&room, "weather", "progress");
            let mut observer = Together { turn: Some(turn), all: &all };
            let ended = room.run(&world.settings, &envelope, &mut observer);
            assert_eq!(outcome(&ended), "succeeded");
            ended.unwrap().run
        };
        let threads: Vec<_> = (0..10).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut room = world.room();
    assert_eq!(room.state().runs().count(), 10);
    for run in runs {
        assert!(read(&mut room, "weather", &run).is_ok());
    }
    let staging = world.room_directory().join("staging");
    assert_eq!(fs::read_dir(staging).unwrap().count(), 0);
}

/// The statement that creates another room of this home.
fn another_room(world: &World, nonce: &str) -> Envelope {
    let mut document = world.document(&Wishes::default());
    document.nonce = nonce.into();
    document.name = "other".parse().unwrap();
    let statement = Statement {
        body: Body::Room(document),
        issued_at: START,
        party: "airline".parse().unwrap(),
        room: None,
        sequence: 1,
    };
    Envelope::sign(&statement, &key("airline")).unwrap()
}

#[test]
fn every_room_is_recovered_and_a_damaged_one_stops_nobody() {
    let world = World::ready(&Wishes::default());
    let damaged = world.home.create_room(&another_room(&world, &"a".repeat(32))).unwrap();
    let whole = *world.home.create_room(&another_room(&world, &"b".repeat(32))).unwrap().id();
    let (damaged, rooms) = (*damaged.id(), world.home.path().join("rooms"));
    let database = rooms.join(damaged.0.to_hex()).join("room.sqlite");
    fs::write(&database, "no database").unwrap();
    fs::remove_file(database.with_extension("sqlite-wal")).unwrap();
    fs::create_dir(rooms.join("thesis")).unwrap();
    // A run whose process has died.
    let mut room = world.home.room("lab").unwrap();
    let envelope = request(&room, "weather", "succeed");
    struct Die;
    impl RunObserver for Die {
        fn admit(&mut self, _: &RunId) -> Result<(), ReasonCode> {
            panic!("the thread of this run ends");
        }
    }
    let settings = world.settings.clone();
    std::thread::spawn(move || drop(room.run(&settings, &envelope, &mut Die))).join().unwrap_err();

    let mut opened = BTreeMap::new();
    let left = world
        .home
        .recover_all(&mut |room| {
            let ended: Vec<_> = room.state().runs().map(|run| run.status().clone()).collect();
            opened.insert(*room.id(), ended);
        })
        .unwrap();
    let names: Vec<_> = left.iter().map(|room| room.directory.clone()).collect();
    assert_eq!(names, [damaged.0.to_hex(), "thesis".into()].map(String::from).to_vec());
    assert_eq!(opened.remove(&whole), Some(Vec::new()));
    let refused = RunStatus::Refused { reason: ReasonCode::HostRestarted };
    assert_eq!(opened.into_values().collect::<Vec<_>>(), [[refused]]);
}

#[test]
fn a_room_is_opened_by_its_id_alone() {
    let world = World::ready(&Wishes::default());
    let id = *world.room().id();
    assert_eq!(world.home.room_by_id(&id).unwrap().id(), &id);
    let none = RoomId(Blake3Digest::of(b"none"));
    let error = world.home.room_by_id(&none).err().unwrap();
    assert_eq!(error.reason(), ReasonCode::NotFound);
}

#[test]
fn a_log_is_read_in_pages_and_tells_when_it_grows() {
    let world = World::ready(&Wishes::default());
    let mut room = world.room();
    let all: Vec<Envelope> =
        room.entries().unwrap().into_iter().map(|entry| entry.envelope).collect();
    let size = room.state().statements();
    let check = |from: u64, limit: usize, expect: &[Envelope]| {
        assert_eq!(room.entries_from(from, limit).unwrap(), expect, "{limit} from {from}");
    };
    check(0, usize::MAX, &all);
    check(0, 1, &all[..1]);
    check(2, 2, &all[2..4]);
    check(size - 1, 5, &all[all.len() - 1..]);
    check(size, 5, &[]);
    check(u64::MAX, 5, &[]);
    check(0, 0, &[]);
    assert_eq!(room.log_size_on_disk().unwrap(), size);
    world.run("succeed").unwrap();
    assert_eq!(room.log_size_on_disk().unwrap(), size + 3);
    // What the value does not know yet it does not hand out.
    assert_eq!(room.entries_from(0, usize::MAX).unwrap(), all);
    room.refresh().unwrap();
    assert_eq!(room.entries_from(size, 9).unwrap().len(), 3);
}

#[test]
fn a_hidden_component_is_for_its_owner_alone() {
    let world = World::ready(&Wishes::default());
    let visible = FakeComponent::new("delays").to_bytes();
    let mut fake = FakeComponent::new("hidden");
    fake.source_paths.clear();
    let hidden = fake.to_bytes();
    let mut room = world.room();
    let Body::Asset(AssetStatement::Notebook(asset)) = notebook_asset(&hidden, &["weather"]) else {
        unreachable!()
    };
    let asset = NotebookAsset { hidden: true, ..*asset };
    let body = Body::Asset(AssetStatement::Notebook(Box::new(asset)));
    let envelope = sign(&room, "airline", body);
    room.add_notebook(&world.settings, &envelope, &hidden).unwrap();
    let check = |reader: &str, component: &[u8], expect: Result<(), ReasonCode>| {
        let found = room.component_for(&reader.parse().unwrap(), &Blake3Digest::of(component));
        if let Ok(bytes) = &found {
            assert_eq!(bytes, component);
        }
        assert_eq!(found.map(drop).map_err(|error| error.reason()), expect, "{reader}");
    };
    check("airline", &visible, Ok(()));
    check("weather", &visible, Ok(()));
    check("mallory", &visible, Err(ReasonCode::NotFound));
    check("airline", &hidden, Ok(()));
    check("weather", &hidden, Err(ReasonCode::NotPermitted));
    check("mallory", &hidden, Err(ReasonCode::NotFound));
    check("airline", b"none", Err(ReasonCode::NotFound));
    // Kept on this host, but of no room.
    let stray = world.home.path().join("components");
    let name = format!("{}.wasm", Blake3Digest::of(b"stray").to_hex());
    fs::write(stray.join(name), b"stray").unwrap();
    check("airline", b"stray", Err(ReasonCode::NotFound));
}

#[test]
fn the_host_opens_published_outputs_until_they_expire() {
    let world = World::ready(&Wishes::default());
    let ended = world.run("succeed").unwrap();
    let failed = world.run("guest-error").unwrap().run;
    let (mut room, output) = (world.room(), "summary".parse().unwrap());
    let before = room.state().statements();
    let opened = room.published_output(&ended.run, &output).unwrap();
    let content = std::io::read_to_string(&opened.file).unwrap();
    assert_eq!(content, format!("output of {}", ended.receipt.computation));
    let path = room.output_path(&ended.run, &output).unwrap();
    assert_eq!(fs::read_to_string(path).unwrap(), content);
    assert_eq!(room.state().statements(), before, "nothing is logged");
    let none = "none".parse().unwrap();
    for (run, output) in [(&ended.run, &none), (&failed, &output)] {
        let error = room.published_output(run, output).unwrap_err();
        assert_eq!(error.reason(), ReasonCode::NotFound);
        let error = room.output_path(run, output).unwrap_err();
        assert_eq!(error.reason(), ReasonCode::NotFound);
    }
    room.sweep_expired().unwrap();
    assert_eq!(room.state().statements(), before, "nothing has expired");

    world.clock.set(START + 31 * DAY);
    let error = room.published_output(&ended.run, &output).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::NotFound, "also before it is swept");
    room.sweep_expired().unwrap();
    assert_eq!(last_entries(&room, 1), ["delete"]);
    let outputs = world.room_directory().join("outputs");
    assert_eq!(fs::read_dir(outputs).unwrap().count(), 0);
    room.sweep_expired().unwrap();
    assert_eq!(room.state().statements(), before + 1);
}

#[test]
fn reads_of_shares_are_logged_when_they_are_granted() {
    let world = World::ready(&Wishes::default());
    let read = |output: &str| SharedRead {
        owner: "weather".parse().unwrap(),
        recipient: "acme".parse().unwrap(),
        share: "results".parse().unwrap(),
        version: 0,
        what: format!("delays.{output}"),
    };
    let mut room = world.room();
    let before = room.state().statements();
    let error = room.record_shared_read(read("summary")).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::NotFound, "{error}");
    assert_eq!(world.room().state().statements(), before, "what was not granted leaves no trace");

    let recipient = Share::Recipient(Recipient {
        expires: START + DAY,
        name: "acme".parse().unwrap(),
        previous_until: None,
        token: Sha256Digest::of(b"token"),
    });
    let output = Some("summary".parse().unwrap());
    let grant = Share::Grant(Grant {
        recipient: "acme".parse().unwrap(),
        share: "results".parse().unwrap(),
        until: None,
        what: Shared::Output { notebook: "delays".parse().unwrap(), output },
    });
    for share in [recipient, grant] {
        room.submit(&sign(&room, "weather", Body::Share(share))).unwrap();
    }
    world.run("succeed").unwrap();
    room.record_shared_read(read("summary")).unwrap();
    assert_eq!(last_entries(&world.room(), 2), ["run-receipt", "shared-read"]);
    assert!(room.record_shared_read(read("other")).is_err());
    world.clock.set(START + 2 * DAY);
    assert!(room.record_shared_read(read("summary")).is_err(), "the token has ended");
}

#[test]
fn secrets_of_a_home_differ_by_purpose_and_by_host() {
    let world = World::ready(&Wishes::default());
    let secret = world.home.derive_secret("glovebox test one");
    assert_eq!(world.room_home().derive_secret("glovebox test one"), secret);
    assert_ne!(world.home.derive_secret("glovebox test two"), secret);
    let other = World::ready(&Wishes::default());
    assert_ne!(other.home.derive_secret("glovebox test one"), secret);
}
