//! When an order falls due.

use chrono::{DateTime, FixedOffset};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// How late the agent may be so that it is still the time at which an order falls due.
pub(crate) const GRACE_SECONDS: u64 = 60;

/// Longest text of a cron pattern.
const MAX_PATTERN: usize = 200;

/// A cron pattern in one time zone.
#[derive(Debug, Clone)]
pub(crate) struct Timing {
    cron: Cron,
    zone: FixedOffset,
}

/// What fell due since somebody looked last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Due {
    /// Just now, oldest first.
    pub(crate) now: Vec<u64>,
    /// The newest time that passed while nobody looked.
    pub(crate) missed: Option<u64>,
}

impl Timing {
    /// Reads a cron pattern of five fields, or six with seconds in front, and a zone: `UTC` or an
    /// offset from it such as `+01:00`.
    pub(crate) fn parse(pattern: &str, zone: &str) -> Result<Self, String> {
        if pattern.len() > MAX_PATTERN {
            return Err("the cron pattern is too long".into());
        }
        let parser =
            CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let shown = pattern.escape_debug();
        let cron = parser
            .parse(pattern)
            .map_err(|error| format!("`{shown}` is not a cron pattern: {error}"))?;
        let timing = Self { cron, zone: parse_zone(zone)? };
        // From a day in a leap year: whatever can come does within eight years.
        match timing.next(0) {
            Some(_) => Ok(timing),
            None => Err(format!("`{shown}` never falls due")),
        }
    }

    pub(crate) fn zone(&self) -> FixedOffset {
        self.zone
    }

    fn at(&self, seconds: u64) -> Option<DateTime<FixedOffset>> {
        let utc = DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0)?;
        Some(utc.with_timezone(&self.zone))
    }

    /// The first time after `after`.
    pub(crate) fn next(&self, after: u64) -> Option<u64> {
        let found = self.cron.find_next_occurrence(&self.at(after)?, false).ok()?;
        u64::try_from(found.timestamp()).ok()
    }

    /// The last time until `until`, which may be `until` itself.
    fn last(&self, until: u64) -> Option<u64> {
        let found = self.cron.find_previous_occurrence(&self.at(until)?, true).ok()?;
        u64::try_from(found.timestamp()).ok()
    }

    /// What fell due after `since`, until `now`.
    pub(crate) fn due(&self, since: u64, now: u64) -> Due {
        let mut due = Due::default();
        let fresh = since.max(now.saturating_sub(GRACE_SECONDS));
        let mut from = fresh;
        while let Some(at) = self.next(from).filter(|at| *at <= now && *at > from) {
            due.now.push(at);
            from = at;
        }
        if fresh > since {
            due.missed = self.last(fresh).filter(|at| *at > since);
        }
        due
    }
}

fn parse_zone(text: &str) -> Result<FixedOffset, String> {
    let wrong = || {
        format!(
            "`{}` is not a zone: expected `UTC` or an offset from it such as `+01:00`",
            text.escape_debug()
        )
    };
    if matches!(text, "UTC" | "Z") {
        return FixedOffset::east_opt(0).ok_or_else(wrong);
    }
    let (sign, rest) = match text.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ => return Err(wrong()),
    };
    let (hours, minutes) = rest.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str, most: i32| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number: &i32| digits && *number <= most)
    };
    let (hours, minutes) = number(hours, 14).zip(number(minutes, 59)).ok_or_else(wrong)?;
    FixedOffset::east_opt(sign * (hours * 3600 + minutes * 60)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2013-01-11T00:00:00Z, a Friday.
    const DAY: u64 = 1_357_862_400;
    const HOUR: u64 = 3600;

    #[test]
    fn an_order_falls_due_by_its_pattern_and_its_zone() {
        let check = |pattern: &str, zone: &str, after: u64, expect: u64| {
            let timing = Timing::parse(pattern, zone).unwrap();
            assert_eq!(timing.next(after), Some(expect), "{pattern} {zone}");
        };
        check("0 3 * * *", "UTC", DAY, DAY + 3 * HOUR);
        check("0 3 * * *", "UTC", DAY + 3 * HOUR, DAY + 27 * HOUR);
        check("0 3 * * *", "+01:00", DAY, DAY + 2 * HOUR);
        check("0 3 * * *", "-05:30", DAY, DAY + 8 * HOUR + 1800);
        check("*/10 * * * * *", "UTC", DAY, DAY + 10);
        check("0 0 * * MON", "UTC", DAY, DAY + 72 * HOUR);
        check("0 0 29 2 *", "UTC", DAY, 1_456_704_000);
        check("@daily", "UTC", DAY, DAY + 24 * HOUR);
    }

    #[test]
    fn nonsense_is_refused_when_it_is_read() {
        let wrong = |pattern: &str, zone: &str| {
            assert!(Timing::parse(pattern, zone).is_err(), "{pattern} {zone}");
        };
        for pattern in ["", "* * *", "61 * * * *", "hourly", "0 0 31 2 *", &"* ".repeat(200)] {
            wrong(pattern, "UTC");
        }
        for zone in ["", "Europe/Berlin", "+1:00", "+01", "+15:00", "+00:60", "01:00", "+é1:00"] {
            wrong("0 3 * * *", zone);
        }
    }

    #[test]
    fn what_passed_unseen_is_told_from_what_is_due_now() {
        let check = |pattern: &str, since: u64, now: u64, expect: &[u64], missed: Option<u64>| {
            let due = Timing::parse(pattern, "UTC").unwrap().due(since, now);
            assert_eq!((due.now.as_slice(), due.missed), (expect, missed), "{since} to {now}");
        };
        let hourly = "0 * * * *";
        check(hourly, DAY, DAY + 10, &[], None);
        check(hourly, DAY - 1, DAY, &[DAY], None);
        check(hourly, DAY - 1, DAY + 59, &[DAY], None);
        check(hourly, DAY - 1, DAY + 61, &[], Some(DAY));
        check(hourly, DAY - 1, DAY + 100 * HOUR, &[DAY + 100 * HOUR], Some(DAY + 99 * HOUR));
        check(hourly, DAY - 1, DAY + 100 * HOUR + 300, &[], Some(DAY + 100 * HOUR));
        // A clock that was set back.
        check(hourly, DAY + HOUR, DAY, &[], None);
        // A year of seconds is not counted through.
        check("* * * * * *", 0, DAY, &(DAY - 59..=DAY).collect::<Vec<_>>(), Some(DAY - 60));
    }
}
