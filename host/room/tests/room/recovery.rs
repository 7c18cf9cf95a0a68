//! `kill -9` at every step of a run, then open again: the whole output with its receipt, or
//! neither.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::sync::Arc;

use glovebox_contract::bundle::{self, Expectations};
use glovebox_contract::statement::{Body, Delete};
use glovebox_room::crash::CrashPoint;
use nix::sys::signal::{Signal, kill};

use crate::world::{Wishes, World, outcome, read, sign};

const CRASH: &str = "GLOVEBOX_TEST_CRASH";
const PLACE: &str = "GLOVEBOX_TEST_PLACE";

/// Runs in a process of its own, started by the test below, and does not come back from it.
#[test]
fn host_that_is_killed() {
    let (Ok(point), Ok(place)) = (std::env::var(CRASH), std::env::var(PLACE)) else { return };
    let point: CrashPoint = point.parse().unwrap();
    let mut world = World::at(place.as_ref());
    world.settings.crash_hook = Some(Arc::new(move |passed| {
        if passed == point {
            kill(nix::unistd::getpid(), Signal::SIGKILL).unwrap();
        }
    }));
    drop(world.run("succeed"));
    panic!("the run passed {point} unharmed");
}

fn crash_at(world: &World, point: CrashPoint) {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "recovery::host_that_is_killed"])
        .env(CRASH, point.as_str())
        .env(PLACE, &world.path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&status.stdout);
    assert_eq!(status.status.signal(), Some(Signal::SIGKILL as i32), "{point}: {said}");
}

#[test]
fn a_killed_host_leaves_a_whole_output_with_its_receipt_or_neither() {
    let check = |point: CrashPoint, expect: Option<&str>| {
        let world = World::ready(&Wishes::default());
        crash_at(&world, point);
        let mut room = world.room();
        let run = room.state().runs().next().cloned();
        let found = run.as_ref().map(|run| match (run.receipt(), run.status()) {
            (Some(receipt), _) => receipt.outcome.to_string(),
            (None, glovebox_contract::state::RunStatus::Refused { reason }) => {
                format!("refused: {reason}")
            }
            (None, status) => format!("{status:?}"),
        });
        assert_eq!(found.as_deref(), expect, "{point}");
        let directory = world.room_directory();
        let staged = fs::read_dir(directory.join("staging")).unwrap().count();
        let published = fs::read_dir(directory.join("outputs")).unwrap().count();
        let succeeded = usize::from(expect == Some("succeeded"));
        assert_eq!((staged, published), (0, succeeded), "{point}");
        if let Some(run) = run {
            assert_eq!(read(&mut room, "weather", run.id()).is_ok(), succeeded == 1, "{point}");
        }
        // Opening once more changes nothing, the log verifies, and the next run goes well.
        let statements = room.state().statements();
        drop(room);
        let room = world.room();
        assert_eq!(room.state().statements(), statements, "{point}");
        let report = bundle::verify(&room.bundle().unwrap(), &Expectations::default()).unwrap();
        assert_eq!(report.entries(), statements, "{point}");
        assert_eq!(outcome(&world.run("succeed")), "succeeded", "{point}");
    };
    for point in CrashPoint::ALL {
        let expect = match point {
            CrashPoint::StagingMade => None,
            CrashPoint::RequestLogged => Some("refused: host-restarted"),
            CrashPoint::StartLogged | CrashPoint::WorkerFinished | CrashPoint::OutputsSynced => {
                Some("failed: host-restarted")
            }
            CrashPoint::ReceiptLogged | CrashPoint::OutputsRenamed | CrashPoint::Published => {
                Some("succeeded")
            }
            other => panic!("{other} has no expectation"),
        };
        check(*point, expect);
    }
}

#[test]
fn outputs_without_a_receipt_are_removed() {
    let world = World::ready(&Wishes::default());
    let stray = world.room_directory().join("outputs/00112233445566778899aabbccddeeff");
    fs::create_dir(&stray).unwrap();
    fs::write(stray.join("summary.parquet"), "from nowhere").unwrap();
    drop(world.room());
    assert!(!stray.exists());
}

#[test]
fn things_in_staging_that_no_run_made_are_swept() {
    let world = World::ready(&Wishes::default());
    let staging = world.room_directory().join("staging");
    fs::write(staging.join("file"), "").unwrap();
    fs::create_dir(staging.join("directory")).unwrap();
    std::os::unix::fs::symlink("/etc", staging.join("link")).unwrap();
    drop(world.room());
    assert_eq!(fs::read_dir(&staging).unwrap().count(), 0);
    assert!(std::path::Path::new("/etc/passwd").exists());
}

#[test]
fn a_delete_cut_short_is_finished() {
    let world = World::ready(&Wishes::default());
    let run = world.run("succeed").unwrap().run;
    let mut room = world.room();
    let directory = world.room_directory().join(format!("outputs/{run}"));
    let saved = world.path.join("saved");
    fs::rename(&directory, &saved).unwrap();
    let envelope = sign(&room, "weather", Body::Delete(Delete::Outputs { run }));
    room.submit(&envelope).unwrap();
    fs::rename(&saved, &directory).unwrap();
    drop(world.room());
    assert!(!directory.exists());
}
