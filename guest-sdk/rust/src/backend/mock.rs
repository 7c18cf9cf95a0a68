//! A room in memory, for native tests.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::column::{Column, mismatch};
use crate::error::{Error, ErrorCode, Result};
use crate::layout::{Decoder, Encoded};
use crate::room::{Level, OutputSummary, RunInfo, ScanOptions};
use crate::scalar::Scalar;
use crate::types::Field;
use crate::volume::FileInfo;

/// Named columns of equal length.
pub(crate) type Columns = Vec<(String, Column)>;
/// Answers a query.
pub(crate) type Answer = dyn Fn(&str, &[Scalar]) -> Result<Columns>;
/// Whether a filter keeps a row.
pub(crate) type Keep = dyn Fn(&[(String, Column)], usize) -> bool;

/// What a mock room was given.
#[derive(Default)]
pub(crate) struct Given {
    pub(crate) answers: Vec<Rc<Answer>>,
    pub(crate) batch_rows: Option<usize>,
    pub(crate) filters: BTreeMap<(String, String), Rc<Keep>>,
    pub(crate) outputs: BTreeMap<String, Vec<Field>>,
    pub(crate) parameters: BTreeMap<String, Scalar>,
    pub(crate) run_info: RunInfo,
    pub(crate) tables: BTreeMap<String, Columns>,
    pub(crate) volumes: BTreeMap<String, BTreeMap<String, Rc<[u8]>>>,
}

/// What a notebook did.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) displays: Vec<(String, Vec<u8>)>,
    pub(crate) logs: Vec<(Level, String)>,
    pub(crate) outputs: BTreeMap<String, Written>,
    pub(crate) progress: Vec<(u64, Option<u64>)>,
}

/// An output that was opened.
pub(crate) struct Written {
    pub(crate) batches: Vec<Vec<Column>>,
    pub(crate) finished: bool,
}

#[derive(Clone)]
pub(crate) struct Room {
    pub(crate) given: Rc<Given>,
    pub(crate) seen: Rc<RefCell<Seen>>,
}

pub(crate) struct Table {
    room: Room,
    name: String,
}

pub(crate) struct Reader {
    fields: Vec<Field>,
    columns: Vec<Column>,
    next: usize,
    rows: usize,
    batch_rows: usize,
}

pub(crate) struct Batch {
    fields: Vec<Field>,
    columns: Vec<Column>,
    rows: usize,
}

pub(crate) struct File {
    path: String,
    content: Rc<[u8]>,
}

pub(crate) struct Output {
    room: Room,
    name: String,
    fields: Vec<Field>,
}

/// Writes a line where a test shows it.
pub(crate) fn log(level: Level, message: &str) {
    println!("{level:?}: {message}");
}

fn not_granted(what: &str, name: &str) -> Error {
    Error::with_code(ErrorCode::NotGranted, format_args!("no {what} `{name}` in this mock room"))
}

fn field((name, column): &(String, Column)) -> Field {
    Field { name: name.clone(), data_type: column.data_type().clone(), nullable: true }
}

/// Takes columns over a boundary as a host would: as nodes and buffers.
fn cross(columns: &[Column], fields: &[Field]) -> Result<Vec<Column>> {
    let Encoded { nodes, buffers } = Encoded::of(columns);
    let buffers = buffers.into_iter().map(<[u8]>::to_vec);
    let mut decoder = Decoder { nodes: nodes.into_iter(), buffers };
    fields.iter().map(|field| decoder.column(&field.data_type)).collect()
}

impl Room {
    pub(crate) fn parameter(&self, name: &str) -> Result<Scalar> {
        self.given.parameters.get(name).cloned().ok_or_else(|| not_granted("parameter", name))
    }

    pub(crate) fn parameters(&self) -> Vec<(String, Scalar)> {
        self.given.parameters.clone().into_iter().collect()
    }

    pub(crate) fn table_names(&self) -> Vec<String> {
        self.given.tables.keys().cloned().collect()
    }

    pub(crate) fn table(&self, name: &str) -> Result<Table> {
        let found = self.given.tables.contains_key(name);
        let table = Table { room: self.clone(), name: name.into() };
        found.then_some(table).ok_or_else(|| not_granted("table", name))
    }

