//! What a server says of a table: a JSON object a line, in either of the protocol's two forms.

use std::collections::{BTreeMap, BTreeSet};

use glovebox_delta::Protocol;
use glovebox_delta::read::{DeletionVector, SourceError, TableSchema, check_protocol};
use serde::Deserialize;

use crate::error::Failure;

/// Most files of a table.
pub(super) const MAX_FILES: usize = 20_000;

/// A table as a server tells of it.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Its id and its columns.
    pub(super) table: Option<(String, TableSchema)>,
    /// Its files.
    pub(super) files: Vec<SharedFile>,
    /// The version that the lines name.
    pub(super) version: Option<u64>,
    /// Where the next page begins.
    pub(super) next_page: Option<String>,
    /// Whether the last line is one that ends an answer.
    pub(super) is_ended: bool,
}

/// A file of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SharedFile {
    /// What it is called in every answer.
    pub(super) id: String,
    /// What its list of deleted rows is called.
    pub(super) deleted_id: Option<String>,
    pub(super) bytes: u64,
    /// The texts of its partition columns' values, by the names in the files.
    pub(super) partition: BTreeMap<String, Option<String>>,
    pub(super) link: Link,
}

/// Where a file is for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) url: String,
    /// Until when, in milliseconds since 1970.
    pub(super) expires: Option<i64>,
    pub(super) deleted: Option<DeletionVector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    protocol: Option<ProtocolLine>,
    meta_data: Option<MetadataLine>,
    file: Option<FileLine>,
    end_stream_action: Option<EndLine>,
    query_status: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProtocolLine {
    min_reader_version: Option<i32>,
    delta_protocol: Option<Protocol>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetadataLine {
    version: Option<u64>,
    delta_metadata: Option<Metadata>,
    #[serde(flatten)]
    plain: Option<Metadata>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    id: String,
    format: Format,
    schema_string: String,
    #[serde(default)]
    partition_columns: Vec<String>,
    #[serde(default)]
    configuration: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Format {
    provider: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileLine {
    id: String,
    expiration_timestamp: Option<i64>,
    deletion_vector_file_id: Option<String>,
    delta_single_action: Option<Action>,
    // In the other form:
    url: Option<String>,
    #[serde(default)]
    partition_values: BTreeMap<String, Option<String>>,
    size: Option<u64>,
}

#[derive(Deserialize)]
struct Action {
    add: Option<Add>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Add {
    path: String,
    #[serde(default)]
    partition_values: BTreeMap<String, Option<String>>,
    size: u64,
    deletion_vector: Option<DeletionVector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EndLine {
    next_page_token: Option<String>,
    error_message: Option<String>,
}

impl Answer {
    /// Reads an answer, or the next page of one.
    pub(super) fn read(&mut self, body: &[u8]) -> Result<(), Failure> {
        self.next_page = None;
        self.is_ended = false;
        let lines = body.split(|byte| *byte == b'\n').enumerate();
        for (at, line) in lines.filter(|(_, line)| !line.trim_ascii().is_empty()) {
            let number = at.saturating_add(1);
            let line: Line = serde_json::from_slice(line).map_err(|_| {
                Failure::unreadable(format!(
                    "line {number} of the server's answer is not understood"
                ))
            })?;
            self.add(line)?;
        }
        Ok(())
    }

    fn add(&mut self, line: Line) -> Result<(), Failure> {
        if line.query_status.is_some() {
            return Err(Failure::unsupported("the server answers later, which was not asked for"));
        }
        if let Some(protocol) = line.protocol {
            protocol.check()?;
        }
        if let Some(metadata) = line.meta_data {
            self.version = self.version.or(metadata.version);
            self.table = Some(metadata.table()?);
        }
        if let Some(file) = line.file {
            if self.files.len() >= MAX_FILES {
                return Err(Failure::unsupported(format!(
                    "the table has more than {MAX_FILES} files"
                )));
            }
            self.files.push(file.file()?);
        }
        if let Some(end) = line.end_stream_action {
            if let Some(message) = end.error_message {
                return Err(Failure::unavailable(format!("the server gave up: {message}")));
            }
            self.next_page = end.next_page_token.filter(|token| !token.is_empty());
            self.is_ended = true;
        }
        Ok(())
    }

    /// The files in an order that is the same in every answer.
    pub(super) fn sort_files(&mut self) -> Result<(), Failure> {
        self.files.sort_by(|a, b| a.id.cmp(&b.id));
        let ids: BTreeSet<&str> = self.files.iter().map(|file| file.id.as_str()).collect();
        match ids.len() == self.files.len() {
            true => Ok(()),
            false => Err(Failure::unreadable("the server names two files of the table alike")),
        }
    }
}

impl ProtocolLine {
    fn check(&self) -> Result<(), Failure> {
        match (&self.delta_protocol, self.min_reader_version) {
            (Some(protocol), _) => check_protocol(protocol).map_err(failure),
            (None, None | Some(..=1)) => Ok(()),
            (None, Some(version)) => Err(Failure::unsupported(format!(
                "the server asks for readers of version {version} of its protocol"
            ))),
        }
    }
}

impl MetadataLine {
    fn table(self) -> Result<(String, TableSchema), Failure> {
        let (mut metadata, is_delta) = match (self.delta_metadata, self.plain) {
            (Some(metadata), _) => (metadata, true),
            (None, Some(metadata)) => (metadata, false),
            (None, None) => {
                return Err(Failure::unreadable("the server does not say what columns there are"));
            }
        };
        if !metadata.format.provider.eq_ignore_ascii_case("parquet") {
            return Err(Failure::unsupported("the files of the table are not Parquet"));
        }
        // In the plain form files have the names that people know.
        if !is_delta {
            metadata.configuration.clear();
        }
        let schema = TableSchema::parse(
            &metadata.schema_string,
            &metadata.partition_columns,
            &metadata.configuration,
        );
        Ok((metadata.id, schema.map_err(failure)?))
    }
}

impl FileLine {
    fn file(self) -> Result<SharedFile, Failure> {
        let without =
            |what: &str| Failure::unreadable(format!("a file of the table has no {what}"));
        let (url, partition, bytes, deleted) = match self.delta_single_action {
            Some(Action { add: Some(add) }) => {
                (add.path, add.partition_values, add.size, add.deletion_vector)
            }
            Some(Action { add: None }) => return Err(without("place")),
            None => {
                let url = self.url.ok_or_else(|| without("address"))?;
                (url, self.partition_values, self.size.ok_or_else(|| without("size"))?, None)
            }
        };
        Ok(SharedFile {
            id: self.id,
            deleted_id: self.deletion_vector_file_id,
            bytes,
            partition,
            link: Link { url, expires: self.expiration_timestamp, deleted },
        })
    }
}

/// Why a table of Delta cannot be read.
pub(super) fn failure(error: SourceError) -> Failure {
    match error {
        SourceError::Unsupported(why) => Failure::unsupported(why),
        SourceError::Damaged(why) => Failure::unreadable(why),
    }
}

#[cfg(test)]
mod tests {
    use glovebox_contract::reason::ReasonCode;

    use super::*;

    const SCHEMA: &str = r#"{\"type\":\"struct\",\"fields\":[{\"name\":\"a\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]}"#;

    fn read(lines: &str) -> Result<Answer, Failure> {
        let mut answer = Answer::default();
        answer.read(lines.replace("SCHEMA", SCHEMA).as_bytes())?;
        answer.sort_files()?;
        Ok(answer)
    }

    #[test]
    fn both_forms_say_the_same() {
        let plain = read(
            r#"{"protocol":{"minReaderVersion":1}}
            {"metaData":{"id":"t","format":{"provider":"parquet"},"schemaString":"SCHEMA","partitionColumns":[],"version":7,"later":1}}
            {"file":{"url":"https://h/b","id":"b","partitionValues":{},"size":2}}
            {"file":{"url":"https://h/a","id":"a","partitionValues":{"p":null},"size":1,"expirationTimestamp":5,"stats":"{}"}}

            {"endStreamAction":{}}"#,
        )
        .unwrap();
        let delta = read(
            r#"{"protocol":{"deltaProtocol":{"minReaderVersion":1,"minWriterVersion":2}}}
            {"metaData":{"version":7,"deltaMetadata":{"id":"t","format":{"provider":"parquet","options":{}},"schemaString":"SCHEMA","partitionColumns":[],"configuration":{}}}}
            {"file":{"id":"a","expirationTimestamp":5,"deltaSingleAction":{"add":{"path":"https://h/a","partitionValues":{"p":null},"size":1,"modificationTime":0,"dataChange":true}}}}
            {"file":{"id":"b","deltaSingleAction":{"add":{"path":"https://h/b","partitionValues":{},"size":2}}}}
            {"endStreamAction":{"nextPageToken":""}}"#,
        )
        .unwrap();
        assert_eq!(plain.files, delta.files);
        assert_eq!(plain.table, delta.table);
        assert_eq!((plain.version, delta.version), (Some(7), Some(7)));
        assert!(plain.is_ended && delta.is_ended && delta.next_page.is_none());
        assert_eq!(plain.files[0].link.expires, Some(5));
        assert_eq!(plain.files[0].partition, [("p".to_owned(), None)].into());
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let check = |lines: &str, reason, why: &str| {
            let failure = read(lines).unwrap_err();
            assert_eq!(failure.reason, reason, "{lines}");
            assert!(failure.detail.contains(why), "{}", failure.detail);
        };
        use ReasonCode::{InputUnreadable, SourceUnavailable, SourceUnsupported};
        check("{\"file\":", InputUnreadable, "line 1 of the server's answer");
        check("<html>", InputUnreadable, "line 1");
        check(r#"{"file":{"id":"a","url":"https://h","size":-1}}"#, InputUnreadable, "line 1");
        check(r#"{"file":{"id":"a","size":1}}"#, InputUnreadable, "no address");
        check(r#"{"file":{"id":"a","url":"https://h"}}"#, InputUnreadable, "no size");
        check(r#"{"protocol":{"minReaderVersion":2}}"#, SourceUnsupported, "version 2");
        check(
            r#"{"protocol":{"deltaProtocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["catalogManaged"]}}}"#,
            SourceUnsupported,
            "catalogManaged",
        );
        check(
            r#"{"endStreamAction":{"errorMessage":"too large"}}"#,
            SourceUnavailable,
            "gave up: too large",
        );
        check(
            r#"{"queryStatus":{"queryId":"1","status":"pending"}}"#,
            SourceUnsupported,
            "answers later",
        );
        check(
            r#"{"metaData":{"id":"t","format":{"provider":"orc"},"schemaString":"SCHEMA"}}"#,
            SourceUnsupported,
            "not Parquet",
        );
        check(r#"{"metaData":{"version":1}}"#, InputUnreadable, "what columns");
        let file = r#"{"file":{"id":"a","url":"https://h","size":1}}"#;
        check(&format!("{file}\n{file}"), InputUnreadable, "alike");
    }
}
