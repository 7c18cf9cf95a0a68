//! Aggregate functions: the states of all groups live in one instance of the library.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature,
};
use glovebox_contract::library::FunctionDeclaration;
use glovebox_sandbox::functions::{Aggregation, FunctionLibrary, narrow};

use super::{external, nullable, types};
use crate::edge::canonical;

/// An aggregate function of a library.
#[derive(Debug)]
pub(super) struct Aggregate {
    /// `library.function`.
    name: String,
    function: String,
    library: Arc<FunctionLibrary>,
    signature: Signature,
    arguments: SchemaRef,
    state: SchemaRef,
    returns: FieldRef,
}

impl PartialEq for Aggregate {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.library, &other.library)
    }
}

impl Eq for Aggregate {}

impl Hash for Aggregate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl Aggregate {
    pub(super) fn new(
        library: &Arc<FunctionLibrary>,
        function: &str,
        declaration: &FunctionDeclaration,
    ) -> Self {
        let name = format!("{}.{function}", library.name());
        let schema = library.arguments(function);
        let returns = library.returns(function).and_then(|returns| {
            let field = returns.fields().first()?;
            Some(Field::new(&name, field.data_type().clone(), field.is_nullable()))
        });
        let returns = returns.unwrap_or_else(|| Field::new(&name, DataType::Null, true));
        Self {
            function: function.to_owned(),
            library: Arc::clone(library),
            signature: Signature::exact(
                types(schema.clone()),
                super::volatility(declaration.volatility),
            ),
            arguments: nullable(schema),
            state: library.state(function).unwrap_or_else(|| nullable(None)),
            returns: Arc::new(returns),
            name,
        }
    }

    fn groups(&self, args: &AccumulatorArgs) -> Result<Groups> {
        if args.is_distinct || args.ignore_nulls {
            let what = format!("DISTINCT or IGNORE NULLS in {}", self.name);
            return Err(DataFusionError::NotImplemented(what));
        }
        Ok(Groups {
            aggregation: Aggregation::new(&self.library, &self.function).map_err(external)?,
            library: Arc::clone(&self.library),
            function: self.function.clone(),
            arguments: Arc::clone(&self.arguments),
            state: Arc::clone(&self.state),
            count: 0,
        })
    }
}

impl AggregateUDFImpl for Aggregate {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.data_type().clone())
    }

    fn is_nullable(&self) -> bool {
        self.returns.is_nullable()
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let mut groups = self.groups(&args)?;
        // Without a row there still is one group.
        groups.add(&[], &[], None, 1)?;
        Ok(Box::new(One(Mutex::new(groups))))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |field: &FieldRef| {
            let name = format_state_name(args.name, field.name());
            Arc::new(field.as_ref().clone().with_name(name))
        };
        Ok(self.state.fields().iter().map(field).collect())
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.groups(&args)?))
    }
}

/// All groups of one aggregation.
#[derive(Debug)]
struct Groups {
    aggregation: Aggregation,
    library: Arc<FunctionLibrary>,
    function: String,
    arguments: SchemaRef,
    state: SchemaRef,
    /// Groups so far.
    count: usize,
}

fn batch(schema: &SchemaRef, columns: &[ArrayRef]) -> Result<RecordBatch> {
    if columns.is_empty() {
        return Ok(RecordBatch::new_empty(Arc::clone(schema)));
    }
    let fields = schema.fields().iter().zip(columns);
    let columns = fields.map(|(field, column)| Ok(cast(column, field.data_type())?));
    Ok(RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_>>()?)?)
}

fn too_many() -> DataFusionError {
    DataFusionError::ResourcesExhausted("too many groups".into())
}

impl Groups {
    fn add(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> Result<()> {
        let mut rows = batch(&self.arguments, values)?;
        let mut groups = narrow(groups).map_err(external)?;
        if let Some(filter) = filter {
            rows = filter_record_batch(&rows, filter)?;
            let kept = groups.iter().zip(filter.iter());
            groups =
                kept.filter(|(_, keep)| *keep == Some(true)).map(|(group, _)| *group).collect();
        }
        let total = u32::try_from(count).map_err(|_| too_many())?;
        self.aggregation.update(&rows, &groups, total).map_err(external)?;
        self.count = count;
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], groups: &[usize], count: usize) -> Result<()> {
        let states = batch(&self.state, states)?;
        let groups = narrow(groups).map_err(external)?;
        let total = u32::try_from(count).map_err(|_| too_many())?;
        self.aggregation.merge(&states, &groups, total).map_err(external)?;
        self.count = count;
        Ok(())
    }

    /// Forgets the groups that were emitted.
    fn emitted(&mut self, emit_to: EmitTo) -> Result<()> {
        match emit_to {
            EmitTo::All => {
                self.aggregation =
                    Aggregation::new(&self.library, &self.function).map_err(external)?;
                self.count = 0;
            }
            EmitTo::First(done) => {
                self.aggregation.forget_first(done, self.count).map_err(external)?;
                self.count = self.count.saturating_sub(done);
            }
        }
        Ok(())
    }

    fn values(&mut self) -> Result<ArrayRef> {
        let values = self.aggregation.evaluate(self.count).map_err(external)?;
        Ok(canonical(&values)?)
    }
}

fn first(emit_to: EmitTo, column: &ArrayRef) -> ArrayRef {
    match emit_to {
        EmitTo::All => Arc::clone(column),
        EmitTo::First(rows) => column.slice(0, rows.min(column.len())),
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.add(values, group_indices, opt_filter, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let values = first(emit_to, &self.values()?);
        self.emitted(emit_to)?;
        Ok(values)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let states = self.aggregation.state(self.count).map_err(external)?;
        let states = states.columns().iter().map(|column| first(emit_to, column)).collect();
        self.emitted(emit_to)?;
        Ok(states)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.merge(values, group_indices, total_num_groups)
    }

    fn convert_to_state(&self, _: &[ArrayRef], _: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        Err(DataFusionError::NotImplemented("states of single rows".into()))
    }

    fn size(&self) -> usize {
        // The library's memory counts against the guest's part of the limit.
        size_of::<Self>()
    }
}

/// One group: an aggregation without `GROUP BY`, or over a window. The engine wants it shareable,
/// which an instance is not, but never shares it: so nobody ever waits for this lock.
#[derive(Debug)]
struct One(Mutex<Groups>);

impl One {
    fn groups(&mut self) -> &mut Groups {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn scalar(column: &ArrayRef) -> Result<ScalarValue> {
        ScalarValue::try_from_array(column, 0)
    }
}

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |column| column.len());
        self.groups().add(values, &vec![0; rows], None, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Self::scalar(&self.groups().values()?)
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let states = self.groups().aggregation.state(1).map_err(external)?;
        states.columns().iter().map(Self::scalar).collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |column| column.len());
        self.groups().merge(states, &vec![0; rows], 1)
    }
}
