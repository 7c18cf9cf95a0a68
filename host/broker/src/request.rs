//! Requests of a worker: read from a socket, checked before anything is done.

use std::ops::Range;

use glovebox_contract::reason::ReasonCode;
use glovebox_job::broker::{
    BrokerRequest, Filter, MAX_ANNOUNCED_BYTES, MAX_RANGES, MAX_REQUEST_BYTES,
};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::error::Failure;
use crate::source::{FileTable, OpenTable, RowSource, Scan};

/// Most conditions of one scan, counted at all depths.
const MAX_CONDITIONS: usize = 4096;

/// Deepest nesting of conditions.
const MAX_DEPTH: usize = 32;

/// A request that names only what there is.
pub(crate) enum Checked<'a> {
    Ranges { table: &'a FileTable, file: usize, ranges: Vec<Range<u64>>, bytes: u64 },
    DeletedRows { table: &'a FileTable, file: usize },
    Rows { rows: &'a dyn RowSource, scan: Scan },
}

fn wrong(what: &str) -> Failure {
    Failure::new(ReasonCode::WorkerProtocol, format!("the worker asked for {what}"))
}

/// Reads a request. None when the worker has hung up.
pub(crate) async fn read(
    socket: &mut (impl AsyncRead + Unpin),
) -> Result<Option<BrokerRequest>, Failure> {
    let mut length = [0; 4];
    if socket.read_exact(&mut length).await.is_err() {
        return Ok(None);
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_REQUEST_BYTES {
        return Err(wrong("something in more bytes than a request has"));
    }
    let mut message = vec![0; length];
    if socket.read_exact(&mut message).await.is_err() {
        return Ok(None);
    }
    let request = serde_json::from_slice(&message);
    request.map(Some).map_err(|_| wrong("something that is no request"))
}

/// Checks that a request names only what there is. `table` gives a table by its number.
pub(crate) fn check<'a>(
    request: BrokerRequest,
    table: impl Fn(usize) -> Option<&'a OpenTable>,
) -> Result<Checked<'a>, Failure> {
    let table = |number: u32| {
        let number = usize::try_from(number).ok();
        number.and_then(&table).ok_or_else(|| wrong("a table that there is not"))
    };
    match request {
        BrokerRequest::Ranges { table: number, file, ranges } => {
            let (table, file) = files(table(number)?, file)?;
            let size = table.files.get(file).map_or(0, |file| file.bytes);
            let (ranges, bytes) = check_ranges(ranges, size)?;
            Ok(Checked::Ranges { table, file, ranges, bytes })
        }
        BrokerRequest::DeletedRows { table: number, file } => {
            let (table, file) = files(table(number)?, file)?;
            match table.files.get(file) {
                Some(found) if found.has_deleted_rows => Ok(Checked::DeletedRows { table, file }),
                _ => Err(wrong("deleted rows of a file without any")),
            }
        }
        BrokerRequest::Rows { table: number, columns, filters, limit } => {
            let OpenTable::Rows(rows) = table(number)? else {
                return Err(wrong("rows of a table that has files"));
            };
            let rows = rows.as_ref();
            let scan = Scan { columns: check_columns(&columns, rows)?, filters, limit };
            let mut conditions = 0;
            check_filters(&scan.filters, rows.columns().len(), 0, &mut conditions)?;
            Ok(Checked::Rows { rows, scan })
        }
    }
}

fn files(table: &OpenTable, file: u32) -> Result<(&FileTable, usize), Failure> {
    let OpenTable::Files(table) = table else {
        return Err(wrong("a file of a table that has none"));
    };
    match usize::try_from(file) {
        Ok(file) if file < table.files.len() => Ok((table, file)),
        _ => Err(wrong("a file that there is not")),
    }
}

fn check_ranges(ranges: Vec<(u64, u64)>, size: u64) -> Result<(Vec<Range<u64>>, u64), Failure> {
    if ranges.len() > MAX_RANGES {
        return Err(wrong("too many pieces"));
    }
    let mut bytes: u64 = 0;
    for (start, end) in &ranges {
        let length = end.checked_sub(*start).filter(|_| *end <= size);
        bytes = length
            .and_then(|length| bytes.checked_add(length))
            .filter(|bytes| *bytes <= MAX_ANNOUNCED_BYTES)
            .ok_or_else(|| wrong("pieces that a file does not have, or too long ones"))?;
    }
    Ok((ranges.into_iter().map(|(start, end)| start..end).collect(), bytes))
}

fn check_columns(columns: &[u32], rows: &dyn RowSource) -> Result<Vec<usize>, Failure> {
    let mut seen = vec![false; rows.columns().len()];
    let checked = columns.iter().map(|column| {
        let column = usize::try_from(*column).ok()?;
        let before = std::mem::replace(seen.get_mut(column)?, true);
        (!before).then_some(column)
    });
    let checked: Option<Vec<usize>> = checked.collect();
    checked.ok_or_else(|| wrong("a column that there is not, or twice"))
}

fn check_filters(
    filters: &[Filter],
    columns: usize,
    depth: usize,
    conditions: &mut usize,
) -> Result<(), Failure> {
    for filter in filters {
        *conditions += match filter {
            Filter::In { values, .. } => values.len().max(1),
            _ => 1,
        };
        if depth > MAX_DEPTH || *conditions > MAX_CONDITIONS {
            return Err(wrong("rows with too many conditions"));
        }
        let is_there = |column: &u32| usize::try_from(*column).is_ok_and(|column| column < columns);
        let fine = match filter {
            Filter::Compare { column, .. }
            | Filter::Null { column }
            | Filter::NotNull { column } => is_there(column),
            Filter::In { column, values } => is_there(column) && !values.is_empty(),
            Filter::All { filters } | Filter::Any { filters } => {
                check_filters(filters, columns, depth + 1, conditions)?;
                !filters.is_empty()
            }
        };
        if !fine {
            return Err(wrong("rows with a condition on nothing"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use glovebox_contract::parameter::ParameterValue;
    use glovebox_job::broker::Comparison;

    use super::*;
    use crate::server::fixture;

    fn verdict(request: BrokerRequest) -> Result<(), String> {
        let tables = [fixture::files(&[10, 0]), fixture::rows()];
        check(request, |number| tables.get(number)).map(|_| ()).map_err(|failure| {
            assert_eq!(failure.reason, ReasonCode::WorkerProtocol);
            failure.detail
        })
    }

    #[test]
    fn a_request_names_only_what_there_is() {
        let check = |request: BrokerRequest, expect: Option<&str>| {
            let shown = format!("{request:?}");
            let found = verdict(request).err();
            let matches = match (&found, expect) {
                (None, None) => true,
                (Some(found), Some(expect)) => found.contains(expect),
                _ => false,
            };
            assert!(matches, "{} gives {found:?}", shown.chars().take(200).collect::<String>());
        };
        let ranges = |table, file, ranges: &[(u64, u64)]| BrokerRequest::Ranges {
            table,
            file,
            ranges: ranges.to_vec(),
        };
        check(ranges(0, 0, &[(0, 10), (3, 3), (2, 5)]), None);
        check(ranges(0, 1, &[(0, 0)]), None);
        check(ranges(0, 0, &[]), None);
        check(ranges(2, 0, &[(0, 1)]), Some("a table that there is not"));
        check(ranges(1, 0, &[(0, 1)]), Some("a table that has none"));
        check(ranges(0, 2, &[(0, 1)]), Some("a file that there is not"));
        check(ranges(0, u32::MAX, &[(0, 1)]), Some("a file that there is not"));
        let pieces = Some("pieces that a file does not have");
        check(ranges(0, 0, &[(0, 11)]), pieces);
        check(ranges(0, 1, &[(0, 1)]), pieces);
        check(ranges(0, 0, &[(5, 4)]), pieces);
        check(ranges(0, 0, &[(0, u64::MAX)]), pieces);
        check(ranges(0, 0, &vec![(0, 1); MAX_RANGES + 1]), Some("too many pieces"));
        let deleted = |table, file| BrokerRequest::DeletedRows { table, file };
        check(deleted(0, 0), None);
        check(deleted(0, 1), Some("a file without any"));
        check(deleted(1, 0), Some("a table that has none"));

        let rows = |table, columns: &[u32], filters: Vec<Filter>| BrokerRequest::Rows {
            table,
            columns: columns.to_vec(),
            filters,
            limit: None,
        };
        let compare = |column| Filter::Compare {
            column,
            operator: Comparison::Less,
            value: ParameterValue::Int64(1),
        };
        check(rows(1, &[1, 0], vec![compare(1), Filter::Any { filters: vec![compare(0)] }]), None);
        check(rows(1, &[], vec![]), None);
        check(rows(0, &[0], vec![]), Some("a table that has files"));
        check(rows(1, &[2], vec![]), Some("a column that there is not"));
        check(rows(1, &[0, 0], vec![]), Some("or twice"));
        let nothing = Some("a condition on nothing");
        check(rows(1, &[], vec![compare(2)]), nothing);
        check(rows(1, &[], vec![Filter::All { filters: vec![] }]), nothing);
        check(rows(1, &[], vec![Filter::In { column: 0, values: vec![] }]), nothing);
        let many = Some("too many conditions");
        check(rows(1, &[], vec![compare(0); 5000]), many);
        let values = vec![ParameterValue::Boolean(true); 5000];
        check(rows(1, &[], vec![Filter::In { column: 0, values }]), many);
        let mut deep = compare(0);
        for _ in 0..40 {
            deep = Filter::All { filters: vec![deep] };
        }
        check(rows(1, &[], vec![deep]), many);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let check = |bytes: &[u8], expect: Result<bool, ()>| {
            let found = runtime.block_on(read(&mut &bytes[..]));
            assert_eq!(found.map(|found| found.is_some()).map_err(|_| ()), expect, "{bytes:?}");
        };
        check(b"", Ok(false));
        check(b"\0\0", Ok(false));
        check(b"\0\0\0\x09{\"ask\"", Ok(false));
        check(b"\0\0\0\x02{}", Err(()));
        check(b"\0\0\0\0", Err(()));
        check(b"\xff\xff\xff\xff", Err(()));
        let request = BrokerRequest::DeletedRows { table: 0, file: 1 };
        let frame = glovebox_job::broker::encode(&request, MAX_REQUEST_BYTES).unwrap();
        check(&frame, Ok(true));
        let mut more = serde_json::to_value(&request).unwrap();
        more["path"] = "/etc/passwd".into();
        check(&glovebox_job::broker::encode(&more, MAX_REQUEST_BYTES).unwrap(), Err(()));
    }
}
