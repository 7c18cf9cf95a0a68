//! Tables that an owner shares the plain way: the files of the table as they are.

use std::path::PathBuf;

use glovebox_contract::name::TableName;
use glovebox_contract::statement::TableAsset;
use glovebox_job::job::FileFormat;
use glovebox_room::{Files, Room, Rows};

use crate::error::Result;

/// The files of the table, or why they cannot be handed out as they are.
pub(crate) fn files(
    room: &Room,
    table: &TableName,
    asset: &TableAsset,
) -> Result<Result<Vec<PathBuf>, &'static str>> {
    if asset.output.is_some() {
        return Ok(Err("it is an output of a notebook, which is shared as such"));
    }
    let Some(source) = room.table_source(table)? else {
        return Ok(Err("the host does not have its files"));
    };
    let files = match source.rows {
        Rows::View { .. } => return Ok(Err("it is a view, and only files can be shared")),
        Rows::Remote(_) => return Ok(Err("it is elsewhere, and this host has no files of it")),
        Rows::Files(files) => files,
    };
    // Recipients get the files, with every column in them.
    Ok(match &files {
        _ if asset.view.is_some() => Err("it is a view, and only files can be shared"),
        _ if !source.aliases.is_empty() => {
            Err("its owner publishes columns under other names than those in its files")
        }
        Files { format, .. } if *format != FileFormat::Parquet => {
            Err("its files are not Parquet files")
        }
        Files { columns, .. } if columns.iter().any(|column| !asset.columns.contains(column)) => {
            Err("its owner withholds columns that are in its files")
        }
        files => list(files).map_err(|_| "its files cannot be read on the host"),
    })
}

/// As `glovebox-room` lists them: one file, or those of a directory that are not hidden.
fn list(files: &Files) -> std::io::Result<Vec<PathBuf>> {
    if files.path.symlink_metadata()?.is_file() {
        return Ok(vec![files.path.clone()]);
    }
    let mut paths = Vec::new();
    for entry in files.path.read_dir()? {
        let entry = entry?;
        let hidden = matches!(entry.file_name().as_encoded_bytes().first(), Some(b'.' | b'_'));
        if !hidden && entry.file_type()?.is_file() {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}
