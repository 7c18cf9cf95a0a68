//! The header of a notebook that is one text: TOML in its first block comment that says so.

use crate::error::{BuildError, Position};

/// First words of the block comment that holds the header.
const HEADER_START: &str = "glovebox notebook";

/// The TOML inside the header comment and its byte offset. `line_comment` starts a comment that
/// ends with its line.
pub(crate) fn find_header<'a>(
    source: &'a str,
    line_comment: &str,
) -> Result<(&'a str, usize), BuildError> {
    let mut offset = 0;
    loop {
        let rest = &source[offset..];
        let trimmed = rest.trim_start();
        offset += rest.len() - trimmed.len();
        if trimmed.starts_with(line_comment) {
            offset += trimmed.find('\n').unwrap_or(trimmed.len());
            continue;
        }
        let Some(comment) = trimmed.strip_prefix("/*") else {
            return Err(BuildError::new("the notebook has no header")
                .at(Position::of_offset(source, offset))
                .help("begin with a block comment: `/* glovebox notebook`, then name, version, inputs and outputs in TOML, then `*/`"));
        };
        let end = comment.find("*/").ok_or_else(|| {
            BuildError::new("the comment is not closed").at(Position::of_offset(source, offset))
        })?;
        // SQL dialects disagree on comments in comments; without them all see the same header.
        if let Some(nested) = comment[..end].find("/*") {
            return Err(BuildError::new("a comment inside a comment")
                .at(Position::of_offset(source, offset + 2 + nested)));
        }
        let body = comment[..end].trim_start();
        if let Some(header) = body.strip_prefix(HEADER_START)
            && header.starts_with(char::is_whitespace)
        {
            return Ok((header, offset + 2 + end - header.len()));
        }
        offset += 2 + end + 2;
    }
}
