//! Tables as Parquet files.

use std::io::Write;

use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};

use crate::error::AuditError;
use crate::rows::Table;

/// Named in every file as its writer.
const CREATED_BY: &str = "glovebox";

/// Writes a table as a Parquet file: the same bytes for the same table.
///
/// # Errors
/// When the file cannot be written.
pub fn write_parquet(table: &Table, to: impl Write + Send) -> Result<(), AuditError> {
    let properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .build();
    let mut writer = ArrowWriter::try_new(to, table.schema.clone(), Some(properties))?;
    for batch in &table.batches {
        writer.write(batch)?;
    }
    writer.close()?;
    Ok(())
}
