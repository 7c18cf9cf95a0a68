use std::collections::BTreeMap;

use object_store::memory::InMemory;
use object_store::{ObjectStoreExt as _, PutPayload};
use serde_json::{Value, json};

use super::*;

/// A table as its log says it: one list of actions for each version.
async fn table(versions: &[Vec<Value>]) -> Arc<dyn ObjectStore> {
    let store = InMemory::new();
    for (version, actions) in versions.iter().enumerate() {
        let text: String = actions.iter().map(|action| format!("{action}\n")).collect();
        let path = format!("_delta_log/{version:020}.json").into();
        store.put(&path, PutPayload::from(text)).await.unwrap();
    }
    Arc::new(store)
}

fn protocol(version: i32, features: Option<&[&str]>) -> Value {
    let mut action =
        json!({ "minReaderVersion": version, "minWriterVersion": 7, "writerFeatures": [] });
    if let Some(features) = features {
        action["readerFeatures"] = json!(features);
        action["writerFeatures"] = json!(features);
    }
    json!({ "protocol": action })
}

fn metadata(mode: Option<&str>) -> Value {
    let field = |id: i32, name: &str, kind: &str| {
        let mut metadata = json!({});
        if mode.is_some() {
            metadata = json!({
                "delta.columnMapping.id": id,
                "delta.columnMapping.physicalName": format!("col-{name}"),
            });
        }
        json!({ "name": name, "type": kind, "nullable": true, "metadata": metadata })
    };
    let fields = [field(1, "a", "long"), field(2, "year", "integer")];
    let mut configuration = BTreeMap::new();
    if let Some(mode) = mode {
        configuration.insert("delta.columnMapping.mode", mode);
        configuration.insert("delta.columnMapping.maxColumnId", "2");
    }
    json!({ "metaData": {
        "id": "0b1e1f64-6a37-4b8c-9f3a-1a2b3c4d5e6f",
        "format": { "provider": "parquet", "options": {} },
        "schemaString": json!({ "type": "struct", "fields": fields }).to_string(),
        "partitionColumns": ["year"],
        "configuration": configuration,
        "createdTime": 0,
    }})
}

fn add(path: &str, column: &str, year: Value) -> Value {
    json!({ "add": {
        "path": path, "partitionValues": { column: year }, "size": 7, "modificationTime": 0,
        "dataChange": true,
    }})
}

fn remove(path: &str) -> Value {
    json!({ "remove": { "path": path, "deletionTimestamp": 1, "dataChange": true } })
}

async fn read(versions: &[Vec<Value>]) -> Result<SourceTable, SourceError> {
    open(table(versions).await, |_, _| Ok(true), 3).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_version_is_read() {
    let versions = [
        vec![
            protocol(1, None),
            metadata(None),
            add("year=2013/b.parquet", "year", json!("2013")),
            add("year=2012/a%20b.parquet", "year", json!("2012")),
        ],
        vec![
            remove("year=2013/b.parquet"),
            add("year=__HIVE_DEFAULT_PARTITION__/c.parquet", "year", Value::Null),
            add("d.parquet", "year", json!("")),
        ],
    ];
    let found = read(&versions).await.unwrap();
    assert_eq!((found.version, found.id.as_str()), (1, "0b1e1f64-6a37-4b8c-9f3a-1a2b3c4d5e6f"));
    let files = found.files.iter().map(|file| (file.path.as_ref(), file.partition.clone()));
    assert_eq!(
        files.collect::<Vec<_>>(),
        [
            ("d.parquet", vec![None]),
            ("year=2012/a b.parquet", vec![Some("2012".into())]),
            ("year=__HIVE_DEFAULT_PARTITION__/c.parquet", vec![None]),
        ]
    );
    assert!(found.files.iter().all(|file| file.bytes == 7 && file.deleted.is_none()));

    let only =
        |_: &TableSchema, values: &[Option<String>]| Ok(values[0].as_deref() == Some("2012"));
    let found = open(table(&versions).await, only, 1).await.unwrap();
    assert_eq!(found.files.len(), 1);
    let error = open(table(&versions).await, |_, _| Ok(true), 2).await.unwrap_err();
    assert_eq!(
        error,
        SourceError::Unsupported(
            "the table has more than 2 files; fewer partitions or larger files help".into()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_other_names_in_its_files_is_read() {
    let versions = [vec![
        protocol(3, Some(&["columnMapping", "deletionVectors"])),
        metadata(Some("name")),
        json!({ "add": {
            "path": "x.parquet", "partitionValues": { "col-year": "2013" }, "size": 7,
            "modificationTime": 0, "dataChange": true,
            "deletionVector": {
                "storageType": "i", "sizeInBytes": 44, "cardinality": 6,
                "pathOrInlineDv": "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L",
            },
        }}),
    ]];
    let found = read(&versions).await.unwrap();
    assert_eq!(found.schema.name_in_files("a"), "col-a");
    let [file] = found.files.as_slice() else { panic!("{:?}", found.files) };
    assert_eq!(file.partition, [Some("2013".to_owned())]);
    let deleted = file.deleted.as_ref().unwrap();
    assert_eq!(deleted.place(), Ok(VectorPlace::Rows(vec![3, 4, 7, 11, 18, 29])));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_said() {
    async fn check(versions: &[Vec<Value>], unsupported: bool, expect: &str) {
        let error = read(versions).await.unwrap_err();
        assert_eq!(matches!(error, SourceError::Unsupported(_)), unsupported, "{error}");
        assert!(error.to_string().contains(expect), "{error}");
    }
    check(&[], false, "").await;
    check(&[vec![protocol(1, None)]], false, "").await;
    let features: &[&str] = &["columnMapping"];
    check(&[vec![protocol(3, Some(features)), metadata(Some("id"))]], true, "by their ids").await;
    for (feature, expect) in [
        ("catalogManaged", "catalog-managed"),
        ("variantType", "variantType"),
        ("noSuchFeature", "noSuchFeature"),
    ] {
        let versions = [vec![protocol(3, Some(&[feature])), metadata(None)]];
        check(&versions, true, expect).await;
    }
    check(&[vec![protocol(4, None), metadata(None)]], true, "4").await;
    let outside = add("s3://elsewhere/x.parquet", "year", json!("1"));
    check(&[vec![protocol(1, None), metadata(None), outside]], true, "outside").await;
    let up = add("../x.parquet", "year", json!("1"));
    let found = read(&[vec![protocol(1, None), metadata(None), up]]).await;
    // Whatever the text becomes, it stays below the table.
    assert!(
        found.is_err() || found.is_ok_and(|found| !found.files[0].path.as_ref().contains(".."))
    );
    let garbage = table(&[]).await;
    let path = "_delta_log/00000000000000000000.json".into();
    garbage.put(&path, PutPayload::from("no json")).await.unwrap();
    let error = open(garbage, |_, _| Ok(true), 3).await.unwrap_err();
    assert!(matches!(error, SourceError::Damaged(_)), "{error}");
}
