//! What the engine says of a notebook that it cannot load, in our words.

use crate::error::{BuildError, Position};

/// The line in front of what the engine says.
const START: &str = "Exception while evaluating top-level script\n";
/// The line behind it.
const END: &str = "Error: the `componentize.wizer` function trapped";
/// How the engine begins the words of a module that is not there.
const NO_MODULE: &str = "Error loading module ";

/// An error with its place in the notebook, if it is the notebook that the engine complains of.
///
/// The engine writes `notebook.js:4:11 SyntaxError: …`; when the place is in a module of the SDK
/// that the notebook called, the notebook's own place is in the stack below.
pub(super) fn explain(said: &str, source: &str) -> Option<BuildError> {
    let (_, said) = said.split_once(START)?;
    let said = said.split(END).next()?;
    let first = said.lines().next()?.trim_end_matches(':');
    let (place, words) = match first.split_once(' ') {
        Some((place, words)) if place.contains(".js:") => (place, words),
        _ => ("", first),
    };
    let stack = said.split(|c: char| c.is_whitespace() || c == '@');
    let place = std::iter::once(place).chain(stack).find_map(|word| place_in(word, source));
    let error = match words.split_once(NO_MODULE) {
        Some((_, module)) => {
            let module = module.split(" (").next().unwrap_or(module);
            BuildError::new(format!("there is no module {module}"))
                .help("a notebook is one file, and the module it can import is \"glovebox\"")
        }
        None => BuildError::new(words),
    };
    Some(match place {
        Some(place) => error.at(place),
        None => error,
    })
}

/// Reads `notebook.js:4:11`.
fn place_in(word: &str, source: &str) -> Option<Position> {
    let (line, column) = word.strip_prefix(source)?.strip_prefix(':')?.split_once(':')?;
    Some(Position { line: line.parse().ok()?, column: column.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_engine_says() {
        let check = |said: &str, expect: &str| {
            let said = format!("`node` failed\n{START}{said}\n{END}\n\nCaused by:\n    0: …");
            let error = explain(&said, "notebook.js").map(|error| error.to_string());
            assert_eq!(error.as_deref(), Some(expect));
        };
        check(
            "notebook.js:4:11 SyntaxError: expected expression, got ';':\nnotebook.js:4:11   let x = ;",
            "line 4, column 11: SyntaxError: expected expression, got ';'",
        );
        check(
            "notebook.js:3:10 SyntaxError: The requested module 'glovebox.js' doesn't provide an \
             export named: 'tabel'",
            "line 3, column 10: SyntaxError: The requested module 'glovebox.js' doesn't provide \
             an export named: 'tabel'",
        );
        check(
            "ReferenceError: Error loading module \"lodash\" (resolved path \"lodash\"): No such file",
            "there is no module \"lodash\"\nhelp: a notebook is one file, and the module it can \
             import is \"glovebox\"",
        );
        check(
            "backend.js:10:5 GloveboxError: the room can be used while the notebook runs only\n\
             Stack:\n  backend@backend.js:27:11\n  @notebook.js:5:6\n",
            "line 5, column 6: GloveboxError: the room can be used while the notebook runs only",
        );
        assert!(explain("`node` failed\nno such file", "notebook.js").is_none());
    }
}
