//! Phone numbers. All three profiles want the country code; nobody can add it to a number in its
//! national form without knowing the country, so such a number is refused and not guessed at.

use alloc::string::String;

use crate::{Profile, Why};

/// Digits of an E.164 number.
const MOST_DIGITS: usize = 15;

/// `+` and digits, or for Meta digits only.
pub(crate) fn normalise(profile: Profile, value: &str) -> Result<String, Why> {
    let trimmed = value.trim();
    if trimmed.is_empty() {
        return Err(Why::Empty);
    }
    if trimmed.starts_with('(') {
        return Err(Why::NoCountryCode);
    }
    let digits = match profile {
        Profile::Uid2V1 | Profile::GoogleV1 | Profile::GoogleV2 => strict_digits(trimmed)?,
        Profile::MetaV1 => meta_digits(trimmed)?,
    };
    if digits.starts_with('0') {
        return Err(Why::NoCountryCode);
    }
    if !(least_digits(profile)..=MOST_DIGITS).contains(&digits.len()) {
        return Err(Why::WrongLength);
    }
    Ok(match profile {
        Profile::MetaV1 => digits,
        Profile::Uid2V1 | Profile::GoogleV1 | Profile::GoogleV2 => ["+", &digits].concat(),
    })
}

/// Ten is what UID2's operator asks for, seven what Meta's SDK does; Google names no number.
fn least_digits(profile: Profile) -> usize {
    match profile {
        Profile::Uid2V1 => 10,
        Profile::GoogleV1 | Profile::GoogleV2 | Profile::MetaV1 => 7,
    }
}

/// Digits, after at most one leading `+`, with punctuation and spaces between them.
fn strict_digits(text: &str) -> Result<String, Why> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let foreign = |character: char| {
        character == '+'
            || character.is_control()
            || (character.is_alphanumeric() && !character.is_ascii_digit())
    };
    if text.contains(foreign) {
        return Err(Why::NotANumber);
    }
    some(text.chars().filter(char::is_ascii_digit).collect())
}

/// Meta: symbols, letters and leading zeros are removed.
fn meta_digits(text: &str) -> Result<String, Why> {
    some(text.chars().filter(char::is_ascii_digit).skip_while(|digit| *digit == '0').collect())
}

fn some(digits: String) -> Result<String, Why> {
    if digits.is_empty() { Err(Why::NotANumber) } else { Ok(digits) }
}
