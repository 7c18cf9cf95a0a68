//! What a notebook can do in its room.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::backend;
use crate::column::{Column, mismatch};
use crate::error::{Context as _, Result};
use crate::row::Row;
use crate::scalar::{self, FromScalar, Scalar};
use crate::types::Field;

/// The room a notebook runs in: its inputs, its outputs, its parameters and its log.
pub struct Room {
    pub(crate) inner: backend::Room,
}

/// What this run is, as fixed by the approved revision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunInfo {
    /// Id of the run.
    pub run_id: String,
    /// Id of the room.
    pub room: String,
    /// Name of this notebook in the room.
    pub component: String,
    /// Digest of the approved revision.
    pub revision_digest: String,
    /// The run's only time: microseconds since 1970-01-01T00:00:00Z.
    pub started_at: i64,
}

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Room {
    /// The value of a declared parameter.
    ///
    /// # Errors
    /// When it is not declared, or not of type `T`.
    pub fn parameter<T: FromScalar>(&self, name: &str) -> Result<T> {
        scalar::convert(name, self.inner.parameter(name)?)
    }

    /// All parameters.
    pub fn parameters(&self) -> Vec<(String, Scalar)> {
        self.inner.parameters()
    }

    /// Names of the tables that this notebook may read.
    pub fn table_names(&self) -> Vec<String> {
        self.inner.table_names()
    }

    /// An input table, for example `airline.flights`.
    ///
    /// # Errors
    /// When it is not granted.
    pub fn table(&self, name: &str) -> Result<Table> {
        let inner = self.inner.table(name)?;
        Ok(Table { fields: inner.fields()?.into(), inner })
    }

    /// Runs one `SELECT` on the host's engine over the granted tables. `$1`, `$2`, … stand for
    /// `parameters`.
    ///
    /// # Errors
    /// When the policy refuses the statement, or it fails.
    pub fn query(&self, statement: &str, parameters: &[Scalar]) -> Result<Batches> {
        Batches::new(self.inner.query(statement, parameters)?)
    }

    /// Names of the outputs that this notebook declares.
    pub fn output_names(&self) -> Vec<String> {
        self.inner.output_names()
    }

    /// Opens a declared output. Each is opened once, and must be finished for the run to succeed.
    ///
    /// # Errors
    /// When it is not declared, or was opened before.
    pub fn output(&self, name: &str) -> Result<Output> {
        let inner = self.inner.output(name)?;
        Ok(Output { name: name.into(), fields: inner.fields()?.into(), inner })
    }

    /// What this run is.
    pub fn run(&self) -> RunInfo {
        self.inner.run_info()
    }

    /// Writes a line to the run's log. Only those whom the room names can read it.
    pub fn log(&self, level: Level, message: impl fmt::Display) {
        self.inner.log(level, &message.to_string());
    }

    /// Writes a line of level [`Level::Info`].
    pub fn info(&self, message: impl fmt::Display) {
        self.log(Level::Info, message);
    }

    /// Writes a line of level [`Level::Warn`].
    pub fn warn(&self, message: impl fmt::Display) {
        self.log(Level::Warn, message);
    }

    /// Says how much of the work is done, of how much when that is known.
    pub fn progress(&self, done: u64, total: Option<u64>) {
        self.inner.progress(done, total);
    }

    /// Keeps an output for the author, beside the log and under its limit: `media_type` is
    /// `text/plain`, `text/html`, `text/markdown`, `text/csv`, `application/json`, `image/png` or
    /// `image/svg+xml`. What is of another type or too large is dropped, and the log says so.
    pub fn display(&self, media_type: &str, data: impl AsRef<[u8]>) {
        self.inner.display(media_type, data.as_ref());
    }
}

/// Writes a line to the log of the run that a library works for. What a hidden library of another
/// party logs reaches nobody.
pub fn log(level: Level, message: impl fmt::Display) {
    backend::log(level, &message.to_string());
}

/// Which part of a table to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanOptions {
    /// Columns to read, in this order; all when absent.
    pub columns: Option<Vec<String>>,
    /// A SQL predicate over the table's columns.
    pub filter: Option<String>,
    /// Most rows to read.
    pub limit: Option<u64>,
    /// Preferred rows in a batch.
    pub batch_rows: Option<u32>,
}

/// An input table.
pub struct Table {
    fields: Arc<[Field]>,
    inner: backend::Table,
}

impl Table {
    /// Its columns, as far as they are granted.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Starts to say what to read; [`Scan::batches`] reads it.
    pub fn scan(&self) -> Scan<'_> {
        Scan { table: self, options: ScanOptions::default() }
    }
}

