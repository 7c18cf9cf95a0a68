//! The form of a notebook's parameters: one field a parameter, by its type.

use std::collections::BTreeMap;

use glovebox_contract::name::Identifier;
use glovebox_contract::parameter::{ParameterDeclaration, ParameterType, ParameterValue};

use super::html::Markup;

/// What the name of a field begins with, so that no parameter has the name of a hidden field.
const PREFIX: &str = "p.";

/// The values of a form, as text. A field left empty is a parameter not given, which takes its
/// default.
pub(super) fn values(form: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let given = |(name, value): (&String, &String)| {
        let name = name.strip_prefix(PREFIX)?;
        (!value.is_empty()).then(|| (name.to_owned(), value.clone()))
    };
    form.iter().filter_map(given).collect()
}

/// One field, with what was entered before.
pub(super) fn field(
    html: &mut Markup,
    name: &Identifier,
    declared: &ParameterDeclaration,
    entered: Option<&str>,
) {
    let id = format!("{PREFIX}{name}");
    html.raw("<div class=\"field\"><label").attribute("for", &id).raw(">").text(name);
    html.raw(" <small>").text(declared.parameter_type);
    if declared.default.is_none() {
        html.raw(", needed");
    }
    html.raw("</small></label>");
    if choices(declared).is_empty() {
        input(html, &id, declared, entered);
    } else {
        select(html, &id, declared, entered);
    }
    hint(html, declared);
    html.raw("</div>");
}

fn choices(declared: &ParameterDeclaration) -> Vec<String> {
    match declared.parameter_type {
        ParameterType::Boolean if declared.choices.is_empty() => {
            vec!["true".into(), "false".into()]
        }
        _ => declared.choices.clone(),
    }
}

fn select(html: &mut Markup, id: &str, declared: &ParameterDeclaration, entered: Option<&str>) {
    let chosen = entered.or(declared.default.as_deref());
    html.raw("<select").attribute("id", id).attribute("name", id);
    if declared.default.is_none() {
        html.raw(" required><option value=\"\">choose");
    } else {
        html.raw(">");
    }
    for choice in choices(declared) {
        html.raw("<option").attribute("value", &choice);
        if chosen == Some(choice.as_str()) {
            html.raw(" selected");
        }
        html.raw(">").text(&choice);
    }
    html.raw("</select>");
}

fn input(html: &mut Markup, id: &str, declared: &ParameterDeclaration, entered: Option<&str>) {
    html.raw("<input").attribute("id", id).attribute("name", id);
    match declared.parameter_type {
        ParameterType::Int64 => bounds(html.raw(" type=\"number\" step=\"1\""), declared),
        ParameterType::Float64 => bounds(html.raw(" type=\"number\" step=\"any\""), declared),
        ParameterType::Date => bounds(html.raw(" type=\"date\""), declared),
        ParameterType::Boolean | ParameterType::Utf8 => {
            html.raw(" type=\"text\"").attribute("maxlength", ParameterValue::MAX_BYTES);
        }
    }
    if let Some(value) = entered.or(declared.default.as_deref()) {
        html.attribute("value", value);
    }
    if declared.default.is_none() {
        html.raw(" required");
    }
    html.raw(">");
}

fn bounds(html: &mut Markup, declared: &ParameterDeclaration) {
    if let Some(minimum) = &declared.minimum {
        html.attribute("min", minimum);
    }
    if let Some(maximum) = &declared.maximum {
        html.attribute("max", maximum);
    }
}

fn hint(html: &mut Markup, declared: &ParameterDeclaration) {
    let mut hints = Vec::new();
    if !declared.description.is_empty() {
        hints.push(declared.description.clone());
    }
    match (&declared.minimum, &declared.maximum) {
        (Some(minimum), Some(maximum)) => hints.push(format!("{minimum} to {maximum}")),
        (Some(minimum), None) => hints.push(format!("at least {minimum}")),
        (None, Some(maximum)) => hints.push(format!("at most {maximum}")),
        (None, None) => {}
    }
    if let Some(default) = &declared.default {
        hints.push(format!("default {default}"));
    }
    if !hints.is_empty() {
        html.raw("<p class=\"hint\">").text(hints.join(" · ")).raw("</p>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(parameter_type: ParameterType) -> ParameterDeclaration {
        ParameterDeclaration {
            choices: Vec::new(),
            default: None,
            description: String::new(),
            maximum: None,
            minimum: None,
            parameter_type,
        }
    }

    fn shown(declared: &ParameterDeclaration, entered: Option<&str>) -> String {
        let mut html = Markup::new();
        field(&mut html, &"x".parse().unwrap(), declared, entered);
        html.into_string()
    }

    #[test]
    fn each_type_has_its_field() {
        let number = ParameterDeclaration {
            default: Some("50".into()),
            minimum: Some("1".into()),
            maximum: Some("100".into()),
            description: "Smallest group".into(),
            ..declared(ParameterType::Int64)
        };
        let html = shown(&number, None);
        for part in [
            "<label for=\"p.x\">x <small>int64</small>",
            "type=\"number\" step=\"1\" min=\"1\" max=\"100\" value=\"50\">",
            "Smallest group · 1 to 100 · default 50",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(shown(&number, Some("7")).contains("value=\"7\">"));
        assert!(shown(&declared(ParameterType::Float64), None).contains("step=\"any\" required"));
        assert!(shown(&declared(ParameterType::Date), None).contains("type=\"date\" required"));
        assert!(
            shown(&declared(ParameterType::Utf8), None).contains("maxlength=\"4096\" required")
        );
        let truth = shown(&declared(ParameterType::Boolean), None);
        assert!(
            truth.contains("required><option value=\"\">choose<option value=\"true\">"),
            "{truth}"
        );
    }

    #[test]
    fn choices_are_chosen() {
        let origin = ParameterDeclaration {
            choices: vec!["EWR".into(), "JFK\"><script>".into()],
            default: Some("EWR".into()),
            ..declared(ParameterType::Utf8)
        };
        let html = shown(&origin, None);
        assert!(html.contains("<option value=\"EWR\" selected>EWR"), "{html}");
        assert!(html.contains("<option value=\"JFK&quot;&gt;&lt;script&gt;\">"), "{html}");
        assert!(shown(&origin, Some("JFK\"><script>")).contains("&gt;\" selected>"));
    }

    #[test]
    fn what_is_left_empty_is_not_given() {
        let form =
            [("p.a", "1"), ("p.b", ""), ("form_key", "k"), ("etag", "e"), ("p.form_key", "x")];
        let form = form.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let expected = [("a", "1"), ("form_key", "x")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(values(&form), expected);
    }
}
