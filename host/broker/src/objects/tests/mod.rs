mod s3;

use std::sync::Arc;
use std::time::{Duration, Instant};

use glovebox_contract::column::ColumnType;
use glovebox_contract::reason::ReasonCode;
use glovebox_job::job::FileFormat;
use glovebox_room::remote::{
    Broker as _, BrokeredTable, Credential, OpenRemote, Origin, PartitionFilter, RemoteTable,
};
use serde_json::json;

use super::*;
use crate::net::{Outbound, SourcePolicy};
use crate::runtime::Engine;
use crate::{SourceBroker, source};
use s3::{Bucket, Fault};

fn credential(bucket: &Bucket, more: &[(&str, &str)]) -> Credential {
    let endpoint = bucket.endpoint.as_str();
    let mut settings: BTreeMap<String, String> = [
        ("aws_access_key_id", s3::KEY),
        ("aws_secret_access_key", s3::SECRET),
        ("aws_endpoint", endpoint),
        ("aws_allow_http", "true"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    for (name, value) in more {
        settings.insert((*name).into(), (*value).into());
    }
    Credential::new(settings)
}

/// Opens tables of one bucket.
struct Opener {
    bucket: Bucket,
    engine: Engine,
    origin: Origin,
    allow: Vec<crate::AllowedSource>,
    credential: Option<Credential>,
    format: Option<FileFormat>,
}

impl Opener {
    fn new() -> Self {
        let bucket = Bucket::start();
        let credential = Some(credential(&bucket, &[]));
        let engine = Engine::start().unwrap();
        Self { bucket, engine, origin: Origin::Operator, allow: vec![], credential, format: None }
    }

    fn open(&self, url: &str, filters: &[&str]) -> Result<FileTable, Failure> {
        let policy = Arc::new(SourcePolicy { allow: self.allow.clone() });
        let request = source::Request {
            format: self.format,
            partitions: filters.iter().map(|text| text.parse().unwrap()).collect(),
            credential: self.credential.clone(),
            outbound: Outbound::new(self.origin, policy),
            deadline: Instant::now() + Duration::from_secs(60),
        };
        let url = url.to_owned();
        let opened = self.engine.wait(None, async move { open(&request, &url).await });
        match opened? {
            OpenTable::Files(files) => Ok(files),
            OpenTable::Rows(_) => panic!("a store has no rows"),
        }
    }

    fn read(
        &self,
        table: &FileTable,
        file: usize,
        range: std::ops::Range<u64>,
    ) -> Result<Vec<u8>, Failure> {
        let reader = Arc::clone(&table.reader);
        let read = async move { reader.read(file, &[range]).await };
        self.engine.wait(None, read).map(|pieces| pieces[0].to_vec())
    }

    /// The reason why a table cannot be opened.
    fn refusal(&self, url: &str, filters: &[&str]) -> (ReasonCode, String) {
        let failure = self.open(url, filters).err().unwrap();
        (failure.reason, failure.detail)
    }
}

#[test]
fn an_object_is_read_in_pieces() {
    let opener = Opener::new();
    opener.bucket.put("data/a.csv", "a,b\n1,2\n");
    let table = opener.open("s3://bucket/data/a.csv", &[]).unwrap();
    assert_eq!((table.format, table.files.len()), (FileFormat::Csv, 1));
    assert_eq!(table.files[0].bytes, 8);
    assert!(table.columns.is_none() && !table.evolving);
    assert_eq!(opener.read(&table, 0, 0..3).unwrap(), b"a,b");

    let reader = Arc::clone(&table.reader);
    let before = opener.bucket.requests();
    let pieces =
        opener.engine.wait(None, async move { reader.read(0, &[4..8, 0..1, 2..2, 6..7]).await });
    let expect: [&[u8]; 4] = [b"1,2\n", b"a", b"", b"2"];
    assert_eq!(pieces.unwrap(), expect);
    assert_eq!(opener.bucket.requests() - before, 1, "pieces close to each other are one request");

    let again = opener.open("s3a://bucket/data/a.csv", &[]).unwrap();
    assert_eq!(table.pinned, again.pinned, "the same version has the same digest");
    opener.bucket.put("data/a.csv", "a,b\n1,3\n");
    let other = opener.open("s3://bucket/data/a.csv", &[]).unwrap();
    assert_ne!(table.pinned, other.pinned);
}

#[test]
fn a_prefix_is_its_files_with_the_values_of_their_folders() {
    let opener = Opener::new();
    for year in 2012..2015 {
        opener.bucket.put(&format!("t/year={year}/carrier=AA/x.parquet"), format!("{year}"));
    }
    opener.bucket.put("t/year=2013/carrier=__HIVE_DEFAULT_PARTITION__/y.parquet", "no");
    opener.bucket.put("t/_SUCCESS", "");
    opener.bucket.put("t/year=2013/carrier=AA/.x.parquet.crc", "x");
    opener.bucket.put("t/_temporary/0/z.parquet", "x");
    opener.bucket.put("other/a.parquet", "x");
    let table = opener.open("s3://bucket/t", &[]).unwrap();
    let columns: Vec<_> =
        table.partition_columns.iter().map(|c| (c.name.as_str(), c.column_type.clone())).collect();
    assert_eq!(columns, [("year", ColumnType::Int64), ("carrier", ColumnType::Utf8)]);
    let of =
        |year: &str, carrier: Option<&str>| vec![Some(year.into()), carrier.map(str::to_owned)];
    let partitions: Vec<_> = table.files.iter().map(|file| file.partition.clone()).collect();
    assert_eq!(
        partitions,
        [of("2012", Some("AA")), of("2013", Some("AA")), of("2013", None), of("2014", Some("AA")),]
    );
    assert_eq!(table.pinned.len(), 4);
    assert_eq!(opener.read(&table, 3, 0..4).unwrap(), b"2014");

    opener.bucket.listed();
    let some = opener.open("s3://bucket/t/", &["year=2013,2014", "carrier=AA"]).unwrap();
    assert_eq!(some.files.len(), 2);
    let listed = opener.bucket.listed();
    assert!(listed.contains(&"t/year=2014/carrier=AA/".into()), "{listed:?}");
    assert!(!listed.iter().any(|prefix| prefix.contains("2012")), "{listed:?}");
    let some = opener.open("s3://bucket/t", &["carrier=AA"]).unwrap();
    assert_eq!(some.files.len(), 3, "where the first level is no filter's");
    let none = opener.refusal("s3://bucket/t", &["year=1999"]);
    assert_eq!(none.0, ReasonCode::InputUnreadable);
    let (reason, detail) = opener.refusal("s3://bucket/t", &["month=1"]);
    assert_eq!(
        (reason, detail.as_str()),
        (ReasonCode::InputUnreadable, "it has no partition column `month`")
    );
    opener.bucket.put("t/year=2013/x.csv", "a\n");
    assert!(opener.refusal("s3://bucket/t", &[]).1.contains("different formats"));
    assert_eq!(opener.refusal("s3://bucket/nothing", &[]).0, ReasonCode::InputUnreadable);
}

#[test]
fn an_object_that_changed_is_not_read() {
    for ignores in [false, true] {
        let opener = Opener::new();
        if ignores {
            opener.bucket.ignore_if_match();
        }
        opener.bucket.put("a.csv", "a,b\n1,2\n");
        let table = opener.open("s3://bucket/a.csv", &[]).unwrap();
        for content in ["a,b\n1,3\n", "a,b\n", "a,b\n1,2\n3,4\n"] {
            opener.bucket.put("a.csv", content);
            let failure = opener.read(&table, 0, 4..8).unwrap_err();
            assert_eq!(failure.reason, ReasonCode::InputChanged, "{content:?} {failure}");
        }
        opener.bucket.put("a.csv", "a,b\n1,2\n");
        assert!(opener.read(&table, 0, 4..8).is_ok(), "the version that was pinned");
    }
}

#[test]
fn what_a_store_does_wrong_is_asked_for_again_or_said() {
    let opener = Opener::new();
    opener.bucket.put("a.csv", vec![b'x'; 100_000]);
    let table = opener.open("s3://bucket/a.csv", &[]).unwrap();
    for faults in [
        vec![Fault::Throttle, Fault::Throttle],
        vec![Fault::Break],
        vec![Fault::Break, Fault::Throttle, Fault::Break],
        vec![Fault::Short],
    ] {
        opener.bucket.fault(&faults);
        let read = opener.read(&table, 0, 10..90_000);
        assert_eq!(read.map(|bytes| bytes.len()), Ok(89_990), "{faults:?}");
    }
    for (fault, reason) in [
        (Fault::Throttle, ReasonCode::SourceUnavailable),
        (Fault::Break, ReasonCode::SourceUnavailable),
        (Fault::Short, ReasonCode::SourceUnavailable),
        (Fault::Whole, ReasonCode::SourceUnavailable),
        (Fault::Expired, ReasonCode::SourceDenied),
    ] {
        opener.bucket.always(Some(fault));
        let failure = opener.read(&table, 0, 10..90_000).unwrap_err();
        assert_eq!(failure.reason, reason, "{fault:?}: {failure}");
    }
    opener.bucket.always(None);
    assert!(opener.read(&table, 0, 10..20).is_ok());
}

#[test]
fn credentials_open_or_do_not() {
    let mut opener = Opener::new();
    opener.bucket.put("a.csv", "a\n");
    let url = "s3://bucket/a.csv";
    let mut check = |more: &[(&str, &str)], reason: ReasonCode, word: &str| {
        opener.credential = Some(credential(&opener.bucket, more));
        let found = opener.refusal(url, &[]);
        assert_eq!(found.0, reason, "{}", found.1);
        assert!(found.1.contains(word), "{}", found.1);
    };
    check(&[("aws_access_key_id", "AKIAWRONG")], ReasonCode::SourceDenied, "InvalidAccessKeyId");
    check(&[("aws_skip_signature", "true")], ReasonCode::SourceDenied, "403");
    check(&[("aws_allow_http", "false")], ReasonCode::SourceRefused, "plain http");
    for setting in [
        "aws_web_identity_token_file",
        "aws_container_credentials_full_uri",
        "aws_metadata_endpoint",
        "aws_bucket_name",
        "proxy_url",
        "allow_invalid_certificates",
        "nonsense",
    ] {
        let word = format!("a setting `{setting}`, which is not taken");
        check(&[(setting, "x")], ReasonCode::SourceDenied, &word);
    }
    // Without any it asks nobody for some: the store itself says no.
    let endpoint = opener.bucket.endpoint.clone();
    let settings = [("aws_endpoint", endpoint.as_str()), ("aws_allow_http", "true")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    opener.credential = Some(Credential::new(settings.into()));
    assert_eq!(opener.refusal(url, &[]).0, ReasonCode::SourceDenied);

    for (url, setting) in [
        ("gs://bucket/a.csv", "google_service_account"),
        ("gs://bucket/a.csv", "google_application_credentials"),
        ("az://bucket/a.csv", "azure_federated_token_file"),
        ("az://bucket/a.csv", "azure_use_azure_cli"),
        ("az://bucket/a.csv", "azure_use_emulator"),
    ] {
        opener.credential =
            Some(Credential::new([(setting.to_owned(), "/etc/passwd".to_owned())].into()));
        let (reason, detail) = opener.refusal(url, &[]);
        assert_eq!(reason, ReasonCode::SourceDenied, "{setting}");
        assert!(detail.contains("is not taken"), "{setting}: {detail}");
    }
}

#[test]
fn a_party_elsewhere_cannot_point_the_host_at_its_neighbours() {
    let mut opener = Opener::new();
    opener.bucket.put("a.csv", "a\n");
    opener.origin = Origin::Network;
    let url = "s3://bucket/a.csv";
    assert_eq!(opener.refusal(url, &[]).0, ReasonCode::SourceRefused);
    let port = opener.bucket.endpoint.rsplit_once(':').unwrap().1.to_owned();
    let local = format!("http://localhost:{port}");
    opener.credential = Some(credential(&opener.bucket, &[("aws_endpoint", &local)]));
    assert_eq!(opener.refusal(url, &[]).0, ReasonCode::SourceRefused);
    let secure = format!("https://localhost:{port}");
    opener.credential = Some(credential(&opener.bucket, &[("aws_endpoint", &secure)]));
    let started = Instant::now();
    assert_eq!(opener.refusal(url, &[]).0, ReasonCode::SourceRefused);
    assert!(started.elapsed() < Duration::from_secs(5), "nothing is tried again");
    assert_eq!(opener.bucket.requests(), 0);
    assert_eq!(opener.refusal("file:///tmp", &[]).0, ReasonCode::SourceRefused);

    opener.credential = Some(credential(&opener.bucket, &[]));
    for allowed in ["127.0.0.0/8", "127.0.0.1"] {
        opener.allow = vec![allowed.parse().unwrap()];
        assert!(opener.open(url, &[]).is_ok(), "{allowed}");
    }
}

#[test]
fn googles_and_microsofts_stores_are_read_too() {
    let mut opener = Opener::new();
    opener.bucket.put("t/year=2013/a.csv", "a\n");
    opener.bucket.put("t/year=2014/a.csv", "b\n");
    let credential = |settings: &[(&str, &str)]| {
        let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Some(Credential::new(settings.collect()))
    };
    let base = opener.bucket.endpoint.clone();
    // The key of an emulator, which asks for none.
    opener.bucket.make_public(true);
    let key = json!({
        "private_key": "", "private_key_id": "", "client_email": "",
        "gcs_base_url": base, "disable_oauth": true,
    });
    let key = key.to_string();
    opener.credential = credential(&[("google_service_account_key", &key), ("allow_http", "true")]);
    let table = opener.open("gs://bucket/t", &["year=2014"]).unwrap();
    assert_eq!(opener.read(&table, 0, 0..1).unwrap(), b"b");
    opener.bucket.put("t/year=2014/a.csv", "c\n");
    assert_eq!(opener.read(&table, 0, 0..1).unwrap_err().reason, ReasonCode::InputChanged);

    opener.bucket.make_public(false);
    let settings = [
        ("azure_storage_account_name", s3::KEY),
        ("azure_storage_account_key", "Zm9vYmFy"),
        ("azure_endpoint", base.as_str()),
        ("azure_allow_http", "true"),
    ];
    opener.credential = credential(&settings);
    let table = opener.open("az://bucket/t/year=2013/a.csv", &[]).unwrap();
    assert_eq!(opener.read(&table, 0, 0..1).unwrap(), b"a");
    opener.bucket.put("t/year=2013/a.csv", "d\n");
    assert_eq!(opener.read(&table, 0, 0..1).unwrap_err().reason, ReasonCode::InputChanged);
    // Without a key it says nothing of who it is, and asks no cloud for one.
    opener.credential = credential(&[settings[0], settings[2], settings[3]]);
    assert_eq!(opener.refusal("az://bucket/t/year=2013/a.csv", &[]).0, ReasonCode::SourceDenied);
}

fn delta_log(mode: &str) -> String {
    let field = |id: i32, name: &str, kind: &str| {
        json!({ "name": name, "type": kind, "nullable": true, "metadata": {
            "delta.columnMapping.id": id, "delta.columnMapping.physicalName": format!("col-{name}"),
        }})
    };
    let schema =
        json!({ "type": "struct", "fields": [field(1, "a", "long"), field(2, "year", "integer")] });
    let add = |path: &str, year: &str, vector: Option<serde_json::Value>| {
        let mut add = json!({
            "path": path, "partitionValues": { "col-year": year }, "size": 4,
            "modificationTime": 0, "dataChange": true,
        });
        if let Some(vector) = vector {
            add["deletionVector"] = vector;
        }
        json!({ "add": add })
    };
    let inline = json!({
        "storageType": "i", "sizeInBytes": 44, "cardinality": 6,
        "pathOrInlineDv": "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L",
    });
    let in_file = json!({
        "storageType": "u", "sizeInBytes": 44, "cardinality": 6, "offset": 1,
        "pathOrInlineDv": "ab^-aqEH.-t@S}K{vb[*k^",
    });
    let features = json!(["columnMapping", "deletionVectors"]);
    let actions = [
        json!({ "protocol": {
            "minReaderVersion": 3, "minWriterVersion": 7,
            "readerFeatures": features, "writerFeatures": features,
        }}),
        json!({ "metaData": {
            "id": "0b1e1f64-6a37-4b8c-9f3a-1a2b3c4d5e6f",
            "format": { "provider": "parquet", "options": {} },
            "schemaString": schema.to_string(), "partitionColumns": ["year"],
            "configuration": { "delta.columnMapping.mode": mode, "delta.columnMapping.maxColumnId": "2" },
            "createdTime": 0,
        }}),
        add("y2013.parquet", "2013", Some(inline)),
        add("y2014.parquet", "2014", None),
        add("y2015.parquet", "2015", Some(in_file)),
    ];
    actions.map(|action| format!("{action}\n")).concat()
}

/// A file of deleted rows, as Spark writes one.
fn vector_file() -> Vec<u8> {
    let hex = "010000002cd1d339640100000000000000000000003a300000010\
               0000000000500100000000300040007000b0012001d00acd74a79";
    let digits: Vec<u8> =
        hex.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn a_delta_table_is_read_from_a_store() {
    let opener = Opener::new();
    let log = |mode: &str| {
        opener.bucket.put("t/_delta_log/00000000000000000000.json", delta_log(mode));
    };
    log("name");
    opener.bucket.put("t/y2013.parquet", "2013");
    opener.bucket.put("t/y2014.parquet", "2014");
    let table = opener.open("s3://bucket/t", &[]).unwrap();
    assert!(table.evolving);
    let columns = table.columns.clone().unwrap();
    assert_eq!(columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["a", "year"]);
    assert_eq!(table.names_in_files["year"], "col-year");
    assert_eq!(table.files[0].partition, [Some("2013".to_owned())]);
    assert_eq!(
        table.files.iter().map(|file| file.has_deleted_rows).collect::<Vec<_>>(),
        [true, false, true]
    );
    assert_eq!(opener.read(&table, 1, 1..3).unwrap(), b"01");
    let reader = Arc::clone(&table.reader);
    let deleted = opener.engine.wait(None, async move { reader.deleted_rows(0).await });
    assert_eq!(deleted, Ok(vec![3, 4, 7, 11, 18, 29]));
    assert_eq!(table.pinned.len(), 1);

    let deleted = || {
        let reader = Arc::clone(&table.reader);
        opener.engine.wait(None, async move { reader.deleted_rows(2).await })
    };
    assert_eq!(deleted().unwrap_err().reason, ReasonCode::InputChanged, "its file is not there");
    let name = "t/ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin";
    opener.bucket.put(name, vector_file());
    assert_eq!(deleted(), Ok(vec![3, 4, 7, 11, 18, 29]));
    let mut changed = vector_file();
    changed[20] ^= 1;
    opener.bucket.put(name, changed);
    assert_eq!(deleted().unwrap_err().reason, ReasonCode::InputUnreadable);

    let some = opener.open("s3://bucket/t", &["year=2014"]).unwrap();
    assert_eq!(some.files.len(), 1);
    assert_ne!(some.pinned, table.pinned);
    assert!(
        opener.refusal("s3://bucket/t", &["month=1"]).1.contains("no partition column `month`")
    );

    opener.bucket.put("t/y2014.parquet", "20145");
    let failure = opener.read(&table, 1, 1..3).unwrap_err();
    assert_eq!(failure.reason, ReasonCode::InputChanged, "its size is not that of the log");
    log("id");
    assert_eq!(opener.refusal("s3://bucket/t", &[]).0, ReasonCode::SourceUnsupported);
    opener.bucket.put("t/_delta_log/00000000000000000000.json", "no json");
    assert_eq!(opener.refusal("s3://bucket/t", &[]).0, ReasonCode::InputUnreadable);
    log("name");
    opener.bucket.always(Some(Fault::Expired));
    assert_eq!(
        opener.refusal("s3://bucket/t", &[]).0,
        ReasonCode::SourceDenied,
        "not a damaged log"
    );
}

#[test]
fn a_delta_table_of_this_machine_is_the_operators() {
    let mut opener = Opener::new();
    opener.credential = None;
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", directory.path().display());
    assert_eq!(opener.refusal(&url, &[]).0, ReasonCode::SourceUnsupported, "no Delta table");
    std::fs::create_dir(directory.path().join("_delta_log")).unwrap();
    let log = directory.path().join("_delta_log/00000000000000000000.json");
    std::fs::write(log, delta_log("name")).unwrap();
    // Enough of them that a directory gives them in another order than theirs.
    for version in 1..40 {
        let log = directory.path().join(format!("_delta_log/{version:020}.json"));
        std::fs::write(log, "{\"commitInfo\":{}}\n").unwrap();
    }
    std::fs::write(directory.path().join("y2013.parquet"), "2013").unwrap();
    let table = opener.open(&url, &[]).unwrap();
    assert_eq!(opener.read(&table, 0, 0..4).unwrap(), b"2013");
    let missing = opener.read(&table, 1, 0..4).unwrap_err();
    assert_eq!(missing.reason, ReasonCode::InputChanged);
    opener.origin = Origin::Network;
    assert_eq!(opener.refusal(&url, &[]).0, ReasonCode::SourceRefused);
    opener.origin = Origin::Operator;
    assert_eq!(opener.refusal("file:///no/such/place", &[]).0, ReasonCode::InputUnreadable);
}

/// Through the broker itself, as the control plane asks it.
fn open_by_broker(
    bucket: &Bucket,
    more: &[(&str, &str)],
    wait: Duration,
) -> glovebox_room::error::Result<Box<dyn BrokeredTable>> {
    let remote = RemoteTable {
        format: None,
        location: "s3://bucket/a.csv".parse().unwrap(),
        partitions: Vec::<PartitionFilter>::new(),
    };
    SourceBroker::new(SourcePolicy::default()).open(OpenRemote {
        table: &"airline.flights".parse().unwrap(),
        remote: &remote,
        credential: Some(&credential(bucket, more)),
        origin: Origin::Operator,
        deadline: Instant::now() + wait,
    })
}

#[test]
fn errors_name_the_table_and_show_no_credential() {
    let bucket = Bucket::start();
    bucket.put("a.csv", "a\n");
    let long = Duration::from_secs(60);
    assert_eq!(open_by_broker(&bucket, &[], long).unwrap().files(), 1);

    // The store says the key in its answer.
    let wrong = [("aws_access_key_id", "AKIAWRONGKEY")];
    let error = open_by_broker(&bucket, &wrong, long).err().unwrap();
    assert_eq!(error.reason(), ReasonCode::SourceDenied);
    assert_eq!(error.what(), "table airline.flights: its credentials do not open it");
    let shown = error.to_string();
    assert!(shown.contains("InvalidAccessKeyId") && shown.contains("Credential=[…]/"), "{shown}");
    assert!(!shown.contains("AKIAWRONGKEY") && !shown.contains(s3::SECRET), "{shown}");

    bucket.always(Some(Fault::Hang));
    let started = Instant::now();
    let error = open_by_broker(&bucket, &[], Duration::from_millis(300)).err().unwrap();
    assert_eq!(error.reason(), ReasonCode::SourceUnavailable);
    assert!(started.elapsed() < Duration::from_secs(10));
}