/// A part of a table that is about to be read.
#[must_use = "nothing is read before `batches`"]
pub struct Scan<'a> {
    table: &'a Table,
    options: ScanOptions,
}

impl Scan<'_> {
    /// Reads only these columns, in this order.
    pub fn columns<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.options.columns = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Reads only rows for which this SQL predicate is true.
    pub fn filter(mut self, predicate: impl Into<String>) -> Self {
        self.options.filter = Some(predicate.into());
        self
    }

    /// Reads at most this many rows.
    pub fn limit(mut self, rows: u64) -> Self {
        self.options.limit = Some(rows);
        self
    }

    /// Prefers batches of this many rows.
    pub fn batch_rows(mut self, rows: u32) -> Self {
        self.options.batch_rows = Some(rows);
        self
    }

    /// Reads.
    ///
    /// # Errors
    /// When a column is not granted, or the predicate is refused.
    pub fn batches(self) -> Result<Batches> {
        Batches::new(self.table.inner.scan(&self.options)?)
    }
}

/// Batches of rows, one after the other.
pub struct Batches {
    fields: Arc<[Field]>,
    pub(crate) inner: backend::Reader,
}

impl Batches {
    pub(crate) fn new(inner: backend::Reader) -> Result<Self> {
        Ok(Self { fields: inner.fields()?.into(), inner })
    }

    /// The columns of every batch.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.inner.next().transpose()?;
        Some(batch.map(|inner| Batch::new(inner, self.fields.clone())))
    }
}

/// Some rows. The host holds them; a column is copied to the notebook when it is first looked at.
pub struct Batch {
    /// A batch that crossed as a bare handle learns its columns when somebody asks.
    fields: OnceCell<Arc<[Field]>>,
    pub(crate) inner: backend::Batch,
    seen: RefCell<BTreeMap<usize, Column>>,
}

impl Batch {
    pub(crate) fn new(inner: backend::Batch, fields: Arc<[Field]>) -> Self {
        let batch = Self::received(inner);
        let _ = batch.fields.set(fields);
        batch
    }

    /// A batch whose columns are not known yet.
    pub(crate) fn received(inner: backend::Batch) -> Self {
        Self { fields: OnceCell::new(), inner, seen: RefCell::default() }
    }

    /// Makes a batch of columns, named as they are given. See [`columns!`](crate::columns).
    ///
    /// # Errors
    /// When two columns differ in length, or the host refuses their types or their size.
    pub fn from_columns<S: Into<String>>(
        columns: impl IntoIterator<Item = (S, Column)>,
    ) -> Result<Self> {
        let (mut fields, mut data): (Vec<Field>, Vec<Column>) = (Vec::new(), Vec::new());
        for (name, column) in columns {
            let rows = data.first().map_or(column.len(), Column::len);
            if column.len() != rows {
                return Err(mismatch("the columns of a batch differ in length"));
            }
            let data_type = column.data_type().clone();
            fields.push(Field { name: name.into(), data_type, nullable: true });
            data.push(column);
        }
        let rows = data.first().map_or(0, Column::len);
        let inner = backend::Batch::from_columns(&fields, rows, data)?;
        Ok(Self::new(inner, fields.into()))
    }

    fn shared_fields(&self) -> &Arc<[Field]> {
        self.fields.get_or_init(|| {
            self.inner.fields().expect("the host names types that this SDK knows").into()
        })
    }

    /// Its columns.
    pub fn fields(&self) -> &[Field] {
        self.shared_fields()
    }

    /// Number of rows.
    pub fn num_rows(&self) -> usize {
        self.inner.num_rows()
    }

    fn index_of(&self, name: &str) -> Result<usize> {
        self.fields().iter().position(|field| field.name == name).ok_or_else(|| {
            let names: Vec<_> = self.fields().iter().map(|field| field.name.as_str()).collect();
            mismatch(format_args!("no column `{name}`; there are {}", names.join(", ")))
        })
    }

    /// The column called `name`.
    ///
    /// # Errors
    /// When there is none, or the host cannot send it.
    pub fn column(&self, name: &str) -> Result<Column> {
        self.column_at(self.index_of(name)?)
    }

