//! Uploads: pieces, quotas, writers at once, hosts that die.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use glovebox_contract::digest::{Blake3Digest, ContentDigest};
use glovebox_contract::key::PublicKey;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::FileDigest;
use glovebox_room::Home;
use glovebox_room::uploads::{Upload, UploadLimits, Uploads};

use crate::world::key;

const CONTENT: &[u8] = b"origin,delay\nJFK,12\n";
const LENGTH: u64 = CONTENT.len() as u64;

/// A home with no room, and its uploads.
struct Place {
    _root: tempfile::TempDir,
    home: Home,
    uploads: Uploads,
}

impl Place {
    fn new() -> Self {
        Self::with(UploadLimits::default())
    }

    fn with(limits: UploadLimits) -> Self {
        let root = tempfile::tempdir().unwrap();
        let home = Home::open_or_create(&root.path().join("home")).unwrap();
        let uploads = home.uploads_with(limits).unwrap();
        Self { _root: root, home, uploads }
    }

    fn area(&self, alias: &str) -> PathBuf {
        let key = key(alias).public().id().to_string();
        self.home.path().join("uploads").join(key)
    }

    fn names(&self, alias: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.area(alias)) else { return Vec::new() };
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn part(&self, alias: &str, content: &[u8]) -> PathBuf {
        let name = format!("{}.{}.part", Blake3Digest::of(content).to_hex(), content.len());
        self.area(alias).join(name)
    }
}

fn airline() -> PublicKey {
    key("airline").public()
}

fn file(content: &[u8]) -> FileDigest {
    FileDigest { bytes: content.len() as u64, digest: ContentDigest::of(content) }
}

fn upload(uploads: &Uploads, alias: &str, content: &[u8]) -> glovebox_room::error::Result<Upload> {
    let (key, digest) = (key(alias).public(), Blake3Digest::of(content));
    uploads.append(&key, &digest, 0, content.len() as u64, content)
}

#[test]
fn pieces_make_a_file_that_its_key_alone_can_see() {
    let place = Place::new();
    let (uploads, digest) = (&place.uploads, Blake3Digest::of(CONTENT));
    assert_eq!(uploads.status(&airline(), &digest).unwrap(), None);
    let mut offset = 0;
    for piece in CONTENT.chunks(7) {
        let at = uploads.append(&airline(), &digest, offset, LENGTH, piece).unwrap();
        offset += piece.len() as u64;
        assert_eq!(at, Upload { offset, length: LENGTH });
        assert_eq!(at.is_whole(), offset == LENGTH);
        assert_eq!(uploads.status(&airline(), &digest).unwrap(), Some(at));
        if !at.is_whole() {
            let error = uploads.open(&airline(), &file(CONTENT)).unwrap_err();
            assert_eq!(error.reason(), ReasonCode::UploadIncomplete, "{error}");
        }
    }
    assert_eq!(uploads.read(&airline(), &file(CONTENT), 100).unwrap(), CONTENT);
    let too_long = uploads.read(&airline(), &file(CONTENT), 3).unwrap_err();
    assert_eq!(too_long.reason(), ReasonCode::PolicyLimit);

    // Nobody else's.
    let weather = key("weather").public();
    assert_eq!(uploads.status(&weather, &digest).unwrap(), None);
    let error = uploads.open(&weather, &file(CONTENT)).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::UploadIncomplete, "as if it were nowhere");
    assert!(place.names("weather").is_empty());
    uploads.remove(&weather, &digest).unwrap();

    // Again, in one piece or in the middle: one file, and no harm.
    upload(uploads, "airline", CONTENT).unwrap();
    uploads.append(&airline(), &digest, 7, LENGTH, &CONTENT[7..]).unwrap();
    assert_eq!(place.names("airline"), [digest.to_hex()]);
    let mode = fs::metadata(place.area("airline").join(digest.to_hex())).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o400);
    uploads.remove(&airline(), &digest).unwrap();
    assert!(place.names("airline").is_empty());
}

#[test]
fn an_empty_file_is_a_file() {
    let place = Place::new();
    assert!(upload(&place.uploads, "airline", b"").unwrap().is_whole());
    assert_eq!(place.uploads.read(&airline(), &file(b""), 0).unwrap(), b"");
}

