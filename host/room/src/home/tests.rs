use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_new_home_is_private_and_keeps_its_key() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a/b/home");
    let key = Home::open_or_create(&path).unwrap().host_key();
    assert_eq!(Home::open(&path).unwrap().host_key(), key);
    assert_eq!(Home::open_or_create(&path).unwrap().host_key(), key);
    assert_eq!(fs::read_to_string(path.join("version")).unwrap(), "glovebox-home 1\n");
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&path.join("host.key")), 0o600);
    for directory in DIRECTORIES {
        assert_eq!(mode(&path.join(directory)), 0o700, "{directory}");
    }
}

#[test]
fn what_is_no_home_is_left_alone() {
    let check = |prepare: fn(&Path), opened: &str, created: Option<&str>| {
        let root = tempfile::tempdir().unwrap();
        prepare(root.path());
        let error = Home::open(root.path()).err().map(|error| error.to_string()).unwrap();
        assert!(error.contains(opened), "`{error}` does not say `{opened}`");
        let error = Home::open_or_create(root.path()).err().map(|error| error.to_string());
        match (error, created) {
            (None, None) => {}
            (Some(error), Some(text)) if error.contains(text) => {}
            (error, created) => panic!("{error:?}, expected {created:?}"),
        }
    };
    check(|_| {}, "has no version file", None);
    check(
        |path| fs::write(path.join("thesis.txt"), "").unwrap(),
        "has no version file",
        Some("not a glovebox home and not empty: it holds `thesis.txt`"),
    );
    // Creation was cut short: it is finished, with the key that is there.
    check(
        |path| {
            drop(Home::open_or_create(path).unwrap());
            fs::remove_file(path.join("version")).unwrap();
            fs::remove_dir(path.join("cache")).unwrap();
        },
        "has no version file",
        None,
    );
    check(
        |path| {
            drop(Home::open_or_create(path).unwrap());
            fs::write(path.join("version"), "glovebox-home 2\n").unwrap();
        },
        "made by another version of glovebox: its version file says `glovebox-home 2`, this program reads `glovebox-home 1`",
        Some("made by another version"),
    );
    check(
        |path| {
            drop(Home::open_or_create(path).unwrap());
            fs::write(path.join("version"), "\u{1b}[31m").unwrap();
        },
        "says `\\u{1b}[31m`",
        Some("made by another version"),
    );
    check(
        |path| {
            drop(Home::open_or_create(path).unwrap());
            fs::write(path.join("host.key"), "not a key").unwrap();
        },
        "`host.key` is damaged",
        Some("`host.key` is damaged"),
    );
    check(
        |path| {
            drop(Home::open_or_create(path).unwrap());
            let open_to_all = fs::Permissions::from_mode(0o644);
            fs::set_permissions(path.join("host.key"), open_to_all).unwrap();
        },
        "`host.key` can be read by others",
        Some("`host.key` can be read by others"),
    );
}

#[test]
fn a_missing_home_is_an_error_and_is_not_made() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("none");
    assert!(Home::open(&path).is_err());
    assert!(!path.exists());
}

#[test]
fn changes_take_turns() {
    let root = tempfile::tempdir().unwrap();
    let home = Home::open_or_create(root.path()).unwrap();
    let other = Home::open(root.path()).unwrap();
    let counter = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for home in [&home, &other, &home, &other] {
            scope.spawn(|| {
                for _ in 0..20 {
                    let _lock = lock(&home.shared.directory).unwrap();
                    let seen = counter.load(std::sync::atomic::Ordering::SeqCst);
                    std::thread::yield_now();
                    counter.store(seen + 1, std::sync::atomic::Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(counter.into_inner(), 80);
}

#[test]
fn a_busy_home_says_so() {
    let root = tempfile::tempdir().unwrap();
    let home = Home::open_or_create(root.path()).unwrap();
    let held = lock(&home.shared.directory).unwrap();
    let directory = Dir::open_ambient_dir(root.path(), ambient_authority()).unwrap();
    let error = lock_within(&directory, Duration::from_millis(50)).err().unwrap();
    assert_eq!(error.reason(), ReasonCode::HomeBusy, "{error}");
    drop(held);
    lock_within(&directory, Duration::from_millis(50)).unwrap();
}

#[test]
fn unfinished_files_are_swept_when_they_are_old() {
    let root = tempfile::tempdir().unwrap();
    drop(Home::open_or_create(root.path()).unwrap());
    let check = |name: &str, hours: u64, expect: bool| {
        let path = root.path().join("cache").join(name);
        let file = fs::File::create(&path).unwrap();
        let hours = Duration::from_hours(hours);
        file.set_modified(std::time::SystemTime::now() - hours).unwrap();
        drop(Home::open(root.path()).unwrap());
        assert_eq!(path.exists(), expect, "{name} after {hours:?}");
    };
    check(".new-1-1", 0, true);
    check(".new-1-2", 23, true);
    check(".new-1-3", 25, false);
    check("kept.code", 1000, true);
}
