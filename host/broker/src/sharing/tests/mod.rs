//! Against a server that answers as it should, and as it should not.

mod mock;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use glovebox_contract::reason::ReasonCode;
use glovebox_room::remote::{Credential, Origin};
use serde_json::{Value, json};

use super::profile::now;
use super::*;
use crate::net::{AllowedSource, Outbound, SourcePolicy};
use mock::{Answer, File, Mock};

const TOKEN: &str = "dapi-0123456789";

fn profile(address: SocketAddr) -> String {
    let endpoint = format!("http://{address}/sharing/");
    json!({ "shareCredentialsVersion": 1, "endpoint": endpoint, "bearerToken": TOKEN }).to_string()
}

fn request(profile: &str, origin: Origin, allow: &[&str]) -> Request {
    let allow: Vec<AllowedSource> = allow.iter().map(|text| text.parse().unwrap()).collect();
    Request {
        format: None,
        partitions: Vec::new(),
        credential: Some(Credential::new([("profile".into(), profile.into())].into())),
        outbound: Outbound::new(origin, Arc::new(SourcePolicy { allow })),
        deadline: Instant::now() + Duration::from_secs(60),
    }
}

async fn open_with(request: &Request) -> Result<FileTable, Failure> {
    match open(request, "our share", "retail", "orders").await? {
        OpenTable::Files(files) => Ok(files),
        OpenTable::Rows(_) => panic!("a share has files"),
    }
}

async fn open_table(address: SocketAddr) -> Result<FileTable, Failure> {
    open_with(&request(&profile(address), Origin::Operator, &[])).await
}

fn field(name: &str, kind: &str) -> Value {
    json!({ "name": name, "type": kind, "nullable": true, "metadata": {} })
}

fn schema(fields: &[Value]) -> String {
    json!({ "type": "struct", "fields": fields }).to_string()
}

/// An answer of the plain form about a table with the columns `n` and `year`, and files.
fn plain(version: u64, files: &[Value]) -> Answer {
    let metadata = json!({ "metaData": {
        "id": "table-1",
        "format": { "provider": "parquet" },
        "schemaString": schema(&[field("n", "long"), field("year", "integer")]),
        "partitionColumns": ["year"],
    } });
    let mut lines = vec![json!({ "protocol": { "minReaderVersion": 1 } }), metadata];
    lines.extend(files.iter().map(|file| json!({ "file": file })));
    answer(version, &lines)
}

fn answer(version: u64, lines: &[Value]) -> Answer {
    let body = lines.iter().map(|line| format!("{line}\n")).collect();
    Answer { status: 200, headers: vec![("delta-table-version", version.to_string())], body }
}

fn status(status: u16, body: &str) -> Answer {
    Answer { status, headers: vec![("retry-after", "0".into())], body: body.into() }
}

fn file(address: SocketAddr, name: &str, signature: &str) -> Value {
    json!({
        "url": format!("http://{address}/data/{name}?X-Amz-Signature={signature}"),
        "id": name, "size": 10, "partitionValues": { "year": "2013" },
    })
}

fn content(signature: &str) -> File {
    File {
        content: b"0123456789".to_vec(),
        signature: signature.into(),
        etag: "\"1\"",
        ..File::default()
    }
}

/// A server with one file, whose address is good.
async fn one_file() -> (Arc<Mock>, SocketAddr) {
    let (mock, address) = Mock::start(vec![]).await;
    mock.put("/data/a", content("good"));
    *mock.answers.lock().unwrap() = vec![plain(7, &[file(address, "a", "good")])];
    (mock, address)
}

async fn read(table: &FileTable, from: u64, to: u64) -> Result<String, Failure> {
    let pieces = table.reader.read(0, std::slice::from_ref(&(from..to))).await?;
    Ok(String::from_utf8(pieces[0].to_vec()).unwrap())
}

