//! `sum` and `avg` whose answer does not depend on the order in which rows arrive.
//!
//! Floating-point addition is not associative, so a query that runs in parallel would give
//! another last digit each time. These two functions replace DataFusion's: over `float64` they
//! keep an exact sum and round it once; a `sum` over integers fails when it does not fit; over
//! decimals and durations they are DataFusion's own.

mod accumulators;
mod integers;
mod number;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, Int32Array, Int32Builder, Int64Array,
    Int64Builder, UInt64Array, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, FieldRef, Int32Type, Int64Type, UInt64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::functions_aggregate::{average::avg_udaf, sum::sum_udaf};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, ReversedUDAF,
    SetMonotonicity, Signature, StatisticsArgs,
};

use accumulators::{ExactAccumulator, ExactDistinct, ExactGroups};
use integers::{CheckedDistinct, CheckedGroups, CheckedSum, Integer};
use number::{ExactSum, Parts};

/// What becomes of an exact sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The sum itself.
    Sum,
    /// The sum divided by the number of values, both roundings to the nearest number.
    Average,
}

/// `sum` and `avg`, to be registered under these names.
pub(crate) fn exact_aggregates() -> [Arc<AggregateUDF>; 2] {
    [(Kind::Sum, sum_udaf()), (Kind::Average, avg_udaf())]
        .map(|(kind, own)| Arc::new(AggregateUDF::new_from_impl(ExactAggregate { kind, own })))
}

/// An exact sum and how many values are in it.
#[derive(Debug, Clone, Default)]
struct Tally {
    sum: ExactSum,
    count: u64,
}

impl Tally {
    fn add(&mut self, value: f64) {
        self.sum.add(value);
        self.count += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.sum.merge(&other.sum);
        self.count += other.count;
    }

    /// `None` when there was no value.
    #[expect(clippy::cast_precision_loss, reason = "an average is rounded anyway")]
    fn value(&self, kind: Kind) -> Option<f64> {
        (self.count > 0).then(|| match kind {
            Kind::Sum => self.sum.value(),
            Kind::Average => self.sum.value() / self.count as f64,
        })
    }
}

/// Names and types of the columns that hold tallies between two stages of an aggregation.
const STATE: [(&str, DataType); 5] = [
    ("count", DataType::UInt64),
    ("high", DataType::Int64),
    ("low", DataType::UInt64),
    ("scale", DataType::Int32),
    ("wide", DataType::Binary),
];

/// Tallies as columns.
fn to_columns<'a>(tallies: impl ExactSizeIterator<Item = &'a Tally>) -> Vec<ArrayRef> {
    let rows = tallies.len();
    let mut counts = UInt64Builder::with_capacity(rows);
    let mut highs = Int64Builder::with_capacity(rows);
    let mut lows = UInt64Builder::with_capacity(rows);
    let mut scales = Int32Builder::with_capacity(rows);
    let mut wides = BinaryBuilder::with_capacity(rows, 0);
    for tally in tallies {
        counts.append_value(tally.count);
        tally.sum.with_parts(|Parts { window, scale, wide }| {
            let bytes = window.to_le_bytes();
            let (low, high) = bytes.split_at(8);
            lows.append_value(low.try_into().map_or(0, u64::from_le_bytes));
            highs.append_value(high.try_into().map_or(0, i64::from_le_bytes));
            scales.append_value(scale);
            wides.append_option(wide);
        });
    }
    vec![
        Arc::new(counts.finish()),
        Arc::new(highs.finish()),
        Arc::new(lows.finish()),
        Arc::new(scales.finish()),
        Arc::new(wides.finish()),
    ]
}

/// Tallies in columns that [`to_columns`] made.
struct Stored<'a> {
    counts: &'a UInt64Array,
    highs: &'a Int64Array,
    lows: &'a UInt64Array,
    scales: &'a Int32Array,
    wides: &'a BinaryArray,
}

impl<'a> Stored<'a> {
    fn new(columns: &'a [ArrayRef]) -> Result<Self> {
        let stored = match columns {
            [counts, highs, lows, scales, wides] => counts
                .as_primitive_opt::<UInt64Type>()
                .zip(highs.as_primitive_opt::<Int64Type>())
                .zip(lows.as_primitive_opt::<UInt64Type>())
                .zip(scales.as_primitive_opt::<Int32Type>())
                .zip(wides.as_binary_opt::<i32>()),
            _ => None,
        };
        let ((((counts, highs), lows), scales), wides) = stored.ok_or_else(invalid_state)?;
        Ok(Self { counts, highs, lows, scales, wides })
    }

