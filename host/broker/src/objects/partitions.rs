//! Partitions in the names of folders, `year=2013/month=1/`, and which of them are wanted.

use std::collections::BTreeMap;

use glovebox_contract::column::{Column, ColumnType};
use glovebox_room::remote::PartitionFilter;

use crate::error::Failure;
use crate::pinned;

/// The folder of rows without a value, as Hive calls it.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// Most levels of folders with values.
const MAX_LEVELS: usize = 32;

/// A column's name and its value.
pub(super) type Pair = (String, Option<String>);

/// Which files are wanted: those whose value of each column is one of some.
pub(super) struct Wanted<'a>(BTreeMap<&'a str, Vec<&'a str>>);

impl<'a> Wanted<'a> {
    pub(super) fn new(filters: &'a [PartitionFilter]) -> Self {
        Self(pinned::filters(filters))
    }

    /// Whether all files are wanted.
    pub(super) fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether files with this value of a column may be wanted. None when no filter is on it.
    pub(super) fn may_take(&self, column: &str, value: Option<&str>) -> Option<bool> {
        let wanted = self.0.get(column)?;
        Some(wanted.iter().any(|wanted| is_same(wanted, value)))
    }

    /// Whether a file with these values is wanted.
    ///
    /// # Errors
    /// The column of a filter that has no value.
    pub(super) fn takes<'b>(
        &self,
        value: impl Fn(&str) -> Option<Option<&'b str>>,
    ) -> Result<bool, String> {
        for (column, wanted) in &self.0 {
            let found = value(column).ok_or_else(|| (*column).to_owned())?;
            if !wanted.iter().any(|wanted| is_same(wanted, found)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether a value is the wanted one, as text or as a number: `1` is `01`.
fn is_same(wanted: &str, found: Option<&str>) -> bool {
    let Some(found) = found else { return wanted == NULL };
    let number = |text: &str| text.parse::<i64>().ok();
    wanted == found || (number(wanted).is_some() && number(wanted) == number(found))
}

/// The columns and values in the folders of a path; none of them when a folder is none of a
/// partition.
pub(super) fn of_folders<'a>(folders: impl Iterator<Item = &'a str>) -> Result<Vec<Pair>, Failure> {
    let mut pairs: Vec<Pair> = Vec::new();
    for folder in folders {
        let Some((column, value)) = folder.split_once('=') else { continue };
        let (column, value) = (decoded(column)?, decoded(value)?);
        if column.is_empty() || pairs.iter().any(|(other, _)| *other == column) {
            return Err(Failure::unreadable("a folder has no column in its name, or one twice"));
        }
        if pairs.len() >= MAX_LEVELS {
            return Err(Failure::unreadable("the folders of partitions are too deep"));
        }
        pairs.push((column, (value != NULL && !value.is_empty()).then_some(value)));
    }
    Ok(pairs)
}

/// Undoes the escapes that Hive has for characters that no folder's name may have.
fn decoded(text: &str) -> Result<String, Failure> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digit = |at: usize| behind.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
                rest = behind.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| Failure::unreadable("the name of a folder is no text"))
}

/// Columns for the values of all files. The type of each is the narrowest that has all values:
/// whole numbers, days, or text.
pub(super) fn columns(files: &[Vec<Pair>]) -> Result<Vec<Column>, Failure> {
    let first = files.first().map(Vec::as_slice).unwrap_or_default();
    let same = |pairs: &Vec<Pair>| {
        pairs.iter().map(|(name, _)| name).eq(first.iter().map(|(name, _)| name))
    };
    if !files.iter().all(same) {
        return Err(Failure::unreadable(
            "its files are not all in folders of the same partition columns",
        ));
    }
    let columns = first.iter().enumerate().map(|(place, (name, _))| {
        let values = || files.iter().filter_map(move |pairs| pairs.get(place)?.1.as_deref());
        let all = |fits: fn(&str) -> bool| values().next().is_some() && values().all(fits);
        let column_type = match () {
            () if all(|value| value.parse::<i64>().is_ok()) => ColumnType::Int64,
            () if all(is_day) => ColumnType::Date32,
            () => ColumnType::Utf8,
        };
        Column { name: name.clone(), nullable: true, column_type }
    });
    Ok(columns.collect())
}

