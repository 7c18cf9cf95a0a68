//! The lines of an answer about a table: one JSON object a line, in either form.

use glovebox_delta::{Commit, DataFile, Metadata, Protocol, Snapshot};
use serde_json::{Value, json};

use super::capabilities::Format;
use super::links::Link;

/// The lines of an answer.
pub(crate) struct Lines {
    format: Format,
    text: String,
    /// When the first of its URLs ends, in milliseconds since 1970-01-01T00:00:00Z.
    first_end: Option<u64>,
}

/// The last line, which tells about the answer itself.
#[derive(Debug, Default)]
pub(crate) struct End {
    pub(crate) next_page: Option<String>,
    pub(crate) refresh: Option<String>,
}

impl Lines {
    pub(crate) fn new(format: Format) -> Self {
        Self { format, text: String::new(), first_end: None }
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    fn push(&mut self, line: &Value) {
        self.text.push_str(&line.to_string());
        self.text.push('\n');
    }

    /// What a reader has to know.
    pub(crate) fn protocol(&mut self, protocol: &Protocol) {
        let line = match self.format {
            Format::Parquet => {
                json!({ "protocol": { "minReaderVersion": protocol.min_reader_version } })
            }
            Format::Delta => json!({ "protocol": { "deltaProtocol": protocol } }),
        };
        self.push(&line);
    }

    /// Schema and settings at a version, with the size of the table if it is known.
    pub(crate) fn metadata(
        &mut self,
        metadata: &Metadata,
        version: u64,
        files: Option<(u64, u64)>,
    ) {
        let mut inner = match self.format {
            Format::Parquet => json!({
                "id": metadata.id,
                "format": { "provider": metadata.format.provider },
                "schemaString": metadata.schema_string,
                "partitionColumns": metadata.partition_columns,
                "configuration": configuration(metadata),
            }),
            Format::Delta => json!({ "deltaMetadata": metadata }),
        };
        if let Value::Object(members) = &mut inner {
            members.insert("version".into(), json!(version));
            if let Some((bytes, count)) = files {
                members.insert("size".into(), json!(bytes));
                members.insert("numFiles".into(), json!(count));
            }
        }
        self.push(&json!({ "metaData": inner }));
    }

    /// Both of a snapshot.
    pub(crate) fn head(&mut self, snapshot: &Snapshot) {
        self.protocol(&snapshot.protocol);
        let bytes = snapshot.files.iter().map(|file| file.bytes).sum();
        let count = u64::try_from(snapshot.files.len()).unwrap_or(u64::MAX);
        self.metadata(&snapshot.metadata, snapshot.version, Some((bytes, count)));
    }

    /// A file of a snapshot.
    pub(crate) fn file(&mut self, file: &DataFile, link: &Link) {
        self.ends(link);
        let line = match self.format {
            Format::Parquet => {
                json!({ "file": self.plain(file, link, file.version, file.timestamp, true) })
            }
            Format::Delta => delta_file(
                file,
                link,
                file.version,
                file.timestamp,
                &json!({ "add": add(file, link) }),
            ),
        };
        self.push(&line);
    }

    /// A file that came with a version.
    pub(crate) fn added(&mut self, commit: &Commit, file: &DataFile, link: &Link) {
        self.ends(link);
        let (version, timestamp) = (commit.version, commit.timestamp);
        let line = match self.format {
            Format::Parquet => json!({ "add": self.plain(file, link, version, timestamp, true) }),
            Format::Delta => {
                delta_file(file, link, version, timestamp, &json!({ "add": add(file, link) }))
            }
        };
        self.push(&line);
    }

    /// A file that went with a version.
    pub(crate) fn removed(&mut self, commit: &Commit, file: &DataFile, link: &Link) {
        self.ends(link);
        let (version, timestamp) = (commit.version, commit.timestamp);
        let line = match self.format {
            Format::Parquet => {
                json!({ "remove": self.plain(file, link, version, timestamp, false) })
            }
            Format::Delta => {
                let remove = json!({
                    "path": link.url,
                    "deletionTimestamp": timestamp,
                    "dataChange": true,
                    "extendedFileMetadata": true,
                    "partitionValues": {},
                    "size": file.bytes,
                });
                delta_file(file, link, version, timestamp, &json!({ "remove": remove }))
            }
        };
        self.push(&line);
    }

    /// The last line. Clients that did not ask for it do not understand it.
    pub(crate) fn end(&mut self, end: End) {
        let mut line = serde_json::Map::new();
        if let Some(first) = self.first_end {
            line.insert("minUrlExpirationTimestamp".into(), json!(first));
        }
        if let Some(token) = end.next_page {
            line.insert("nextPageToken".into(), json!(token));
        }
        if let Some(token) = end.refresh {
            line.insert("refreshToken".into(), json!(token));
        }
        self.push(&json!({ "endStreamAction": line }));
    }

    fn ends(&mut self, link: &Link) {
        self.first_end = Some(self.first_end.map_or(link.expires, |first| first.min(link.expires)));
    }

    #[expect(clippy::unused_self, reason = "stands beside the form of Delta")]
    fn plain(
        &self,
        file: &DataFile,
        link: &Link,
        version: u64,
        timestamp: i64,
        with_stats: bool,
    ) -> Value {
        let mut plain = json!({
            "url": link.url,
            "id": id(file),
            "partitionValues": {},
            "size": file.bytes,
            "version": version,
            "timestamp": timestamp,
            "expirationTimestamp": link.expires,
        });
        if let (Value::Object(members), Some(stats), true) = (&mut plain, &file.stats, with_stats) {
            members.insert("stats".into(), json!(stats));
        }
        plain
    }
}

/// The settings, by the names that the protocol has for the table's own.
fn configuration(metadata: &Metadata) -> Value {
    match metadata.configuration.get("delta.enableChangeDataFeed") {
        Some(setting) => json!({ "enableChangeDataFeed": setting }),
        None => json!({}),
    }
}

/// The same for the same file in every answer: the digest of what wrote it, and its number.
fn id(file: &DataFile) -> &str {
    file.name.strip_suffix(".parquet").unwrap_or(&file.name)
}

fn add(file: &DataFile, link: &Link) -> Value {
    let mut add = json!({
        "path": link.url,
        "partitionValues": {},
        "size": file.bytes,
        "modificationTime": file.timestamp,
        "dataChange": true,
    });
    if let (Value::Object(members), Some(stats)) = (&mut add, &file.stats) {
        members.insert("stats".into(), json!(stats));
    }
    add
}

fn delta_file(file: &DataFile, link: &Link, version: u64, timestamp: i64, action: &Value) -> Value {
    json!({ "file": {
        "id": id(file),
        "version": version,
        "timestamp": timestamp,
        "expirationTimestamp": link.expires,
        "deltaSingleAction": action,
    } })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use glovebox_contract::digest::Blake3Digest;
    use glovebox_delta::{Change, history::Format as FileFormat};

    use super::*;

    fn file(version: u64) -> DataFile {
        DataFile {
            name: format!("{}-0.parquet", "ab".repeat(4)),
            bytes: 573,
            stats: Some(r#"{"numRecords":1}"#.into()),
            write: Blake3Digest::from_bytes([0; 32]),
            version,
            timestamp: 1_700_000_000_000,
        }
    }

    fn link() -> Link {
        Link { url: "https://h/f?X-Databricks-Signature=s".into(), expires: 1_700_000_360_000 }
    }

    fn snapshot() -> Snapshot {
        let protocol = Protocol {
            min_reader_version: 1,
            min_writer_version: 4,
            reader_features: None,
            writer_features: None,
        };
        let metadata = Metadata {
            id: "11-22".into(),
            format: FileFormat { provider: "parquet".into(), options: BTreeMap::new() },
            schema_string: r#"{"type":"struct","fields":[]}"#.into(),
            partition_columns: Vec::new(),
            configuration: BTreeMap::from([("delta.enableChangeDataFeed".into(), "true".into())]),
            created_time: Some(1),
        };
        Snapshot {
            version: 2,
            timestamp: 3,
            protocol: Arc::new(protocol),
            metadata: Arc::new(metadata),
            files: vec![Arc::new(file(2)), Arc::new(file(1))],
        }
    }

    fn said(format: Format) -> String {
        let mut lines = Lines::new(format);
        lines.head(&snapshot());
        lines.file(&file(2), &link());
        let commit = Commit {
            version: 5,
            timestamp: 6,
            event: Blake3Digest::from_bytes([0; 32]),
            change: Change::Replace,
            protocol: None,
            metadata: None,
            added: Vec::new(),
            removed: Vec::new(),
        };
        lines.added(&commit, &file(5), &link());
        lines.removed(&commit, &file(2), &link());
        lines.end(End { next_page: Some("next".into()), refresh: None });
        let text = lines.into_text();
        text.lines().map(|line| format!("{}\n", sorted(line))).collect()
    }

    /// How `serde_json` was built decides the order of members.
    fn sorted(line: &str) -> Value {
        fn sort(value: Value) -> Value {
            match value {
                Value::Object(members) => {
                    let members: BTreeMap<String, Value> =
                        members.into_iter().map(|(name, member)| (name, sort(member))).collect();
                    Value::Object(members.into_iter().collect())
                }
                other => other,
            }
        }
        sort(serde_json::from_str(line).unwrap())
    }

    #[test]
    fn the_lines_of_the_protocols_own_form() {
        insta::assert_snapshot!(said(Format::Parquet), @r#"
        {"protocol":{"minReaderVersion":1}}
        {"metaData":{"configuration":{"enableChangeDataFeed":"true"},"format":{"provider":"parquet"},"id":"11-22","numFiles":2,"partitionColumns":[],"schemaString":"{\"type\":\"struct\",\"fields\":[]}","size":1146,"version":2}}
        {"file":{"expirationTimestamp":1700000360000,"id":"abababab-0","partitionValues":{},"size":573,"stats":"{\"numRecords\":1}","timestamp":1700000000000,"url":"https://h/f?X-Databricks-Signature=s","version":2}}
        {"add":{"expirationTimestamp":1700000360000,"id":"abababab-0","partitionValues":{},"size":573,"stats":"{\"numRecords\":1}","timestamp":6,"url":"https://h/f?X-Databricks-Signature=s","version":5}}
        {"remove":{"expirationTimestamp":1700000360000,"id":"abababab-0","partitionValues":{},"size":573,"timestamp":6,"url":"https://h/f?X-Databricks-Signature=s","version":5}}
        {"endStreamAction":{"minUrlExpirationTimestamp":1700000360000,"nextPageToken":"next"}}
        "#);
    }

    #[test]
    fn the_lines_of_deltas_form() {
        insta::assert_snapshot!(said(Format::Delta), @r#"
        {"protocol":{"deltaProtocol":{"minReaderVersion":1,"minWriterVersion":4}}}
        {"metaData":{"deltaMetadata":{"configuration":{"delta.enableChangeDataFeed":"true"},"createdTime":1,"format":{"options":{},"provider":"parquet"},"id":"11-22","partitionColumns":[],"schemaString":"{\"type\":\"struct\",\"fields\":[]}"},"numFiles":2,"size":1146,"version":2}}
        {"file":{"deltaSingleAction":{"add":{"dataChange":true,"modificationTime":1700000000000,"partitionValues":{},"path":"https://h/f?X-Databricks-Signature=s","size":573,"stats":"{\"numRecords\":1}"}},"expirationTimestamp":1700000360000,"id":"abababab-0","timestamp":1700000000000,"version":2}}
        {"file":{"deltaSingleAction":{"add":{"dataChange":true,"modificationTime":1700000000000,"partitionValues":{},"path":"https://h/f?X-Databricks-Signature=s","size":573,"stats":"{\"numRecords\":1}"}},"expirationTimestamp":1700000360000,"id":"abababab-0","timestamp":6,"version":5}}
        {"file":{"deltaSingleAction":{"remove":{"dataChange":true,"deletionTimestamp":6,"extendedFileMetadata":true,"partitionValues":{},"path":"https://h/f?X-Databricks-Signature=s","size":573}},"expirationTimestamp":1700000360000,"id":"abababab-0","timestamp":6,"version":5}}
        {"endStreamAction":{"minUrlExpirationTimestamp":1700000360000,"nextPageToken":"next"}}
        "#);
    }
}