    fn len(&self) -> usize {
        self.counts.len()
    }

    /// The tally of `row`, which is below [`Self::len`].
    fn get(&self, row: usize) -> Result<Tally> {
        let count = self.counts.value(row);
        if count == 0 {
            return Ok(Tally::default());
        }
        let window = i128::from(self.highs.value(row)) << 64 | i128::from(self.lows.value(row));
        let wide = self.wides.is_valid(row).then(|| self.wides.value(row));
        let parts = Parts { window, scale: self.scales.value(row), wide };
        let sum = ExactSum::from_parts(parts).ok_or_else(invalid_state)?;
        Ok(Tally { sum, count })
    }
}

fn invalid_state() -> DataFusionError {
    DataFusionError::Internal("the state of an exact sum is not valid".into())
}

/// DataFusion's function `own`, but exact over `float64`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ExactAggregate {
    kind: Kind,
    own: Arc<AggregateUDF>,
}

fn is_float(field: Option<&FieldRef>) -> bool {
    field.is_some_and(|field| field.data_type() == &DataType::Float64)
}

impl ExactAggregate {
    /// The type of the integers that are summed, if they are.
    fn integers(&self, field: Option<&FieldRef>) -> Option<Integer> {
        field.filter(|_| self.kind == Kind::Sum).and_then(|field| Integer::of(field.data_type()))
    }
}

impl AggregateUDFImpl for ExactAggregate {
    fn name(&self) -> &str {
        self.own.name()
    }

    fn aliases(&self) -> &[String] {
        self.own.aliases()
    }

    fn signature(&self) -> &Signature {
        self.own.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.own.return_type(arguments)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if let Some(integer) = self.integers(args.expr_fields.first()) {
            return Ok(if args.is_distinct {
                Box::new(CheckedDistinct::new(integer))
            } else {
                Box::new(CheckedSum::new(integer))
            });
        }
        if !is_float(args.expr_fields.first()) {
            self.own.accumulator(args)
        } else if args.is_distinct {
            Ok(Box::new(ExactDistinct::new(self.kind)))
        } else {
            Ok(Box::new(ExactAccumulator::new(self.kind)))
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        if self.integers(args.input_fields.first()).is_some() {
            return Ok(integers::state_fields(&args));
        }
        if !is_float(args.input_fields.first()) {
            return self.own.state_fields(args);
        }
        if args.is_distinct {
            let item = Field::new_list_field(DataType::Float64, true);
            let name = format_state_name(args.name, "distinct");
            return Ok(vec![Arc::new(Field::new_list(name, item, false))]);
        }
        let fields = STATE.into_iter().map(|(part, data_type)| {
            let nullable = data_type == DataType::Binary;
            Arc::new(Field::new(format_state_name(args.name, part), data_type, nullable))
        });
        Ok(fields.collect())
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        let first = args.expr_fields.first();
        if is_float(first) || self.integers(first).is_some() {
            !args.is_distinct
        } else {
            self.own.groups_accumulator_supported(args)
        }
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        if let Some(integer) = self.integers(args.expr_fields.first()) {
            Ok(Box::new(CheckedGroups::new(integer)))
        } else if is_float(args.expr_fields.first()) {
            Ok(Box::new(ExactGroups::new(self.kind)))
        } else {
            self.own.create_groups_accumulator(args)
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let first = args.expr_fields.first();
        if is_float(first) || self.integers(first).is_some() {
            self.accumulator(args)
        } else {
            self.own.create_sliding_accumulator(args)
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn value_from_stats(&self, statistics: &StatisticsArgs) -> Option<ScalarValue> {
        // A sum in a file's footer was made in some order, and may have gone around.
        if statistics.return_type == &DataType::Float64
            || self.kind == Kind::Sum && Integer::of(statistics.return_type).is_some()
        {
            None
        } else {
            self.own.value_from_stats(statistics)
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.own.documentation()
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.own.inner().set_monotonicity(data_type)
    }
}
