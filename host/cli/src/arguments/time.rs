//! Points in time and spans of time, as people say them.

use std::str::FromStr;

use glovebox_contract::parameter::{ParameterType, ParameterValue};

const SECONDS_OF_A_DAY: u64 = 86_400;

/// A span of time: `90s`, `15m`, `12h`, `30d`, `2w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(u64);

/// A point in time: a Unix time in seconds, a day (its beginning, in UTC), or a span from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    At(u64),
    In(Span),
}

impl Span {
    pub(crate) fn seconds(self) -> u64 {
        self.0
    }
}

impl Moment {
    /// In Unix seconds, when now is `now`.
    pub(crate) fn from(self, now: u64) -> u64 {
        match self {
            Self::At(seconds) => seconds,
            Self::In(span) => now.saturating_add(span.0),
        }
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected a number and a unit, s, m, h, d or w, as in `30d`".to_owned();
        let (number, unit) =
            text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(expected)?;
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => SECONDS_OF_A_DAY,
            "w" => 7 * SECONDS_OF_A_DAY,
            _ => return Err(expected()),
        };
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(expected());
        }
        let number: u64 = number.parse().map_err(|_| expected())?;
        number.checked_mul(unit).map(Self).ok_or_else(|| "that is too long".to_owned())
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(seconds) = text.parse() {
            return Ok(Self::At(seconds));
        }
        if let Ok(ParameterValue::Date(days)) = ParameterValue::parse(ParameterType::Date, text) {
            let days = u64::try_from(days).map_err(|_| "that is before 1970".to_owned())?;
            return Ok(Self::At(days * SECONDS_OF_A_DAY));
        }
        let expected = "expected a Unix time in seconds, a day as `2027-01-31`, or a span as `30d`";
        text.parse().map(Self::In).map_err(|_| expected.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_unit() {
        let check = |text: &str, expect: Option<u64>| {
            assert_eq!(text.parse().ok().map(Span::seconds), expect, "{text}");
        };
        check("90s", Some(90));
        check("15m", Some(900));
        check("12h", Some(43_200));
        check("30d", Some(2_592_000));
        check("2w", Some(1_209_600));
        check("0d", Some(0));
        for wrong in
            ["", "d", "30", "30 d", "-1d", "+1d", "1.5d", "30D", "30é", "99999999999999999999d"]
        {
            check(wrong, None);
        }
        check("18446744073709551615w", None);
    }

    #[test]
    fn moments_are_times_days_or_spans() {
        let check = |text: &str, expect: Option<u64>| {
            let moment = text.parse::<Moment>().ok();
            assert_eq!(moment.map(|moment| moment.from(1_000)), expect, "{text}");
        };
        check("1357862401", Some(1_357_862_401));
        check("2013-01-11", Some(1_357_862_400));
        check("1d", Some(87_400));
        check("0s", Some(1_000));
        check("18446744073709551615s", Some(u64::MAX));
        for wrong in ["", "soon", "1969-12-31", "2013-02-30", "-5"] {
            check(wrong, None);
        }
    }
}