fn is_day(text: &str) -> bool {
    text.len() == 10 && chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(path: &str) -> Result<Vec<Pair>, Failure> {
        of_folders(path.split('/'))
    }

    #[test]
    fn folders_have_values() {
        let check = |path: &str, expect: &[(&str, Option<&str>)]| {
            let found = pairs(path).unwrap();
            let found: Vec<_> =
                found.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
            assert_eq!(found, expect, "{path}");
        };
        check("year=2013/month=01", &[("year", Some("2013")), ("month", Some("01"))]);
        check("data/year=2013", &[("year", Some("2013"))]);
        check("a/b", &[]);
        check("at=12%3A30%2f", &[("at", Some("12:30/"))]);
        check("at=50%/x=%zz", &[("at", Some("50%")), ("x", Some("%zz"))]);
        check("year=__HIVE_DEFAULT_PARTITION__/x=", &[("year", None), ("x", None)]);
        check("x=a=b", &[("x", Some("a=b"))]);
        assert!(pairs("x=1/x=2").is_err());
        assert!(pairs("=1").is_err());
        assert!(pairs("x=%ff").is_err());
        assert!(
            pairs(
                &"x".repeat(40)
                    .char_indices()
                    .map(|(at, _)| format!("c{at}=1/"))
                    .collect::<String>()
            )
            .is_err()
        );
    }

    #[test]
    fn columns_have_the_narrowest_type() {
        let check = |paths: &[&str], expect: Option<&str>| {
            let files: Vec<_> = paths.iter().map(|path| pairs(path).unwrap()).collect();
            let found = columns(&files).ok();
            let found = found.map(|columns| {
                let columns = columns.iter().map(|c| format!("{} {}", c.name, c.column_type));
                columns.collect::<Vec<_>>().join(", ")
            });
            assert_eq!(found.as_deref(), expect, "{paths:?}");
        };
        check(&["y=2013/m=01", "y=2014/m=12"], Some("y int64, m int64"));
        check(&["d=2013-01-31", "d=__HIVE_DEFAULT_PARTITION__"], Some("d date32"));
        check(&["d=2013-01-31", "d=2013-02-30"], Some("d utf8"));
        check(&["d=2013-1-31"], Some("d utf8"));
        check(&["d=1", "d=x"], Some("d utf8"));
        check(&["d="], Some("d utf8"));
        check(&["a", "b"], Some(""));
        check(&["a=1", "b=1"], None);
        check(&["a=1", "a=1/b=1"], None);
        check(&["a=1/b=1", "b=1/a=1"], None);
    }

    #[test]
    fn filters_take_files() {
        let check = |filters: &[&str], path: &str, expect: Result<bool, &str>| {
            let filters: Vec<PartitionFilter> =
                filters.iter().map(|text| text.parse().unwrap()).collect();
            let pairs = pairs(path).unwrap();
            let value = |name: &str| {
                let found = pairs.iter().find(|(other, _)| other == name);
                found.map(|(_, value)| value.as_deref())
            };
            let found = Wanted::new(&filters).takes(value);
            assert_eq!(found, expect.map_err(str::to_owned), "{filters:?} {path}");
        };
        check(&[], "y=1", Ok(true));
        check(&["y=1"], "y=1", Ok(true));
        check(&["y=1"], "y=01", Ok(true));
        check(&["y=1"], "y=2", Ok(false));
        check(&["y=1,2"], "y=2", Ok(true));
        check(&["y=1", "y=2"], "y=2", Ok(true));
        check(&["y=1", "m=2"], "y=1/m=3", Ok(false));
        check(&["y=__HIVE_DEFAULT_PARTITION__"], "y=", Ok(true));
        check(&["y=1"], "y=", Ok(false));
        check(&["z=1"], "y=1", Err("z"));
    }
}
