//! Uploads: resumed, and nothing else.

use glovebox_client::ClientError;
use glovebox_contract::digest::ContentDigest;
use glovebox_contract::reason::ReasonCode;

use crate::fake::{Fake, Trick, error};
use crate::http::Reply;
use crate::support::Room;

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

fn stored(fake: &Fake, bytes: &[u8]) -> Option<Vec<u8>> {
    let name = ContentDigest::of(bytes).blake3.to_hex();
    fake.world().uploads.get(&name).map(|(bytes, _)| bytes.clone())
}

#[test]
fn files_of_all_lengths_are_sent_once() {
    let fake = Fake::start(Room::accepted());
    let session = fake.session("airline");
    let path = fake.state.path().join("file");
    for length in [0, 1, 9, 10, 11, 20, 45] {
        let bytes = bytes(length);
        std::fs::write(&path, &bytes).unwrap();
        let mut told = Vec::new();
        fake.world().asked.clear();
        let digest = session.upload(&path, &mut |done, total| told.push((done, total))).unwrap();
        assert_eq!((digest.bytes, digest.digest), (length as u64, ContentDigest::of(&bytes)));
        assert_eq!(stored(&fake, &bytes).unwrap(), bytes);
        assert_eq!(fake.count("PATCH /uploads"), length.div_ceil(10).max(1));
        assert_eq!(told.last(), Some(&(length as u64, length as u64)));
        // The host has it now.
        fake.world().asked.clear();
        assert_eq!(session.upload_bytes(&bytes).unwrap(), digest);
        assert_eq!(fake.count("PATCH /uploads"), 0);
    }
}

#[test]
fn a_broken_upload_goes_on_where_it_was() {
    for trick in [
        Trick::HangUp,
        Trick::DoAndHangUp,
        Trick::Reply(Reply::new(503, "")),
        Trick::Reply(error(ReasonCode::UploadIncomplete, "another offset")),
        Trick::Reply(error(ReasonCode::RateLimited, "slowly").with("retry-after", 1)),
    ] {
        let fake = Fake::start(Room::accepted());
        let session = fake.session("airline");
        let bytes = bytes(45);
        let name = ContentDigest::of(&bytes).blake3.to_hex();
        // What an earlier process has sent.
        fake.world().uploads.insert(name, (bytes[..20].to_vec(), 45));
        fake.plan("PATCH /uploads", trick);
        fake.plan("HEAD /uploads", Trick::HangUp);
        session.upload_bytes(&bytes).unwrap();
        assert_eq!(stored(&fake, &bytes).unwrap(), bytes);
        assert!(fake.count("PATCH /uploads") <= 4, "what was there is not sent again");
    }
}

#[test]
fn a_file_that_changes_is_not_uploaded() {
    let fake = Fake::start(Room::accepted());
    let session = fake.session("airline");
    let path = fake.state.path().join("file");
    std::fs::write(&path, bytes(45)).unwrap();
    let changed = session.upload(&path, &mut |done, _| {
        if done == 20 {
            std::fs::write(&path, vec![1; 45]).unwrap();
        }
    });
    assert!(matches!(changed, Err(ClientError::Local { .. })), "{changed:?}");
    std::fs::write(&path, bytes(45)).unwrap();
    let shorter = session.upload(&path, &mut |done, _| {
        if done == 20 {
            std::fs::write(&path, bytes(25)).unwrap();
        }
    });
    assert!(matches!(shorter, Err(ClientError::Local { .. })), "{shorter:?}");
    assert!(session.upload(fake.state.path(), &mut |_, _| {}).is_err(), "a directory");
    assert!(session.upload(&path.join("none"), &mut |_, _| {}).is_err());
}

#[test]
fn a_host_that_talks_nonsense_is_given_up() {
    let headers = |offset: &str, length: &str| {
        Trick::Reply(
            Reply::new(204, "").with("upload-offset", offset).with("upload-length", length),
        )
    };
    let cases: [(&str, Trick); 6] = [
        ("HEAD /uploads", headers("46", "46")),
        ("HEAD /uploads", headers("0", "46")),
        ("HEAD /uploads", headers("x", "45")),
        ("HEAD /uploads", Trick::Reply(Reply::new(200, ""))),
        ("PATCH /uploads", headers("45", "45")),
        ("PATCH /uploads", headers("0", "45")),
    ];
    for (line, trick) in cases {
        let fake = Fake::start(Room::accepted());
        let session = fake.session("airline");
        fake.plan(line, trick);
        let error = session.upload_bytes(&bytes(45)).unwrap_err();
        assert!(matches!(error, ClientError::Answer { .. }), "{error}");
    }
    // Every chunk is refused, and nothing ever gets on.
    let fake = Fake::start(Room::accepted());
    let session = fake.session("airline");
    for _ in 0..100 {
        let refused = error(ReasonCode::UploadIncomplete, "another offset");
        fake.plan("PATCH /uploads", Trick::Reply(refused));
    }
    let failed = session.upload_bytes(&bytes(45)).unwrap_err();
    assert_eq!(failed.reason(), ReasonCode::UploadIncomplete);
    assert!(fake.count("PATCH /uploads") < 10);
    // A refusal for good.
    let fake = Fake::start(Room::accepted());
    let session = fake.session("airline");
    fake.plan("PATCH /uploads", Trick::Reply(error(ReasonCode::PolicyLimit, "too much")));
    assert_eq!(session.upload_bytes(&bytes(45)).unwrap_err().reason(), ReasonCode::PolicyLimit);
    assert_eq!(fake.count("PATCH /uploads"), 1);
}
