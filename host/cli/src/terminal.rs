//! What people and machines read: tables, JSON, errors, progress.

use std::io::Write as _;
use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use glovebox_contract::column::Column;
use indicatif::{ProgressBar, ProgressStyle};

/// Characters of one printed cell.
const MAX_CELL_CHARACTERS: usize = 120;

/// Text that came from another party, safe to print: control characters, which could move the
/// cursor or rename the window, direction overrides, which reorder what is read, and characters
/// that nobody sees, which make two texts look like one, are escaped.
pub(crate) fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || deceives(character) {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Reorders what is read, breaks a line, or takes no place on a screen.
fn deceives(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Like [`plain`], but keeps line breaks and tabs: for source code.
pub(crate) fn plain_lines(text: &str) -> String {
    text.lines()
        .map(|line| line.split('\t').map(plain).collect::<Vec<_>>().join("\t"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn cell(text: &str) -> String {
    let safe = plain(text);
    if safe.chars().count() <= MAX_CELL_CHARACTERS {
        return safe;
    }
    safe.chars().take(MAX_CELL_CHARACTERS - 1).chain(['…']).collect()
}

/// One rule, below the header.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table of texts; columns named in `right` are right-aligned.
pub(crate) fn table<R, C>(header: &[&str], right: &[&str], rows: R) -> String
where
    R: IntoIterator<Item = C>,
    C: IntoIterator<Item = String>,
{
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header.iter().map(|name| cell(name)).collect::<Vec<_>>());
    for row in rows {
        table.add_row(row.into_iter().map(|text| cell(&text)).collect::<Vec<_>>());
    }
    for (index, name) in header.iter().enumerate() {
        if right.contains(name)
            && let Some(column) = table.column_mut(index)
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// `name type, name type, …`
pub(crate) fn columns(columns: &[Column]) -> String {
    columns
        .iter()
        .map(|column| {
            let not_null = if column.nullable { "" } else { " not null" };
            format!("{} {}{not_null}", column.name, column.column_type)
        })
        .collect::<Vec<_>>()
        .join(", ")
}

/// Bytes as people say them.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let mut value = bytes as f64;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") }
}

/// A Unix time in seconds as `2026-11-21 12:00:00Z`.
pub(crate) fn time(seconds: u64) -> String {
    let days = i32::try_from(seconds / 86_400).unwrap_or(i32::MAX);
    let second = seconds % 86_400;
    format!(
        "{} {:02}:{:02}:{:02}Z",
        glovebox_contract::parameter::ParameterValue::Date(days),
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// Prints one JSON document.
pub(crate) fn print_json<T: serde::Serialize>(value: &T) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut stdout, value)?;
    writeln!(stdout)?;
    Ok(())
}

/// A spinner for a step of unknown length, on standard error and only on a terminal.
pub(crate) fn spinner(quiet: bool, text: impl Into<String>) -> ProgressBar {
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message(text.into());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// A bar for bytes that are sent, on standard error and only on a terminal.
pub(crate) fn bytes_bar(quiet: bool, all: u64) -> ProgressBar {
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(all) };
    let template = "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left  {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_cannot_steer_the_terminal() {
        let check = |text: &str, expect: &str| assert_eq!(plain(text), expect);
        check("plain, é, 漢", "plain, é, 漢");
        check("\x1b[2Jgone", "\\u{1b}[2Jgone");
        check("a\nb\tc", "a\\nb\\tc");
        check("abc\u{202e}fed", "abc\\u{202e}fed");
        check("pay\u{200b}load", "pay\\u{200b}load");
        check("a\u{2028}b\u{e0041}", "a\\u{2028}b\\u{e0041}");
        assert_eq!(plain_lines("a\tb\n\x1b[0m"), "a\tb\n\\u{1b}[0m");
    }

    #[test]
    fn quantities_are_readable() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
        assert_eq!(time(1_357_862_401), "2013-01-11 00:00:01Z");
    }
}
