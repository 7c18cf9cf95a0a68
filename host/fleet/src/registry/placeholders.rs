//! `${word}`: one text for many customers.

use std::collections::BTreeMap;

use glovebox_contract::name::AssetName;

/// The word for the customer's own name.
const CUSTOMER: &str = "customer";

/// `text` with values in place of placeholders.
///
/// A value that could end the quoted text that it stands in is refused: a template is TOML.
pub(super) fn fill(
    text: &str,
    customer: &AssetName,
    values: &BTreeMap<String, String>,
) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((word, after)) = after.split_once('}') else {
            return Err("`${` has no `}`".into());
        };
        let value = match word {
            CUSTOMER => customer.as_str(),
            word => values.get(word).map(String::as_str).ok_or_else(|| {
                format!("{customer} has no value for `${{{}}}`", word.escape_debug())
            })?,
        };
        if value.chars().any(|c| c.is_control() || matches!(c, '"' | '\'' | '\\')) {
            return Err(format!(
                "the value of `{word}` of {customer} has quotes, `\\` or control characters"
            ));
        }
        filled.push_str(before);
        filled.push_str(value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}
