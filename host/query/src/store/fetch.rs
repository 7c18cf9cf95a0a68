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
        let check = |ranges: &[Range<u64>], expect: &[&[Range<u64>]]| {
            assert_eq!(requests(ranges), expect, "{ranges:?}");
        };
        const MIB: u64 = 1 << 20;
        check(&[], &[]);
        check(&[5..5], &[]);
        check(&[0..4, 10..12], &[&[0..4, 10..12]]);
        check(&[0..10 * MIB, 20 * MIB..26 * MIB], &[&[0..10 * MIB, 20 * MIB..26 * MIB]]);
        check(&[0..10 * MIB, 20 * MIB..27 * MIB], &[&[0..10 * MIB], &[20 * MIB..27 * MIB]]);
        check(
            &[0..40 * MIB, 50 * MIB..51 * MIB],
            &[&[0..16 * MIB], &[16 * MIB..32 * MIB], &[32 * MIB..40 * MIB, 50 * MIB..51 * MIB]],
        );
        let many: Vec<Range<u64>> = (0..1500).map(|at| at * 10..at * 10 + 1).collect();
        assert_eq!(requests(&many).iter().map(Vec::len).collect::<Vec<_>>(), [1024, 476]);
    }
}
