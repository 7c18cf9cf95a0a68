//! `jsonPredicateHints`: a tree of operators.

use serde_json::Value;

use super::{Comparison, Predicate};

/// Longest hint that is looked at.
const MAX_BYTES: usize = 1 << 16;

/// Deepest tree that is looked at.
const MAX_DEPTH: usize = 64;

/// Reads a hint; what is not understood can be anything.
pub(super) fn parse(text: &str) -> Predicate {
    if text.len() > MAX_BYTES {
        return Predicate::Anything;
    }
    let tree: Option<Value> = serde_json::from_str(text).ok();
    tree.map_or(Predicate::Anything, |tree| predicate(&tree, 0))
}

fn predicate(node: &Value, depth: usize) -> Predicate {
    if depth > MAX_DEPTH {
        return Predicate::Anything;
    }
    let Some(children) = node.get("children").and_then(Value::as_array) else {
        return Predicate::Anything;
    };
    let inner = || children.iter().map(|child| predicate(child, depth.saturating_add(1)));
    match (node.get("op").and_then(Value::as_str), children.as_slice()) {
        (Some("and"), [_, ..]) => Predicate::And(inner().collect()),
        (Some("or"), [_, ..]) => Predicate::Or(inner().collect()),
        (Some("not"), [child]) => {
            Predicate::Not(Box::new(predicate(child, depth.saturating_add(1))))
        }
        (Some("isNull"), [child]) => column(child).map_or(Predicate::Anything, Predicate::IsNull),
        (Some(operator), [left, right]) => comparison(operator)
            .and_then(|by| compare(by, left, right))
            .unwrap_or(Predicate::Anything),
        _ => Predicate::Anything,
    }
}

fn comparison(operator: &str) -> Option<Comparison> {
    match operator {
        "equal" => Some(Comparison::Equal),
        "lessThan" => Some(Comparison::Less),
        "lessThanOrEqual" => Some(Comparison::LessOrEqual),
        "greaterThan" => Some(Comparison::Greater),
        "greaterThanOrEqual" => Some(Comparison::GreaterOrEqual),
        _ => None,
    }
}

fn compare(by: Comparison, left: &Value, right: &Value) -> Option<Predicate> {
    let (column, literal, comparison) = match (column(left), literal(right)) {
        (Some(column), Some(literal)) => (column, literal, by),
        _ => (column(right)?, literal(left)?, by.mirrored()),
    };
    Some(Predicate::Compare { column, comparison, literal })
}

fn column(node: &Value) -> Option<String> {
    is(node, "column").then(|| node.get("name")?.as_str().map(str::to_owned)).flatten()
}

fn literal(node: &Value) -> Option<String> {
    let value = is(node, "literal").then(|| node.get("value")).flatten()?;
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn is(node: &Value, operator: &str) -> bool {
    node.get("op").and_then(Value::as_str) == Some(operator)
}