#[tokio::test]
async fn a_table_comes_with_its_columns_files_and_version() {
    let (mock, address) = one_file().await;
    mock.put("/data/b", content("good"));
    let null = json!({
        "url": format!("http://{address}/data/b?X-Amz-Signature=good"),
        "id": "b", "size": 10, "partitionValues": { "year": "" },
    });
    let files = [null.clone(), file(address, "a", "good")];
    *mock.answers.lock().unwrap() = vec![plain(7, &files)];
    let table = open_table(address).await.unwrap();
    let columns: Vec<String> = table
        .columns
        .iter()
        .flatten()
        .map(|column| format!("{} {}", column.name, column.column_type))
        .collect();
    assert_eq!(columns, ["n int64", "year int32"]);
    assert_eq!(table.partition_columns.len(), 1);
    let told: Vec<_> = table.files.iter().map(|file| file.partition[0].as_deref()).collect();
    assert_eq!(told, [Some("2013"), None]);
    assert_eq!(table.pinned[0].bytes, 20);
    let pieces = table.reader.read(0, &[0..3, 3..3, 8..10, 2..5]).await.unwrap();
    assert_eq!(pieces, ["012", "", "89", "234"]);
    assert_eq!(mock.asked.lock().unwrap()[0], ("{}".into(), format!("Bearer {TOKEN}")));

    // The same version is the same, in whatever order; another is not.
    *mock.answers.lock().unwrap() =
        vec![plain(7, &[file(address, "a", "good"), null]), plain(8, &files)];
    let same = open_table(address).await.unwrap();
    assert_eq!((&same.pinned, &same.files), (&table.pinned, &table.files));
    assert_ne!(open_table(address).await.unwrap().pinned, table.pinned);
}

#[tokio::test]
async fn only_wanted_partitions_are_told_of() {
    let (mock, address) = one_file().await;
    let mut other = file(address, "b", "good");
    other["partitionValues"]["year"] = json!("2014");
    *mock.answers.lock().unwrap() = vec![plain(7, &[other, file(address, "a", "good")])];
    let mut wanted = request(&profile(address), Origin::Operator, &[]);
    let filter = |column: &str, values: &[&str]| PartitionFilter {
        column: column.into(),
        values: values.iter().map(|value| (*value).into()).collect(),
    };
    wanted.partitions = vec![filter("year", &["2014", "2015"])];
    let table = open_with(&wanted).await.unwrap();
    assert_eq!(table.files.len(), 1);
    assert_eq!(table.files[0].partition, [Some("2014".to_owned())]);
    assert_ne!(table.pinned, open_table(address).await.unwrap().pinned);
    wanted.partitions = vec![filter("n", &["1"])];
    let failure = open_with(&wanted).await.err().unwrap();
    assert_eq!(failure.reason, ReasonCode::SourceUnsupported);
    assert!(failure.detail.contains("no partition column `n`"));
}

