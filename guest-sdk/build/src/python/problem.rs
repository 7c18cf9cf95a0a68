//! What the interpreter found wrong with a cell, in our words.

use serde::Deserialize;

use super::source::Format;
use crate::error::{BuildError, Position};

/// How the line begins that `glovebox._notebook` ends a build with.
const START: &str = "glovebox-problem ";

#[derive(Deserialize)]
struct Problem {
    cell: u64,
    column: u64,
    /// Where the cell starts in its file; 0 in Jupyter's, whose lines nobody sees.
    file_line: u64,
    help: String,
    line: u64,
    message: String,
}

/// The problem in what a failed build said, if it is the notebook's.
pub(super) fn explain(error: &BuildError, format: Format) -> Option<BuildError> {
    let line = error.message().lines().find_map(|line| line.split_once(START))?.1;
    let problem: Problem = serde_json::from_str(line).ok()?;
    let Problem { cell, line, message, .. } = &problem;
    let explained = BuildError::new(format!("cell {cell}, line {line}: {message}"));
    let explained = match format {
        Format::Percent => explained.at(Position {
            line: (problem.file_line + line).saturating_sub(1),
            column: problem.column,
        }),
        Format::Jupyter => explained,
    };
    Some(if problem.help.is_empty() { explained } else { explained.help(problem.help) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_a_cell_and_a_line() {
        let said = BuildError::new(
            "`python3` failed\nTraceback …\nAssertionError: glovebox-problem {\"cell\": 2, \"line\": \
             3, \"column\": 4, \"file_line\": 10, \"message\": \"invalid syntax\", \"help\": \"\"}\n\nmore",
        );
        let check = |format, expect: &str| {
            assert_eq!(explain(&said, format).unwrap().to_string(), expect);
        };
        check(Format::Percent, "line 12, column 4: cell 2, line 3: invalid syntax");
        check(Format::Jupyter, "cell 2, line 3: invalid syntax");
        assert!(explain(&BuildError::new("no memory"), Format::Percent).is_none());
    }
}
