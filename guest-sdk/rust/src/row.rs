//! Rows as structs.

use crate::column::Column;

/// A struct whose fields are the columns of a table: `#[derive(Row)]` makes it one.
///
/// ```
/// use glovebox_guest::Row;
///
/// #[derive(Row)]
/// struct Airport {
///     name: String,
///     flights: i64,
///     mean_delay: Option<f64>,
/// }
///
/// let rows = [Airport { name: "JFK".into(), flights: 3, mean_delay: None }];
/// let columns = Airport::columns(&rows);
/// assert_eq!(columns[1].0, "flights");
/// assert_eq!(columns[2].1.null_count(), 1);
/// ```
pub trait Row: Sized {
    /// Names and columns, in the order of the fields.
    fn columns(rows: &[Self]) -> Vec<(&'static str, Column)>;
}

/// A type of a field of a [`Row`].
pub trait Cell: Sized {
    /// A column of these values.
    fn column<'a>(cells: impl Iterator<Item = &'a Self>) -> Column
    where
        Self: 'a;
}

macro_rules! cells {
    ($($cell:ty)*) => {
        $(
            impl Cell for $cell {
                fn column<'a>(cells: impl Iterator<Item = &'a Self>) -> Column {
                    cells.cloned().collect()
                }
            }

            impl Cell for Option<$cell> {
                fn column<'a>(cells: impl Iterator<Item = &'a Self>) -> Column {
                    cells.cloned().collect()
                }
            }
        )*
    };
}

cells!(bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 String Vec<u8>);

impl<'t> Cell for &'t str {
    fn column<'a>(cells: impl Iterator<Item = &'a Self>) -> Column
    where
        't: 'a,
    {
        cells.copied().collect()
    }
}

/// Named columns for [`Output::write`](crate::Output::write), from anything that becomes a column.
///
/// ```
/// let columns = glovebox_guest::columns! {
///     "origin" => vec!["EWR", "JFK"],
///     "flights" => vec![Some(7_i64), None],
/// };
/// assert_eq!(columns[1].1.null_count(), 1);
/// ```
#[macro_export]
macro_rules! columns {
    ($($name:expr => $values:expr),* $(,)?) => {
        ::std::vec![$(($name, $crate::Column::from($values))),*]
    };
}