#[test]
fn a_piece_that_does_not_fit_is_refused_and_changes_nothing() {
    let place = Place::new();
    let (uploads, digest) = (&place.uploads, Blake3Digest::of(CONTENT));
    let check = |offset: u64, length: u64, piece: &[u8], expect: ReasonCode| {
        let before = uploads.status(&airline(), &digest).unwrap();
        let error = uploads.append(&airline(), &digest, offset, length, piece).unwrap_err();
        assert_eq!(error.reason(), expect, "{offset} of {length}: {error}");
        assert_eq!(uploads.status(&airline(), &digest).unwrap(), before);
    };
    // Nothing is there yet.
    check(1, LENGTH, b"r", ReasonCode::UploadIncomplete);
    check(LENGTH, LENGTH, b"", ReasonCode::UploadIncomplete);
    check(0, 3, b"origin", ReasonCode::Malformed);
    check(u64::MAX, u64::MAX, b"o", ReasonCode::Malformed);
    check(LENGTH + 1, LENGTH, b"", ReasonCode::Malformed);
    check(0, u64::MAX, b"", ReasonCode::PolicyLimit);
    uploads.append(&airline(), &digest, 0, LENGTH, &CONTENT[..7]).unwrap();
    check(0, LENGTH, CONTENT, ReasonCode::UploadIncomplete);
    check(6, LENGTH, &CONTENT[6..], ReasonCode::UploadIncomplete);
    check(8, LENGTH, &CONTENT[8..], ReasonCode::UploadIncomplete);
    check(7, LENGTH + 1, &CONTENT[7..], ReasonCode::UploadIncomplete);
    check(7, LENGTH, &[CONTENT, b"more"].concat(), ReasonCode::Malformed);
    uploads.append(&airline(), &digest, 7, LENGTH, &CONTENT[7..]).unwrap();
    check(0, LENGTH + 1, CONTENT, ReasonCode::UploadMismatch);
}

#[test]
fn bytes_that_do_not_have_the_digest_are_dropped() {
    let place = Place::new();
    let (uploads, digest) = (&place.uploads, Blake3Digest::of(CONTENT));
    let check = |length: u64, content: &[u8]| {
        let half = content.len() / 2;
        let (first, second) = content.split_at(half);
        uploads.append(&airline(), &digest, 0, length, first).unwrap();
        let error = uploads.append(&airline(), &digest, half as u64, length, second).unwrap_err();
        assert_eq!(error.reason(), ReasonCode::UploadMismatch, "{error}");
        assert!(place.names("airline").is_empty());
    };
    check(LENGTH, b"origin,delay\nJFK,13\n");
    check(LENGTH - 1, &CONTENT[1..]);
    check(LENGTH + 1, &[CONTENT, b"\n"].concat());
    // Another length from the beginning begins again.
    uploads.append(&airline(), &digest, 0, 99, b"origin").unwrap();
    assert!(upload(uploads, "airline", CONTENT).unwrap().is_whole());
    assert_eq!(place.names("airline"), [digest.to_hex()]);
    // BLAKE3 is right, what stands beside it is not.
    let mut other = file(CONTENT);
    other.digest.sha256 = ContentDigest::of(b"other").sha256;
    let error = uploads.read(&airline(), &other, 100).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::UploadMismatch);
    let error = uploads.open(&airline(), &FileDigest { bytes: 3, ..file(CONTENT) }).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::UploadMismatch);
}

#[test]
fn a_host_that_died_in_the_middle_of_a_piece_goes_on_where_the_file_ends() {
    let place = Place::new();
    let (uploads, digest) = (&place.uploads, Blake3Digest::of(CONTENT));
    let check = |left: &[u8], expect: Option<u64>| {
        uploads.append(&airline(), &digest, 0, LENGTH, &CONTENT[..4]).unwrap();
        // What a write leaves that was cut short.
        fs::write(place.part("airline", CONTENT), left).unwrap();
        // Another process, after the crash.
        let uploads = Home::open(place.home.path()).unwrap().uploads().unwrap();
        let found = uploads.status(&airline(), &digest);
        match expect {
            Some(offset) => {
                assert_eq!(found.unwrap(), Some(Upload { offset, length: LENGTH }));
                let rest = &CONTENT[usize::try_from(offset).unwrap()..];
                let at = uploads.append(&airline(), &digest, offset, LENGTH, rest).unwrap();
                assert!(at.is_whole());
                assert_eq!(uploads.read(&airline(), &file(CONTENT), 100).unwrap(), CONTENT);
            }
            None => assert_eq!(found.unwrap_err().reason(), ReasonCode::UploadMismatch),
        }
        uploads.remove(&airline(), &digest).unwrap();
        assert!(place.names("airline").is_empty());
    };
    check(b"", Some(0));
    check(&CONTENT[..1], Some(1));
    check(&CONTENT[..9], Some(9));
    // All bytes, but the digest had not been checked yet.
    check(CONTENT, Some(LENGTH));
    check(&[0; CONTENT.len()], None);
    check(&[0; 2 * CONTENT.len()], None);
}

