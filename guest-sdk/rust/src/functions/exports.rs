//! The exported interfaces of a library's functions, for any [`Offers`].

use std::cell::{OnceCell, RefCell};
use std::marker::PhantomData;

use crate::backend;
use crate::bindings::glovebox::guest::types::ScalarResult;
use crate::column::{Column, mismatch};
use crate::entry;
use crate::error::{Error, Result};
use crate::functions::{Declaration, Declared, Groups, Offers, Rows};
use crate::room::{Batch, Batches};
use crate::types::{DataType, Field};
use crate::wit::data;

use crate::bindings_aggregate::exports::glovebox::guest::aggregate_functions as aggregate;
use crate::bindings_scalar::exports::glovebox::guest::scalar_functions as scalar;
use crate::bindings_table::exports::glovebox::guest::table_functions as table;

/// Implements the interfaces for the functions of `L`.
pub struct Exported<L>(PhantomData<L>);

/// Columns that cross, with what is needed of them at each call.
struct Ready {
    fields: Vec<Field>,
    indices: Vec<usize>,
    schema: OnceCell<backend::Schema>,
}

impl Ready {
    fn of(declared: &[Declared]) -> Self {
        let field = |declared: &Declared| Field {
            name: declared.name.into(),
            data_type: declared.data_type.parse().unwrap_or(DataType::Null),
            nullable: declared.nullable,
        };
        let fields: Vec<Field> = declared.iter().map(field).collect();
        Self { indices: (0..fields.len()).collect(), fields, schema: OnceCell::new() }
    }

    /// The columns of a batch and its rows. The batch is given back.
    fn take(&self, batch: &Batch) -> Result<(Vec<Column>, usize)> {
        if self.indices.is_empty() {
            return Ok((Vec::new(), batch.num_rows()));
        }
        let columns = batch.inner.columns(&self.indices, &self.fields)?;
        let rows = columns.first().map_or(0, Column::len);
        Ok((columns, rows))
    }

    fn batch(&self, columns: &[Column], rows: usize) -> Result<Batch> {
        let schema = match self.schema.get() {
            Some(schema) => schema,
            None => {
                let schema = backend::Schema::create(&self.fields)?;
                self.schema.get_or_init(|| schema)
            }
        };
        Ok(Batch::received(backend::Batch::of_schema(schema, rows, columns)?))
    }
}

/// What each call of one function needs.
struct Prepared {
    arguments: Ready,
    state: Ready,
    returns: Ready,
}

impl Prepared {
    fn of(declaration: &Declaration) -> &'static Self {
        entry::prepare();
        Box::leak(Box::new(Self {
            arguments: Ready::of(declaration.arguments),
            state: Ready::of(declaration.state),
            returns: Ready::of(declaration.returns),
        }))
    }
}

/// One [`Prepared`] for each function, made at its first call.
#[derive(Default)]
struct Table(RefCell<Vec<Option<&'static Prepared>>>);

impl Table {
    fn get(&self, index: usize, declaration: &Declaration) -> &'static Prepared {
        let mut table = self.0.borrow_mut();
        if table.len() <= index {
            table.resize(index + 1, None);
        }
        table[index].get_or_insert_with(|| Prepared::of(declaration))
    }
}

thread_local! {
    static SCALARS: Table = Table::default();
    static AGGREGATES: Table = Table::default();
    static TABLES: Table = Table::default();
}

fn no_function() -> Error {
    mismatch("no such function")
}

fn fields(declared: &[Declared]) -> Vec<data::Field> {
    let field = |declared: &Declared| data::Field {
        name: declared.name.into(),
        data_type: declared.data_type.into(),
        nullable: declared.nullable,
    };
    declared.iter().map(field).collect()
}

fn field(declared: &[Declared]) -> data::Field {
    data::Field {
        name: declared[0].name.into(),
        data_type: declared[0].data_type.into(),
        nullable: declared[0].nullable,
    }
}

impl<L: Offers> scalar::Guest for Exported<L> {
    fn list_functions() -> Vec<scalar::ScalarFunction> {
        let listed = |function: &crate::functions::ScalarFunction| scalar::ScalarFunction {
            name: function.declaration.name.into(),
            arguments: fields(function.declaration.arguments),
            returns: field(function.declaration.returns),
            volatility: if function.declaration.stable {
                scalar::Volatility::Stable
            } else {
                scalar::Volatility::Immutable
            },
        };
        L::SCALARS.iter().map(listed).collect()
    }

