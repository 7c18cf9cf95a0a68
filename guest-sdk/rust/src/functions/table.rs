//! Table functions: rows as structs become batches.

use crate::column::Column;
use crate::error::{Error, Result};
use crate::row::Row;
use crate::scalar::{Date, FromScalar};

/// Rows of one batch.
const BATCH_ROWS: usize = 8_192;

/// A type that a parameter of a table function has.
pub trait Parameter: FromScalar {
    /// Its type, as in a manifest.
    const DATA_TYPE: &'static str;
    /// Whether it may be null.
    const NULLABLE: bool = false;
}

macro_rules! parameters {
    ($($parameter:ty, $name:literal;)*) => {
        $(
            impl Parameter for $parameter {
                const DATA_TYPE: &'static str = $name;
            }
        )*
    };
}
parameters! {
    bool, "boolean";
    i64, "int64";
    u64, "uint64";
    f64, "float64";
    String, "utf8";
    Vec<u8>, "binary";
    Date, "date32";
}

impl<T: Parameter> Parameter for Option<T> {
    const DATA_TYPE: &'static str = T::DATA_TYPE;
    const NULLABLE: bool = true;
}

/// Batches of a table that a function makes.
pub trait Rows {
    /// Columns of the next rows; none at the end.
    ///
    /// # Errors
    /// The function's own.
    fn next(&mut self) -> Result<Option<Vec<Column>>>;
}

/// What a table function returns: `Vec<R>`, or a boxed iterator over `R` or `Result<R>`, where `R`
/// is a [`Row`]; and a `Result` of one of these.
pub trait ReturnsTable {
    /// The row.
    type Row: Row;

    /// The rows.
    ///
    /// # Errors
    /// The function's own.
    fn table(self) -> Result<Box<dyn Rows>>;
}

struct Chunks<I>(I);

impl<R: Row, I: Iterator<Item = Result<R>>> Rows for Chunks<I> {
    fn next(&mut self) -> Result<Option<Vec<Column>>> {
        let rows = self.0.by_ref().take(BATCH_ROWS).collect::<Result<Vec<_>>>()?;
        let columns = |rows: &[R]| R::columns(rows).into_iter().map(|(_, column)| column).collect();
        Ok((!rows.is_empty()).then(|| columns(&rows)))
    }
}

impl<R: Row + 'static> ReturnsTable for Vec<R> {
    type Row = R;

    fn table(self) -> Result<Box<dyn Rows>> {
        Ok(Box::new(Chunks(self.into_iter().map(Ok))))
    }
}

impl<R: Row + 'static> ReturnsTable for Box<dyn Iterator<Item = R>> {
    type Row = R;

    fn table(self) -> Result<Box<dyn Rows>> {
        Ok(Box::new(Chunks(self.map(Ok))))
    }
}

impl<R: Row + 'static> ReturnsTable for Box<dyn Iterator<Item = Result<R>>> {
    type Row = R;

    fn table(self) -> Result<Box<dyn Rows>> {
        Ok(Box::new(Chunks(self)))
    }
}

impl<T: ReturnsTable, E: Into<Error>> ReturnsTable for Result<T, E> {
    type Row = T::Row;

    fn table(self) -> Result<Box<dyn Rows>> {
        self.map_err(Into::into)?.table()
    }
}
