//! Aggregates: one state for each group, kept in the library.

use crate::buffer::as_bytes;
use crate::column::{Column, mismatch};
use crate::error::Result;
use crate::functions::Declared;

/// What an aggregate keeps for each group. `#[derive(State)]` makes a struct one: every field
/// becomes a column when groups move between partitions or to disk.
pub trait State: Default + 'static {
    /// The columns.
    const FIELDS: &'static [Declared];

    #[doc(hidden)]
    fn columns(states: &[Self]) -> Vec<Column>;

    #[doc(hidden)]
    fn read(columns: &[Column]) -> Result<Vec<Self>>;
}

/// A type of a field of a [`State`]: booleans, numbers, texts, bytes, options of these, and
/// vectors of numbers.
pub trait StateField: Sized {
    /// Type of its column.
    const DATA_TYPE: &'static str;
    /// Whether it may be absent.
    const NULLABLE: bool = false;

    #[doc(hidden)]
    fn column<'a>(fields: impl ExactSizeIterator<Item = &'a Self>) -> Column
    where
        Self: 'a;

    #[doc(hidden)]
    fn read(column: &Column) -> Result<Vec<Self>>;
}

fn present<T>(value: Option<T>) -> Result<T> {
    value.ok_or_else(|| mismatch("a null in a state"))
}

macro_rules! fields {
    ($($field:ty, $name:literal, $view:ident, |$read:ident| $owned:expr;)*) => {
        $(
            impl StateField for $field {
                const DATA_TYPE: &'static str = $name;

                fn column<'a>(fields: impl ExactSizeIterator<Item = &'a Self>) -> Column {
                    fields.cloned().collect()
                }

                fn read(column: &Column) -> Result<Vec<Self>> {
                    column.$view()?.iter().map(|value| present(value.map(|$read| $owned))).collect()
                }
            }

            impl StateField for Option<$field> {
                const DATA_TYPE: &'static str = $name;
                const NULLABLE: bool = true;

                fn column<'a>(fields: impl ExactSizeIterator<Item = &'a Self>) -> Column {
                    fields.cloned().collect()
                }

                fn read(column: &Column) -> Result<Vec<Self>> {
                    Ok(column.$view()?.iter().map(|value| value.map(|$read| $owned)).collect())
                }
            }
        )*
    };
}
fields! {
    bool, "boolean", boolean, |value| value;
    i8, "int8", int8, |value| value;
    i16, "int16", int16, |value| value;
    i32, "int32", int32, |value| value;
    i64, "int64", int64, |value| value;
    u8, "uint8", uint8, |value| value;
    u16, "uint16", uint16, |value| value;
    u32, "uint32", uint32, |value| value;
    u64, "uint64", uint64, |value| value;
    f32, "float32", float32, |value| value;
    f64, "float64", float64, |value| value;
    String, "utf8", utf8, |value| value.to_owned();
    Vec<u8>, "binary", binary, |value| value.to_vec();
}

macro_rules! vectors {
    ($($number:ty)*) => {
        $(
            /// Little-endian numbers, one after the other.
            impl StateField for Vec<$number> {
                const DATA_TYPE: &'static str = "binary";

                fn column<'a>(fields: impl ExactSizeIterator<Item = &'a Self>) -> Column {
                    fields.map(|numbers| as_bytes(numbers).to_vec()).collect()
                }

                fn read(column: &Column) -> Result<Vec<Self>> {
                    const WIDTH: usize = size_of::<$number>();
                    let numbers = |bytes: &[u8]| {
                        let (whole, _) = bytes.as_chunks::<WIDTH>();
                        whole.iter().map(|number| <$number>::from_le_bytes(*number)).collect()
                    };
                    column.binary()?.iter().map(|value| present(value.map(numbers))).collect()
                }
            }
        )*
    };
}
vectors!(i32 i64 u32 u64 f32 f64);

/// The states of all groups of one aggregation.
pub trait Groups {
    /// Row `i` belongs to group `groups[i]` of `count` groups.
    ///
    /// # Errors
    /// The function's own.
    fn update(&mut self, columns: &[Column], groups: &[u32], count: usize) -> Result<()>;

    /// Row `i` is a state of group `groups[i]`.
    ///
    /// # Errors
    /// The function's own.
    fn merge(&mut self, states: &[Column], groups: &[u32], count: usize) -> Result<()>;

    /// The states.
    fn state(&self) -> Vec<Column>;

    /// One value for each group.
    ///
    /// # Errors
    /// The function's own.
    fn evaluate(&self) -> Result<Column>;
}

/// Adds rows to the states of their groups.
pub type Update<S> = fn(&mut [S], &[Column], &[u32]) -> Result<()>;

/// [`Groups`] of any state, with the three steps of its function.
pub struct GroupsOf<S: State> {
    /// One for each group.
    pub states: Vec<S>,
    /// Adds rows.
    pub update: Update<S>,
    /// Adds another state.
    pub merge: fn(&mut S, S) -> Result<()>,
    /// Gives the values.
    pub finish: fn(&[S]) -> Result<Column>,
}

impl<S: State> GroupsOf<S> {
    fn grow(&mut self, groups: &[u32], rows: usize, count: usize) -> Result<()> {
        if self.states.len() < count {
            self.states.resize_with(count, S::default);
        }
        let known = groups.iter().all(|group| (*group as usize) < self.states.len());
        if known && groups.len() == rows {
            return Ok(());
        }
        Err(mismatch("groups and rows do not fit"))
    }
}

impl<S: State> Groups for GroupsOf<S> {
    fn update(&mut self, columns: &[Column], groups: &[u32], count: usize) -> Result<()> {
        self.grow(groups, columns.first().map_or(0, Column::len), count)?;
        (self.update)(&mut self.states, columns, groups)
    }

    fn merge(&mut self, states: &[Column], groups: &[u32], count: usize) -> Result<()> {
        self.grow(groups, states.first().map_or(0, Column::len), count)?;
        for (state, group) in S::read(states)?.into_iter().zip(groups) {
            (self.merge)(&mut self.states[*group as usize], state)?;
        }
        Ok(())
    }

    fn state(&self) -> Vec<Column> {
        S::columns(&self.states)
    }

    fn evaluate(&self) -> Result<Column> {
        (self.finish)(&self.states)
    }
}
