//! Names that stand for others: `--alias`, `--bind`, and `--from` of a view.

use std::path::PathBuf;
use std::str::FromStr;

use glovebox_contract::name::{Identifier, TableName};

/// `--bind`: what an input of a notebook, or a column of one, is in the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BindingOption {
    /// `advertiser.crm=nike.customers`
    Table { input: TableName, table: TableName },
    /// `advertiser.crm.email=mail_address`
    Column { input: TableName, column: String, is: String },
}

impl FromStr for BindingOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = |text: &str| text.parse::<TableName>().map_err(|error| error.to_string());
        let (what, is) = halves(text, "INPUT=TABLE or INPUT.COLUMN=COLUMN")?;
        // Aliases and names of tables have no dots, columns may.
        match what.match_indices('.').nth(1) {
            Some((at, dot)) => {
                let (input, column) = (&what[..at], &what[at + dot.len()..]);
                let (column, is) = (column.to_owned(), is.to_owned());
                Ok(Self::Column { input: name(input)?, column, is })
            }
            None => Ok(Self::Table { input: name(what)?, table: name(is)? }),
        }
    }
}

/// `--alias`: the published name of a column and its name in the files.
pub(super) fn parse_alias(text: &str) -> Result<(String, String), String> {
    let (name, column) = halves(text, "NAME=COLUMN")?;
    Ok((name.to_owned(), column.to_owned()))
}

/// `--from` of a view: the name that the query has for a table, and where its files are.
pub(super) fn parse_view_table(text: &str) -> Result<(Identifier, PathBuf), String> {
    let (name, path) = halves(text, "NAME=PATH")?;
    let name = name.parse().map_err(|error| format!("`{}`: {error}", name.escape_debug()))?;
    Ok((name, path.into()))
}

fn halves<'a>(text: &'a str, expected: &str) -> Result<(&'a str, &'a str), String> {
    match text.split_once('=') {
        Some((left, right)) if !left.is_empty() && !right.is_empty() => Ok((left, right)),
        _ => Err(format!("expected {expected}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_are_of_tables_and_of_columns() {
        let check = |text: &str, expect: &str| {
            let read = match text.parse() {
                Ok(BindingOption::Table { input, table }) => format!("{input} is {table}"),
                Ok(BindingOption::Column { input, column, is }) => {
                    format!("{column} of {input} is {is}")
                }
                Err(why) => why,
            };
            assert!(read.starts_with(expect), "{text}: {read}");
        };
        check("advertiser.crm=nike.customers", "advertiser.crm is nike.customers");
        check("advertiser.crm.email=mail", "email of advertiser.crm is mail");
        check("advertiser.crm.e.mail=m=x", "e.mail of advertiser.crm is m=x");
        check("advertiser.crm", "expected INPUT=TABLE");
        check("advertiser.crm=", "expected INPUT=TABLE");
        check("=nike.customers", "expected INPUT=TABLE");
        assert!("crm=nike.customers".parse::<BindingOption>().is_err());
        assert!("advertiser.crm=customers".parse::<BindingOption>().is_err());
    }
}
