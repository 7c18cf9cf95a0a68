//! `sum` over integers that fails when the result does not fit, instead of starting over at the
//! other end. Sums are kept in 128 bits, which no number of 64-bit values fills, so only the result
//! decides, and not the order in which rows arrive.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, UInt64Array,
};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Int64Type, UInt64Type};
use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::function::StateFieldsArgs;
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use super::accumulators::passes;
use super::invalid_state;

/// A sum between two stages of an aggregation.
const STATE: DataType = DataType::Decimal128(38, 0);

/// The two types in which integers are summed; smaller ones are widened to them first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Integer {
    Signed,
    Unsigned,
}

impl Integer {
    pub(super) fn of(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Int64 => Some(Self::Signed),
            DataType::UInt64 => Some(Self::Unsigned),
            _ => None,
        }
    }

    /// The values of a column of this type.
    fn values(self, columns: &[ArrayRef]) -> Result<Values<'_>> {
        let column = columns.first();
        let values = match self {
            Self::Signed => {
                column.and_then(|column| column.as_primitive_opt::<Int64Type>()).map(Values::Signed)
            }
            Self::Unsigned => column
                .and_then(|column| column.as_primitive_opt::<UInt64Type>())
                .map(Values::Unsigned),
        };
        values.ok_or_else(|| {
            DataFusionError::Internal("a checked sum takes one column of integers".into())
        })
    }

    /// Sums as a column of this type.
    fn column(self, sums: &[Option<i128>]) -> Result<ArrayRef> {
        Ok(match self {
            Self::Signed => {
                Arc::new(sums.iter().map(|sum| narrow(*sum)).collect::<Result<Int64Array>>()?)
            }
            Self::Unsigned => {
                Arc::new(sums.iter().map(|sum| narrow(*sum)).collect::<Result<UInt64Array>>()?)
            }
        })
    }

    fn scalar(self, sum: Option<i128>) -> Result<ScalarValue> {
        Ok(match self {
            Self::Signed => ScalarValue::Int64(narrow(sum)?),
            Self::Unsigned => ScalarValue::UInt64(narrow(sum)?),
        })
    }
}

fn narrow<T: TryFrom<i128>>(sum: Option<i128>) -> Result<Option<T>> {
    sum.map(|sum| T::try_from(sum).map_err(|_| overflow())).transpose()
}

fn overflow() -> DataFusionError {
    let error = ArrowError::ArithmeticOverflow("the sum does not fit its type".into());
    DataFusionError::ArrowError(Box::new(error), None)
}

enum Values<'a> {
    Signed(&'a Int64Array),
    Unsigned(&'a UInt64Array),
}

impl Values<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Signed(values) => values.len(),
            Self::Unsigned(values) => values.len(),
        }
    }

    /// The value of `row`, which is below [`Self::len`].
    fn get(&self, row: usize) -> Option<i128> {
        match self {
            Self::Signed(values) => values.is_valid(row).then(|| i128::from(values.value(row))),
            Self::Unsigned(values) => values.is_valid(row).then(|| i128::from(values.value(row))),
        }
    }

    fn iter(&self) -> impl Iterator<Item = Option<i128>> {
        (0..self.len()).map(|row| self.get(row))
    }
}

/// The columns in which a sum, distinct or not, lies between two stages.
pub(super) fn state_fields(args: &StateFieldsArgs) -> Vec<FieldRef> {
    if args.is_distinct {
        let name = format_state_name(args.name, "distinct");
        return vec![Arc::new(Field::new_list(name, Field::new_list_field(STATE, true), false))];
    }
    vec![Arc::new(Field::new(format_state_name(args.name, "sum"), STATE, true))]
}

fn to_state(sums: impl Iterator<Item = Option<i128>>) -> Result<Decimal128Array> {
    // The digits are not counted: a state may need more than 38 of them.
    Ok(sums.collect::<Decimal128Array>().with_data_type(STATE))
}

