//! Rooms made of test data, so that `cargo test` can run a notebook without a host.
//!
//! A mock room is as strict as a host about names, types and outputs that are not finished. It has
//! no query engine: tests say what a query or a filter gives.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::backend::{Columns, Given, Room as Inner, Seen};
use crate::column::Column;
use crate::error::{Error, ErrorCode, Result};
use crate::room::{Level, Room, RunInfo};
use crate::scalar::Scalar;
use crate::types::Field;

/// A room to be, and the notebook's run in it.
#[derive(Default)]
pub struct MockRoom {
    given: Given,
}

impl MockRoom {
    /// A room without tables, outputs and parameters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a parameter its value.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: impl Into<Scalar>) -> Self {
        self.given.parameters.insert(name.into(), value.into());
        self
    }

    /// Adds an input table.
    ///
    /// # Panics
    /// When the columns differ in length.
    #[must_use]
    pub fn table<S: Into<String>>(
        mut self,
        name: &str,
        columns: impl IntoIterator<Item = (S, Column)>,
    ) -> Self {
        self.given.tables.insert(name.into(), named(columns));
        self
    }

    /// Adds a file to a volume.
    #[must_use]
    pub fn file(mut self, volume: &str, path: &str, content: impl AsRef<[u8]>) -> Self {
        let files = self.given.volumes.entry(volume.into()).or_default();
        files.insert(path.into(), content.as_ref().into());
        self
    }

    /// Says which rows of `table` a scan with exactly this `filter` keeps.
    #[must_use]
    pub fn filter(
        mut self,
        table: &str,
        filter: &str,
        keep: impl Fn(&[(String, Column)], usize) -> bool + 'static,
    ) -> Self {
        self.given.filters.insert((table.into(), filter.into()), Rc::new(keep));
        self
    }

    /// Answers exactly this query, whatever its parameters.
    ///
    /// # Panics
    /// When the columns differ in length.
    #[must_use]
    pub fn query<S: Into<String>>(
        self,
        statement: &str,
        columns: impl IntoIterator<Item = (S, Column)>,
    ) -> Self {
        let (statement, columns) = (statement.to_owned(), named(columns));
        self.answer(move |asked, _| (asked == statement).then(|| columns.clone()))
    }

    /// Answers queries by a function; none means that another answer is wanted.
    #[must_use]
    pub fn answer(
        mut self,
        answer: impl Fn(&str, &[Scalar]) -> Option<Vec<(String, Column)>> + 'static,
    ) -> Self {
        let unknown = || Error::with_code(ErrorCode::NotGranted, "not this query");
        let answer =
            move |asked: &str, parameters: &[Scalar]| answer(asked, parameters).ok_or_else(unknown);
        self.given.answers.push(Rc::new(answer));
        self
    }

    /// Declares an output with the names and types of its columns, as the manifest does:
    /// `("flights", "int64 not null")`.
    ///
    /// # Panics
    /// When a type is not one.
    #[must_use]
    pub fn output(mut self, name: &str, columns: &[(&str, &str)]) -> Self {
        let fields = columns.iter().map(|(name, declared)| {
            let nullable = declared.strip_suffix(" not null");
            Field {
                name: (*name).into(),
                data_type: nullable.unwrap_or(declared).parse().expect("the type of a column"),
                nullable: nullable.is_none(),
            }
        });
        self.given.outputs.insert(name.into(), fields.collect());
        self
    }

    /// Most rows in a batch, so that a small table comes in several.
    #[must_use]
    pub fn batch_rows(mut self, rows: usize) -> Self {
        self.given.batch_rows = Some(rows);
        self
    }

    /// What the notebook learns about its run.
    #[must_use]
    pub fn run_info(mut self, info: RunInfo) -> Self {
        self.given.run_info = info;
        self
    }

    /// Runs a notebook.
    ///
    /// # Errors
    /// The notebook's own error; or that it left a declared output unfinished, which fails a run.
    pub fn run(self, notebook: impl FnOnce(&Room) -> Result<()>) -> Result<MockRun> {
        let inner = Inner { given: Rc::new(self.given), seen: Rc::new(RefCell::default()) };
        let (given, seen) = (inner.given.clone(), inner.seen.clone());
        notebook(&Room { inner })?;
        let Seen { displays, logs, outputs, progress } = seen.take();
        let mut tables = BTreeMap::new();
        for (name, fields) in &given.outputs {
            let written = outputs.get(name).filter(|written| written.finished);
            let Some(written) = written else {
                return Err(Error::new(format_args!("output `{name}` was not finished")));
            };
            let columns = fields.iter().enumerate().map(|(index, field)| {
                let parts: Vec<_> =
                    written.batches.iter().map(|batch| batch[index].clone()).collect();
                let empty = Column::empty(&field.data_type);
                let parts = if parts.is_empty() { vec![empty] } else { parts };
                Ok((field.name.clone(), Column::concat(&parts)?))
            });
            tables.insert(name.clone(), MockTable { columns: columns.collect::<Result<_>>()? });
        }
        Ok(MockRun { displays, outputs: tables, logs, progress })
    }
}

fn named<S: Into<String>>(columns: impl IntoIterator<Item = (S, Column)>) -> Columns {
    let columns: Columns =
        columns.into_iter().map(|(name, column)| (name.into(), column)).collect();
    for pair in columns.windows(2) {
        assert_eq!(
            pair[0].1.len(),
            pair[1].1.len(),
            "columns `{}` and `{}` differ in length",
            pair[0].0,
            pair[1].0
        );
    }
    columns
}

/// What a notebook left behind.
#[derive(Debug)]
pub struct MockRun {
    displays: Vec<(String, Vec<u8>)>,
    outputs: BTreeMap<String, MockTable>,
    logs: Vec<(Level, String)>,
    progress: Vec<(u64, Option<u64>)>,
}

impl MockRun {
    /// An output.
    ///
    /// # Panics
    /// When it was not declared.
    pub fn output(&self, name: &str) -> &MockTable {
        self.outputs.get(name).unwrap_or_else(|| panic!("output `{name}` is not declared"))
    }

    /// What was displayed: media type and bytes.
    pub fn displays(&self) -> &[(String, Vec<u8>)] {
        &self.displays
    }

    /// Lines of the log.
    pub fn logs(&self) -> &[(Level, String)] {
        &self.logs
    }

    /// Reports of progress: done, and of how much.
    pub fn progress(&self) -> &[(u64, Option<u64>)] {
        &self.progress
    }
}

/// A finished output.
#[derive(Debug)]
pub struct MockTable {
    columns: Columns,
}

impl MockTable {
    /// A column.
    ///
    /// # Panics
    /// When there is none of this name.
    pub fn column(&self, name: &str) -> &Column {
        let column = self.columns.iter().find(|(listed, _)| listed == name);
        &column.unwrap_or_else(|| panic!("there is no column `{name}`")).1
    }

    /// Number of rows.
    pub fn num_rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, column)| column.len())
    }
}
