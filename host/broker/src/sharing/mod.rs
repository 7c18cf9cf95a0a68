//! Tables that a server of Delta Sharing shares.
//!
//! Opening asks once for the table as it is, which says its version, its columns and its files with
//! addresses that are good for a while. Pieces of files are read from those addresses; when one is
//! good no longer, the same version is asked for again.

mod access;
mod answer;
mod body;
mod download;
mod profile;
mod server;
#[cfg(test)]
mod tests;
mod tries;

use std::collections::BTreeMap;
use std::sync::Arc;

use glovebox_delta::read::TableSchema;
use glovebox_job::job::FileFormat;
use glovebox_room::remote::PartitionFilter;
use serde::Serialize;

use crate::error::Failure;
use crate::http::Http;
use crate::pinned;
use crate::source::{FileTable, OpenTable, Request, SourceFile};
use answer::SharedFile;
use download::SharedFiles;
use profile::Profile;
use server::Server;

/// Which version is pinned.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Record<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    partitions: BTreeMap<&'a str, Vec<&'a str>>,
    table_id: &'a str,
    version: u64,
}

/// Opens a table as it is now. `share`, `schema` and `table` are the server's names.
pub(crate) async fn open(
    request: &Request,
    share: &str,
    schema: &str,
    table: &str,
) -> Result<OpenTable, Failure> {
    if request.format.is_some_and(|format| format != FileFormat::Parquet) {
        return Err(Failure::unsupported("the files of a shared table are Parquet"));
    }
    let credential = request.credential.as_ref();
    let profile = credential.and_then(|credential| credential.get("profile")).ok_or_else(|| {
        Failure::denied("a shared table needs a credential whose `profile` is the profile file")
    })?;
    let profile = Profile::parse(profile)?;
    let http = Http::new(request.outbound.clone());
    let server = Server::new(http, profile, share, schema, table)?;
    let deadline = tokio::time::Instant::from_std(request.deadline);
    let (answer, version) = tokio::time::timeout_at(deadline, server.query(None))
        .await
        .map_err(|_| Failure::unavailable("the sharing server does not answer in time"))??;
    let (id, schema) = answer
        .table
        .ok_or_else(|| Failure::unreadable("the server does not say what columns there are"))?;
    let files = wanted(answer.files, &schema, &request.partitions)?;
    let bytes = files.iter().try_fold(0_u64, |sum, (file, _)| sum.checked_add(file.bytes));
    let bytes = bytes.ok_or_else(|| Failure::unreadable("the files of the table are too large"))?;
    let partitions = pinned::filters(&request.partitions);
    let record = Record { kind: "delta-sharing", partitions, table_id: &id, version };
    let pinned = pinned::of_record(bytes, &record)?;
    let told = files.iter().map(|(file, partition)| SourceFile {
        bytes: file.bytes,
        partition: partition.clone(),
        has_deleted_rows: file.link.deleted.is_some(),
    });
    Ok(OpenTable::Files(FileTable {
        evolving: true,
        format: FileFormat::Parquet,
        columns: Some(schema.columns),
        names_in_files: schema.names_in_files,
        partition_columns: schema.partition_columns,
        files: told.collect(),
        pinned: vec![pinned],
        reader: Arc::new(SharedFiles::new(
            server,
            version,
            files.into_iter().map(|(file, _)| file).collect(),
        )),
    }))
}

/// A file, and the text of each partition column's value; none is null.
type Partitioned = (SharedFile, Vec<Option<String>>);

/// The files whose partitions are asked for, with the values of their partition columns in order.
fn wanted(
    files: Vec<SharedFile>,
    schema: &TableSchema,
    partitions: &[PartitionFilter],
) -> Result<Vec<Partitioned>, Failure> {
    let place = |filter: &PartitionFilter| {
        let mut columns = schema.partition_columns.iter();
        columns.position(|column| column.name == filter.column).ok_or_else(|| {
            Failure::unsupported(format!(
                "the table has no partition column `{}`",
                filter.column.escape_debug()
            ))
        })
    };
    let filters: Vec<(usize, &PartitionFilter)> = partitions
        .iter()
        .map(|filter| Ok((place(filter)?, filter)))
        .collect::<Result<_, Failure>>()?;
    let with_values = files.into_iter().map(|mut file| {
        let values = schema.partition_columns.iter().map(|column| {
            let name = schema.name_in_files(&column.name);
            // An empty text stands for null.
            file.partition.remove(name).flatten().filter(|value| !value.is_empty())
        });
        let values: Vec<Option<String>> = values.collect();
        (file, values)
    });
    Ok(with_values
        .filter(|(_, values)| {
            filters.iter().all(|(at, filter)| {
                let value = values.get(*at).and_then(Option::as_ref);
                value.is_some_and(|value| filter.values.contains(value))
            })
        })
        .collect())
}
