//! Made-up rows for every table that a manifest declares.
//!
//! They have the declared types and nothing else in common with anyone's data: a fixed seed, some
//! nulls everywhere, and columns of one name and type draw from the same values in every table.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use glovebox_contract::column::{Column, ColumnType};
use glovebox_contract::manifest::{InputDeclaration, Manifest};
use glovebox_contract::name::TableName;
use glovebox_contract::parameter::{ParameterDeclaration, ParameterType, ParameterValue};
use glovebox_sandbox::arrow_types::columns_to_schema;
use parquet::arrow::ArrowWriter;

use super::values::{self, Vocabulary};

/// 2024-01-01.
const FIRST_DAY: i64 = 19_723;

/// One value in so many is null.
const NULLS: u64 = 20;

/// Rows of one table that share a key, on average and however many rows there are.
const PARTNERS: u64 = 4;

/// Distinct values of a column by which one may group.
const FEW: u64 = 12;

/// Distinct values of a column that measures something.
const MANY: u64 = 1_000;

/// What made-up rows are made from.
pub(super) struct Rows {
    tables: BTreeMap<TableName, Vec<Column>>,
    /// In how many tables a name stands with one type.
    shared: BTreeMap<(String, ColumnType), usize>,
    words: Vocabulary,
    seed: u64,
}

impl Rows {
    pub(super) fn new(manifest: &Manifest, seed: u64) -> Self {
        let tables: BTreeMap<_, _> =
            manifest.inputs.iter().map(|(name, input)| (name.clone(), columns(input))).collect();
        let mut shared = BTreeMap::new();
        for column in tables.values().flatten() {
            let key = (column.name.clone(), column.column_type.logical());
            *shared.entry(key).or_default() += 1;
        }
        Self { tables, shared, words: vocabulary(manifest), seed }
    }

    /// The tables to make up.
    pub(super) fn tables(&self) -> impl Iterator<Item = &TableName> {
        self.tables.keys()
    }

    /// Writes `rows` rows of `table` as Parquet.
    pub(super) fn write(&self, table: &TableName, rows: usize, to: &Path) -> Result<()> {
        let columns = self.tables.get(table).map(Vec::as_slice).unwrap_or_default();
        let schema = Arc::new(columns_to_schema(columns));
        let batch = self.batch(table, columns, rows, &schema)?;
        let file = File::create_new(to).context("cannot make a file for made-up rows")?;
        let mut writer = ArrowWriter::try_new(file, schema, None)?;
        writer.write(&batch)?;
        writer.close()?;
        Ok(())
    }

    fn batch(
        &self,
        table: &TableName,
        columns: &[Column],
        rows: usize,
        schema: &Arc<Schema>,
    ) -> Result<RecordBatch> {
        // The columns that tables share follow from one key, so that joins over all of them find as
        // many partners as there would be over one; all but the last are coarser, as parts of a key
        // are.
        let mut random = Random::new(self.seed, table.as_str());
        let partners = (rows as u64 / PARTNERS).max(FEW);
        let keys: Vec<_> = (0..rows).map(|_| random.below(partners)).collect();
        let last = columns.iter().rfind(|column| self.is_shared(column)).map(|column| &column.name);
        let arrays = columns.iter().map(|column| {
            let mut random = Random::new(self.seed, &format!("{table} {}", column.name));
            let shared = self.is_shared(column);
            let coarse = shared && last.is_some_and(|last| *last != column.name);
            let distinct = distinct(&column.column_type);
            let number = |key: &u64| {
                let null = random.below(NULLS) == 0;
                let number = match (shared, coarse) {
                    (true, true) => key % FEW,
                    (true, false) => *key,
                    (false, _) => random.below(distinct),
                };
                (!null).then(|| i64::try_from(number).unwrap_or(0))
            };
            let numbers: Vec<_> = keys.iter().map(number).collect();
            values::array(&column.column_type, &numbers, &self.words)
        });
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(Arc::clone(schema), arrays)?)
    }

    /// Whether another table has a column of this name and type.
    fn is_shared(&self, column: &Column) -> bool {
        let key = (column.name.clone(), column.column_type.logical());
        self.shared.get(&key).is_some_and(|tables| *tables > 1)
    }
}

