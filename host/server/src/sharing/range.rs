//! The `Range` of a request for a file.

use std::ops::Range;

/// Which bytes to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of them.
    Whole,
    /// These, never none.
    Part(Range<u64>),
    /// Some that are not there.
    Unsatisfiable,
}

/// What `header` asks for of a file of `length` bytes. One range is understood; what is not
/// understood is answered with the whole file, as RFC 9110 says.
pub(crate) fn wanted(header: Option<&str>, length: u64) -> Wanted {
    let Some(header) = header else { return Wanted::Whole };
    let Some(range) = header.strip_prefix("bytes=") else { return Wanted::Whole };
    let Some((first, last)) = range.trim().split_once('-') else { return Wanted::Whole };
    let part = match (number(first), number(last)) {
        // The last so many.
        (Number::None, Number::Some(count)) => length.saturating_sub(count)..length,
        (Number::Some(first), Number::None) => first..length,
        (Number::Some(first), Number::Some(last)) if first <= last => {
            first..last.saturating_add(1).min(length)
        }
        _ => return Wanted::Whole,
    };
    if part.start < part.end { Wanted::Part(part) } else { Wanted::Unsatisfiable }
}

enum Number {
    Some(u64),
    None,
    Bad,
}

fn number(text: &str) -> Number {
    if text.is_empty() {
        return Number::None;
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Number::Bad;
    }
    // More than there can be is as far as one can go.
    Number::Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_understood() {
        let cases = [
            (None, 10, Wanted::Whole),
            (Some("bytes=0-"), 10, Wanted::Part(0..10)),
            (Some("bytes=0-0"), 10, Wanted::Part(0..1)),
            (Some("bytes=3-5"), 10, Wanted::Part(3..6)),
            (Some("bytes=3-99"), 10, Wanted::Part(3..10)),
            (Some("bytes=9-"), 10, Wanted::Part(9..10)),
            (Some("bytes=-3"), 10, Wanted::Part(7..10)),
            (Some("bytes=-30"), 10, Wanted::Part(0..10)),
            (Some("bytes=0-18446744073709551615"), 10, Wanted::Part(0..10)),
            (Some("bytes=0-99999999999999999999999"), 10, Wanted::Part(0..10)),
            (Some("bytes=10-"), 10, Wanted::Unsatisfiable),
            (Some("bytes=99999999999999999999999-"), 10, Wanted::Unsatisfiable),
            (Some("bytes=-0"), 10, Wanted::Unsatisfiable),
            (Some("bytes=0-"), 0, Wanted::Unsatisfiable),
            (Some("bytes=-5"), 0, Wanted::Unsatisfiable),
            (Some("bytes=5-3"), 10, Wanted::Whole),
            (Some("bytes=1-2,4-5"), 10, Wanted::Whole),
            (Some("bytes=-"), 10, Wanted::Whole),
            (Some("bytes=a-b"), 10, Wanted::Whole),
            (Some("bytes=+1-2"), 10, Wanted::Whole),
            (Some("lines=1-2"), 10, Wanted::Whole),
            (Some(""), 10, Wanted::Whole),
        ];
        for (header, length, expected) in cases {
            assert_eq!(wanted(header, length), expected, "{header:?} of {length}");
        }
    }
}
