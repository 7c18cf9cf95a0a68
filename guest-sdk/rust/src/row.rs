//! Rows as structs.

use crate::column::Column;
use crate::functions::Declared;

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
    /// Names and types of the columns, in the order of the fields.
    const FIELDS: &'static [Declared];

    /// Names and columns, in the order of the fields.
    fn columns(rows: &[Self]) -> Vec<(&'static str, Column)>;
}

/// A type of a field of a [`Row`].
pub trait Cell: Sized {
    /// Type of the column, as in a manifest.
    const DATA_TYPE: &'static str;
    /// Whether a row may lack a value.
    const NULLABLE: bool = false;

    /// A column of these values.
    fn column<'a>(cells: impl Iterator<Item = &'a Self>) -> Column
    where
        Self: 'a;
}

macro_rules! cells {
    ($($cell:ty, $name:literal;)*) => {
        $(
            impl Cell for $cell {
                const DATA_TYPE: &'static str = $name;

                fn column<'a>(cells: impl Iterator<Item = &'a Self>) -> Column {
                    cells.cloned().collect()
                }
            }

            impl Cell for Option<$cell> {
                const DATA_TYPE: &'static str = $name;
                const NULLABLE: bool = true;

                fn column<'a>(cells: impl Iterator<Item = &'a Self>) -> Column {
                    cells.cloned().collect()
                }
            }
        )*
    };
}

cells! {
    bool, "boolean";
    i8, "int8";
    i16, "int16";
    i32, "int32";
    i64, "int64";
    u8, "uint8";
    u16, "uint16";
    u32, "uint32";
    u64, "uint64";
    f32, "float32";
    f64, "float64";
    String, "utf8";
    Vec<u8>, "binary";
}

impl<'t> Cell for &'t str {
    const DATA_TYPE: &'static str = "utf8";

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
