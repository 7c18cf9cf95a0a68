//! Pieces of files through the broker: few requests of a good size, side by side.

use std::ops::Range;

use bytes::Bytes;
use object_store::{Error, Result};

use super::{STORE_NAME, length};
use crate::broker::{Broker, BrokerFailure, FileNumber, wait};

/// Bytes of one request. Larger reads are several requests, which go on side by side.
const REQUEST_BYTES: u64 = 16 << 20;

/// Pieces of one request.
const REQUEST_PIECES: usize = 1024;

pub(super) fn failed(failure: BrokerFailure) -> Error {
    Error::Generic { store: STORE_NAME, source: Box::new(failure) }
}

/// Pieces of a file through the broker: asked for all at once, in requests of a good size.
pub(super) async fn fetch(
    broker: &dyn Broker,
    number: FileNumber,
    ranges: &[Range<u64>],
) -> Result<Vec<Bytes>> {
    let asked: Vec<_> = requests(ranges)
        .into_iter()
        .map(|pieces| (pieces.clone(), broker.ranges(number, pieces)))
        .collect();
    let mut pieces = Vec::new();
    for (request, answer) in asked {
        let mut bytes = Bytes::from(wait(answer).await.map_err(failed)?);
        for piece in request {
            let length = length(&piece)?;
            if bytes.len() < length {
                return Err(failed(BrokerFailure::ASTRAY));
            }
            pieces.push(bytes.split_to(length));
        }
        if !bytes.is_empty() {
            return Err(failed(BrokerFailure::ASTRAY));
        }
    }
    let mut pieces = pieces.into_iter();
    ranges
        .iter()
        .map(|range| {
            let parts: Vec<Bytes> = pieces.by_ref().take(cuts(range).count()).collect();
            match parts.as_slice() {
                [] => Ok(Bytes::new()),
                [whole] => Ok(whole.clone()),
                parts => Ok(parts.concat().into()),
            }
        })
        .collect()
}

/// `range` in parts that each fit a request.
fn cuts(range: &Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
    let (mut position, end) = (range.start, range.end);
    std::iter::from_fn(move || {
        let part = position..end.min(position.saturating_add(REQUEST_BYTES));
        position = part.end;
        (!part.is_empty()).then_some(part)
    })
}

/// The parts of `ranges`, a list for each request.
fn requests(ranges: &[Range<u64>]) -> Vec<Vec<Range<u64>>> {
    let mut requests: Vec<Vec<Range<u64>>> = Vec::new();
    let mut bytes = 0;
    for part in ranges.iter().flat_map(cuts) {
        let more = part.end.saturating_sub(part.start);
        match requests.last_mut() {
            Some(last) if bytes + more <= REQUEST_BYTES && last.len() < REQUEST_PIECES => {
                bytes += more;
                last.push(part);
            }
            _ => {
                bytes = more;
                requests.push(vec![part]);
            }
        }
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_asked_for_in_requests_of_a_good_size() {
        let pieces = |pairs: &[(u64, u64)]| -> Vec<Range<u64>> {
            pairs.iter().map(|(from, to)| *from..*to).collect()
        };
        let check = |asked: &[(u64, u64)], expect: &[&[(u64, u64)]]| {
            let expect: Vec<_> = expect.iter().map(|pairs| pieces(pairs)).collect();
            assert_eq!(requests(&pieces(asked)), expect, "{asked:?}");
        };
        const M: u64 = 1 << 20;
        check(&[], &[]);
        check(&[(5, 5)], &[]);
        check(&[(0, 4), (10, 12)], &[&[(0, 4), (10, 12)]]);
        check(&[(0, 10 * M), (20 * M, 26 * M)], &[&[(0, 10 * M), (20 * M, 26 * M)]]);
        check(&[(0, 10 * M), (20 * M, 27 * M)], &[&[(0, 10 * M)], &[(20 * M, 27 * M)]]);
        let cut = [&[(0, 16 * M)][..], &[(16 * M, 32 * M)], &[(32 * M, 40 * M), (50 * M, 51 * M)]];
        check(&[(0, 40 * M), (50 * M, 51 * M)], &cut);
        let many: Vec<Range<u64>> = (0..1500).map(|at| at * 10..at * 10 + 1).collect();
        assert_eq!(requests(&many).iter().map(Vec::len).collect::<Vec<_>>(), [1024, 476]);
    }
}
