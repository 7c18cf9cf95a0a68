//! Who may read outputs, how long, and what happens when they were touched.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::{Body, Delete, OutputReaders};

use crate::world::{DAY, START, Wishes, World, last_entries, last_refusal, read, sign};

#[test]
fn outputs_are_for_the_runner_or_for_all() {
    let check = |output_readers: OutputReaders, reader: &str, expect: Result<(), ReasonCode>| {
        let world = World::ready(&Wishes { output_readers, ..Wishes::default() });
        let run = world.run("succeed").unwrap().run;
        let mut room = world.room();
        let found = read(&mut room, reader, &run).map(drop).map_err(|error| error.reason());
        assert_eq!(found, expect);
        let readable = room.readable_outputs(&run, &reader.parse().unwrap());
        assert_eq!(readable.map(drop).map_err(|error| error.reason()), expect);
        if let Err(reason) = expect {
            assert_eq!(last_refusal(&room), (reason, Some(reader.into())));
        }
    };
    check(OutputReaders::Runner, "weather", Ok(()));
    check(OutputReaders::Runner, "airline", Err(ReasonCode::NotPermitted));
    check(OutputReaders::All, "airline", Ok(()));
}

#[test]
fn outputs_expire() {
    let check = |days: u64, expect: bool| {
        let world = World::ready(&Wishes::default());
        let run = world.run("succeed").unwrap().run;
        let mut early = world.room();
        world.clock.set(START + days * DAY);
        // A room that was opened before they expired does not hand them out after.
        assert_eq!(read(&mut early, "weather", &run).is_ok(), expect);
        let mut room = world.room();
        let path = world.room_directory().join(format!("outputs/{run}"));
        assert_eq!(path.exists(), expect);
        match read(&mut room, "weather", &run) {
            Ok(_) => assert!(expect),
            Err(error) => {
                assert!(!expect);
                assert_eq!(error.reason(), ReasonCode::NotFound);
                assert!(error.to_string().contains("expired"), "{error}");
                assert_eq!(last_entries(&room, 3), ["refused", "delete", "refused"]);
            }
        }
        let statements = room.state().statements();
        assert_eq!(world.room().state().statements(), statements, "opening again does nothing");
    };
    check(29, true);
    check(30, false);
    check(3000, false);
}

#[test]
fn what_a_run_said_is_forgotten_when_its_outputs_would_expire() {
    let check = |days: u64, expect: bool| {
        let world = World::ready(&Wishes::default());
        let failed = world.run("guest-error").unwrap().run;
        let logged = world.run("log").unwrap().run;
        world.clock.set(START + days * DAY);
        let room = world.room();
        let text = |run| room.run_text(run, &"airline".parse().unwrap()).unwrap();
        assert_eq!(text(&failed).detail.is_some(), expect);
        assert_eq!(text(&logged).log.len(), if expect { 2 } else { 0 });
    };
    check(29, true);
    check(30, false);
}

#[test]
fn a_backdated_read_does_not_bring_expired_outputs_back() {
    let world = World::ready(&Wishes::default());
    let run = world.run("succeed").unwrap().run;
    let mut room = world.room();
    let body = Body::OutputRead(glovebox_contract::statement::OutputRead {
        output: "summary".parse().unwrap(),
        run,
    });
    let signed_in_time = sign(&room, "weather", body);
    world.clock.set(START + 31 * DAY);
    assert_eq!(room.read_output(&signed_in_time).unwrap_err().reason(), ReasonCode::NotFound);
}

#[test]
fn the_runner_may_delete_outputs_early() {
    let world = World::ready(&Wishes::default());
    let run = world.run("succeed").unwrap().run;
    let mut room = world.room();
    let path = world.room_directory().join(format!("outputs/{run}"));
    let delete = |room: &glovebox_room::Room, alias| {
        sign(room, alias, Body::Delete(Delete::Outputs { run }))
    };
    let by_other = delete(&room, "airline");
    assert_eq!(room.submit(&by_other).unwrap_err().reason(), ReasonCode::NotPermitted);
    assert!(path.exists());
    let by_runner = delete(&room, "weather");
    room.submit(&by_runner).unwrap();
    assert!(!path.exists());
    assert_eq!(read(&mut room, "weather", &run).unwrap_err().reason(), ReasonCode::NotFound);
}

#[test]
fn an_output_that_was_touched_is_not_handed_out() {
    let check = |content: &[u8]| {
        let world = World::ready(&Wishes::default());
        let run = world.run("succeed").unwrap().run;
        let path = world.room_directory().join(format!("outputs/{run}/summary.parquet"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, content).unwrap();
        let error = read(&mut world.room(), "weather", &run).unwrap_err();
        assert!(error.to_string().contains("is damaged on this host"), "{error}");
    };
    check(b"");
    check(b"other content");
}

#[test]
fn a_lost_output_is_an_error_and_not_an_empty_table() {
    let world = World::ready(&Wishes::default());
    let run = world.run("succeed").unwrap().run;
    fs::remove_dir_all(world.room_directory().join(format!("outputs/{run}"))).unwrap();
    let error = read(&mut world.room(), "weather", &run).unwrap_err();
    assert!(error.to_string().contains("is missing on this host"), "{error}");
}
