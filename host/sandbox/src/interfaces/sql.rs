//! `sql`: queries over the granted tables.

use wasmtime::component::Resource;

use super::bindings::glovebox::guest::sql::Host;
use super::bindings::types;
use super::data::BatchReader;
use super::parameters::placeholder;
use crate::services::HostError;
use crate::state::{Failure, HostState};

impl Host for HostState {
    fn query(
        &mut self,
        statement: String,
        parameters: Vec<types::Scalar>,
    ) -> Result<Resource<BatchReader>, Failure> {
        let parameters =
            parameters.into_iter().map(placeholder).collect::<Result<Vec<_>, HostError>>()?;
        let stream = self.query.query(&statement, &parameters)?;
        self.push(BatchReader::new(stream)?)
    }
}
