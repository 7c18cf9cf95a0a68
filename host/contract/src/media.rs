//! Media types of what a notebook displays to its author.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Largest single thing that a notebook displays, in bytes; a room's log limit is usually less.
pub const MAX_DISPLAY_BYTES: usize = 1 << 20;

/// How every PNG file begins.
const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// What a displayed output is. The list is closed: each type here is one that a viewer can show
/// without running anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MediaType {
    /// Text.
    #[serde(rename = "text/plain")]
    Plain,
    /// A piece of a page. A viewer shows it with scripts and network switched off.
    #[serde(rename = "text/html")]
    Html,
    /// Markdown.
    #[serde(rename = "text/markdown")]
    Markdown,
    /// A table.
    #[serde(rename = "text/csv")]
    Csv,
    /// JSON.
    #[serde(rename = "application/json")]
    Json,
    /// An image of dots.
    #[serde(rename = "image/png")]
    Png,
    /// An image of lines. A viewer shows it as an image, so that no script in it runs.
    #[serde(rename = "image/svg+xml")]
    Svg,
}

/// A media type that is not on the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected one of text/plain, text/html, text/markdown, text/csv, application/json, image/png, image/svg+xml"
)]
pub struct UnknownMediaType;

impl MediaType {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Plain, Self::Html, Self::Markdown, Self::Csv, Self::Json, Self::Png, Self::Svg];

    /// Its name, for example `text/plain`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "text/plain",
            Self::Html => "text/html",
            Self::Markdown => "text/markdown",
            Self::Csv => "text/csv",
            Self::Json => "application/json",
            Self::Png => "image/png",
            Self::Svg => "image/svg+xml",
        }
    }

    /// `data` as text, if this is a type of texts and `data` is one.
    pub fn text(self, data: &[u8]) -> Option<&str> {
        if self == Self::Png { None } else { std::str::from_utf8(data).ok() }
    }

    /// Whether `data` can be of this type: UTF-8, or what begins as a PNG file does.
    pub fn fits(self, data: &[u8]) -> bool {
        match self {
            Self::Png => data.starts_with(PNG_SIGNATURE),
            _ => self.text(data).is_some(),
        }
    }
}

impl FromStr for MediaType {
    type Err = UnknownMediaType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|known| known.as_str() == text).ok_or(UnknownMediaType)
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_text_and_in_json() {
        for known in MediaType::ALL {
            assert_eq!(known.as_str().parse(), Ok(known));
            assert_eq!(serde_json::to_value(known).unwrap(), known.as_str());
        }
        for unknown in ["", "text/PLAIN", "text/plain; charset=utf-8", "application/javascript"] {
            assert_eq!(unknown.parse::<MediaType>(), Err(UnknownMediaType));
        }
    }

    #[test]
    fn data_is_what_its_type_says() {
        let check = |media_type: MediaType, data: &[u8], expect| {
            assert_eq!(media_type.fits(data), expect, "{media_type} {data:?}");
        };
        check(MediaType::Plain, "grüße".as_bytes(), true);
        check(MediaType::Plain, b"", true);
        check(MediaType::Plain, b"\xff", false);
        check(MediaType::Svg, b"\x89PNG\r\n\x1a\n", false);
        check(MediaType::Png, b"\x89PNG\r\n\x1a\n", true);
        check(MediaType::Png, b"\x89PNG", false);
        check(MediaType::Png, b"<html>", false);
    }
}