fn stored(states: &[ArrayRef]) -> Result<&Decimal128Array> {
    let state = states.first().and_then(|state| state.as_primitive_opt::<Decimal128Type>());
    state.ok_or_else(invalid_state)
}

/// One sum, for aggregations without groups and for windows.
#[derive(Debug)]
pub(super) struct CheckedSum {
    integer: Integer,
    sum: i128,
    count: u64,
}

impl CheckedSum {
    pub(super) fn new(integer: Integer) -> Self {
        Self { integer, sum: 0, count: 0 }
    }

    fn value(&self) -> Option<i128> {
        (self.count > 0).then_some(self.sum)
    }
}

impl Accumulator for CheckedSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in self.integer.values(values)?.iter().flatten() {
            self.sum = self.sum.checked_add(value).ok_or_else(overflow)?;
            self.count += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in self.integer.values(values)?.iter().flatten() {
            self.sum = self.sum.checked_sub(value).ok_or_else(overflow)?;
            self.count = self.count.saturating_sub(1);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for sum in stored(states)?.iter().flatten() {
            self.sum = self.sum.checked_add(sum).ok_or_else(overflow)?;
            self.count += 1;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Decimal128(self.value(), 38, 0)])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.integer.scalar(self.value())
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// A sum of distinct values.
#[derive(Debug)]
pub(super) struct CheckedDistinct {
    integer: Integer,
    seen: BTreeSet<i128>,
}

impl CheckedDistinct {
    pub(super) fn new(integer: Integer) -> Self {
        Self { integer, seen: BTreeSet::new() }
    }
}

impl Accumulator for CheckedDistinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.seen.extend(self.integer.values(values)?.iter().flatten());
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists = states.first().and_then(|state| state.as_list_opt::<i32>());
        for list in lists.ok_or_else(invalid_state)?.iter().flatten() {
            self.seen.extend(stored(&[list])?.iter().flatten());
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: Vec<_> =
            self.seen.iter().map(|value| ScalarValue::Decimal128(Some(*value), 38, 0)).collect();
        Ok(vec![ScalarValue::List(ScalarValue::new_list(&values, &STATE, true))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = self
            .seen
            .iter()
            .try_fold(0_i128, |sum, value| sum.checked_add(*value))
            .ok_or_else(overflow)?;
        self.integer.scalar((!self.seen.is_empty()).then_some(sum))
    }

    fn size(&self) -> usize {
        // A B-tree node is about two thirds full.
        size_of_val(self) + self.seen.len() * 24
    }
}

/// A sum for each group.
#[derive(Debug)]
pub(super) struct CheckedGroups {
    integer: Integer,
    sums: Vec<Option<i128>>,
}

impl CheckedGroups {
    pub(super) fn new(integer: Integer) -> Self {
        Self { integer, sums: Vec::new() }
    }

    fn add(&mut self, group: usize, value: i128) -> Result<()> {
        if let Some(sum) = self.sums.get_mut(group) {
            *sum = Some(sum.unwrap_or(0).checked_add(value).ok_or_else(overflow)?);
        }
        Ok(())
    }
}

impl GroupsAccumulator for CheckedGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.sums.resize(total_num_groups.max(self.sums.len()), None);
        let values = self.integer.values(values)?;
        for (row, (value, group)) in values.iter().zip(group_indices).enumerate() {
            if let Some(value) = value
                && passes(opt_filter, row)
            {
                self.add(*group, value)?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.integer.column(&emit_to.take_needed(&mut self.sums))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(to_state(emit_to.take_needed(&mut self.sums).into_iter())?)])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.sums.resize(total_num_groups.max(self.sums.len()), None);
        for (sum, group) in stored(values)?.iter().zip(group_indices) {
            if let Some(sum) = sum {
                self.add(*group, sum)?;
            }
        }
        Ok(())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let values = self.integer.values(values)?;
        let rows = values.iter().enumerate();
        let sums = rows.map(|(row, value)| value.filter(|_| passes(opt_filter, row)));
        Ok(vec![Arc::new(to_state(sums)?)])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<Option<i128>>()
    }
}