    fn evaluate(function: u32, arguments: Batch) -> Result<Batch, Error> {
        let index = function as usize;
        let function = L::SCALARS.get(index).ok_or_else(no_function)?;
        let prepared = SCALARS.with(|table| table.get(index, &function.declaration));
        let (columns, rows) = prepared.arguments.take(&arguments)?;
        drop(arguments);
        let column = (function.evaluate)(&columns, rows)?;
        prepared.returns.batch(&[column], rows)
    }
}

/// An aggregation that the host holds a handle of.
struct Aggregation {
    groups: RefCell<Box<dyn Groups>>,
    prepared: &'static Prepared,
}

impl<L: Offers> aggregate::Guest for Exported<L> {
    type Accumulator = Accumulator<L>;

    fn list_functions() -> Vec<aggregate::AggregateFunction> {
        let listed = |function: &crate::functions::AggregateFunction| {
            let declaration = &function.declaration;
            aggregate::AggregateFunction {
                name: declaration.name.into(),
                arguments: fields(declaration.arguments),
                state: fields(declaration.state),
                returns: field(declaration.returns),
            }
        };
        L::AGGREGATES.iter().map(listed).collect()
    }
}

/// An aggregation of one of the functions of `L`.
pub struct Accumulator<L>(Aggregation, PhantomData<L>);

impl<L: Offers> aggregate::GuestAccumulator for Accumulator<L> {
    fn create(function: u32) -> Result<aggregate::Accumulator, Error> {
        let index = function as usize;
        let function = L::AGGREGATES.get(index).ok_or_else(no_function)?;
        let prepared = AGGREGATES.with(|table| table.get(index, &function.declaration));
        let groups = RefCell::new((function.create)());
        let made = Self(Aggregation { groups, prepared }, PhantomData);
        Ok(aggregate::Accumulator::new(made))
    }

    fn update(&self, arguments: Batch, groups: Vec<u32>, num_groups: u32) -> Result<(), Error> {
        let (columns, _) = self.0.prepared.arguments.take(&arguments)?;
        drop(arguments);
        self.0.groups.borrow_mut().update(&columns, &groups, num_groups as usize)
    }

    fn merge(&self, states: Batch, groups: Vec<u32>, num_groups: u32) -> Result<(), Error> {
        let (columns, _) = self.0.prepared.state.take(&states)?;
        drop(states);
        self.0.groups.borrow_mut().merge(&columns, &groups, num_groups as usize)
    }

    fn state(&self) -> Result<Batch, Error> {
        let columns = self.0.groups.borrow().state();
        self.0.prepared.state.batch(&columns, columns.first().map_or(0, Column::len))
    }

    fn evaluate(&self) -> Result<Batch, Error> {
        let column = self.0.groups.borrow().evaluate()?;
        let rows = column.len();
        self.0.prepared.returns.batch(&[column], rows)
    }
}

/// A call of a table function of `L`.
pub struct Invocation<L> {
    rows: RefCell<Box<dyn Rows>>,
    prepared: &'static Prepared,
    library: PhantomData<L>,
}

impl<L: Offers> table::Guest for Exported<L> {
    type Invocation = Invocation<L>;

    fn list_functions() -> Vec<table::TableFunction> {
        let listed = |function: &crate::functions::TableFunction| table::TableFunction {
            name: function.declaration.name.into(),
            parameters: fields(function.declaration.arguments),
            input: function.declaration.input.map(fields),
            returns: fields(function.declaration.returns),
        };
        L::TABLES.iter().map(listed).collect()
    }

    fn invoke(
        function: u32,
        parameters: Vec<ScalarResult>,
        input: Option<Batches>,
    ) -> Result<table::Invocation, Error> {
        let index = function as usize;
        let function = L::TABLES.get(index).ok_or_else(no_function)?;
        let prepared = TABLES.with(|table| table.get(index, &function.declaration));
        let parameters = parameters.into_iter().map(backend::received).collect();
        let rows = RefCell::new((function.invoke)(parameters, input)?);
        Ok(table::Invocation::new(Invocation::<L> { rows, prepared, library: PhantomData }))
    }
}

impl<L: Offers> table::GuestInvocation for Invocation<L> {
    fn next(&self) -> Result<Option<Batch>, Error> {
        let Some(columns) = self.rows.borrow_mut().next()? else { return Ok(None) };
        let rows = columns.first().map_or(0, Column::len);
        self.prepared.returns.batch(&columns, rows).map(Some)
    }
}