    /// The column at `index`.
    ///
    /// # Errors
    /// When there is none, or the host cannot send it.
    pub fn column_at(&self, index: usize) -> Result<Column> {
        if let Some(column) = self.seen.borrow().get(&index) {
            return Ok(column.clone());
        }
        let field = self.fields().get(index);
        let field = field.ok_or_else(|| mismatch(format_args!("no column at index {index}")))?;
        // A host's error stays as it is: so the run's public reason is the host's too.
        let columns = self.inner.columns(&[index], std::slice::from_ref(field))?;
        let column = columns.into_iter().next().context("the host sent no column")?;
        self.seen.borrow_mut().insert(index, column.clone());
        Ok(column)
    }

    /// All columns, in one call to the host.
    ///
    /// # Errors
    /// When they are larger together than the room's batch limit.
    pub fn columns(&self) -> Result<Vec<Column>> {
        let indices: Vec<_> = (0..self.fields().len()).collect();
        let columns = self.inner.columns(&indices, self.fields())?;
        *self.seen.borrow_mut() = columns.iter().cloned().enumerate().collect();
        Ok(columns)
    }

    /// Some of the rows, without a copy.
    ///
    /// # Errors
    /// When there are not that many rows.
    pub fn slice(&self, offset: usize, length: usize) -> Result<Self> {
        Ok(Self::new(self.inner.slice(offset, length)?, self.shared_fields().clone()))
    }

    /// Some of the columns, without a copy.
    ///
    /// # Errors
    /// When a column does not exist.
    pub fn project(&self, names: &[&str]) -> Result<Self> {
        let indices: Vec<_> =
            names.iter().map(|name| self.index_of(name)).collect::<Result<_>>()?;
        let fields: Vec<_> = indices.iter().map(|index| self.fields()[*index].clone()).collect();
        Ok(Self::new(self.inner.project(&indices, &fields)?, fields.into()))
    }
}

/// What was written to an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputSummary {
    /// Rows.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// An open output table.
#[must_use = "an output that is not finished fails the run"]
pub struct Output {
    name: String,
    fields: Arc<[Field]>,
    inner: backend::Output,
}

impl Output {
    /// The declared columns.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Writes rows as columns, named in any order. See [`columns!`](crate::columns).
    ///
    /// # Errors
    /// When a declared column is missing, one is not declared or has another type, they differ in
    /// length, or the output has too many rows.
    pub fn write<S: AsRef<str>>(
        &mut self,
        columns: impl IntoIterator<Item = (S, Column)>,
    ) -> Result<()> {
        let columns = self.arrange(columns).context(format_args!("output `{}`", self.name))?;
        let rows = columns.first().map_or(0, Column::len);
        self.inner.write_columns(rows, &columns)
    }

    /// Puts columns into the declared order.
    fn arrange<S: AsRef<str>>(
        &self,
        columns: impl IntoIterator<Item = (S, Column)>,
    ) -> Result<Vec<Column>> {
        let mut slots = vec![None; self.fields.len()];
        for (name, column) in columns {
            let name = name.as_ref();
            let declared = self.fields.iter().position(|field| field.name == name);
            let index = declared.context(format_args!("column `{name}` is not declared"))?;
            let wanted = &self.fields[index].data_type;
            if column.data_type() != wanted {
                return Err(mismatch(format_args!(
                    "column `{name}` is declared as {wanted} and is {}",
                    column.data_type()
                )));
            }
            if slots[index].replace(column).is_some() {
                return Err(mismatch(format_args!("column `{name}` is given twice")));
            }
        }
        let mut arranged: Vec<Column> = Vec::with_capacity(slots.len());
        for (slot, field) in slots.into_iter().zip(self.fields.iter()) {
            let column: Column =
                slot.context(format_args!("column `{}` is missing", field.name))?;
            if let Some(first) = arranged.first()
                && first.len() != column.len()
            {
                return Err(mismatch(format_args!(
                    "column `{}` has {} rows, the first has {}",
                    field.name,
                    column.len(),
                    first.len()
                )));
            }
            arranged.push(column);
        }
        Ok(arranged)
    }

    /// Writes rows as structs with `#[derive(Row)]`.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_rows<R: Row>(&mut self, rows: &[R]) -> Result<()> {
        self.write(R::columns(rows))
    }

    /// Writes a batch as the host holds it, without a copy. It has the declared columns in order.
    ///
    /// # Errors
    /// When the batch has other columns, or the output has too many rows.
    pub fn write_batch(&mut self, batch: &Batch) -> Result<()> {
        self.inner.write_batch(&batch.inner)
    }

    /// Ends the output. It is published when the run ends well.
    ///
    /// # Errors
    /// When the host cannot complete the table.
    pub fn finish(self) -> Result<OutputSummary> {
        self.inner.finish()
    }
}
