//! Functions that SQL calls: what `#[library]` expands to.
//!
//! A row-wise function is written for one row and becomes a loop over columns here. Everything
//! but the exports is ordinary code, which a native test calls.

mod aggregate;
mod declare;
#[cfg(target_arch = "wasm32")]
mod exports;
mod table;
mod values;

pub use aggregate::{Groups, GroupsOf, State, StateField, Update};
pub use declare::{Declaration, Declared, json, json_len};
#[cfg(target_arch = "wasm32")]
pub use exports::Exported;
pub use table::{Parameter, ReturnsTable, Rows};
pub use values::{Argument, ColumnArgument, Outcome, Returned, ReturnedColumn, View};

use crate::column::{Column, mismatch};
use crate::error::Result;
use crate::room::Batches;
use crate::scalar::{Scalar, convert};

/// A scalar function.
pub struct ScalarFunction {
    /// What its manifest shows.
    pub declaration: Declaration,
    /// Computes a column of so many rows.
    pub evaluate: fn(&[Column], usize) -> Result<Column>,
}

/// An aggregate function.
pub struct AggregateFunction {
    /// What its manifest shows.
    pub declaration: Declaration,
    /// Starts an aggregation without groups.
    pub create: fn() -> Box<dyn Groups>,
}

/// Calls a table function with its parameters and the table that it reads.
pub type Invoke = fn(Vec<Scalar>, Option<Batches>) -> Result<Box<dyn Rows>>;

/// A table function.
pub struct TableFunction {
    /// What its manifest shows.
    pub declaration: Declaration,
    /// Starts a call.
    pub invoke: Invoke,
}

/// All functions of a library.
pub trait Offers: 'static {
    /// Scalar functions.
    const SCALARS: &'static [ScalarFunction];
    /// Aggregate functions.
    const AGGREGATES: &'static [AggregateFunction];
    /// Table functions.
    const TABLES: &'static [TableFunction];
}

/// The view of the argument at `index`.
///
/// # Errors
/// When there is none, or it has another type.
pub fn argument<V: View>(columns: &[Column], index: usize) -> Result<V> {
    V::of(columns.get(index).ok_or_else(|| mismatch("an argument is missing"))?)
}

/// The fields of states from the column at `index`.
///
/// # Errors
/// When there is none, or it has another type.
pub fn state_column<F: StateField>(
    columns: &[Column],
    index: usize,
) -> Result<std::vec::IntoIter<F>> {
    let column = columns.get(index).ok_or_else(|| mismatch("a part of a state is missing"))?;
    Ok(F::read(column)?.into_iter())
}

/// A parameter of a table function.
///
/// # Errors
/// When it is missing, or has another type.
pub fn parameter<P: Parameter>(name: &str, value: Option<Scalar>) -> Result<P> {
    convert(name, value.ok_or_else(|| mismatch("a parameter is missing"))?)
}

/// The table that a table function reads.
///
/// # Errors
/// When it is missing.
pub fn input(input: Option<Batches>) -> Result<Batches> {
    input.ok_or_else(|| mismatch("the table that the function reads is missing"))
}

/// The column of a row-wise function without nulls in plain arguments.
///
/// # Errors
/// The function's own.
#[inline]
pub fn rows<O: Outcome<Value: Returned>>(
    rows: usize,
    mut value: impl FnMut(usize) -> O,
) -> Result<Column> {
    O::Value::collect(rows, |row| value(row).outcome())
}

/// The column of a vectorised function.
///
/// # Errors
/// The function's own, or that it returned another number of rows.
pub fn vector<O: Outcome<Value: ReturnedColumn>>(rows: usize, returned: O) -> Result<Column> {
    let column = returned.outcome()?.column();
    if column.len() == rows {
        return Ok(column);
    }
    Err(mismatch(format_args!("{} values for {rows} rows", column.len())))
}
