//! Scalar functions, one instance of the library on each thread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use glovebox_contract::library::FunctionDeclaration;
use glovebox_sandbox::functions::{FunctionInstance, FunctionLibrary};
use glovebox_sandbox::services::HostError;

use super::{external, nullable, types};
use crate::edge::canonical;

/// A scalar function of a library.
#[derive(Debug)]
pub(super) struct Scalar {
    /// `library.function`.
    name: String,
    function: String,
    library: Arc<FunctionLibrary>,
    signature: Signature,
    arguments: SchemaRef,
    returns: FieldRef,
    /// Whether a null in an argument makes the result null.
    strict: Vec<bool>,
}

thread_local! {
    /// Instances of this thread by their libraries. A query's partitions run on the session's threads, so none waits
    /// for another, and nothing is locked.
    static INSTANCES: RefCell<BTreeMap<u64, FunctionInstance>> = RefCell::default();
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        (self.library.id(), &self.name) == (other.library.id(), &other.name)
    }
}

impl Eq for Scalar {}

impl Hash for Scalar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.library.id(), &self.name).hash(state);
    }
}

impl Scalar {
    pub(super) fn new(
        library: &Arc<FunctionLibrary>,
        function: &str,
        declaration: &FunctionDeclaration,
    ) -> Self {
        let name = format!("{}.{function}", library.name());
        let schema = library.arguments(function);
        let types = types(schema.clone());
        let volatility: Volatility = super::volatility(declaration.volatility);
        let signature = if types.is_empty() {
            Signature::nullary(volatility)
        } else {
            Signature::exact(types, volatility)
        };
        let returns = library.returns(function).and_then(|returns| {
            let field = returns.fields().first()?;
            Some(Field::new(&name, field.data_type().clone(), field.is_nullable()))
        });
        let returns = returns.unwrap_or_else(|| Field::new(&name, DataType::Null, true));
        Self {
            function: function.to_owned(),
            library: Arc::clone(library),
            signature,
            arguments: nullable(schema),
            returns: Arc::new(returns),
            strict: declaration.arguments.iter().map(|argument| !argument.nullable).collect(),
            name,
        }
    }

    /// Runs `call` with this thread's instance. One that fails is not used again.
    fn with_instance<T>(
        &self,
        call: impl FnOnce(&mut FunctionInstance) -> Result<T, HostError>,
    ) -> Result<T, HostError> {
        INSTANCES.with_borrow_mut(|instances| {
            let mut instance = match instances.remove(&self.library.id()) {
                Some(instance) => instance,
                None => self.library.instance()?,
            };
            let result = call(&mut instance)?;
            instances.insert(self.library.id(), instance);
            Ok(result)
        })
    }

    fn evaluate(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<ArrayRef> {
        let fields = self.arguments.fields().iter();
        let columns = fields
            .zip(columns)
            .map(|(field, column)| {
                if column.data_type() == field.data_type() {
                    Ok(column)
                } else {
                    Ok(cast(&column, field.data_type())?)
                }
            })
            .collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = Arc::clone(&self.arguments);
        let batch = RecordBatch::try_new_with_options(schema, columns, &options)?;
        let column = self
            .with_instance(|instance| self.library.evaluate(instance, &self.function, &batch))
            .map_err(external)?;
        Ok(canonical(&column)?)
    }
}

impl ScalarUDFImpl for Scalar {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.data_type().clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let null = args.arg_fields.iter().zip(&self.strict);
        let null = null.into_iter().any(|(field, strict)| *strict && field.is_nullable());
        let nullable = self.returns.is_nullable() || null;
        Ok(Arc::new(self.returns.as_ref().clone().with_nullable(nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = !args.args.is_empty()
            && args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let columns = args
            .args
            .into_iter()
            .map(|value| value.into_array(rows))
            .collect::<Result<Vec<_>>>()?;
        let column = self.evaluate(columns, rows)?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&column, 0)?));
        }
        Ok(ColumnarValue::Array(column))
    }
}
