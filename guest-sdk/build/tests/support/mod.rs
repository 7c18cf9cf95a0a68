//! What the tests look at in a component.

use wasmparser::{Parser, Payload};

/// The component's imports and exports as WIT.
pub(crate) fn wit(component: &[u8]) -> String {
    let decoded = wit_component::decode(component).unwrap();
    let mut printer = wit_component::WitPrinter::default();
    printer.print(decoded.resolve(), decoded.package(), &[]).unwrap();
    let text = printer.output.to_string();
    // The packages that it imports follow, as they are in guest-sdk/wit.
    text.split("\npackage ").next().unwrap().trim_end().to_owned()
}

/// Glovebox's own sections, at the component's outer level.
pub(crate) fn sections(component: &[u8]) -> Vec<(String, String)> {
    let mut depth = 0;
    let mut found = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::CustomSection(section)
                if depth == 1 && section.name().starts_with("glovebox:") =>
            {
                let text = String::from_utf8(section.data().to_vec()).unwrap();
                found.push((section.name().to_owned(), text));
            }
            _ => {}
        }
    }
    found
}
