use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use glovebox_contract::digest::ContentDigest;

use super::*;

struct NoCache;

impl DigestCache for NoCache {
    fn get(&self, _: &FileIdentity) -> Option<ContentDigest> {
        None
    }

    fn put(&self, _: &FileIdentity, _: &ContentDigest) {}
}

/// A volume of two files, one in a directory.
fn volume() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(folder.path().join("sub/weights"), "0123").unwrap();
    fs::write(folder.path().join("readme"), "read me").unwrap();
    folder
}

fn pinned() -> BTreeMap<String, FileDigest> {
    let pin = |text: &str| FileDigest {
        bytes: text.len() as u64,
        digest: ContentDigest::of(text.as_bytes()),
    };
    BTreeMap::from([("sub/weights".into(), pin("0123")), ("readme".into(), pin("read me"))])
}

fn open_at(path: &Path) -> Result<OpenedVolume> {
    OpenedVolume::open(&"acme.model".parse().unwrap(), path, &pinned(), &NoCache, None, &mut |_| {
        Ok(())
    })
}

#[test]
fn what_is_opened_is_what_was_pinned() {
    let check = |change: fn(&Path), expect: &str| {
        let folder = volume();
        change(folder.path());
        let reason = open_at(folder.path()).err().map_or("ok", |error| error.reason().as_str());
        assert_eq!(reason, expect);
    };
    check(|_| {}, "ok");
    check(|path| fs::write(path.join("more"), "").unwrap(), "ok");
    check(|path| fs::write(path.join("readme"), "read ME").unwrap(), "volume-changed");
    check(|path| fs::write(path.join("readme"), "read me!").unwrap(), "volume-changed");
    check(|path| fs::remove_file(path.join("readme")).unwrap(), "volume-changed");
    check(|path| fs::remove_dir_all(path.join("sub")).unwrap(), "volume-changed");
    check(
        |path| {
            fs::rename(path.join("readme"), path.join("moved")).unwrap();
            symlink("moved", path.join("readme")).unwrap();
        },
        "volume-changed",
    );
    check(
        |path| {
            fs::rename(path.join("sub"), path.join("moved")).unwrap();
            symlink("moved", path.join("sub")).unwrap();
        },
        "volume-changed",
    );
    check(|path| fs::remove_dir_all(path).unwrap(), "input-unreadable");
}

#[test]
fn what_changes_while_it_is_open_shows() {
    let check = |change: fn(&Path), expect: &str| {
        let folder = volume();
        let opened = open_at(folder.path()).unwrap();
        // A write within one tick of the file system's clock would have the same time stamp.
        std::thread::sleep(Duration::from_millis(20));
        change(folder.path());
        let unchanged = opened.check_unchanged(&"acme.model".parse().unwrap());
        assert_eq!(unchanged.err().map_or("ok", |error| error.reason().as_str()), expect);
    };
    check(|path| drop(fs::read(path.join("readme")).unwrap()), "ok");
    check(|path| fs::write(path.join("readme"), "read ME").unwrap(), "volume-changed");
    check(|path| fs::remove_file(path.join("sub/weights")).unwrap(), "volume-changed");
    check(
        |path| {
            // The very same bytes in another file.
            fs::write(path.join("new"), "0123").unwrap();
            fs::rename(path.join("new"), path.join("sub/weights")).unwrap();
        },
        "volume-changed",
    );
    check(
        |path| {
            fs::rename(path.join("sub"), path.join("moved")).unwrap();
            symlink("moved", path.join("sub")).unwrap();
        },
        "volume-changed",
    );
}

#[test]
fn only_regular_files_below_the_directory_are_listed() {
    let folder = volume();
    fs::write(folder.path().join(".hidden"), "").unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    let listed = |path: &Path| Root::open(path).and_then(|root| root.list());
    assert_eq!(listed(folder.path()).unwrap(), ["readme", "sub/weights"]);
    assert_eq!(listed(&folder.path().join("readme")).unwrap(), ["readme"]);
    let root = Root::open(folder.path()).unwrap();
    for path in ["..", "../x", "sub/../readme", "/etc/passwd", "sub", "", "sub/"] {
        assert!(root.open_file(path).is_err(), "{path}");
    }
    symlink("readme", folder.path().join("link")).unwrap();
    assert!(listed(folder.path()).unwrap_err().to_string().contains("`link` is a symbolic link"));
}
