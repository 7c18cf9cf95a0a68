//! Tables for tests: files whose every byte is its place, and a database of two columns.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use glovebox_contract::column::{Column, ColumnType};
use glovebox_job::job::FileFormat;
use glovebox_room::remote::Pinned;

use crate::error::Failure;
use crate::source::{Batches, FileReader, FileTable, OpenTable, RowSource, Scan, SourceFile};

/// A table of files of these sizes. In the first, rows 1 and 3 are deleted; reading its byte 7 fails, and
/// byte 5 alone is more than its reader takes.
pub(crate) fn files(sizes: &[u64]) -> OpenTable {
    let files = sizes.iter().enumerate().map(|(place, bytes)| SourceFile {
        bytes: *bytes,
        partition: vec![Some(place.to_string())],
        has_deleted_rows: place == 0,
    });
    OpenTable::Files(FileTable {
        evolving: false,
        format: FileFormat::Parquet,
        columns: None,
        names_in_files: BTreeMap::from([("a".to_owned(), "col-a".to_owned())]),
        partition_columns: vec![column("year", ColumnType::Int64)],
        files: files.collect(),
        pinned: Vec::new(),
        reader: Arc::new(Reader),
    })
}

/// A database with the rows (0, "0") to (99, "99"), which fails after 50 of them when it is asked
/// for 77.
pub(crate) fn rows() -> OpenTable {
    let columns = vec![column("number", ColumnType::Int64), column("text", ColumnType::Utf8)];
    OpenTable::Rows(Arc::new(Rows { columns }))
}

pub(crate) fn column(name: &str, column_type: ColumnType) -> Column {
    Column { name: name.into(), nullable: true, column_type }
}

struct Reader;

#[async_trait]
impl FileReader for Reader {
    async fn read(&self, _: usize, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, Failure> {
        if ranges.iter().any(|range| range.contains(&7)) {
            return Err(Failure::denied("GET https://h/x?sig=abc by secret-key-1"));
        }
        assert!(ranges != std::slice::from_ref(&(5..6)), "a reader's mistake");
        let piece = |range: &Range<u64>| range.clone().map(|place| place as u8).collect();
        Ok(ranges.iter().map(piece).collect())
    }

    async fn deleted_rows(&self, _: usize) -> Result<Vec<u64>, Failure> {
        Ok(vec![1, 3])
    }

    async fn check_unchanged(&self) -> Result<(), Failure> {
        Err(Failure::changed("it is another"))
    }
}

struct Rows {
    columns: Vec<Column>,
}

#[async_trait]
impl RowSource for Rows {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn pinned(&self) -> Vec<Pinned> {
        Vec::new()
    }

    async fn scan(&self, scan: Scan) -> Result<Batches, Failure> {
        let all = Schema::new(vec![
            Field::new("number", DataType::Int64, true),
            Field::new("text", DataType::Utf8, true),
        ]);
        let limit = scan.limit.unwrap_or(100);
        let batch = move |first: i64| {
            if limit == 77 && first == 50 {
                return Err(Failure::unavailable("the database went away"));
            }
            let numbers = first..first + 10;
            let texts = numbers.clone().map(|number| number.to_string());
            let whole = RecordBatch::try_new(
                Arc::new(all.clone()),
                vec![
                    Arc::new(numbers.collect::<Int64Array>()),
                    Arc::new(StringArray::from_iter_values(texts)),
                ],
            );
            let options = RecordBatchOptions::new().with_row_count(Some(10));
            let wanted = whole.unwrap().project(&scan.columns).unwrap();
            let schema = wanted.schema();
            Ok(RecordBatch::try_new_with_options(schema, wanted.columns().to_vec(), &options)
                .unwrap())
        };
        Ok(futures::stream::iter((0..10).map(|tens| tens * 10)).map(batch).boxed())
    }
}
