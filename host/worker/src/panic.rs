//! Panics of this process: bugs. Their messages can hold cell values, so only places are kept.

use std::sync::OnceLock;

static FIRST: OnceLock<String> = OnceLock::new();

/// Prints and remembers the place of a panic, and nothing else of it.
pub(crate) fn hide_messages() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map_or_else(String::new, |place| format!("{}:{}", place.file(), place.line()));
        eprintln!("panic at {place}");
        let _ = FIRST.set(place);
    }));
}

/// Where the first panic was.
pub(crate) fn first_place() -> &'static str {
    FIRST.get().map_or("an unknown place", String::as_str)
}
