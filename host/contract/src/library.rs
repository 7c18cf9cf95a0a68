//! Private libraries: what a component needs of them, and the functions that one offers to SQL.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::column::Column;
use crate::digest::ContentDigest;
use crate::text::{TextError, check_line, check_text};

/// Interfaces of the host that a library may import. None of them reaches a table, an output, a
/// query, a parameter or a clock: a library works on what its caller passes in.
pub const LIBRARY_INTERFACES: [&str; 3] =
    ["glovebox:guest/data@0.1.0", "glovebox:guest/logging@0.1.0", "glovebox:guest/types@0.1.0"];

/// Start of the names of all interfaces that the host serves.
pub const HOST_PACKAGE: &str = "glovebox:guest/";

/// Most libraries that a revision closes over.
pub const MAX_LIBRARIES: usize = 64;

/// Most interfaces that a component takes from one library.
const MAX_INTERFACES: usize = 64;

/// Most arguments of a function, and most columns of a table that one takes or returns.
const MAX_ARGUMENTS: usize = 256;

/// What a component needs of a library, which it calls by the library's name in the room.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LibraryRequirement {
    /// The only content that will do. When absent, the library that the room has under that name
    /// when the notebook is approved; the revision pins it either way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<ContentDigest>,
    /// The interfaces that the component imports from it, for example `acme:scoring/score@1.0.0`.
    /// Functions in SQL need none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub interfaces: BTreeSet<String>,
}

/// A function that a library offers to SQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionDeclaration {
    /// What it takes, in order. A nullable argument reaches the function as a null; for any other,
    /// the result is null where the argument is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<Column>,
    /// What it computes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The table that a table function reads, if it reads one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Vec<Column>>,
    /// Scalar, aggregate or table function.
    pub kind: FunctionKind,
    /// What it returns: one column, or the columns of a table.
    pub returns: Vec<Column>,
    /// What an aggregate keeps for each group between partitions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<Column>,
    /// How far the result depends on the arguments alone.
    #[serde(default, skip_serializing_if = "Volatility::is_default")]
    pub volatility: Volatility,
}

/// What a function is to SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FunctionKind {
    /// One value for each row.
    Scalar,
    /// One value for each group of rows.
    Aggregate,
    /// A table.
    Table,
}

/// How far a function's result depends on its arguments alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Volatility {
    /// Entirely and for ever: the engine may compute it once for equal arguments.
    #[default]
    Immutable,
    /// Within one statement.
    Stable,
}

impl Volatility {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Why a requirement or a declaration does not make sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct LibraryError {
    why: String,
}

impl LibraryError {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into() }
    }
}

impl From<TextError> for LibraryError {
    fn from(error: TextError) -> Self {
        Self::new(error.to_string())
    }
}

impl LibraryRequirement {
    /// Checks that the interfaces are few, printable and none of the host's.
    ///
    /// # Errors
    /// Says which is not.
    pub fn validate(&self) -> Result<(), LibraryError> {
        if self.interfaces.len() > MAX_INTERFACES {
            return Err(LibraryError::new(format!("at most {MAX_INTERFACES} interfaces")));
        }
        for interface in &self.interfaces {
            check_line("interface", interface)?;
            if interface.starts_with(HOST_PACKAGE) {
                return Err(LibraryError::new(format!("`{interface}` is the host's")));
            }
        }
        Ok(())
    }
}

impl FunctionDeclaration {
    /// Checks what the types cannot say: which parts its kind has, names and counts.
    ///
    /// # Errors
    /// Says what does not make sense.
    pub fn validate(&self) -> Result<(), LibraryError> {
        check_text("description", &self.description)?;
        let table = self.kind == FunctionKind::Table;
        let aggregate = self.kind == FunctionKind::Aggregate;
        if self.returns.is_empty() || (!table && self.returns.len() != 1) {
            return Err(LibraryError::new("a scalar or aggregate function returns one column"));
        }
        if self.input.is_some() && !table {
            return Err(LibraryError::new("only a table function reads a table"));
        }
        if aggregate == self.state.is_empty() {
            return Err(LibraryError::new("an aggregate has a state, other functions have none"));
        }
        if aggregate && self.arguments.is_empty() {
            return Err(LibraryError::new("an aggregate takes at least one argument"));
        }
        let input = self.input.as_deref().unwrap_or_default();
        for columns in [&self.arguments, &self.returns, &self.state].map(Vec::as_slice) {
            check_columns(columns)?;
        }
        check_columns(input)
    }
}

fn check_columns(columns: &[Column]) -> Result<(), LibraryError> {
    if columns.len() > MAX_ARGUMENTS {
        return Err(LibraryError::new(format!("at most {MAX_ARGUMENTS} columns or arguments")));
    }
    let mut names = BTreeSet::new();
    for column in columns {
        check_line("name", &column.name)?;
        if !names.insert(&column.name) {
            return Err(LibraryError::new("two columns or arguments have the same name"));
        }
    }
    Ok(())
}
