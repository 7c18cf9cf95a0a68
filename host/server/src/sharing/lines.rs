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
                // The name that the protocol has for the table's own setting.
                "configuration": { "enableChangeDataFeed": "true" },
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
