//! `parameters`: the values that the runner chose. Also the conversion of scalars.

use glovebox_contract::parameter::ParameterValue;
use glovebox_contract::reason::ReasonCode;

use super::bindings::glovebox::guest::parameters::Host;
use super::bindings::types;
use crate::services::{ErrorCode, HostError, Scalar};
use crate::state::{Failure, HostState};

impl Host for HostState {
    fn get(&mut self, name: String) -> Result<types::Scalar, Failure> {
        self.facts.parameters.get(&name).map(scalar_of).ok_or_else(|| {
            let detail = format!("parameter `{}` is not declared", name.escape_debug());
            HostError::new(ErrorCode::NotGranted, ReasonCode::ParameterInvalid, detail).into()
        })
    }

    fn all(&mut self) -> wasmtime::Result<Vec<(String, types::Scalar)>> {
        let all = self.facts.parameters.iter();
        Ok(all.map(|(name, value)| (name.clone(), scalar_of(value))).collect())
    }
}

impl types::Host for HostState {
    fn convert_error(&mut self, failure: Failure) -> wasmtime::Result<types::Error> {
        match failure {
            Failure::Error(error) => Ok(self.report(error)),
            Failure::Trap(trap) => Err(trap),
        }
    }
}

fn scalar_of(value: &ParameterValue) -> types::Scalar {
    match value {
        ParameterValue::Boolean(value) => types::Scalar::Boolean(*value),
        ParameterValue::Int64(value) => types::Scalar::Int64(*value),
        ParameterValue::Float64(value) => types::Scalar::Float64(*value),
        ParameterValue::Utf8(value) => types::Scalar::Utf8(value.clone()),
        ParameterValue::Date(value) => types::Scalar::Date32(*value),
    }
}

/// A value for a guest.
pub(crate) fn told(scalar: &Scalar) -> types::Scalar {
    match scalar {
        Scalar::Null => types::Scalar::Null,
        Scalar::Boolean(value) => types::Scalar::Boolean(*value),
        Scalar::Int64(value) => types::Scalar::Int64(*value),
        Scalar::UInt64(value) => types::Scalar::Uint64(*value),
        Scalar::Float64(value) => types::Scalar::Float64(*value),
        Scalar::Utf8(value) => types::Scalar::Utf8(value.clone()),
        Scalar::Binary(value) => types::Scalar::Binary(value.clone()),
        Scalar::Date32(value) => types::Scalar::Date32(*value),
        Scalar::TimestampMicros(value) => types::Scalar::TimestampMicros(*value),
        Scalar::Decimal128 { value, precision, scale } => {
            // The two halves of the number's bits.
            let (low, high) = (*value as u64, (*value >> 64) as i64);
            types::Scalar::Decimal128((low, high, *precision, *scale))
        }
    }
}

/// A placeholder's value from a guest.
pub(super) fn placeholder(scalar: types::Scalar) -> Result<Scalar, HostError> {
    Ok(match scalar {
        types::Scalar::Null => Scalar::Null,
        types::Scalar::Boolean(value) => Scalar::Boolean(value),
        types::Scalar::Int64(value) => Scalar::Int64(value),
        types::Scalar::Uint64(value) => Scalar::UInt64(value),
        types::Scalar::Float64(value) => Scalar::Float64(value),
        types::Scalar::Utf8(value) => Scalar::Utf8(value),
        types::Scalar::Binary(value) => Scalar::Binary(value),
        types::Scalar::Date32(value) => Scalar::Date32(value),
        types::Scalar::TimestampMicros(value) => Scalar::TimestampMicros(value),
        types::Scalar::Decimal128((low, high, precision, scale)) => {
            let value = (i128::from(high) << 64) | i128::from(low);
            let fits = (1..=38).contains(&precision)
                && i16::from(scale).unsigned_abs() <= u16::from(precision)
                && value.unsigned_abs() < 10_u128.pow(u32::from(precision));
            if !fits {
                return Err(HostError::new(
                    ErrorCode::InvalidArgument,
                    ReasonCode::InvalidArgument,
                    format!("a decimal({precision}, {scale}) whose value does not fit"),
                ));
            }
            Scalar::Decimal128 { value, precision, scale }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_checked() {
        let check = |parts, expect| {
            let scalar = placeholder(types::Scalar::Decimal128(parts));
            assert_eq!(scalar.ok(), expect, "{parts:?}");
        };
        let decimal =
            |value, precision, scale| Some(Scalar::Decimal128 { value, precision, scale });
        check((123, 0, 5, 2), decimal(123, 5, 2));
        check((u64::MAX, -1, 1, 0), decimal(-1, 1, 0));
        check((0, 1, 38, 0), decimal(1 << 64, 38, 0));
        check((100, 0, 2, 0), None);
        check((0, i64::MIN, 38, 0), None);
        check((0, 0, 0, 0), None);
        check((0, 0, 39, 0), None);
        check((0, 0, 5, 6), None);
    }
}
