//! What can happen to a party's files, and to a component on the host's disk.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use glovebox_contract::reason::ReasonCode;
use glovebox_room::run::RunObserver;

use crate::world::{Wishes, World, last_refusal, outcome, read};

#[test]
fn a_run_does_not_start_without_its_files() {
    let check = |change: fn(&Path), expect: &str| {
        let world = World::ready(&Wishes::default());
        change(&world.path.join("airline.flights"));
        let ended = world.run("succeed");
        assert_eq!(outcome(&ended), expect);
        // The runner is another party: it learns which table, not where it is.
        let error = ended.unwrap_err();
        assert!(error.to_string().contains("airline.flights"), "{error}");
        assert!(!error.to_string().contains(world.path.to_str().unwrap()), "{error}");
        let room = world.room();
        assert_eq!(last_refusal(&room), (error.reason(), Some("weather".into())));
        let run = *room.state().runs().next().unwrap().id();
        let detail = room.operator_detail(&run).unwrap().unwrap();
        assert!(detail.contains(world.path.to_str().unwrap()), "{detail}");
    };
    check(|table| fs::remove_dir_all(table).unwrap(), "refused input-unreadable");
    check(
        |table| {
            fs::remove_file(table.join("a.csv")).unwrap();
            fs::remove_file(table.join("b.csv")).unwrap();
        },
        "refused input-unreadable",
    );
    check(
        |table| {
            fs::remove_file(table.join("a.csv")).unwrap();
            symlink("/etc/passwd", table.join("a.csv")).unwrap();
        },
        "refused input-unreadable",
    );
    check(|table| fs::create_dir(table.join("more")).unwrap(), "refused input-unreadable");
}

#[test]
fn tables_with_more_files_than_the_room_allows_are_not_read() {
    let check = |limits: fn(&mut glovebox_contract::limits::Limits), expect: &str| {
        let world = World::ready(&Wishes { limits, ..Wishes::default() });
        assert_eq!(outcome(&world.run("succeed")), expect);
    };
    check(|limits| limits.open_files = 6, "succeeded");
    check(|limits| limits.open_files = 5, "refused policy-limit");
}

#[test]
fn files_that_came_or_went_between_runs_are_simply_another_snapshot() {
    let world = World::ready(&Wishes::default());
    let first = world.run("succeed").unwrap();
    fs::write(world.path.join("airline.flights/c.csv"), "origin,delay\n").unwrap();
    let second = world.run("succeed").unwrap();
    let files = |ended: &glovebox_room::run::EndedRun| {
        ended.receipt.inputs[&"airline.flights".parse().unwrap()].files.len()
    };
    assert_eq!((files(&first), files(&second)), (2, 3));
    assert_ne!(first.receipt.computation, second.receipt.computation);
}

struct During<'a>(&'a dyn Fn());

impl RunObserver for During<'_> {
    fn progress(&mut self, _: u64, _: Option<u64>) {
        // A write within one tick of the file system's clock would have the same time stamp.
        std::thread::sleep(std::time::Duration::from_millis(20));
        (self.0)();
    }
}

#[test]
fn a_table_that_changes_during_the_run_fails_it() {
    let check = |change: fn(&Path), expect: &str| {
        let world = World::ready(&Wishes::default());
        let table = world.path.join("airline.flights");
        let ended = world.run_watched("progress", &mut During(&|| change(&table)));
        assert_eq!(outcome(&ended), expect);
        let published = fs::read_dir(world.room_directory().join("outputs")).unwrap().count();
        assert_eq!(published, usize::from(expect == "succeeded"));
    };
    check(|table| drop(fs::read(table.join("a.csv")).unwrap()), "succeeded");
    check(
        |table| fs::write(table.join("c.csv"), "origin,delay\n").unwrap(),
        "failed input-changed",
    );
    check(|table| fs::remove_file(table.join("b.csv")).unwrap(), "failed input-changed");
    // As long as before.
    check(
        |table| fs::write(table.join("b.csv"), "origin,DELAY\n").unwrap(),
        "failed input-changed",
    );
    check(
        |table| {
            fs::write(table.join("_new"), "origin,DELAY\n").unwrap();
            fs::rename(table.join("_new"), table.join("b.csv")).unwrap();
        },
        "failed input-changed",
    );
}

#[test]
fn a_table_with_unreadable_or_strange_files_is_not_added() {
    let check = |change: fn(&Path), reason: ReasonCode| {
        let world = World::ready(&Wishes::default());
        change(&world.path.join("airline.flights"));
        assert_eq!(world.add_table("airline.flights").unwrap_err().reason(), reason);
    };
    check(|table| fs::remove_dir_all(table).unwrap(), ReasonCode::InputUnreadable);
    check(|table| fs::write(table.join("c.xlsx"), "").unwrap(), ReasonCode::InputUnreadable);
    check(|table| fs::write(table.join("c.csv"), "other\n").unwrap(), ReasonCode::InputCorrupt);
    check(
        |table| {
            fs::remove_file(table.join("a.csv")).unwrap();
            symlink("../weather.hourly/a.csv", table.join("a.csv")).unwrap();
        },
        ReasonCode::InputUnreadable,
    );
}

/// The one file in a directory of the home whose name ends so.
fn only_file(world: &World, directory: &str, ending: &str) -> std::path::PathBuf {
    let entries = fs::read_dir(world.path.join("home").join(directory)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut found = paths.filter(|path| path.to_str().unwrap().ends_with(ending));
    let path = found.next().unwrap();
    assert!(found.next().is_none());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

#[test]
fn a_component_swapped_after_approval_does_not_run() {
    let check = |change: fn(&Path)| {
        let world = World::ready(&Wishes::default());
        change(&only_file(&world, "components", ".wasm"));
        let ended = world.run("succeed");
        assert_eq!(outcome(&ended), "refused component-mismatch");
        let expect = (ReasonCode::ComponentMismatch, Some("weather".to_owned()));
        assert_eq!(last_refusal(&world.room()), expect);
    };
    check(|path| fs::remove_file(path).unwrap());
    check(|path| fs::write(path, b"").unwrap());
    check(|path| {
        let mut bytes = fs::read(path).unwrap();
        bytes[10] ^= 1;
        fs::write(path, bytes).unwrap();
    });
    check(|path| fs::write(path, vec![0; 2 << 20]).unwrap());
}

#[test]
fn damaged_machine_code_is_compiled_again_and_never_loaded() {
    let check = |ending: &str, change: fn(&Path)| {
        let world = World::ready(&Wishes::default());
        let code = fs::read(only_file(&world, "cache", ".code")).unwrap();
        change(&only_file(&world, "cache", ending));
        // The fake worker fails a run whose machine code is not the component's.
        assert_eq!(outcome(&world.run("succeed")), "succeeded");
        assert_eq!(fs::read(only_file(&world, "cache", ".code")).unwrap(), code);
    };
    check(".code", |path| fs::write(path, b"\x90\x90\x90\x90").unwrap());
    check(".code", |path| fs::remove_file(path).unwrap());
    check(".digest", |path| fs::remove_file(path).unwrap());
    check(".digest", |path| fs::write(path, b"blake3:zz").unwrap());
}

#[test]
fn outputs_are_for_reading_only() {
    let world = World::ready(&Wishes::default());
    let run = world.run("succeed").unwrap().run;
    let path = world.room_directory().join(format!("outputs/{run}/summary.parquet"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o400);
    let mut room = world.room();
    assert!(read(&mut room, "weather", &run).is_ok());
}