    pub(crate) fn query(&self, statement: &str, parameters: &[Scalar]) -> Result<Reader> {
        for answer in &self.given.answers {
            match answer(statement, parameters) {
                Err(error) if error.code() == ErrorCode::NotGranted => {}
                answered => return Ok(Reader::new(answered?, usize::MAX)),
            }
        }
        Err(not_granted("answer to the query", statement))
    }

    pub(crate) fn volume_names(&self) -> Vec<String> {
        self.given.volumes.keys().cloned().collect()
    }

    pub(crate) fn volume_files(&self, volume: &str) -> Result<Vec<FileInfo>> {
        let files = self.given.volumes.get(volume).ok_or_else(|| not_granted("volume", volume))?;
        Ok(files.iter().map(|(path, content)| file_info(path, content)).collect())
    }

    pub(crate) fn open_file(&self, volume: &str, path: &str) -> Result<File> {
        let files = self.given.volumes.get(volume).ok_or_else(|| not_granted("volume", volume))?;
        let content = files.get(path).ok_or_else(|| not_granted("file", path))?.clone();
        Ok(File { path: path.into(), content })
    }

    pub(crate) fn output_names(&self) -> Vec<String> {
        self.given.outputs.keys().cloned().collect()
    }

    pub(crate) fn output(&self, name: &str) -> Result<Output> {
        let fields = self.given.outputs.get(name).ok_or_else(|| not_granted("output", name))?;
        let opened = Written { batches: Vec::new(), finished: false };
        if self.seen.borrow_mut().outputs.insert(name.into(), opened).is_some() {
            let message = format_args!("output `{name}` was opened before");
            return Err(Error::with_code(ErrorCode::Closed, message));
        }
        Ok(Output { room: self.clone(), name: name.into(), fields: fields.clone() })
    }

    pub(crate) fn run_info(&self) -> RunInfo {
        self.given.run_info.clone()
    }

    pub(crate) fn log(&self, level: Level, message: &str) {
        self.seen.borrow_mut().logs.push((level, message.into()));
    }

    pub(crate) fn progress(&self, done: u64, total: Option<u64>) {
        self.seen.borrow_mut().progress.push((done, total));
    }

    pub(crate) fn display(&self, media_type: &str, data: &[u8]) {
        self.seen.borrow_mut().displays.push((media_type.into(), data.into()));
    }
}

/// Digests are the host's; a mock file has none.
fn file_info(path: &str, content: &[u8]) -> FileInfo {
    FileInfo { path: path.into(), size: content.len() as u64, digest: String::new() }
}

impl File {
    pub(crate) fn info(&self) -> FileInfo {
        file_info(&self.path, &self.content)
    }

    pub(crate) fn read(&self, offset: u64, length: u32) -> Result<Vec<u8>> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.content.len());
        let rest = &self.content[start..];
        Ok(rest[..rest.len().min(length as usize)].to_vec())
    }
}

impl Table {
    fn columns(&self) -> &Columns {
        &self.room.given.tables[&self.name]
    }

    pub(crate) fn fields(&self) -> Result<Vec<Field>> {
        Ok(self.columns().iter().map(field).collect())
    }

    pub(crate) fn scan(&self, options: &ScanOptions) -> Result<Reader> {
        let all = self.columns();
        let mut rows: Vec<usize> = (0..all.first().map_or(0, |(_, column)| column.len())).collect();
        if let Some(filter) = &options.filter {
            let key = (self.name.clone(), filter.clone());
            let keep = self.room.given.filters.get(&key).ok_or_else(|| {
                not_granted("filter (tell `MockRoom::filter` what it keeps)", filter)
            })?;
            rows.retain(|row| keep(all, *row));
        }
        rows.truncate(options.limit.map_or(usize::MAX, |limit| limit as usize));
        let names: Vec<&String> = match &options.columns {
            Some(names) => names.iter().collect(),
            None => all.iter().map(|(name, _)| name).collect(),
        };
        let columns = names.into_iter().map(|name| {
            let column = all.iter().find(|(listed, _)| listed == name);
            let (_, column) = column.ok_or_else(|| not_granted("column", name))?;
            Ok((name.clone(), column.take(&rows)))
        });
        let columns = columns.collect::<Result<_>>()?;
        let preferred = options.batch_rows.map(|rows| rows as usize);
        let batch_rows = self.room.given.batch_rows.or(preferred).unwrap_or(usize::MAX);
        Ok(Reader::new(columns, batch_rows.max(1)))
    }
}