#[tokio::test]
async fn an_address_that_is_good_no_longer_is_asked_for_again() {
    let (mock, address) = one_file().await;
    let table = open_table(address).await.unwrap();
    assert_eq!(read(&table, 0, 2).await.unwrap(), "01");
    mock.put("/data/a", content("fresh"));
    *mock.answers.lock().unwrap() = vec![plain(7, &[file(address, "a", "fresh")])];
    // All who wait for it are served by one question.
    let (one, two, three) =
        tokio::join!(read(&table, 1, 2), read(&table, 4, 6), read(&table, 9, 10));
    assert_eq!((one.unwrap(), two.unwrap(), three.unwrap()), ("1".into(), "45".into(), "9".into()));
    let asked = mock.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].0, r#"{"version":7}"#);

    // One that is about to end is not used at all.
    let mut ending = file(address, "a", "fresh");
    ending["expirationTimestamp"] = json!(now() + 1000);
    let mut lasting = file(address, "a", "fresh");
    lasting["expirationTimestamp"] = json!(now() + 3_600_000);
    *mock.answers.lock().unwrap() = vec![plain(7, &[ending]), plain(7, &[lasting])];
    let table = open_table(address).await.unwrap();
    assert_eq!(read(&table, 0, 1).await.unwrap(), "0");
    assert_eq!(read(&table, 1, 2).await.unwrap(), "1");
    assert_eq!(mock.asked.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn a_version_that_is_gone_has_changed() {
    let (mock, address) = one_file().await;
    let table = open_table(address).await.unwrap();
    // The server knows no versions, and has the file still.
    mock.put("/data/a", content("fresh"));
    let refused = || status(400, r#"{"errorCode":"X","message":"no history"}"#);
    *mock.answers.lock().unwrap() = vec![refused(), plain(8, &[file(address, "a", "fresh")])];
    assert_eq!(read(&table, 0, 2).await.unwrap(), "01");
    // Now it has another file.
    mock.put("/data/a", content("newer"));
    *mock.answers.lock().unwrap() = vec![refused(), plain(9, &[file(address, "b", "newer")])];
    let failure = read(&table, 0, 2).await.unwrap_err();
    assert_eq!(failure.reason, ReasonCode::InputChanged, "{failure}");
    // Or the same file, written anew.
    let rewritten = File { etag: "\"2\"", ..content("newer") };
    mock.put("/data/a", rewritten);
    *mock.answers.lock().unwrap() = vec![plain(7, &[file(address, "a", "newer")])];
    let failure = read(&table, 0, 2).await.unwrap_err();
    assert_eq!(failure.reason, ReasonCode::InputChanged, "{failure}");
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let (mock, address) = one_file().await;
    let good = plain(7, &[file(address, "a", "good")]);
    *mock.answers.lock().unwrap() = vec![status(503, ""), status(429, "slow down"), good.clone()];
    let table = open_table(address).await.unwrap();
    assert_eq!(mock.asked.lock().unwrap().len(), 3);
    mock.put("/data/a", File { first: vec![500, 503], ..content("good") });
    assert_eq!(read(&table, 5, 7).await.unwrap(), "56");
    // Without ranges it is slower, not wrong.
    mock.put("/data/a", File { without_ranges: true, ..content("good") });
    assert_eq!(read(&table, 5, 7).await.unwrap(), "56");
}

#[tokio::test]
async fn what_does_not_pass_says_why() {
    let check = async |answer: Answer, expect: (ReasonCode, &str)| {
        let (_mock, address) = Mock::start(vec![answer]).await;
        let failure = open_table(address).await.err().unwrap();
        assert_eq!(failure.reason, expect.0, "{failure}");
        assert!(failure.detail.contains(expect.1), "{failure}");
        assert!(!failure.detail.contains(TOKEN), "{failure}");
    };
    use ReasonCode::{
        InputUnreadable, SourceDenied, SourceRefused, SourceUnavailable, SourceUnsupported,
    };
    let echo = format!(r#"{{"errorCode":"FORBIDDEN","message":"{TOKEN} is not good"}}"#);
    check(status(403, &echo), (SourceDenied, "FORBIDDEN […] is not good")).await;
    check(status(401, "<html>"), (SourceDenied, "401")).await;
    check(status(404, "{}"), (InputUnreadable, "404")).await;
    check(status(307, ""), (SourceRefused, "307")).await;
    check(status(503, ""), (SourceUnavailable, "503")).await;
    check(status(200, "<html>"), (InputUnreadable, "line 1")).await;
    check(status(200, ""), (InputUnreadable, "which version")).await;
    let mut unfinished = plain(7, &[]);
    unfinished.headers.push((
        "delta-sharing-capabilities",
        "responseformat=parquet;includeendstreamaction=true".into(),
    ));
    check(unfinished, (SourceUnavailable, "not whole")).await;
    let features = json!({ "protocol": { "deltaProtocol": {
        "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["catalogManaged"],
    } } });
    check(answer(1, &[features]), (SourceUnsupported, "`catalogManaged`")).await;
}

#[tokio::test]
async fn a_file_is_as_long_as_the_table_says() {
    let (mock, address) = one_file().await;
    let table = open_table(address).await.unwrap();
    let check = async |file: File, expect: ReasonCode| {
        mock.put("/data/a", file);
        let failure = read(&table, 4, 10).await.unwrap_err();
        assert_eq!(failure.reason, expect, "{failure}");
        assert!(!failure.detail.contains("good"), "{failure}");
    };
    let longer = File { content: b"0123456789a".to_vec(), ..content("good") };
    check(longer, ReasonCode::InputChanged).await;
    let shorter = File { content: b"012345678".to_vec(), ..content("good") };
    check(shorter, ReasonCode::InputChanged).await;
    let empty = File { content: b"012".to_vec(), ..content("good") };
    check(empty, ReasonCode::InputChanged).await;
    check(File { cut_to: Some(3), ..content("good") }, ReasonCode::SourceUnavailable).await;
    let whole = File { content: b"01234".to_vec(), without_ranges: true, ..content("good") };
    check(whole, ReasonCode::SourceUnavailable).await;
    check(File { first: vec![302], ..content("good") }, ReasonCode::SourceRefused).await;
    check(content("stolen"), ReasonCode::SourceDenied).await;
}

/// Rows 3, 4, 7, 11, 18 and 29, as Delta writes them in a log and in a file.
const VECTOR: &str = "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L";
const VECTOR_BYTES: &str =
    "d1d339640100000000000000000000003a3000000100000000000500100000000300040007000b0012001d00";
const VECTOR_SUM: u32 = 0xacd7_4a79;

#[tokio::test]
async fn deltas_form_brings_mapped_columns_and_deleted_rows() {
    let (mock, address) = Mock::start(vec![]).await;
    let mapped = |name: &str, physical: &str, id: u64| {
        json!({
            "name": name, "type": "long", "nullable": true,
            "metadata": { "delta.columnMapping.id": id, "delta.columnMapping.physicalName": physical },
        })
    };
    let vector = |storage: &str, place: &str| {
        json!({
            "storageType": storage, "pathOrInlineDv": place, "offset": 1, "sizeInBytes": 44,
            "cardinality": 6,
        })
    };
    let add = |name: &str, vector: Option<Value>| {
        json!({ "file": { "id": name, "deltaSingleAction": { "add": {
            "path": format!("http://{address}/data/{name}?X-Amz-Signature=good"),
            "partitionValues": { "col-2": "5" }, "size": 10, "modificationTime": 0,
            "dataChange": true, "deletionVector": vector,
        } } } })
    };
    let address_of_vector = format!("http://{address}/data/dv?X-Amz-Signature=good");
    let lines = [
        json!({ "protocol": { "deltaProtocol": {
            "minReaderVersion": 3, "minWriterVersion": 7,
            "readerFeatures": ["deletionVectors", "columnMapping"],
        } } }),
        json!({ "metaData": { "deltaMetadata": {
            "id": "table-1", "format": { "provider": "parquet", "options": {} },
            "schemaString": schema(&[mapped("a", "col-1", 1), mapped("b", "col-2", 2)]),
            "partitionColumns": ["b"],
            "configuration": { "delta.columnMapping.mode": "name" },
        } } }),
        add("a", Some(vector("i", VECTOR))),
        add("b", Some(vector("p", &address_of_vector))),
        add("c", None),
        add("d", Some(vector("u", "ab^-aqEH.-t@S}K{vb[*k^"))),
        json!({ "endStreamAction": { "minUrlExpirationTimestamp": 1 } }),
    ];
    *mock.answers.lock().unwrap() = vec![answer(3, &lines)];
    let bytes: Vec<u8> = (0..VECTOR_BYTES.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&VECTOR_BYTES[at..at + 2], 16).unwrap())
        .collect();
    let vector = [&[1, 0, 0, 0, 44][..], &bytes, &VECTOR_SUM.to_be_bytes()].concat();
    mock.put("/data/dv", File { content: vector.clone(), ..content("good") });

    let table = open_table(address).await.unwrap();
    assert_eq!(table.names_in_files["a"], "col-1");
    let deleted: Vec<bool> = table.files.iter().map(|file| file.has_deleted_rows).collect();
    assert_eq!(deleted, [true, true, false, true]);
    assert_eq!(table.files[0].partition, [Some("5".to_owned())]);
    let rows = [3, 4, 7, 11, 18, 29];
    assert_eq!(table.reader.deleted_rows(0).await.unwrap(), rows);
    assert_eq!(table.reader.deleted_rows(1).await.unwrap(), rows);
    assert!(table.reader.deleted_rows(2).await.unwrap().is_empty());
    let failure = table.reader.deleted_rows(3).await.unwrap_err();
    assert_eq!(failure.reason, ReasonCode::SourceUnsupported, "{failure}");

    let mut damaged = vector;
    damaged[30] ^= 1;
    mock.put("/data/dv", File { content: damaged, ..content("good") });
    let failure = table.reader.deleted_rows(1).await.unwrap_err();
    assert_eq!(failure.reason, ReasonCode::InputUnreadable, "{failure}");
}

#[tokio::test]
async fn pages_are_one_answer() {
    let (mock, address) = one_file().await;
    let mut first = plain(7, &[file(address, "a", "good")]);
    first.body.push_str("{\"endStreamAction\":{\"nextPageToken\":\"more\"}}\n");
    let second = answer(7, &[json!({ "file": file(address, "b", "good") })]);
    *mock.answers.lock().unwrap() = vec![first.clone(), second];
    assert_eq!(open_table(address).await.unwrap().files.len(), 2);
    assert_eq!(mock.asked.lock().unwrap()[1].0, r#"{"pageToken":"more"}"#);
    // A server that never ends is left.
    *mock.answers.lock().unwrap() = vec![first];
    let failure = open_table(address).await.err().unwrap();
    assert_eq!(failure.reason, ReasonCode::SourceUnsupported, "{failure}");
}

#[tokio::test]
async fn a_client_is_given_tokens() {
    let (mock, address) = one_file().await;
    let profile = json!({
        "shareCredentialsVersion": 2, "type": "oauth_client_credentials",
        "endpoint": format!("http://{address}/sharing"),
        "tokenEndpoint": format!("http://{address}/token"),
        "clientId": "me", "clientSecret": "my secret", "scope": "all of it",
    });
    let request = request(&profile.to_string(), Origin::Operator, &[]);
    let good = mock.answers.lock().unwrap()[0].clone();
    // The first token is taken back at once.
    *mock.answers.lock().unwrap() = vec![status(401, ""), good.clone()];
    let table = open_with(&request).await.unwrap();
    assert_eq!(read(&table, 0, 1).await.unwrap(), "0");
    let who: Vec<String> = mock.asked.lock().unwrap().iter().map(|(_, who)| who.clone()).collect();
    assert_eq!(who, ["Bearer token-0", "Bearer token-1"]);
    let echo = r#"{"errorCode":"DENIED","message":"token-3, my secret"}"#;
    *mock.answers.lock().unwrap() = vec![status(401, ""), status(401, echo)];
    let failure = open_with(&request).await.err().unwrap();
    assert_eq!(failure.reason, ReasonCode::SourceDenied, "{failure}");
    assert!(failure.detail.contains("DENIED […], […]"), "{failure}");
}

#[tokio::test]
async fn a_party_elsewhere_does_not_point_the_host_at_itself() {
    let (mock, address) = one_file().await;
    let check = async |allow: &[&str], expect: Option<ReasonCode>| {
        let found = open_with(&request(&profile(address), Origin::Network, allow)).await;
        assert_eq!(found.as_ref().err().map(|failure| failure.reason), expect, "{allow:?}");
        found.ok()
    };
    check(&[], Some(ReasonCode::SourceRefused)).await;
    let allowed = address.to_string();
    let table = check(&[&allowed], None).await.unwrap();
    assert_eq!(read(&table, 0, 1).await.unwrap(), "0");
    // The server may not do it for the party either.
    let elsewhere = SocketAddr::new([127, 0, 0, 2].into(), address.port());
    *mock.answers.lock().unwrap() = vec![plain(7, &[file(elsewhere, "a", "good")])];
    let table = check(&[&allowed], None).await.unwrap();
    let failure = read(&table, 0, 1).await.unwrap_err();
    assert_eq!(failure.reason, ReasonCode::SourceRefused, "{failure}");
}

#[tokio::test]
async fn without_a_profile_nothing_opens() {
    let mut request = request("{}", Origin::Operator, &[]);
    let failure = open_with(&request).await.err().unwrap();
    assert_eq!(failure.reason, ReasonCode::SourceDenied, "{failure}");
    request.credential = None;
    let failure = open_with(&request).await.err().unwrap();
    assert_eq!(failure.reason, ReasonCode::SourceDenied, "{failure}");
}
