//! Sessions over real and made-up data, and outputs that keep what is written.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use glovebox_contract::column::Column;
use glovebox_contract::reason::ReasonCode;
use glovebox_query::{FileFormat, InputFile, InputTable, Session, SessionSettings};
use glovebox_sandbox::services::{
    BatchStream, ErrorCode, HostError, OutputSummary, OutputTables, QueryEngine, Scalar,
};

pub(crate) fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/flights-weather/data").join(file)
}

pub(crate) fn open(path: &Path) -> InputFile {
    let file = File::open(path).unwrap();
    let bytes = file.metadata().unwrap().len();
    InputFile { file, bytes }
}

pub(crate) fn column(name: &str, column_type: &str) -> Column {
    Column { name: name.into(), nullable: true, column_type: column_type.parse().unwrap() }
}

pub(crate) fn table(
    name: &str,
    format: FileFormat,
    granted: &[(&str, &str)],
    files: &[PathBuf],
) -> InputTable {
    InputTable {
        name: name.parse().unwrap(),
        format,
        file_columns: None,
        granted: granted.iter().map(|(name, column_type)| column(name, column_type)).collect(),
        renamed: BTreeMap::new(),
        files: files.iter().map(|path| open(path)).collect(),
    }
}

pub(crate) const FLIGHTS: &[(&str, &str)] = &[
    ("carrier", "utf8"),
    ("origin", "utf8"),
    ("dest", "utf8"),
    ("dep_delay", "float64"),
    ("distance", "int64"),
    ("time_hour", "utf8"),
];

pub(crate) const WEATHER: &[(&str, &str)] =
    &[("origin", "utf8"), ("time_hour", "utf8"), ("wind_speed", "float64"), ("temp", "float64")];

pub(crate) fn tables() -> Vec<InputTable> {
    vec![
        table("airline.flights", FileFormat::Parquet, FLIGHTS, &[data("flights_january.parquet")]),
        table("weather.hourly", FileFormat::Parquet, WEATHER, &[data("weather_january.parquet")]),
    ]
}

pub(crate) fn session(settings: SessionSettings) -> Session {
    Session::new(tables(), settings).unwrap()
}

pub(crate) fn drain(mut stream: Box<dyn BatchStream>) -> Result<Vec<RecordBatch>, HostError> {
    let mut batches = Vec::new();
    while let Some(batch) = stream.next()? {
        assert_eq!(batch.schema(), stream.schema());
        batches.push(batch);
    }
    Ok(batches)
}

pub(crate) fn query(session: &mut Session, sql: &str) -> Result<Vec<RecordBatch>, HostError> {
    drain(session.query(sql, &[])?)
}

pub(crate) fn query_with(
    session: &mut Session,
    sql: &str,
    parameters: &[Scalar],
) -> Result<Vec<RecordBatch>, HostError> {
    drain(session.query(sql, parameters)?)
}

pub(crate) fn show(batches: &[RecordBatch]) -> String {
    pretty_format_batches(batches).unwrap().to_string()
}

pub(crate) fn reason<T>(result: Result<T, HostError>) -> &'static str {
    result.err().map_or("ok", |error| error.reason().as_str())
}

/// Outputs in memory.
#[derive(Default)]
pub(crate) struct Outputs {
    pub(crate) declared: BTreeMap<String, SchemaRef>,
    pub(crate) written: BTreeMap<String, Vec<RecordBatch>>,
    pub(crate) finished: Vec<String>,
}

impl Outputs {
    pub(crate) fn declare(mut self, name: &str, columns: &[(&str, DataType)]) -> Self {
        let fields: Vec<_> = columns
            .iter()
            .map(|(name, data_type)| {
                let (name, nullable) = match name.strip_suffix('!') {
                    Some(name) => (name, false),
                    None => (*name, true),
                };
                Field::new(name, data_type.clone(), nullable)
            })
            .collect();
        self.declared.insert(name.into(), Arc::new(Schema::new(fields)));
        self
    }

    pub(crate) fn show(&self, name: &str) -> String {
        show(&self.written[name])
    }
}

impl OutputTables for Outputs {
    fn schema(&self, output: &str) -> Result<SchemaRef, HostError> {
        self.declared.get(output).cloned().ok_or_else(|| {
            HostError::new(
                ErrorCode::NotGranted,
                ReasonCode::OutputNotDeclared,
                format!("output `{output}` is not declared"),
            )
        })
    }

    fn open(&mut self, output: &str) -> Result<(), HostError> {
        match self.written.insert(output.into(), Vec::new()) {
            None => Ok(()),
            Some(_) => Err(HostError::new(ErrorCode::Closed, ReasonCode::OutputClosed, "twice")),
        }
    }

    fn write(&mut self, output: &str, batch: &RecordBatch) -> Result<(), HostError> {
        assert_eq!(&batch.schema(), &self.declared[output]);
        self.written.get_mut(output).unwrap().push(batch.clone());
        Ok(())
    }

    fn finish(&mut self, output: &str) -> Result<OutputSummary, HostError> {
        self.finished.push(output.into());
        Ok(OutputSummary::default())
    }
}
