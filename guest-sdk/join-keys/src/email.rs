//! E-mail addresses.

use alloc::string::{String, ToString as _};

use crate::{Profile, Why};

/// Trimmed and in lower case; then what the profile does to Gmail names.
pub(crate) fn normalise(profile: Profile, value: &str) -> Result<String, Why> {
    let trimmed = value.trim();
    if trimmed.is_empty() {
        return Err(Why::Empty);
    }
    if trimmed.contains(|character: char| character.is_whitespace() || character.is_control()) {
        return Err(Why::NotAnAddress);
    }
    let lower = lower_case(profile, trimmed);
    match lower.split_once('@') {
        Some((name, domain)) if !name.is_empty() && !domain.is_empty() && !domain.contains('@') => {
            let name = gmail_name(profile, name, domain)?;
            Ok([name.as_str(), "@", domain].concat())
        }
        _ => Err(Why::NotAnAddress),
    }
}

/// UID2's operator knows the capitals A to Z only; the others lower what Unicode calls upper case.
fn lower_case(profile: Profile, text: &str) -> String {
    match profile {
        Profile::Uid2V1 => text.to_ascii_lowercase(),
        Profile::GoogleV1 | Profile::GoogleV2 | Profile::MetaV1 => text.to_lowercase(),
    }
}

/// What of a name counts at its domain.
fn gmail_name(profile: Profile, name: &str, domain: &str) -> Result<String, Why> {
    let google = matches!(domain, "gmail.com" | "googlemail.com");
    let (drop_dots, drop_suffix) = match profile {
        Profile::Uid2V1 => (domain == "gmail.com", domain == "gmail.com"),
        Profile::GoogleV1 => (google, false),
        Profile::GoogleV2 => (google, google),
        Profile::MetaV1 => (false, false),
    };
    let counted = match name.split_once('+') {
        Some((before, _)) if drop_suffix => before,
        _ => name,
    };
    let counted = if drop_dots { counted.replace('.', "") } else { counted.to_string() };
    if counted.is_empty() { Err(Why::NoName) } else { Ok(counted) }
}
