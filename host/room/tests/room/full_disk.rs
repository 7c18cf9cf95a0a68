//! A home on a disk that fills up.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::reason::ReasonCode;
use glovebox_room::run::RunObserver;
use nix::mount::{MsFlags, mount};

use crate::uploaded::{add, kept, rows, upload};
use crate::world::{Wishes, World, key, last_entries, outcome};

const PLACE: &str = "GLOVEBOX_TEST_FULL_DISK";
const PASSED: i32 = 77;

/// A file that takes all the space that is left, until it is dropped.
struct Filler(PathBuf);

impl Filler {
    fn fill(disk: &Path) -> Self {
        let path = disk.join("filler");
        let mut file = fs::File::create(&path).unwrap();
        for block in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![0; block]).is_ok() {}
        }
        Self(path)
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

struct FillDuring<'a>(&'a Path, Option<Filler>);

impl RunObserver for FillDuring<'_> {
    fn progress(&mut self, _: u64, _: Option<u64>) {
        self.1 = Some(Filler::fill(self.0));
    }
}

fn check_full_before_the_run(world: &World) {
    let statements = world.room().state().statements();
    let filler = Filler::fill(&world.path);
    assert_eq!(outcome(&world.run("succeed")), "refused storage-full");
    assert_eq!(world.room().state().statements(), statements, "still readable");
    drop(filler);
    assert_eq!(world.room().state().statements(), statements);
    assert_eq!(outcome(&world.run("succeed")), "succeeded");
}

/// The outputs are written, but there is no room for the receipt.
fn check_full_at_the_end(world: &World) {
    let mut observer = FillDuring(&world.path, None);
    let error = world.run_watched("progress", &mut observer).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::StorageFull, "{error}");
    let room = world.room();
    assert_eq!(last_entries(&room, 1), ["run-start"], "readable, and the run is open still");
    drop(observer);
    let room = world.room();
    let run = room.state().runs().next_back().unwrap();
    assert_eq!(run.receipt().unwrap().outcome.to_string(), "failed: host-restarted");
    let outputs = world.room_directory().join("outputs");
    assert!(!outputs.join(run.id().to_string()).exists());
    assert_eq!(outcome(&world.run("succeed")), "succeeded");
}

/// The run itself fills the disk: its files go first, so that its receipt has room.
fn check_filled_by_the_run(world: &World) {
    assert_eq!(outcome(&world.run("fill")), "failed storage-full");
    assert_eq!(outcome(&world.run("succeed")), "succeeded");
}

/// An upload that found the disk full goes on when there is space again.
fn check_full_during_an_upload(world: &World) {
    let uploads = world.home.uploads().unwrap();
    let content: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let (digest, length) = (Blake3Digest::of(&content), content.len() as u64);
    let airline = key("airline").public();
    let append = |offset: u64, end: usize| {
        let piece = &content[usize::try_from(offset).unwrap()..end];
        uploads.append(&airline, &digest, offset, length, piece)
    };
    append(0, 5000).unwrap();
    let filler = Filler::fill(&world.path);
    let error = append(5000, content.len()).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::StorageFull, "{error}");
    drop(filler);
    let offset = uploads.status(&airline, &digest).unwrap().unwrap().offset;
    assert!((5000..length).contains(&offset), "{offset}");
    assert!(append(offset, content.len()).unwrap().is_whole());
    uploads.remove(&airline, &digest).unwrap();
}

/// Uploads on another disk than the rooms cannot be linked: they are copied.
fn check_uploads_elsewhere(world: &World) {
    let place = world.home.path().join("uploads");
    let size = Some("size=4m");
    mount(Some("tmpfs"), &place, Some("tmpfs"), MsFlags::empty(), size).unwrap();
    let flights = upload(world, "airline", "origin,delay\n1,2\n");
    add(world, "airline.flights", &rows(&[("a.csv", flights)])).unwrap();
    assert_eq!(kept(world, "airline").len(), 1);
    assert_eq!(outcome(&world.run("succeed")), "succeeded");
}

/// Runs in a process with a mount namespace of its own, started by the test below.
#[test]
fn home_on_a_small_disk() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let place = Path::new(&place);
    let size = Some("size=4m");
    mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::empty(), size).unwrap();
    let world = World::ready_at(place, &Wishes::default());
    check_full_before_the_run(&world);
    check_full_at_the_end(&world);
    check_filled_by_the_run(&world);
    check_full_during_an_upload(&world);
    check_uploads_elsewhere(&world);
    // A code that the harness does not use: the test below cannot take a skipped test for success.
    std::process::exit(PASSED);
}

#[test]
fn a_full_disk_loses_nothing_and_shows_nothing_half_done() {
    let place = tempfile::tempdir().unwrap();
    let run = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "full_disk::home_on_a_small_disk", "--nocapture"])
        .env(PLACE, place.path())
        .output()
        .expect("this test needs `unshare` of util-linux");
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(PASSED), "{said}");
}
