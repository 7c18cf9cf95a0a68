//! The three ways in which DataFusion drives an aggregate function.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use super::{Kind, Stored, Tally, invalid_state, to_columns};

fn floats(columns: &[ArrayRef]) -> Result<&Float64Array> {
    columns
        .first()
        .and_then(|column| column.as_primitive_opt::<Float64Type>())
        .ok_or_else(|| DataFusionError::Internal("an exact sum takes one float64 column".into()))
}

/// One sum, for aggregations without groups and for windows.
#[derive(Debug)]
pub(super) struct ExactAccumulator {
    kind: Kind,
    tally: Tally,
    /// Values that are no numbers, counted so that a window can leave them behind.
    nan: u64,
    infinite: u64,
    negative_infinite: u64,
}

impl ExactAccumulator {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, tally: Tally::default(), nan: 0, infinite: 0, negative_infinite: 0 }
    }

    fn special(&mut self, value: f64) -> Option<&mut u64> {
        if value.is_finite() {
            None
        } else if value.is_nan() {
            Some(&mut self.nan)
        } else if value > 0.0 {
            Some(&mut self.infinite)
        } else {
            Some(&mut self.negative_infinite)
        }
    }

    /// The tally with the values that are no numbers in it.
    fn total(&self) -> Tally {
        let mut total = self.tally.clone();
        for (count, value) in [
            (self.nan, f64::NAN),
            (self.infinite, f64::INFINITY),
            (self.negative_infinite, f64::NEG_INFINITY),
        ] {
            if count > 0 {
                total.sum.add(value);
                total.count += count;
            }
        }
        total
    }
}

impl Accumulator for ExactAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in floats(values)?.iter().flatten() {
            match self.special(value) {
                Some(count) => *count += 1,
                None => self.tally.add(value),
            }
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in floats(values)?.iter().flatten() {
            match self.special(value) {
                Some(count) => *count = count.saturating_sub(1),
                None => {
                    self.tally.sum.subtract(value);
                    self.tally.count = self.tally.count.saturating_sub(1);
                }
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let stored = Stored::new(states)?;
        for row in 0..stored.len() {
            self.tally.merge(&stored.get(row)?);
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let total = self.total();
        to_columns(std::iter::once(&total))
            .iter()
            .map(|column| ScalarValue::try_from_array(column, 0))
            .collect()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.total().value(self.kind)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.tally.sum.heap_bytes()
    }
}

/// A sum of distinct values. `-0.0` is `0.0`, and all NaNs are one.
#[derive(Debug)]
pub(super) struct ExactDistinct {
    kind: Kind,
    seen: BTreeSet<u64>,
}

impl ExactDistinct {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, seen: BTreeSet::new() }
    }
}

impl Accumulator for ExactDistinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = floats(values)?.iter().flatten();
        self.seen.extend(values.map(|value| {
            if value.is_nan() { f64::NAN.to_bits() } else { (value + 0.0).to_bits() }
        }));
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists = states.first().and_then(|state| state.as_list_opt::<i32>());
        for list in lists.ok_or_else(invalid_state)?.iter().flatten() {
            self.update_batch(&[list])?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: Vec<_> =
            self.seen.iter().map(|bits| ScalarValue::from(f64::from_bits(*bits))).collect();
        Ok(vec![ScalarValue::List(ScalarValue::new_list(&values, &DataType::Float64, true))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut tally = Tally::default();
        self.seen.iter().for_each(|bits| tally.add(f64::from_bits(*bits)));
        Ok(ScalarValue::Float64(tally.value(self.kind)))
    }

    fn size(&self) -> usize {
        // A B-tree node is about two thirds full.
        size_of_val(self) + self.seen.len() * 12
    }
}

/// A sum for each group.
#[derive(Debug)]
pub(super) struct ExactGroups {
    kind: Kind,
    tallies: Vec<Tally>,
    heap_bytes: usize,
}

impl ExactGroups {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, tallies: Vec::new(), heap_bytes: 0 }
    }

    fn grow(&mut self, groups: usize) {
        if self.tallies.len() < groups {
            self.tallies.resize_with(groups, Tally::default);
        }
    }

    fn take(&mut self, emit_to: EmitTo) -> Vec<Tally> {
        let taken = emit_to.take_needed(&mut self.tallies);
        let freed: usize = taken.iter().map(|tally| tally.sum.heap_bytes()).sum();
        self.heap_bytes = self.heap_bytes.saturating_sub(freed);
        taken
    }
}

/// Whether a filter lets `row` pass; a null does not.
pub(super) fn passes(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}

impl GroupsAccumulator for ExactGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        let values = floats(values)?;
        let everything = values.null_count() == 0 && opt_filter.is_none();
        let rows = values.values().iter().zip(group_indices).enumerate();
        for (row, (value, group)) in rows {
            if (everything || (values.is_valid(row) && passes(opt_filter, row)))
                && let Some(tally) = self.tallies.get_mut(*group)
            {
                let before = tally.sum.heap_bytes();
                tally.add(*value);
                self.heap_bytes += tally.sum.heap_bytes() - before;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let kind = self.kind;
        let values = self.take(emit_to);
        Ok(Arc::new(values.iter().map(|tally| tally.value(kind)).collect::<Float64Array>()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(to_columns(self.take(emit_to).iter()))
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        let stored = Stored::new(values)?;
        for (row, group) in (0..stored.len()).zip(group_indices) {
            if let Some(tally) = self.tallies.get_mut(*group) {
                let before = tally.sum.heap_bytes();
                tally.merge(&stored.get(row)?);
                self.heap_bytes += tally.sum.heap_bytes() - before;
            }
        }
        Ok(())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let values = floats(values)?;
        let tallies: Vec<Tally> = values
            .iter()
            .enumerate()
            .map(|(row, value)| {
                let mut tally = Tally::default();
                if let Some(value) = value.filter(|_| passes(opt_filter, row)) {
                    tally.add(value);
                }
                tally
            })
            .collect();
        Ok(to_columns(tallies.iter()))
    }

    fn size(&self) -> usize {
        self.tallies.capacity() * size_of::<Tally>() + self.heap_bytes
    }
}
