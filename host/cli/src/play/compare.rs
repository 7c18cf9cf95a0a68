//! An output beside the table that was expected.

use std::cmp::Ordering;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use arrow::datatypes::{DataType, Field, Schema};

use super::story::Expected;
use crate::output_file;

/// A table as texts, as [`output_file`] prints cells. Null is the empty text.
#[derive(Debug)]
struct Texts {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// Says how many rows agree, or where the first difference is.
pub(crate) fn compare(output: &Path, expected: &Expected) -> Result<Result<usize, String>> {
    let got = read(output)?;
    let expect = read(Path::new(&expected.file))
        .with_context(|| format!("cannot read the expected rows in {}", expected.file))?;
    difference(got, expect, expected)
}

fn read(path: &Path) -> Result<Texts> {
    let is_csv = path.extension().is_some_and(|ending| ending == "csv");
    if is_csv {
        return read_csv(path);
    }
    let file = File::open(path)?;
    let (header, rows) = output_file::texts(file)?;
    Ok(Texts { header, rows })
}

fn read_csv(path: &Path) -> Result<Texts> {
    let text = std::fs::read_to_string(path)?;
    let first = text.lines().next().context("the file has no header")?;
    let header: Vec<String> = first.split(',').map(|name| name.trim_matches('"').into()).collect();
    let fields = header.iter().map(|name| Field::new(name, DataType::Utf8, true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let batches =
        arrow::csv::ReaderBuilder::new(schema).with_header(true).build(text.as_bytes())?;
    let mut rows = Vec::new();
    for batch in batches {
        output_file::append_rows(&batch?, usize::MAX, &mut rows)?;
    }
    Ok(Texts { header, rows })
}

fn difference(
    mut got: Texts,
    mut expect: Texts,
    expected: &Expected,
) -> Result<Result<usize, String>> {
    if got.header != expect.header {
        let (got, expect) = (got.header.join(", "), expect.header.join(", "));
        return Ok(Err(format!("columns {got}; expected {expect}")));
    }
    if !expected.key.is_empty() {
        let key = key_columns(&expect, expected)?;
        got.rows.sort_by(|left, right| by_key(&key, left, right));
        expect.rows.sort_by(|left, right| by_key(&key, left, right));
    }
    for (index, (got, expect)) in got.rows.iter().zip(&expect.rows).enumerate() {
        let agree =
            got.iter().zip(expect).all(|(got, expect)| agree(got, expect, expected.tolerance));
        if !agree {
            let (got, expect) = (got.join(", "), expect.join(", "));
            return Ok(Err(format!("row {}: {got}; expected {expect}", index + 1)));
        }
    }
    if got.rows.len() != expect.rows.len() {
        return Ok(Err(format!("{} rows; expected {}", got.rows.len(), expect.rows.len())));
    }
    Ok(Ok(got.rows.len()))
}

fn key_columns(expect: &Texts, expected: &Expected) -> Result<Vec<usize>> {
    let columns = expected.key.iter().map(|name| {
        let found = expect.header.iter().position(|column| column == name);
        found.with_context(|| format!("{} has no column {name} to match rows by", expected.file))
    });
    let key: Vec<_> = columns.collect::<Result<_>>()?;
    let mut rows: Vec<_> = expect.rows.iter().collect();
    rows.sort_by(|left, right| by_key(&key, left, right));
    if rows.windows(2).any(|pair| by_key(&key, pair[0], pair[1]) == Ordering::Equal) {
        bail!("{} has more than one row with the same {}", expected.file, expected.key.join(", "));
    }
    Ok(key)
}

fn by_key(key: &[usize], left: &[String], right: &[String]) -> Ordering {
    key.iter()
        .map(|index| left[*index].cmp(&right[*index]))
        .find(|o| o.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Equal texts, or numbers that differ by no more than the share `tolerance`.
fn agree(got: &str, expect: &str, tolerance: f64) -> bool {
    match (got.parse::<f64>(), expect.parse::<f64>()) {
        (Ok(got), Ok(expect)) if got.is_finite() && expect.is_finite() => {
            (got - expect).abs() <= tolerance * expect.abs().max(1.0)
        }
        _ => got == expect,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(csv: &str) -> Texts {
        let mut lines = csv.lines().map(|line| line.split(',').map(str::to_owned).collect());
        Texts { header: lines.next().expect("a header"), rows: lines.collect() }
    }

    #[test]
    fn differences_are_found_and_told() {
        let check = |key: &[&str], got: &str, expect: &str, says: Result<usize, &str>| {
            let expected = Expected {
                file: "expected.csv".into(),
                key: key.iter().map(|name| (*name).to_owned()).collect(),
                tolerance: 1e-6,
            };
            let found = difference(texts(got), texts(expect), &expected).expect("comparable");
            assert_eq!(found.as_ref().map(|rows| *rows).map_err(String::as_str), says, "{got}");
        };
        check(&[], "k,v\na,1\nb,2", "k,v\na,1.0000001\nb,2.0", Ok(2));
        check(&[], "k,v\nb,2\na,1", "k,v\na,1\nb,2", Err("row 1: b, 2; expected a, 1"));
        check(&["k"], "k,v\nb,2\na,1", "k,v\na,1\nb,2", Ok(2));
        check(&[], "k,v\na,1.001", "k,v\na,1", Err("row 1: a, 1.001; expected a, 1"));
        check(&[], "k,v\na,", "k,v\na,0", Err("row 1: a, ; expected a, 0"));
        check(&[], "k,v\na,NaN", "k,v\na,1", Err("row 1: a, NaN; expected a, 1"));
        check(&[], "k,v\na,1\nb,2", "k,v\na,1", Err("2 rows; expected 1"));
        check(&[], "k,v\na,1", "k,v\na,1\nb,2", Err("1 rows; expected 2"));
        check(&[], "k,w\na,1", "k,v\na,1", Err("columns k, w; expected k, v"));
    }

    #[test]
    fn a_key_must_tell_rows_apart() {
        let expected = Expected { file: "e.csv".into(), key: vec!["k".into()], tolerance: 0.0 };
        let twice = || texts("k,v\na,1\na,2");
        assert!(difference(twice(), twice(), &expected).is_err());
        let expected = Expected { key: vec!["x".into()], ..expected };
        assert!(difference(twice(), twice(), &expected).is_err());
    }
}