/// How many distinct values a column has that only one table has: a measure many, what looks like
/// a group few.
fn distinct(column_type: &ColumnType) -> u64 {
    match column_type.logical() {
        ColumnType::Int32
        | ColumnType::Int64
        | ColumnType::UInt32
        | ColumnType::UInt64
        | ColumnType::Float16
        | ColumnType::Float32
        | ColumnType::Float64
        | ColumnType::Decimal128(..)
        | ColumnType::Decimal256(..) => MANY,
        _ => FEW,
    }
}

fn columns(input: &InputDeclaration) -> Vec<Column> {
    let column = |(name, column_type): (&String, &ColumnType)| Column {
        name: name.clone(),
        nullable: true,
        column_type: column_type.clone(),
    };
    input.columns.iter().map(column).collect()
}

/// Texts and days that the parameters speak of, so that filters by them let some rows through.
fn vocabulary(manifest: &Manifest) -> Vocabulary {
    let of = |kind: ParameterType| {
        manifest.parameters.values().filter(move |parameter| parameter.parameter_type == kind)
    };
    let mut texts: Vec<String> = of(ParameterType::Utf8)
        .flat_map(|parameter| parameter.default.iter().chain(&parameter.choices))
        .cloned()
        .collect();
    texts.sort();
    texts.dedup();
    Vocabulary { texts, first_day: of(ParameterType::Date).find_map(day).unwrap_or(FIRST_DAY) }
}

/// A day that a parameter allows.
fn day(parameter: &ParameterDeclaration) -> Option<i64> {
    let text = parameter.minimum.as_ref().or(parameter.default.as_ref())?;
    match ParameterValue::parse(ParameterType::Date, text) {
        Ok(ParameterValue::Date(days)) => Some(i64::from(days)),
        _ => None,
    }
}

/// SplitMix64: the same numbers on every machine.
struct Random(u64);

impl Random {
    /// A stream of its own for each name.
    fn new(seed: u64, name: &str) -> Self {
        let start = name.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(start)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `end`, not included.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    fn manifest() -> Manifest {
        serde_json::from_value(serde_json::json!({
            "kind": "notebook", "language": "sql", "name": "n", "version": "1.0.0",
            "inputs": {
                "a.left": { "columns": { "id": "utf8", "v": "float64" } },
                "b.right": { "columns": { "id": "large_utf8", "airport": "utf8" } },
            },
            "outputs": { "o": { "columns": [{ "name": "n", "type": "int64" }] } },
            "parameters": { "airport": { "type": "utf8", "default": "JFK", "choices": ["JFK", "LGA"] } },
        }))
        .unwrap()
    }

    fn read(rows: &Rows, table: &str) -> RecordBatch {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.parquet");
        rows.write(&table.parse().unwrap(), 1_000, &path).unwrap();
        let file = File::open(path).unwrap();
        let mut reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .unwrap()
            .with_batch_size(2_000)
            .build()
            .unwrap();
        reader.next().unwrap().unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_rows() {
        let (first, again) = (Rows::new(&manifest(), 1), Rows::new(&manifest(), 1));
        assert_eq!(read(&first, "a.left"), read(&again, "a.left"));
        assert_ne!(read(&first, "a.left"), read(&Rows::new(&manifest(), 2), "a.left"));
    }

    #[test]
    fn joins_and_filters_find_something() {
        let rows = Rows::new(&manifest(), 1);
        let (left, right) = (read(&rows, "a.left"), read(&rows, "b.right"));
        let left: std::collections::BTreeSet<_> =
            left["id"].as_string::<i32>().iter().flatten().map(str::to_owned).collect();
        let right_ids = right["id"].as_string::<i64>();
        let partners = right_ids.iter().flatten().filter(|id| left.contains(*id)).count();
        assert!(partners > 500, "{partners} of 1000 have a partner");
        let airports = right["airport"].as_string::<i32>();
        assert!(airports.iter().flatten().any(|airport| airport == "JFK"));
        for column in right.columns() {
            assert!((1..200).contains(&column.null_count()), "{} nulls", column.null_count());
        }
    }
}
