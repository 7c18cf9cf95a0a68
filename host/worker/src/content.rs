//! The content digest of a table: its columns and values, however they are encoded.
//!
//! Two files hold the same table when their content digests are equal: batches, row groups,
//! compression, metadata and the encoding of a column (dictionaries, views, offsets) make no
//! difference; names and order of columns, their types and nullability, and the order of rows do.
//! Anyone who has the rows can compute it, in any language:
//!
//! - `content` = BLAKE3(`"glovebox content 1\n"`, *header*, `"\n"`, *rows*, *columns*): the header
//!   is the canonical JSON of `[[name, type, nullable], …]`, types in the words of a manifest and
//!   without their encoding; rows is the number of rows; columns are the digests of all columns in
//!   order, 32 bytes each.
//! - a column's digest = BLAKE3(*presence*, *values*, *children*).
//! - presence = BLAKE3(one byte a row: 1 where there is a value, 0 where there is none).
//! - values = BLAKE3(the values that are there, in order): a boolean is one byte, 0 or 1; a number,
//!   date, time, decimal has the bytes of its type, lowest first; `fixed_size_binary` its bytes;
//!   `utf8` and `binary` the length and the bytes; a list its length; a struct nothing.
//! - children: of a list, the digest of its items, those of lists that are there, as one column;
//!   of a struct, the digests of its fields, at the rows where the struct is there.
//!
//! Lengths and numbers of rows are 64 bits, lowest byte first. A NaN is the one that outputs have:
//! sign and payload zero, quiet.

use std::fs::File;

use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use blake3::Hasher;
use glovebox_contract::canonical;
use glovebox_contract::column::{Column, ColumnType};
use glovebox_contract::digest::Blake3Digest;
use glovebox_sandbox::arrow_types::{
    arrow_to_column_type, column_type_to_arrow, schema_to_columns,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// In front of everything: another definition would have another number.
const DOMAIN: &[u8] = b"glovebox content 1\n";

/// The content digest of the table in an output file.
///
/// # Errors
/// When the file is not Parquet, or has columns that no output has.
pub fn of_parquet(file: File) -> Result<Blake3Digest, ArrowError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let columns = schema_to_columns(reader.schema())
        .map_err(|error| ArrowError::SchemaError(error.to_string()))?;
    let mut hasher = ContentHasher::new(&columns)?;
    for batch in reader.build()? {
        hasher.update(&batch?)?;
    }
    Ok(hasher.finish())
}

/// Computes the content digest of a table, batch by batch.
#[derive(Debug)]
pub struct ContentHasher {
    header: Vec<u8>,
    rows: u64,
    columns: Vec<(ColumnType, ColumnHasher)>,
}

impl ContentHasher {
    /// A hasher for a table with `columns` that has seen no row.
    ///
    /// # Errors
    /// When the columns cannot be named in canonical JSON.
    pub fn new(columns: &[Column]) -> Result<Self, ArrowError> {
        let header: Vec<_> = columns
            .iter()
            .map(|column| (&column.name, column.column_type.logical(), column.nullable))
            .collect();
        let header = canonical::encode(&header)
            .map_err(|error| ArrowError::SchemaError(error.to_string()))?;
        let hasher = |column: &Column| {
            let logical = column.column_type.logical();
            let hasher = ColumnHasher::new(column_type_to_arrow(&logical));
            (logical, hasher)
        };
        Ok(Self { header, rows: 0, columns: columns.iter().map(hasher).collect() })
    }

