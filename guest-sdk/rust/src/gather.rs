//! Rows of columns in a new order.

use std::sync::Arc;

use crate::buffer::{Native, Validity};
use crate::builder::{BinaryBuilder, BooleanBuilder, Number, Utf8Builder};
use crate::column::{
    Column, Data, FixedSizeBinaryColumn, ListColumn, NumberColumn, StructColumn, mismatch,
};
use crate::error::Result;

/// A column's index, and a row's in that column.
type Place = (usize, usize);

impl Column {
    /// The rows at `rows`, in that order.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn take(&self, rows: &[usize]) -> Self {
        let places: Vec<Place> = rows.iter().map(|row| (0, *row)).collect();
        gather(&[self], &places)
    }

    /// All rows of `columns`, one column after the other.
    ///
    /// # Errors
    /// When there is no column, or they have different types.
    pub fn concat(columns: &[Self]) -> Result<Self> {
        let Some(first) = columns.first() else {
            return Err(mismatch("no column to join"));
        };
        if let Some(other) = columns.iter().find(|column| column.data_type != first.data_type) {
            return Err(mismatch(format_args!(
                "columns of types {} and {} cannot be joined",
                first.data_type, other.data_type
            )));
        }
        let places: Vec<Place> = columns
            .iter()
            .enumerate()
            .flat_map(|(index, column)| (0..column.len()).map(move |row| (index, row)))
            .collect();
        Ok(gather(&columns.iter().collect::<Vec<_>>(), &places))
    }
}

/// The views in all columns, which have the type of the first.
macro_rules! views {
    ($columns:expr, $variant:ident) => {
        $columns
            .iter()
            .filter_map(|column| match &column.data {
                Data::$variant(view) => Some(view),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
}

fn gather(columns: &[&Column], places: &[Place]) -> Column {
    let data_type = columns[0].data_type.clone();
    let validity = || -> Validity {
        places.iter().map(|(column, row)| !columns[*column].is_null(*row)).collect()
    };
    let data = match &columns[0].data {
        Data::Null(_) => Data::Null(places.len()),
        Data::I8(_) => Data::I8(numbers(&views!(columns, I8), places)),
        Data::I16(_) => Data::I16(numbers(&views!(columns, I16), places)),
        Data::I32(_) => Data::I32(numbers(&views!(columns, I32), places)),
        Data::I64(_) => Data::I64(numbers(&views!(columns, I64), places)),
        Data::I128(_) => Data::I128(numbers(&views!(columns, I128), places)),
        Data::U8(_) => Data::U8(numbers(&views!(columns, U8), places)),
        Data::U16(_) => Data::U16(numbers(&views!(columns, U16), places)),
        Data::U32(_) => Data::U32(numbers(&views!(columns, U32), places)),
        Data::U64(_) => Data::U64(numbers(&views!(columns, U64), places)),
        Data::F32(_) => Data::F32(numbers(&views!(columns, F32), places)),
        Data::F64(_) => Data::F64(numbers(&views!(columns, F64), places)),
        Data::Boolean(_) => {
            let views = views!(columns, Boolean);
            let mut builder = BooleanBuilder::new();
            places.iter().for_each(|(column, row)| builder.push_option(views[*column].get(*row)));
            builder.finish().data
        }
        Data::Utf8(_) => {
            let views = views!(columns, Utf8);
            let mut builder = Utf8Builder::new();
            places.iter().for_each(|(column, row)| builder.push_option(views[*column].get(*row)));
            builder.finish().data
        }
        Data::Binary(_) => {
            let views = views!(columns, Binary);
            let mut builder = BinaryBuilder::new();
            places.iter().for_each(|(column, row)| builder.push_option(views[*column].get(*row)));
            builder.finish().data
        }
        Data::Fixed(first) => {
            let views = views!(columns, Fixed);
            let zeros = vec![0; first.width];
            let values = places.iter().map(|(column, row)| views[*column].get(*row));
            let bytes = values.flat_map(|value| value.unwrap_or(&zeros)).copied().collect();
            let (width, bytes) = (first.width, Arc::new(bytes));
            Data::Fixed(FixedSizeBinaryColumn { width, bytes, validity: validity() })
        }
        Data::List(_) => {
            let views = views!(columns, List);
            let (mut offsets, mut rows) = (vec![0], Vec::new());
            for (column, row) in places {
                let items = views[*column].get(*row).unwrap_or_default();
                rows.extend(items.map(|item| (*column, item)));
                offsets.push(i32::try_from(rows.len()).expect("a column holds less than 2 GiB"));
            }
            let items: Vec<_> = views.iter().map(|view| &*view.items).collect();
            let items = Box::new(gather(&items, &rows));
            Data::List(ListColumn { offsets: offsets.into(), items, validity: validity() })
        }
        Data::Struct(first) => {
            let views = views!(columns, Struct);
            let fields = first.fields.iter().enumerate().map(|(index, (name, _))| {
                let columns: Vec<_> = views.iter().map(|view| &view.fields[index].1).collect();
                (name.clone(), gather(&columns, places))
            });
            Data::Struct(StructColumn { fields: Arc::new(fields.collect()), validity: validity() })
        }
    };
    Column { data_type, data }
}

fn numbers<T: Native + Number>(views: &[&NumberColumn<T>], places: &[Place]) -> NumberColumn<T> {
    let values: Vec<T> = places.iter().map(|(column, row)| views[*column].values()[*row]).collect();
    let validity = places.iter().map(|(column, row)| !views[*column].is_null(*row)).collect();
    NumberColumn { values: values.into(), validity }
}
