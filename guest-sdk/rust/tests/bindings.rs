//! `src/bindings.rs` and those beside it are what wit-bindgen makes of the WIT package.
//!
//! It is kept in the repository so that notebooks compile without wit-bindgen's macro and its many
//! dependencies. `UPDATE_BINDINGS=1 cargo test -p glovebox-guest --test bindings` renews it.

use std::path::Path;

use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator as _};
use wit_bindgen_rust::{Opts, Ownership, WithOption};

/// The world `notebook`, and those of functions, which use its types through `wit`.
const WORLDS: [(&str, &str, &str); 4] = [
    ("notebook", "bindings.rs", "export_notebook"),
    ("scalar-udf", "bindings/scalar.rs", "export_scalar_functions"),
    ("aggregate-udf", "bindings/aggregate.rs", "export_aggregate_functions"),
    ("table-udf", "bindings/table.rs", "export_table_functions"),
];

fn generate(package: &Path, world: &str, macro_name: &str) -> String {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(package).unwrap();
    let notebook = world == "notebook";
    let module = world.trim_end_matches("-udf");
    let module = if notebook { "bindings" } else { module };
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut options = Opts {
        format: true,
        generate_all: true,
        pub_export_macro: true,
        export_macro_name: Some(macro_name.into()),
        default_bindings_module: Some(format!("glovebox_guest::__private::{module}")),
        runtime_path: Some("glovebox_guest::__private::rt".into()),
        ..Opts::default()
    };
    if notebook {
        options.ownership = Ownership::Borrowing { duplicate_if_necessary: true };
    } else {
        let with = [
            ("types", "glovebox_guest::wit::types"),
            ("data", "glovebox_guest::wit::data"),
            ("logging", "glovebox_guest::bindings::glovebox::guest::logging"),
        ];
        options.with = with
            .map(|(name, path)| {
                let name = format!("glovebox:guest/{name}@0.1.0");
                (name, WithOption::Path(path.into()))
            })
            .into();
    }
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files).unwrap();
    let (_, text) = files.iter().next().unwrap();
    String::from_utf8(text.to_vec()).unwrap()
}

#[test]
fn are_those_of_the_wit_package() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (world, file, macro_name) in WORLDS {
        let path = here.join("src").join(file);
        let generated = generate(&here.join("../wit"), world, macro_name);
        if std::env::var_os("UPDATE_BINDINGS").is_some() {
            std::fs::write(&path, &generated).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == generated,
            "src/{file} is not current: run this test with UPDATE_BINDINGS=1"
        );
    }
}
