//! The functions that SQL may call, from `policies/sql/functions.txt`.
//!
//! A session registers the listed functions and no others, so the rest cannot be named. The
//! planner can also make calls of its own, for `EXTRACT` or `[…]`; the policy looks those up
//! here again.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

use crate::exact_sum::exact_aggregates;

const LIST: &str = include_str!("../../../policies/sql/functions.txt");

/// What sort of function a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FunctionKind {
    Scalar,
    Aggregate,
    Window,
}

/// Whether an aggregate's answer depends on the order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowOrder {
    /// It does not.
    Any,
    /// It does over floating-point numbers only.
    Number,
    /// It does.
    One,
}

type Listed = BTreeMap<(FunctionKind, &'static str), RowOrder>;

static LISTED: LazyLock<std::result::Result<Listed, String>> = LazyLock::new(|| parse(LIST));

fn parse(text: &'static str) -> std::result::Result<Listed, String> {
    let mut listed = Listed::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let invalid = || format!("functions.txt: `{line}`");
        let mut words = line.split_whitespace();
        let kind = match words.next() {
            Some("scalar") => FunctionKind::Scalar,
            Some("aggregate") => FunctionKind::Aggregate,
            Some("window") => FunctionKind::Window,
            _ => return Err(invalid()),
        };
        let name = words.next().ok_or_else(invalid)?;
        let order = match words.next() {
            Some("any") => RowOrder::Any,
            Some("number") => RowOrder::Number,
            Some("one" | "-") => RowOrder::One,
            _ => return Err(invalid()),
        };
        if words.next().is_none() || listed.insert((kind, name), order).is_some() {
            return Err(invalid());
        }
    }
    Ok(listed)
}

/// The row order that function `name` needs; `None` when it is not on the list.
pub(crate) fn row_order(kind: FunctionKind, name: &str) -> Option<RowOrder> {
    let listed = LISTED.as_ref().ok()?;
    listed.iter().find(|((k, n), _)| *k == kind && *n == name).map(|(_, order)| *order)
}

/// The functions that a session registers.
pub(crate) struct AllowedFunctions {
    pub(crate) scalar: Vec<Arc<ScalarUDF>>,
    pub(crate) aggregate: Vec<Arc<AggregateUDF>>,
    pub(crate) window: Vec<Arc<WindowUDF>>,
}

impl AllowedFunctions {
    /// DataFusion's functions that are on the list, `sum` and `avg` replaced by exact ones.
    pub(crate) fn new() -> Result<Self> {
        if let Err(invalid) = LISTED.as_ref() {
            return Err(DataFusionError::Configuration(invalid.clone()));
        }
        let listed = |kind, name: &str| row_order(kind, name).is_some();
        let mut scalar = SessionStateDefaults::default_scalar_functions();
        scalar.retain(|function| listed(FunctionKind::Scalar, function.name()));
        let mut aggregate = SessionStateDefaults::default_aggregate_functions();
        aggregate.retain(|function| listed(FunctionKind::Aggregate, function.name()));
        let exact = exact_aggregates();
        aggregate.retain(|function| exact.iter().all(|exact| exact.name() != function.name()));
        aggregate.extend(exact);
        let mut window = SessionStateDefaults::default_window_functions();
        window.retain(|function| listed(FunctionKind::Window, function.name()));
        Ok(Self { scalar, aggregate, window })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use datafusion::execution::SessionStateDefaults;

    use super::{AllowedFunctions, FunctionKind, LISTED, row_order};

    #[test]
    fn every_listed_function_exists() {
        let allowed = AllowedFunctions::new().unwrap();
        let mut names = BTreeSet::new();
        names.extend(allowed.scalar.iter().map(|f| (FunctionKind::Scalar, f.name().to_owned())));
        names.extend(
            allowed.aggregate.iter().map(|f| (FunctionKind::Aggregate, f.name().to_owned())),
        );
        names.extend(allowed.window.iter().map(|f| (FunctionKind::Window, f.name().to_owned())));
        let listed: BTreeSet<_> = LISTED
            .as_ref()
            .unwrap()
            .keys()
            .map(|(kind, name)| (*kind, (*name).to_owned()))
            .collect();
        assert_eq!(listed.difference(&names).collect::<Vec<_>>(), Vec::<&_>::new());
        assert_eq!(names, listed);
    }

    /// DataFusion's functions that no query may call. A new version of DataFusion may bring more;
    /// then this list is reviewed.
    #[test]
    fn refused_functions() {
        let refused = |kind, names: Vec<String>| {
            let mut names: Vec<_> =
                names.into_iter().filter(|name| row_order(kind, name).is_none()).collect();
            names.sort();
            names.join(" ")
        };
        let scalar = SessionStateDefaults::default_scalar_functions();
        insta::assert_snapshot!(
            refused(FunctionKind::Scalar, scalar.iter().map(|f| f.name().to_owned()).collect()),
            @"array_add array_avg array_compact array_dims array_ndims array_normalize array_product array_remove_n array_repeat array_replace_n array_resize array_scale array_subtract array_sum arrays_zip arrow_field arrow_metadata arrow_try_cast cast_to_type current_date current_time file_row_index generate_series input_file_name map map_entries map_extract map_keys map_values now random range try_cast_to_type union_extract union_tag uuid version with_metadata"
        );
        let aggregate = SessionStateDefaults::default_aggregate_functions();
        insta::assert_snapshot!(
            refused(FunctionKind::Aggregate, aggregate.iter().map(|f| f.name().to_owned()).collect()),
            @""
        );
        let window = SessionStateDefaults::default_window_functions();
        insta::assert_snapshot!(
            refused(FunctionKind::Window, window.iter().map(|f| f.name().to_owned()).collect()),
            @""
        );
        let higher_order = SessionStateDefaults::default_higher_order_functions();
        insta::assert_snapshot!(
            refused(
                FunctionKind::Scalar,
                higher_order.iter().map(|f| f.name().to_owned()).collect()
            ),
            @"array_any_match array_filter array_first array_transform"
        );
    }
}
