use std::fmt::Debug;

use glovebox_contract::digest::ContentDigest;
use glovebox_contract::media::MediaType;
use glovebox_contract::statement::FileDigest;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;

/// Reads and writes `value`, and finds that a field more is refused.
fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> String {
    let json = serde_json::to_string(value).unwrap();
    assert_eq!(serde_json::from_str::<T>(&json).unwrap(), *value);
    let more = json.replacen('{', r#"{"more":1,"#, 1).replace(",}", "}");
    assert!(serde_json::from_str::<T>(&more).is_err(), "{more}");
    json
}

fn file(name: &str) -> UploadedFile {
    let digest = FileDigest { bytes: 1, digest: ContentDigest::of(b"a") };
    UploadedFile { digest, name: name.into() }
}

#[test]
fn shapes() {
    let host_key = glovebox_contract::key::PrivateKey::from_seed(&[1; 32]).public();
    let info = HostInfo {
        egress: Egress::None,
        host_key,
        max_request_bytes: 2,
        time: 3,
        upload_chunk_bytes: 4,
        version: "0.1.0".into(),
    };
    let expected = format!(
        r#"{{"egress":"none","host_key":"{host_key}","max_request_bytes":2,"time":3,"upload_chunk_bytes":4,"version":"0.1.0"}}"#
    );
    assert_eq!(round_trip(&info), expected);
    assert_eq!(round_trip(&RoomsQuery::default()), "{}");
    assert_eq!(round_trip(&RoomList { next_page_token: None, rooms: vec![] }), r#"{"rooms":[]}"#);
    assert_eq!(round_trip(&RunProgress::default()), "{}");
    let progress = RunProgress {
        stage: Some(RunStage::ReadingInputs),
        done: Some(1),
        total: Some(2),
        ahead: None,
    };
    assert_eq!(round_trip(&progress), r#"{"done":1,"stage":"reading-inputs","total":2}"#);
    let queued = RunProgress { ahead: Some(3), ..RunProgress::default() };
    assert_eq!(round_trip(&queued), r#"{"ahead":3}"#);
}

#[test]
fn tables_and_views() {
    assert_eq!(round_trip(&TableFiles::default()), "{}");
    round_trip(&TableFiles { files: vec![file("a.csv")], ..TableFiles::default() });
    let tables = [("a".parse().unwrap(), vec![file("a.csv"), file("b.csv")])].into();
    let view = Some(ViewFiles { sql: "SELECT 1".into(), tables });
    let aliases = [("shown".to_owned(), "in file".to_owned())].into();
    round_trip(&TableFiles { view, aliases, ..TableFiles::default() });
    let nested = r#"{"files":[{"name":"a","digest":{"bytes":1},"path":"/etc"}]}"#;
    assert!(serde_json::from_str::<TableFiles>(nested).is_err());
}

#[test]
fn tables_that_are_elsewhere() {
    let remote = RemotePlace {
        credentials: Some(Secrets::new([("password".into(), "horse".into())].into())),
        format: Some("csv".into()),
        partitions: vec![PartitionChoice { column: "year".into(), values: vec!["2013".into()] }],
        place: "s3://bucket/a".into(),
    };
    let files = TableFiles { remote: Some(remote), ..TableFiles::default() };
    assert_eq!(
        round_trip(&files),
        r#"{"remote":{"credentials":{"password":"horse"},"format":"csv","partitions":[{"column":"year","values":["2013"]}],"place":"s3://bucket/a"}}"#
    );
    assert!(!format!("{files:?}").contains("horse"));
    let table = "a.t".parse().unwrap();
    let credentials = Secrets::new([("user".into(), "me".into())].into());
    round_trip(&ReplaceCredential { credentials, table });
}

#[test]
fn texts_of_runs() {
    let text = RunText {
        detail: Some("why".into()),
        displays: vec![DisplayedCell::new(MediaType::Plain, b"hello")],
        log: vec![LogLine { level: LogLevel::Warn, message: "careful".into() }],
    };
    let expected = r#"{"detail":"why","displays":[{"data_base64":"aGVsbG8=","media_type":"text/plain"}],"log":[{"level":"warn","message":"careful"}]}"#;
    assert_eq!(round_trip(&text), expected);
    assert_eq!(text.displays[0].data().unwrap(), b"hello");
    let broken = DisplayedCell { data_base64: "?".into(), media_type: MediaType::Plain };
    assert_eq!(broken.data(), None);
}
