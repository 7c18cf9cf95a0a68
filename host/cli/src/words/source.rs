//! The embedded source, and how it differs from another.

use std::collections::{BTreeMap, BTreeSet};

use glovebox_sandbox::Inspection;
use similar::TextDiff;

use crate::terminal::{self, plain, plain_lines};

/// Longest file whose lines are compared; a larger one that changed is only named.
const MAX_COMPARED_BYTES: usize = 1 << 20;

/// What the source is worth, and its files, whole or by name.
pub(crate) fn source(
    files: &BTreeMap<String, String>,
    text_is_what_runs: Option<bool>,
    whole: bool,
) -> String {
    if files.is_empty() {
        return "The source is hidden: manifest and imports are all there is to review.".into();
    }
    let mut lines = vec![
        match text_is_what_runs {
            Some(true) => {
                "Source. Built again from this text it gives these very bytes: what you read is what runs."
            }
            Some(false) => {
                "Source. WARNING: built again from this text it does NOT give these bytes."
            }
            None => {
                "Source, as the author embedded it; nothing proves yet that it gives these bytes. \
                 `glovebox build --verify` builds it again."
            }
        }
        .to_owned(),
    ];
    for (path, text) in files {
        lines.push(format!("── {} ({})", plain(path), terminal::bytes(text.len() as u64)));
        if whole {
            lines.push(plain_lines(text));
        }
    }
    if !whole {
        lines.push("`--source` prints it.".into());
    }
    lines.join("\n")
}

/// The lines that differ, as a unified diff; nothing when none does.
pub(crate) fn source_difference(
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> Option<String> {
    let paths: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let differing: Vec<_> = paths
        .into_iter()
        .filter(|path| old.get(*path) != new.get(*path))
        .map(|path| file_difference(path, old.get(path), new.get(path)))
        .collect();
    (!differing.is_empty()).then(|| differing.join("\n"))
}

fn file_difference(path: &str, old: Option<&String>, new: Option<&String>) -> String {
    let shown = plain(path);
    let (before, after) = (old.map_or("", String::as_str), new.map_or("", String::as_str));
    if before.len().max(after.len()) > MAX_COMPARED_BYTES {
        return format!("{shown} differs; it is too large to be compared line by line");
    }
    // Escaped first, so that an escape sequence cannot hide in a line that is taken as equal.
    let (before, after) = (plain_lines(before), plain_lines(after));
    if before == after {
        return format!("{shown} differs in how its lines end only");
    }
    let name = |there: bool, side: &str| {
        if there { format!("{side}/{shown}") } else { "nothing".to_owned() }
    };
    let (from, to) = (name(old.is_some(), "old"), name(new.is_some(), "new"));
    let text = TextDiff::from_lines(&before, &after)
        .unified_diff()
        .context_radius(3)
        .missing_newline_hint(false)
        .header(&from, &to)
        .to_string();
    text.trim_end().to_owned()
}

/// Whether the code differs, and whether the source says how.
pub(crate) fn code(old: &Inspection, new: &Inspection, difference: Option<&str>) -> String {
    let size = format!("{} before, {} now", terminal::bytes(old.bytes), terminal::bytes(new.bytes));
    let hidden = old.source.is_empty() || new.source.is_empty();
    if old.code == new.code {
        return match difference {
            Some(text) => format!(
                "The code is the same, byte for byte, although the source differs ({size}):\n{text}"
            ),
            None => format!("The code is the same, byte for byte ({size})."),
        };
    }
    match difference {
        Some(text) => format!("The code differs ({size}), and so does the source:\n{text}"),
        None if hidden => format!(
            "THE CODE DIFFERS ({size}) and the source is hidden: it may do anything else with what it \
             may read."
        ),
        None => format!(
            "THE CODE DIFFERS ({size}) although the source is the same: another compiler or SDK, or \
             not made of this source. `glovebox build --verify` tells."
        ),
    }
}