impl Reader {
    fn new(columns: Columns, batch_rows: usize) -> Self {
        let rows = columns.first().map_or(0, |(_, column)| column.len());
        let fields = columns.iter().map(field).collect();
        let columns = columns.into_iter().map(|(_, column)| column).collect();
        Self { fields, columns, next: 0, rows, batch_rows }
    }

    pub(crate) fn fields(&self) -> Result<Vec<Field>> {
        Ok(self.fields.clone())
    }

    pub(crate) fn next(&mut self) -> Result<Option<Batch>> {
        if self.next >= self.rows {
            return Ok(None);
        }
        let all =
            Batch { fields: self.fields.clone(), columns: self.columns.clone(), rows: self.rows };
        let length = self.batch_rows.min(self.rows - self.next);
        let batch = all.slice(self.next, length)?;
        self.next += length;
        Ok(Some(batch))
    }
}

impl Batch {
    pub(crate) fn from_columns(
        fields: &[Field],
        rows: usize,
        columns: Vec<Column>,
    ) -> Result<Self> {
        Ok(Self { fields: fields.into(), columns: cross(&columns, fields)?, rows })
    }

    pub(crate) fn fields(&self) -> Result<Vec<Field>> {
        Ok(self.fields.clone())
    }

    pub(crate) fn num_rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self, wanted: &[usize], fields: &[Field]) -> Result<Vec<Column>> {
        let columns: Vec<_> = wanted.iter().map(|index| self.columns[*index].clone()).collect();
        cross(&columns, fields)
    }

    pub(crate) fn slice(&self, offset: usize, length: usize) -> Result<Self> {
        if offset.checked_add(length).is_none_or(|end| end > self.rows) {
            let message = format_args!("the batch has {} rows", self.rows);
            return Err(Error::with_code(ErrorCode::InvalidArgument, message));
        }
        let rows: Vec<usize> = (offset..offset + length).collect();
        let columns = self.columns.iter().map(|column| column.take(&rows)).collect();
        Ok(Self { fields: self.fields.clone(), columns, rows: length })
    }

    pub(crate) fn project(&self, wanted: &[usize], fields: &[Field]) -> Result<Self> {
        Ok(Self { fields: fields.into(), columns: self.columns(wanted, fields)?, rows: self.rows })
    }
}

impl Output {
    pub(crate) fn fields(&self) -> Result<Vec<Field>> {
        Ok(self.fields.clone())
    }

    pub(crate) fn write_columns(&mut self, _rows: usize, columns: &[Column]) -> Result<()> {
        for (field, column) in self.fields.iter().zip(columns) {
            if !field.nullable && column.null_count() > 0 {
                return Err(mismatch(format_args!(
                    "column `{}` of output `{}` is declared `not null` and has nulls",
                    field.name, self.name
                )));
            }
        }
        if let Some(written) = self.room.seen.borrow_mut().outputs.get_mut(&self.name) {
            written.batches.push(cross(columns, &self.fields)?);
        }
        Ok(())
    }

    pub(crate) fn write_batch(&mut self, batch: &Batch) -> Result<()> {
        let same = self.fields.len() == batch.fields.len()
            && self.fields.iter().zip(&batch.fields).all(|(declared, given)| {
                declared.name == given.name && declared.data_type == given.data_type
            });
        if !same {
            return Err(mismatch(format_args!(
                "the batch does not have the columns of output `{}`",
                self.name
            )));
        }
        self.write_columns(batch.rows, &batch.columns)
    }

    pub(crate) fn finish(self) -> Result<OutputSummary> {
        let mut seen = self.room.seen.borrow_mut();
        let Some(written) = seen.outputs.get_mut(&self.name) else {
            return Err(not_granted("output", &self.name));
        };
        written.finished = true;
        let first = |batch: &Vec<Column>| batch.first().map_or(0, Column::len) as u64;
        Ok(OutputSummary { rows: written.batches.iter().map(first).sum(), bytes: 0 })
    }
}
