//! A broker in this process: files of a folder, tables in memory, and every way to fail.

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::Int64Type;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::arrow;
use glovebox_contract::parameter::ParameterValue;
use glovebox_query::{
    Answer, Broker, BrokerFailure, Comparison, Condition, FileNumber, RowScan, Rows,
};
use tokio::sync::{mpsc, oneshot};

/// What a broker has, and what it does when it is asked.
#[derive(Default)]
pub(crate) struct FakeBroker {
    /// The files of table 0.
    pub(crate) files: Vec<PathBuf>,
    /// Deleted rows of each file.
    pub(crate) deleted: Vec<Vec<u64>>,
    /// Batches of the one foreign table, number 1.
    pub(crate) batches: Vec<RecordBatch>,
    /// Which requests fail, from the first one on.
    pub(crate) failing: Option<(usize, BrokerFailure)>,
    /// Answers are shorter than asked for.
    pub(crate) is_short: bool,
    /// All that was asked for.
    pub(crate) asked: Mutex<Vec<Asked>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Asked {
    Ranges(u32, Vec<Range<u64>>),
    DeletedRows(u32),
    Rows(RowScan),
}

impl fmt::Debug for FakeBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeBroker")
    }
}

impl FakeBroker {
    fn note(&self, asked: Asked) -> Result<(), BrokerFailure> {
        let mut all = self.asked.lock().unwrap();
        all.push(asked);
        match self.failing {
            Some((from, failure)) if all.len() > from => Err(failure),
            _ => Ok(()),
        }
    }

    /// Files that were read so far.
    pub(crate) fn read_files(&self) -> Vec<u32> {
        let mut files: Vec<u32> = self
            .asked
            .lock()
            .unwrap()
            .iter()
            .filter_map(|asked| match asked {
                Asked::Ranges(file, _) => Some(*file),
                _ => None,
            })
            .collect();
        files.sort_unstable();
        files.dedup();
        files
    }

    /// Scans that were asked for so far.
    pub(crate) fn scans(&self) -> Vec<RowScan> {
        let asked = self.asked.lock().unwrap();
        let scans = asked.iter().filter_map(|asked| match asked {
            Asked::Rows(scan) => Some(scan.clone()),
            _ => None,
        });
        scans.collect()
    }

    fn read(&self, file: u32, ranges: &[Range<u64>]) -> Vec<u8> {
        let file = File::open(&self.files[file as usize]).unwrap();
        let mut all = Vec::new();
        for range in ranges {
            let mut piece = vec![0; (range.end - range.start) as usize];
            file.read_exact_at(&mut piece, range.start).unwrap();
            all.extend(piece);
        }
        if self.is_short {
            all.pop();
        }
        all
    }
}

fn said<T>(result: Result<T, BrokerFailure>) -> Answer<T> {
    let (to, answer) = oneshot::channel();
    let _ = to.send(result);
    answer
}

impl Broker for FakeBroker {
    fn ranges(&self, file: FileNumber, ranges: Vec<Range<u64>>) -> Answer<Vec<u8>> {
        assert_eq!(file.table, 0);
        let noted = self.note(Asked::Ranges(file.file, ranges.clone()));
        said(noted.map(|()| self.read(file.file, &ranges)))
    }

    fn deleted_rows(&self, file: FileNumber) -> Answer<Vec<u64>> {
        let noted = self.note(Asked::DeletedRows(file.file));
        said(noted.map(|()| self.deleted[file.file as usize].clone()))
    }

    fn rows(&self, scan: RowScan) -> mpsc::Receiver<Result<Rows, BrokerFailure>> {
        assert_eq!(scan.table, 1);
        let mut answers: Vec<Result<Rows, BrokerFailure>> = Vec::new();
        if let Err(failure) = self.note(Asked::Rows(scan.clone())) {
            // A database that goes down in the middle.
            answers.extend(self.batches.first().map(|batch| Ok(encode(&select(batch, &scan)))));
            answers.push(Err(failure));
        } else {
            answers.extend(self.batches.iter().map(|batch| Ok(encode(&select(batch, &scan)))));
            answers.push(Ok(Rows::End));
        }
        let (to, rows) = mpsc::channel(answers.len());
        for answer in answers {
            to.try_send(answer).unwrap();
        }
        rows
    }
}

fn encode(batch: &RecordBatch) -> Rows {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    Rows::Batch(writer.into_inner().unwrap())
}

/// Columns and rows of a batch that a scan is for.
fn select(batch: &RecordBatch, scan: &RowScan) -> RecordBatch {
    let meets = |row: usize| scan.conditions.iter().all(|one| met(batch, row, one));
    let mask = (0..batch.num_rows()).map(|row| Some(meets(row)));
    let kept = arrow::compute::filter_record_batch(batch, &mask.collect()).unwrap();
    let columns: Vec<usize> = scan.columns.iter().map(|column| *column as usize).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(kept.num_rows()));
    let schema = Arc::new(kept.schema().project(&columns).unwrap());
    let columns = columns.iter().map(|column| Arc::clone(kept.column(*column))).collect();
    let kept = RecordBatch::try_new_with_options(schema, columns, &options).unwrap();
    let limit = scan.limit.map_or(usize::MAX, |limit| limit as usize);
    kept.slice(0, kept.num_rows().min(limit))
}

fn met(batch: &RecordBatch, row: usize, condition: &Condition) -> bool {
    let equal = |column: u32, value: &ParameterValue| match value {
        ParameterValue::Utf8(text) => {
            let texts = batch.column(column as usize).as_string::<i32>();
            texts.is_valid(row) && texts.value(row) == text
        }
        ParameterValue::Int64(number) => {
            let numbers = batch.column(column as usize).as_primitive::<Int64Type>();
            numbers.is_valid(row) && numbers.value(row) == *number
        }
        other => panic!("{other:?}"),
    };
    match condition {
        Condition::Compare(column, Comparison::Equal, value) => equal(*column, value),
        Condition::Compare(column, comparison, ParameterValue::Int64(number)) => {
            let numbers = batch.column(*column as usize).as_primitive::<Int64Type>();
            let value = numbers.value(row);
            numbers.is_valid(row)
                && match comparison {
                    Comparison::Less => value < *number,
                    Comparison::LessOrEqual => value <= *number,
                    Comparison::Greater => value > *number,
                    Comparison::GreaterOrEqual => value >= *number,
                    _ => value != *number,
                }
        }
        Condition::In(column, values) => values.iter().any(|value| equal(*column, value)),
        Condition::Null(column) => batch.column(*column as usize).is_null(row),
        Condition::NotNull(column) => batch.column(*column as usize).is_valid(row),
        Condition::All(all) => all.iter().all(|one| met(batch, row, one)),
        Condition::Any(any) => any.iter().any(|one| met(batch, row, one)),
        other => panic!("{other:?}"),
    }
}
