//! `predicateHints`: SQL that compares one column with one literal.

use super::{Comparison, Predicate};

/// Longest hint that is looked at.
const MAX_BYTES: usize = 1 << 16;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// A word as it stands, or the name of a column between backticks.
    Name(String),
    /// A text between single quotes or a number.
    Literal(String),
    Operator(Comparison),
}

/// Reads a hint; what is not understood can be anything.
pub(super) fn parse(text: &str) -> Predicate {
    let tokens = if text.len() > MAX_BYTES { None } else { tokens(text) };
    tokens.as_deref().and_then(predicate).unwrap_or(Predicate::Anything)
}

fn predicate(tokens: &[Token]) -> Option<Predicate> {
    use Token::{Literal, Name, Operator};
    let word = |name: &str, word: &str| name.eq_ignore_ascii_case(word);
    let compare = |column: &str, comparison: Comparison, literal: &str| Predicate::Compare {
        column: column.to_owned(),
        comparison,
        literal: literal.to_owned(),
    };
    // `DATE '2026-01-31'` is the literal alone.
    let is_type = |name: &str| word(name, "date") || word(name, "timestamp");
    Some(match tokens {
        [Name(column), Operator(by), Literal(literal)] => compare(column, *by, literal),
        [Literal(literal), Operator(by), Name(column)] => compare(column, by.mirrored(), literal),
        [Name(column), Operator(by), Name(kind), Literal(literal)] if is_type(kind) => {
            compare(column, *by, literal)
        }
        [Name(column), Name(is), Name(null)] if word(is, "is") && word(null, "null") => {
            Predicate::IsNull(column.clone())
        }
        [Name(column), Name(is), Name(not), Name(null)]
            if word(is, "is") && word(not, "not") && word(null, "null") =>
        {
            Predicate::Not(Box::new(Predicate::IsNull(column.clone())))
        }
        _ => return None,
    })
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, behind) = match first {
            '\'' => quoted(rest, '\'').map(|(text, behind)| (Token::Literal(text), behind))?,
            '`' => quoted(rest, '`').map(|(text, behind)| (Token::Name(text), behind))?,
            '<' | '>' | '=' | '!' => operator(rest)?,
            '0'..='9' | '-' | '.' => {
                let (number, behind) =
                    split(rest, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.'));
                number.parse::<f64>().ok()?;
                (Token::Literal(number.to_owned()), behind)
            }
            first if first.is_alphabetic() || first == '_' => {
                let (name, behind) = split(rest, |c| c.is_alphanumeric() || c == '_');
                (Token::Name(name.to_owned()), behind)
            }
            _ => return None,
        };
        tokens.push(token);
        rest = behind.trim_start();
    }
    Some(tokens)
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// A text between quotes; a doubled quote stands for itself.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix(quote)?;
    let mut found = String::new();
    loop {
        let (part, behind) = rest.split_once(quote)?;
        found.push_str(part);
        match behind.strip_prefix(quote) {
            Some(more) => {
                found.push(quote);
                rest = more;
            }
            None => return Some((found, behind)),
        }
    }
}

fn operator(text: &str) -> Option<(Token, &str)> {
    let operators = [
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("<>", Comparison::NotEqual),
        ("!=", Comparison::NotEqual),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
        ("=", Comparison::Equal),
    ];
    operators
        .into_iter()
        .find_map(|(sign, by)| Some((Token::Operator(by), text.strip_prefix(sign)?)))
}
