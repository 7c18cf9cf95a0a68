//! Rows of a file that are left when others are deleted.

use datafusion::parquet::arrow::arrow_reader::{RowSelection, RowSelector};

/// A selection of the rows up to `rows` that are not in `deleted`; none when `deleted` is not
/// ascending, or beyond.
pub(super) fn left(deleted: &[u64], rows: u64) -> Option<RowSelection> {
    let length = |rows: u64| usize::try_from(rows).ok();
    let mut selectors = Vec::new();
    let mut next = 0;
    for position in deleted {
        if *position < next || *position >= rows {
            return None;
        }
        if *position > next {
            selectors.push(RowSelector::select(length(position - next)?));
        }
        selectors.push(RowSelector::skip(1));
        next = position + 1;
    }
    if rows > next {
        selectors.push(RowSelector::select(length(rows - next)?));
    }
    // This joins skips that follow one another.
    Some(selectors.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_left() {
        let check = |deleted: &[u64], rows: u64, expect: Option<&[(bool, usize)]>| {
            let found = left(deleted, rows).map(|selection| {
                selection
                    .iter()
                    .map(|selector| (!selector.skip, selector.row_count))
                    .collect::<Vec<_>>()
            });
            assert_eq!(found.as_deref(), expect, "{deleted:?} of {rows}");
        };
        check(&[], 3, Some(&[(true, 3)]));
        check(&[0], 3, Some(&[(false, 1), (true, 2)]));
        check(&[1, 2], 5, Some(&[(true, 1), (false, 2), (true, 2)]));
        check(&[2], 3, Some(&[(true, 2), (false, 1)]));
        check(&[0, 1], 2, Some(&[(false, 2)]));
        check(&[], 0, Some(&[]));
        check(&[3], 3, None);
        check(&[1, 1], 3, None);
        check(&[2, 1], 3, None);
        check(&[u64::MAX], 3, None);
    }
}
