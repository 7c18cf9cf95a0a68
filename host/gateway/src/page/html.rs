//! Writing HTML so that text stays text.
//!
//! What is written with [`Markup::raw`] stands in this program; everything else goes through
//! [`Markup::text`] or [`Markup::attribute`], which escape it. There is no third way.

use std::fmt::{self, Display, Write as _};

/// A piece of HTML.
#[derive(Debug, Default)]
pub(super) struct Markup(String);

impl Markup {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Markup of this program.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text of anybody.
    pub(super) fn text(&mut self, text: impl Display) -> &mut Self {
        // Writing to a string does not fail.
        let _written = write!(Escaping(&mut self.0), "{text}");
        self
    }

    /// ` name="value"`, for within a tag.
    pub(super) fn attribute(&mut self, name: &'static str, value: impl Display) -> &mut Self {
        self.raw(" ").raw(name).raw("=\"").text(value).raw("\"")
    }

    /// Another piece.
    pub(super) fn markup(&mut self, other: &Self) -> &mut Self {
        self.0.push_str(&other.0);
        self
    }

    /// A link of this site.
    pub(super) fn link(&mut self, to: impl Display, text: impl Display) -> &mut Self {
        self.raw("<a").attribute("href", to).raw(">").text(text).raw("</a>")
    }

    /// A digest or key: its beginning, and all of it to whoever points at it.
    pub(super) fn digest(&mut self, digest: impl Display) -> &mut Self {
        let digest = digest.to_string();
        let bare = digest.split_once(':').map_or(digest.as_str(), |(_, bare)| bare);
        let short: String = bare.chars().take(12).collect();
        self.raw("<code").attribute("title", &digest).raw(">").text(short).raw("…</code>")
    }

    /// The HTML.
    pub(super) fn into_string(self) -> String {
        self.0
    }
}

struct Escaping<'a>(&'a mut String);

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(character),
                // Signs that turn the direction of text can make it read as another.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => {
                    self.0.push('\u{fffd}');
                }
                _ if character.is_control() => self.0.push('\u{fffd}'),
                _ => self.0.push(character),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let mut page = Markup::new();
        page.raw("<p").attribute("title", "\" onclick=\"x'").raw(">");
        page.text("<script>&amp;\u{0}\u{1b}[0m\u{202e}txt\n").raw("</p>");
        assert_eq!(
            page.into_string(),
            "<p title=\"&quot; onclick=&quot;x&#39;\">\
             &lt;script&gt;&amp;amp;\u{fffd}\u{fffd}[0m\u{fffd}txt\n</p>"
        );
    }

    #[test]
    fn digests_are_short_and_whole() {
        let mut page = Markup::new();
        page.digest("blake3:0123456789abcdef");
        assert_eq!(
            page.into_string(),
            "<code title=\"blake3:0123456789abcdef\">0123456789ab…</code>"
        );
    }
}