#[test]
fn a_key_has_a_quota_from_the_first_piece_on() {
    let limits = UploadLimits { bytes: 100, files: 3, ..UploadLimits::default() };
    let place = Place::with(limits);
    let begin = |alias: &str, content: &[u8], length: u64| {
        let key = key(alias).public();
        let begun = place.uploads.append(&key, &Blake3Digest::of(content), 0, length, b"");
        begun.map(drop).map_err(|error| error.reason())
    };
    assert_eq!(begin("airline", b"a", 101), Err(ReasonCode::PolicyLimit));
    assert_eq!(begin("airline", b"a", 60), Ok(()));
    assert_eq!(begin("airline", b"b", 41), Err(ReasonCode::PolicyLimit));
    assert_eq!(begin("airline", b"b", 40), Ok(()));
    assert_eq!(begin("airline", b"b", 40), Ok(()), "it has its place already");
    assert_eq!(begin("airline", b"c", 1), Err(ReasonCode::PolicyLimit));
    // Another's quota is another's.
    assert_eq!(begin("weather", b"c", 100), Ok(()));
    // Instead of 60 bytes.
    assert_eq!(begin("airline", b"a", 59), Ok(()));
    assert_eq!(begin("airline", b"c", 1), Ok(()));
    place.uploads.remove(&airline(), &Blake3Digest::of(b"b")).unwrap();
    assert_eq!(begin("airline", b"d", 1), Ok(()));
    assert_eq!(begin("airline", b"e", 1), Err(ReasonCode::PolicyLimit), "four files");
}

#[test]
fn what_nobody_uses_is_swept() {
    let place = Place::new();
    let (uploads, day) = (&place.uploads, Duration::from_hours(24));
    let age = |path: &PathBuf, hours: u64| {
        let then = SystemTime::now() - Duration::from_hours(hours);
        let times = fs::FileTimes::new().set_modified(then).set_accessed(then);
        fs::File::open(path).unwrap().set_times(times).unwrap();
    };
    upload(uploads, "airline", b"old").unwrap();
    upload(uploads, "airline", b"used").unwrap();
    upload(uploads, "weather", b"young").unwrap();
    for (content, hours) in [(b"begun-old", 25), (b"begun-new", 23)] {
        uploads.append(&airline(), &Blake3Digest::of(content), 0, 9, b"begun").unwrap();
        age(&place.part("airline", content), hours);
    }
    for content in [&b"old"[..], b"used"] {
        age(&place.area("airline").join(Blake3Digest::of(content).to_hex()), 25);
    }
    drop(uploads.open(&airline(), &file(b"used")).unwrap());
    fs::write(place.area("airline").join("thesis.txt"), "").unwrap();
    fs::create_dir(place.home.path().join("uploads/not-a-key")).unwrap();
    assert_eq!(uploads.sweep(day).unwrap(), 2);
    let status = |content: &[u8]| {
        uploads.status(&airline(), &Blake3Digest::of(content)).unwrap().map(|upload| upload.offset)
    };
    assert_eq!(status(b"old"), None);
    assert_eq!(status(b"begun-old"), None);
    assert_eq!(status(b"used"), Some(4));
    assert_eq!(status(b"begun-new"), Some(5));
    assert!(place.area("airline").join("thesis.txt").exists(), "not ours");
    assert_eq!(uploads.sweep(Duration::ZERO).unwrap(), 3);
    assert_eq!(uploads.sweep(Duration::ZERO).unwrap(), 0);
}

#[test]
fn writers_at_once_make_one_whole_file() {
    let place = Place::new();
    let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let (digest, length) = (Blake3Digest::of(&content), content.len() as u64);
    std::thread::scope(|scope| {
        for writer in 0..6_usize {
            let (place, content) = (&place, &content);
            scope.spawn(move || {
                // Each as in a process of its own.
                let uploads = Home::open(place.home.path()).unwrap().uploads().unwrap();
                let piece = 10_000 + 777 * writer;
                loop {
                    let at = uploads.status(&airline(), &digest).unwrap();
                    let offset = at.map_or(0, |at| at.offset);
                    if offset == length {
                        return;
                    }
                    let start = usize::try_from(offset).unwrap();
                    let end = (start + piece).min(content.len());
                    let piece = &content[start..end];
                    match uploads.append(&airline(), &digest, offset, length, piece) {
                        Ok(_) => {}
                        // Another writer was first.
                        Err(error) => {
                            assert_eq!(error.reason(), ReasonCode::UploadIncomplete, "{error}");
                        }
                    }
                }
            });
        }
    });
    assert_eq!(place.names("airline"), [digest.to_hex()]);
    assert_eq!(place.uploads.read(&airline(), &file(&content), length).unwrap(), content);
}

#[test]
fn two_beginnings_at_once_do_not_share_the_last_of_the_quota() {
    for _ in 0..10 {
        let place = Place::with(UploadLimits { bytes: 100, ..UploadLimits::default() });
        let begun = std::thread::scope(|scope| {
            let begin = |content: u8| {
                let uploads = &place.uploads;
                let digest = Blake3Digest::of(&[content]);
                move || uploads.append(&airline(), &digest, 0, 60, b"").is_ok()
            };
            let writers: Vec<_> = (0..4).map(|content| scope.spawn(begin(content))).collect();
            writers.into_iter().filter_map(|writer| writer.join().unwrap().then_some(())).count()
        });
        assert_eq!(begun, 1);
    }
}
