//! Text of guests, made harmless before a person or a terminal sees it.

/// Whether `c` drives a terminal, reorders text or hides.
pub(crate) fn is_trick(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// `text` with tricks replaced by `�`, at most `max_bytes` long. Tabs become spaces; line ends
/// stay when `lines` says so.
pub(crate) fn harmless(text: &str, max_bytes: usize, lines: bool) -> String {
    let mut clean = String::with_capacity(text.len().min(max_bytes));
    for c in text.chars() {
        let c = match c {
            '\t' => ' ',
            '\n' if lines => '\n',
            c if is_trick(c) => char::REPLACEMENT_CHARACTER,
            c => c,
        };
        if clean.len() + c.len_utf8() > max_bytes {
            break;
        }
        clean.push(c);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tricks_become_visible_and_text_stays() {
        let check = |text: &str, expect: &str| assert_eq!(harmless(text, 20, true), expect);
        check("plain ä 漢", "plain ä 漢");
        check("a\tb\nc", "a b\nc");
        check("\u{1b}[31mred", "\u{fffd}[31mred");
        check("abc\u{202e}fed", "abc\u{fffd}fed");
        check("zero\u{200b}width", "zero\u{fffd}width");
        check("tag\u{e0041}", "tag\u{fffd}");
        check("0123456789012345678ä", "0123456789012345678");
        assert_eq!(harmless("a\nb", 20, false), "a\u{fffd}b");
    }
}
