use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use super::*;

/// Files by path, each with its content.
type Tree = &'static [(&'static str, &'static str)];

fn plant(tree: Tree) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in tree {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    root
}

fn table() -> TableName {
    "airline.flights".parse().unwrap()
}

fn names(source: &OpenedSource) -> Vec<String> {
    source.files.iter().map(|file| file.name.display().to_string()).collect()
}

#[test]
fn files_of_a_table() {
    let check = |tree: Tree, path: &str, expect: Result<(FileFormat, &[&str]), &str>| {
        let root = plant(tree);
        let opened = open(&table(), &root.path().join(path), None);
        match (opened, expect) {
            (Ok(source), Ok((format, files))) => {
                assert_eq!(
                    (source.format, names(&source)),
                    (format, files.iter().map(|name| (*name).to_owned()).collect())
                );
            }
            (Err(error), Err(text)) => {
                assert_eq!(error.reason(), ReasonCode::InputUnreadable, "{error}");
                assert!(error.to_string().contains(text), "`{error}` does not say `{text}`");
                // What others may see names the table and no file.
                assert_eq!(
                    error.what(),
                    "table airline.flights: its files on this host cannot be read"
                );
            }
            (opened, expect) => panic!("{path}: {opened:?}, expected {expect:?}"),
        }
    };
    let one: Tree = &[("a.csv", "x\n1\n")];
    check(one, "a.csv", Ok((FileFormat::Csv, &["a.csv"])));
    check(one, "", Ok((FileFormat::Csv, &["a.csv"])));
    check(one, "b.csv", Err("No such file"));
    check(
        &[("B.PARQUET", ""), ("a.parquet", "")],
        "",
        Ok((FileFormat::Parquet, &["B.PARQUET", "a.parquet"])),
    );
    check(
        &[("b.jsonl", ""), ("a.ndjson", "")],
        "",
        Ok((FileFormat::Ndjson, &["a.ndjson", "b.jsonl"])),
    );
    check(
        &[("a.feather", ""), ("b.arrow", "")],
        "",
        Ok((FileFormat::ArrowIpc, &["a.feather", "b.arrow"])),
    );
    check(
        &[("a.csv", ""), (".hidden", ""), ("_SUCCESS", "")],
        "",
        Ok((FileFormat::Csv, &["a.csv"])),
    );
    check(&[(".hidden", "")], "", Err("holds 0 files"));
    check(&[("a.csv", ""), ("b.parquet", "")], "", Err("`b.parquet` has another format"));
    check(&[("a.csv", ""), ("README", "")], "", Err("`README` has no known extension"));
    check(&[("a.csv.gz", "")], "", Err("`a.csv.gz` has no known extension"));
    check(&[("a.csv", ""), ("more/b.csv", "")], "", Err("`more` is a directory"));
}

#[test]
fn a_link_out_of_the_directory_is_not_followed() {
    let root = plant(&[("secret/key.csv", "s"), ("data/a.csv", "a")]);
    symlink("a.csv", root.path().join("data/inside.csv")).unwrap();
    assert_eq!(
        names(&open(&table(), &root.path().join("data"), None).unwrap()),
        ["a.csv", "inside.csv"]
    );
    for target in ["../secret/key.csv", root.path().join("secret/key.csv").to_str().unwrap()] {
        symlink(target, root.path().join("data/outside.csv")).unwrap();
        let error = open(&table(), &root.path().join("data"), None).unwrap_err();
        assert_eq!(error.reason(), ReasonCode::InputUnreadable);
        fs::remove_file(root.path().join("data/outside.csv")).unwrap();
    }
}

#[test]
fn a_named_pipe_is_refused_without_waiting_for_its_writer() {
    let root = plant(&[]);
    nix::unistd::mkfifo(&root.path().join("a.csv"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let error = open(&table(), root.path(), None).unwrap_err();
    assert!(error.to_string().contains("not a regular file"), "{error}");
}

#[test]
fn what_changes_during_a_run_is_noticed() {
    let check = |change: fn(&Path), expect: Result<(), &str>| {
        let root = plant(&[("a.csv", "aaaa"), ("b.csv", "bbbb")]);
        let source = open(&table(), root.path(), None).unwrap();
        // A write within one tick of the file system's clock would have the same time stamp.
        std::thread::sleep(Duration::from_millis(20));
        change(root.path());
        let found = source.check_unchanged();
        match (&found, expect) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(text)) if error.to_string().contains(text) => {
                assert_eq!(error.reason(), ReasonCode::InputChanged);
            }
            _ => panic!("{found:?}, expected {expect:?}"),
        }
    };
    check(|_| {}, Ok(()));
    check(|root| drop(fs::read(root.join("a.csv"))), Ok(()));
    check(|root| fs::write(root.join("_note"), "").unwrap(), Ok(()));
    check(|root| fs::write(root.join("c.csv"), "").unwrap(), Err("added or removed"));
    check(|root| fs::remove_file(root.join("b.csv")).unwrap(), Err("added or removed"));
    check(
        |root| fs::rename(root.join("b.csv"), root.join("c.csv")).unwrap(),
        Err("added or removed"),
    );
    check(|root| fs::write(root.join("a.csv"), "more than before").unwrap(), Err("changed"));
    check(|root| fs::write(root.join("a.csv"), "same").unwrap(), Err("changed"));
    check(
        |root| {
            fs::write(root.join("_new"), "same").unwrap();
            fs::rename(root.join("_new"), root.join("a.csv")).unwrap();
        },
        Err("changed"),
    );
    check(
        |root| {
            // Even with its old content and time stamp back in place.
            let path = root.join("a.csv");
            let modified = fs::metadata(&path).unwrap().modified().unwrap();
            fs::write(&path, "evil").unwrap();
            fs::write(&path, "aaaa").unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        },
        Err("changed"),
    );
}

#[derive(Default)]
struct CountingCache {
    known: std::cell::RefCell<Vec<(FileIdentity, ContentDigest)>>,
    hits: std::cell::Cell<usize>,
}

impl DigestCache for CountingCache {
    fn get(&self, file: &FileIdentity) -> Option<ContentDigest> {
        let found =
            self.known.borrow().iter().find(|(known, _)| known == file).map(|known| known.1);
        self.hits.set(self.hits.get() + usize::from(found.is_some()));
        found
    }

    fn put(&self, file: &FileIdentity, digest: &ContentDigest) {
        self.known.borrow_mut().push((*file, *digest));
    }
}

#[test]
fn digests_are_remembered_only_for_files_left_alone() {
    let root = plant(&[("a.csv", "aaaa")]);
    let cache = CountingCache::default();
    let digest = |expect_hits| {
        let opened = open(&table(), root.path(), None).unwrap();
        let digests = opened.digests(&table(), &cache, &mut |_| Ok(())).unwrap();
        assert_eq!(cache.hits.get(), expect_hits);
        digests
    };
    assert_eq!(digest(0), [(ContentDigest::of(b"aaaa"), 4)]);
    assert_eq!(digest(0), [(ContentDigest::of(b"aaaa"), 4)], "too young to be remembered");
    std::thread::sleep(SETTLED + Duration::from_millis(100));
    digest(0);
    assert_eq!(digest(1), [(ContentDigest::of(b"aaaa"), 4)]);
    fs::write(root.path().join("a.csv"), "bbbb").unwrap();
    assert_eq!(digest(1), [(ContentDigest::of(b"bbbb"), 4)]);
}
