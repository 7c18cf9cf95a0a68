//! Which files a client's hints rule out. Hints are promises about what the client will look at,
//! so a file is left out only when none of its rows can be wanted; what is not understood rules
//! out nothing.

mod figures;
mod json;
mod sql;

pub(crate) use figures::{Columns, Figures};

use figures::Bounds;

/// What a hint says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Predicate {
    And(Vec<Predicate>),
    Or(Vec<Predicate>),
    Not(Box<Predicate>),
    IsNull(String),
    Compare {
        column: String,
        comparison: Comparison,
        literal: String,
    },
    /// Something that is not understood.
    Anything,
}

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// The same with the sides changed.
    fn mirrored(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }
}

/// What a predicate can be for the rows of a file. A row for which it is null counts as neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Can {
    be_true: bool,
    be_false: bool,
}

const ANYTHING: Can = Can { be_true: true, be_false: true };

impl Predicate {
    /// What the hints of a query say together. `json` stands in place of the texts, if there is
    /// any.
    pub(crate) fn of_hints(json: Option<&str>, texts: &[&str]) -> Self {
        match json {
            Some(json) => json::parse(json),
            None => Self::And(texts.iter().map(|text| sql::parse(text)).collect()),
        }
    }

    /// Whether it rules out nothing.
    pub(crate) fn is_anything(&self) -> bool {
        match self {
            Self::Anything => true,
            Self::And(parts) => parts.iter().all(Self::is_anything),
            _ => false,
        }
    }

    /// Whether a row of the file may be wanted.
    pub(crate) fn may_want(&self, figures: &Figures<'_>) -> bool {
        self.can(figures).be_true
    }

    fn can(&self, figures: &Figures<'_>) -> Can {
        match self {
            Self::Anything => ANYTHING,
            Self::Not(inner) => {
                let Can { be_true, be_false } = inner.can(figures);
                Can { be_true: be_false, be_false: be_true }
            }
            Self::And(parts) => {
                let parts: Vec<Can> = parts.iter().map(|part| part.can(figures)).collect();
                Can {
                    be_true: parts.iter().all(|part| part.be_true),
                    be_false: parts.iter().any(|part| part.be_false),
                }
            }
            Self::Or(parts) => {
                let parts: Vec<Can> = parts.iter().map(|part| part.can(figures)).collect();
                Can {
                    be_true: parts.iter().any(|part| part.be_true),
                    be_false: parts.iter().all(|part| part.be_false),
                }
            }
            Self::IsNull(column) => match figures.nulls(column) {
                Some((nulls, rows)) => Can { be_true: nulls > 0, be_false: nulls < rows },
                None => ANYTHING,
            },
            Self::Compare { column, comparison, literal } => {
                if figures.nulls(column).is_some_and(|(nulls, rows)| nulls == rows) {
                    return Can { be_true: false, be_false: false };
                }
                figures
                    .bounds(column, literal)
                    .map_or(ANYTHING, |bounds| compare(*comparison, bounds))
            }
        }
    }
}

/// What a comparison can be for values within bounds that may be wider than the values.
fn compare(comparison: Comparison, bounds: Bounds) -> Can {
    let Bounds { least, greatest, .. } = bounds;
    // How the bounds stand to the literal; unknown ones are no bounds.
    let least_is = |wanted: fn(std::cmp::Ordering) -> bool| least.is_none_or(wanted);
    let greatest_is = |wanted: fn(std::cmp::Ordering) -> bool| greatest.is_none_or(wanted);
    let can = match comparison {
        Comparison::Less => {
            Can { be_true: least_is(|o| o.is_lt()), be_false: greatest_is(|o| o.is_ge()) }
        }
        Comparison::LessOrEqual => {
            Can { be_true: least_is(|o| o.is_le()), be_false: greatest_is(|o| o.is_gt()) }
        }
        Comparison::Greater => {
            Can { be_true: greatest_is(|o| o.is_gt()), be_false: least_is(|o| o.is_le()) }
        }
        Comparison::GreaterOrEqual => {
            Can { be_true: greatest_is(|o| o.is_ge()), be_false: least_is(|o| o.is_lt()) }
        }
        Comparison::Equal | Comparison::NotEqual => {
            let only = least == Some(std::cmp::Ordering::Equal)
                && greatest == Some(std::cmp::Ordering::Equal);
            let equal = Can {
                be_true: least_is(|o| o.is_le()) && greatest_is(|o| o.is_ge()),
                be_false: !only,
            };
            match comparison {
                Comparison::Equal => equal,
                _ => Can { be_true: equal.be_false, be_false: equal.be_true },
            }
        }
    };
    // Not-a-number is within no bounds, and engines differ in what it is less than.
    if bounds.may_be_nan && !matches!(comparison, Comparison::Less | Comparison::LessOrEqual) {
        return match comparison {
            Comparison::Equal => Can { be_true: can.be_true, be_false: true },
            _ => ANYTHING,
        };
    }
    if bounds.may_be_nan { Can { be_true: can.be_true, be_false: true } } else { can }
}

#[cfg(test)]
mod tests;
