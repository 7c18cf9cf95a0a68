//! Texts of a guest, made safe to store and to print.

/// Longest log line in bytes; the rest is cut.
pub const MAX_LOG_LINE_BYTES: usize = 4096;

/// Longest private detail of a failure in bytes; the rest is cut.
pub const MAX_DETAIL_BYTES: usize = 16 * 1024;

/// `text` on one line without terminal tricks: control characters and characters that turn the
/// direction of writing become `\u{fffd}`, tabs and line ends become spaces.
pub fn clean_line(text: &str, max_bytes: usize) -> String {
    clean(text, max_bytes, |character| match character {
        '\t' | '\n' | '\r' => ' ',
        other => other,
    })
}

/// Like [`clean_line`], but line ends stay.
pub fn clean_lines(text: &str, max_bytes: usize) -> String {
    clean(text, max_bytes, |character| if character == '\t' { ' ' } else { character })
}

fn clean(text: &str, max_bytes: usize, keep: impl Fn(char) -> char) -> String {
    let mut cleaned = String::new();
    for character in text.chars().map(keep) {
        let safe = if is_unsafe(character) { '\u{fffd}' } else { character };
        if cleaned.len() + safe.len_utf8() > max_bytes {
            break;
        }
        cleaned.push(safe);
    }
    cleaned
}

fn is_unsafe(character: char) -> bool {
    (character.is_control() && character != '\n')
        || matches!(
            character,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_without_terminal_tricks() {
        let check = |text: &str, expect: &str| assert_eq!(clean_line(text, 64), expect);
        check("plain", "plain");
        check("grüße 東京", "grüße 東京");
        check("a\nb\tc\r\n", "a b c  ");
        check("\u{1b}[31mred", "\u{fffd}[31mred");
        check("a\0b", "a\u{fffd}b");
        check("user\u{202e}txt.exe", "user\u{fffd}txt.exe");
        check("zero\u{200b}width", "zero\u{fffd}width");
        check("tag\u{e0041}", "tag\u{fffd}");
    }

    #[test]
    fn cut_at_a_character() {
        let check = |text: &str, max, expect: &str| assert_eq!(clean_lines(text, max), expect);
        check("abcdef", 3, "abc");
        check("aé", 2, "a");
        check("a\nb", 3, "a\nb");
        check("", 0, "");
    }
}
