//! Tables and notebooks, and whose they are.

use glovebox_contract::envelope::Envelope;
use glovebox_contract::manifest::Manifest;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::{Body, Delete, NotebookAsset, TableAsset};

use crate::support::{
    Room, add_notebook, add_table, flights, hourly, key, manifest, name, notebook, parse, reason,
    table,
};

#[test]
fn a_table_belongs_to_the_party_whose_alias_it_carries() {
    let mut room = Room::accepted();
    assert_eq!(reason(room.tries("weather", add_table(flights()))), Some(ReasonCode::NotPermitted));
    assert_eq!(reason(room.tries("host", add_table(flights()))), Some(ReasonCode::NotPermitted));
    assert_eq!(reason(room.tries("airline", add_table(flights()))), None);
    let delete = Body::Delete(Delete::Table { table: parse("airline.flights") });
    assert_eq!(reason(room.tries("weather", delete.clone())), Some(ReasonCode::NotPermitted));
    assert_eq!(reason(room.tries("airline", delete.clone())), None);
    assert_eq!(reason(room.tries("airline", delete)), Some(ReasonCode::NotFound));
    assert!(room.state.table(&parse("airline.flights")).is_none());
}

#[test]
fn a_table_has_distinct_printable_columns() {
    let check = |change: fn(&mut TableAsset), expected: &str| {
        let mut table = flights();
        change(&mut table);
        let statement = Room::accepted().statement("airline", add_table(table));
        let error = Envelope::sign(&statement, &key("airline")).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(|t| t.columns.truncate(0), "1 to 4096");
    check(|t| t.columns = vec![t.columns[0].clone(); 2], "same name");
    check(|t| t.columns[0].name = "a\u{7}".into(), "control character");
    check(|t| t.columns[0].name = String::new(), "empty");
    check(|t| t.description = "x".repeat(5000), "longer");
}

#[test]
fn a_notebook_names_what_the_room_has() {
    let check = |change: fn(&mut NotebookAsset), expected: Option<ReasonCode>| {
        let mut room = Room::accepted();
        room.says("airline", add_table(flights()));
        room.says("weather", add_table(hourly()));
        let mut notebook = notebook("1.0.0");
        change(&mut notebook);
        assert_eq!(reason(room.tries("partner", add_notebook(notebook))), expected);
    };
    check(|_| {}, None);
    check(|n| n.runners = [parse("mallory")].into(), Some(ReasonCode::NotFound));
    check(|n| n.runners = [parse("host")].into(), Some(ReasonCode::NotFound));
    check(|n| n.runners.clear(), Some(ReasonCode::Malformed));
    check(|n| n.component_bytes = 65 << 20, Some(ReasonCode::PolicyLimit));
    check(|n| n.manifest.outputs.clear(), Some(ReasonCode::Malformed));
    check(|n| n.manifest.description = "\u{1b}]0;x".into(), Some(ReasonCode::Malformed));
    check(
        |n| {
            let input = n.manifest.inputs.remove(&parse("airline.flights")).unwrap();
            n.manifest.inputs.insert(parse("airline.planes"), input);
        },
        Some(ReasonCode::NotFound),
    );
    check(
        |n| {
            let input = n.manifest.inputs.get_mut(&parse("airline.flights")).unwrap();
            input.columns.insert("salary".into(), parse("int64"));
        },
        Some(ReasonCode::SchemaMismatch),
    );
    check(
        |n| {
            let input = n.manifest.inputs.get_mut(&parse("airline.flights")).unwrap();
            input.columns.insert("origin".into(), parse("int64"));
        },
        Some(ReasonCode::SchemaMismatch),
    );
    check(
        |n| {
            let input = n.manifest.inputs.get_mut(&parse("airline.flights")).unwrap();
            input.columns.insert("origin".into(), parse("dictionary(int32, large_utf8)"));
        },
        None,
    );
}

#[test]
fn a_notebook_belongs_to_the_party_that_added_it_first() {
    let mut room = Room::with_notebook();
    let next = || add_notebook(notebook("1.1.0"));
    assert_eq!(reason(room.tries("weather", next())), Some(ReasonCode::NotPermitted));
    let same = add_notebook(notebook("1.0.0"));
    assert_eq!(reason(room.tries("partner", same)), Some(ReasonCode::AlreadyExists));
    assert_eq!(reason(room.tries("partner", next())), None);
    assert_eq!(room.state.notebook(&name()).unwrap().versions().len(), 2);

    let delete = Body::Delete(Delete::Notebook { notebook: name() });
    assert_eq!(reason(room.tries("weather", delete.clone())), Some(ReasonCode::NotPermitted));
    assert_eq!(reason(room.tries("partner", delete.clone())), None);
    assert_eq!(reason(room.tries("partner", delete)), Some(ReasonCode::NotFound));
    assert!(room.state.notebook(&name()).is_err());
    // The name stays with its first owner.
    assert_eq!(reason(room.tries("weather", next())), Some(ReasonCode::NotPermitted));
    assert_eq!(reason(room.tries("partner", next())), None);
}

#[test]
fn manifests_are_checked() {
    let check = |change: fn(&mut Manifest), expected: &str| {
        let mut manifest = manifest();
        change(&mut manifest);
        let error = manifest.validate().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    assert_eq!(manifest().validate(), Ok(()));
    check(|m| m.version = "1.0".into(), "three numbers");
    check(|m| m.outputs.clear(), "at least one output");
    check(|m| m.inputs.values_mut().for_each(|i| i.columns.clear()), "declares no column");
    check(
        |m| {
            let twice = table("x.y", &[("a", "utf8")]).columns;
            for output in m.outputs.values_mut() {
                output.columns = [twice.clone(), twice.clone()].concat();
            }
        },
        "same name",
    );
    check(
        |m| m.parameters.values_mut().for_each(|p| p.default = Some("1".into())),
        "below the minimum",
    );
    check(|m| m.language = "s\u{202e}ql".into(), "invisible");
    check(|m| m.toolchain = "x".repeat(256), "longer");
    check(
        |m| m.outputs.values_mut().for_each(|o| o.columns[0].name = "a\nb".into()),
        "control character",
    );
}
