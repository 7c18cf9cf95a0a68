//! Free text that people read: short, and unable to play tricks on a screen.

use crate::parameter::ParameterValue;

/// Most bytes of a comment or a description.
pub const MAX_TEXT_BYTES: usize = 4096;

/// Most bytes of a short text: an organisation, a region, a column name.
pub const MAX_LINE_BYTES: usize = 255;

/// Why a text is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct TextError {
    what: String,
    why: &'static str,
}

/// Accepts a text of several lines.
pub(crate) fn check_text(what: &str, text: &str) -> Result<(), TextError> {
    if text.len() > MAX_TEXT_BYTES {
        return error(what, "the text is longer than 4096 bytes");
    }
    check_characters(what, text, |c| c == '\n' || c == '\t')
}

/// Accepts a non-empty text of one line.
pub(crate) fn check_line(what: &str, text: &str) -> Result<(), TextError> {
    if text.is_empty() {
        return error(what, "the text is empty");
    }
    if text.len() > MAX_LINE_BYTES {
        return error(what, "the text is longer than 255 bytes");
    }
    check_characters(what, text, |_| false)
}

fn error(what: &str, why: &'static str) -> Result<(), TextError> {
    Err(TextError { what: what.into(), why })
}

/// Refuses control characters, which drive terminals, and the characters that reorder or hide text,
/// which let a reviewer read something else than what is there.
fn check_characters(what: &str, text: &str, allowed: fn(char) -> bool) -> Result<(), TextError> {
    if text.chars().any(|c| is_trick(c) && !allowed(c)) {
        return error(what, "it holds a control character or an invisible one");
    }
    Ok(())
}

fn is_trick(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
        )
}

/// The beginning of a text that may come from anyone, on one line, with every character escaped
/// that could play tricks on a screen.
pub fn printable(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars().take(MAX_LINE_BYTES) {
        if is_trick(c) {
            line.extend(c.escape_unicode());
        } else {
            line.push(c);
        }
    }
    line
}

/// Seconds since 1970-01-01T00:00:00Z as a date and a time of day.
pub fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (hours, minutes, seconds) = (rest / 3600, rest / 60 % 60, rest % 60);
    match i32::try_from(days) {
        Ok(days) => {
            format!("{}T{hours:02}:{minutes:02}:{seconds:02}Z", ParameterValue::Date(days))
        }
        Err(_) => "the end of time".to_owned(),
    }
}
