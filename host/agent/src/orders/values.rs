//! Parameters of an order: texts, in which the time that it fell due may stand.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset, SecondsFormat};
use glovebox_contract::name::Identifier;

/// Days that a date may be moved by.
const MAX_DAYS: i64 = 36_500;

/// A text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// `${scheduled_date}`, moved by so many days.
    Date(i64),
    /// `${scheduled_time}`
    Time,
    /// `${scheduled_seconds}`
    Seconds,
}

impl Template {
    /// Reads a text. `${scheduled_date}` is the day at which the order falls due, in its zone,
    /// `${scheduled_date-1}` the day before; `${scheduled_time}` the time as RFC 3339 has it, and
    /// `${scheduled_seconds}` the Unix time.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, behind) = after
                .split_once('}')
                .ok_or_else(|| "a placeholder `${` is not closed by `}`".to_owned())?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(piece(name)?);
            rest = behind;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// The text for an order that falls due at `due`.
    pub(crate) fn fill(&self, due: u64, zone: FixedOffset) -> String {
        let at = i64::try_from(due).ok().and_then(|due| DateTime::from_timestamp(due, 0));
        let at = at.unwrap_or_default().with_timezone(&zone);
        let fill = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Date(days) => {
                let moved = chrono::Duration::try_days(*days)
                    .and_then(|days| at.checked_add_signed(days))
                    .unwrap_or(at);
                moved.format("%Y-%m-%d").to_string()
            }
            Piece::Time => at.to_rfc3339_opts(SecondsFormat::Secs, true),
            Piece::Seconds => due.to_string(),
        };
        self.0.iter().map(fill).collect()
    }
}

fn piece(name: &str) -> Result<Piece, String> {
    match name {
        "scheduled_date" => return Ok(Piece::Date(0)),
        "scheduled_time" => return Ok(Piece::Time),
        "scheduled_seconds" => return Ok(Piece::Seconds),
        _ => {}
    }
    let moved = name.strip_prefix("scheduled_date").and_then(|days| {
        let digits = days.strip_prefix(['+', '-'])?;
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        days.parse().ok().filter(|days: &i64| plain && days.abs() <= MAX_DAYS)
    });
    moved.map(Piece::Date).ok_or_else(|| {
        format!(
            "`${{{}}}` is unknown: there are scheduled_date, scheduled_date-1 (and other days), \
             scheduled_time and scheduled_seconds",
            name.chars().take(80).collect::<String>().escape_debug()
        )
    })
}

/// What stands in the file for one parameter: a text, a number, `true` or a day.
pub(crate) fn text_of(value: &toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Float(number) => Ok(number.to_string()),
        toml::Value::Boolean(value) => Ok(value.to_string()),
        toml::Value::Datetime(date) => Ok(date.to_string()),
        toml::Value::Array(_) | toml::Value::Table(_) => {
            Err("expected a text, a number, `true`, `false` or a day".into())
        }
    }
}

/// All parameters for an order that falls due at `due`; those that a trigger gave come first.
pub(crate) fn fill(
    templates: &BTreeMap<Identifier, Template>,
    given: &BTreeMap<Identifier, String>,
    due: u64,
    zone: FixedOffset,
) -> BTreeMap<String, String> {
    let own = templates.iter().map(|(name, text)| (name.to_string(), text.fill(due, zone)));
    own.chain(given.iter().map(|(name, text)| (name.to_string(), text.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_at_which_an_order_falls_due_stands_in_its_parameters() {
        // 2013-01-10T23:30:00Z
        let check = |text: &str, hours: i32, expect: &str| {
            let zone = FixedOffset::east_opt(hours * 3600).unwrap();
            assert_eq!(Template::parse(text).unwrap().fill(1_357_860_600, zone), expect);
        };
        check("", 0, "");
        check("plain $ { }", 0, "plain $ { }");
        check("${scheduled_date}", 0, "2013-01-10");
        check("${scheduled_date}", 1, "2013-01-11");
        check("${scheduled_date-1}", 1, "2013-01-10");
        check("${scheduled_date-10}", 0, "2012-12-31");
        check("${scheduled_date+31}", 0, "2013-02-10");
        check("${scheduled_time}", 1, "2013-01-11T00:30:00+01:00");
        check("at ${scheduled_seconds}!", 0, "at 1357860600!");
        check("${scheduled_date}/${scheduled_date+1}", 0, "2013-01-10/2013-01-11");
    }

    #[test]
    fn unknown_placeholders_are_refused() {
        for wrong in [
            "${",
            "${}",
            "${scheduled_date",
            "${scheduled_date-}",
            "${scheduled_date--1}",
            "${scheduled_date1}",
            "${scheduled_date-99999999999999999999}",
            "${HOME}",
        ] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
    }
}