    /// Adds the rows of `batch`, which has the columns in their order.
    ///
    /// # Errors
    /// When a column is of another type.
    pub fn update(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        if batch.num_columns() != self.columns.len() {
            return Err(ArrowError::SchemaError("another number of columns".into()));
        }
        for ((logical, hasher), column) in self.columns.iter_mut().zip(batch.columns()) {
            let found = arrow_to_column_type(column.data_type()).ok();
            if found.is_none_or(|found| found.logical() != *logical) {
                return Err(ArrowError::SchemaError(format!("a column is not {logical}")));
            }
            hasher.update(column)?;
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// The digest of all rows so far.
    pub fn finish(&self) -> Blake3Digest {
        let mut all = Hasher::new();
        all.update(DOMAIN).update(&self.header).update(b"\n").update(&self.rows.to_le_bytes());
        for (_, column) in &self.columns {
            all.update(&column.finish());
        }
        Blake3Digest::from_bytes(*all.finalize().as_bytes())
    }
}

#[derive(Debug)]
struct ColumnHasher {
    data_type: DataType,
    presence: Hasher,
    values: Hasher,
    children: Vec<ColumnHasher>,
}

impl ColumnHasher {
    fn new(data_type: DataType) -> Self {
        let children = match &data_type {
            DataType::List(item) => vec![Self::new(item.data_type().clone())],
            DataType::Struct(fields) => {
                fields.iter().map(|field| Self::new(field.data_type().clone())).collect()
            }
            _ => Vec::new(),
        };
        Self { data_type, presence: Hasher::new(), values: Hasher::new(), children }
    }

    fn update(&mut self, array: &ArrayRef) -> Result<(), ArrowError> {
        // Another encoding becomes the plain one; a list or a struct casts what it holds.
        let plain;
        let array = if array.data_type() == &self.data_type {
            array
        } else {
            plain = cast(array, &self.data_type)?;
            &plain
        };
        let nulls = array.logical_nulls();
        let present: Vec<u8> = match &nulls {
            Some(nulls) => nulls.iter().map(u8::from).collect(),
            None => vec![1; array.len()],
        };
        self.presence.update(&present);
        match &nulls {
            Some(nulls) => {
                nulls.valid_slices().try_for_each(|(start, end)| self.values(array, start, end))
            }
            None => self.values(array, 0, array.len()),
        }
    }

    /// Adds the values of rows that all have one.
    fn values(&mut self, array: &ArrayRef, start: usize, end: usize) -> Result<(), ArrowError> {
        let array = array.slice(start, end - start);
        match &self.data_type {
            DataType::Null => {}
            DataType::Boolean => {
                let values: Vec<u8> = array.as_boolean().values().iter().map(u8::from).collect();
                self.values.update(&values);
            }
            DataType::Utf8 => self.texts(array.as_string::<i32>().iter().flatten()),
            DataType::Binary => self.texts(array.as_binary::<i32>().iter().flatten()),
            DataType::List(_) => self.lists(&array)?,
            DataType::Struct(_) => {
                for (child, column) in self.children.iter_mut().zip(array.as_struct().columns()) {
                    child.update(column)?;
                }
            }
            DataType::FixedSizeBinary(_) => {
                let values = array.as_fixed_size_binary();
                values.iter().flatten().for_each(|value| {
                    self.values.update(value);
                });
            }
            plain => self.numbers(&array, plain.primitive_width())?,
        }
        Ok(())
    }

    fn texts<T: AsRef<[u8]>>(&mut self, values: impl Iterator<Item = T>) {
        // One call for many values: short pieces are slow to hash.
        let mut bytes = Vec::new();
        for value in values {
            bytes.extend((value.as_ref().len() as u64).to_le_bytes());
            bytes.extend(value.as_ref());
        }
        self.values.update(&bytes);
    }

    fn lists(&mut self, array: &ArrayRef) -> Result<(), ArrowError> {
        let lists = array.as_list::<i32>();
        let mut lengths = Vec::with_capacity(8 * lists.len());
        for length in lists.offsets().lengths() {
            lengths.extend((length as u64).to_le_bytes());
        }
        self.values.update(&lengths);
        let (first, last) = (lists.offsets().first(), lists.offsets().last());
        let (first, last) = (offset(first)?, offset(last)?);
        let items = lists.values().slice(first, last - first);
        self.children.iter_mut().try_for_each(|child| child.update(&items))
    }

    fn numbers(&mut self, array: &ArrayRef, width: Option<usize>) -> Result<(), ArrowError> {
        let data = array.to_data();
        let bytes = width.zip(data.buffers().first()).and_then(|(width, buffer)| {
            buffer.get(data.offset() * width..(data.offset() + data.len()) * width)
        });
        let bytes = bytes.ok_or_else(|| {
            ArrowError::SchemaError(format!("a column of type {} is no table's", self.data_type))
        })?;
        self.values.update(bytes);
        Ok(())
    }

    fn finish(&self) -> [u8; 32] {
        let mut all = Hasher::new();
        all.update(self.presence.finalize().as_bytes()).update(self.values.finalize().as_bytes());
        for child in &self.children {
            all.update(&child.finish());
        }
        *all.finalize().as_bytes()
    }
}

fn offset(offset: Option<&i32>) -> Result<usize, ArrowError> {
    let offset = offset.and_then(|offset| usize::try_from(*offset).ok());
    offset.ok_or_else(|| ArrowError::SchemaError("a list without offsets".into()))
}

#[cfg(test)]
mod tests;
