//! `src/bindings.rs` is what wit-bindgen makes of the WIT package.
//!
//! It is kept in the repository so that notebooks compile without wit-bindgen's macro and its many
//! dependencies. `UPDATE_BINDINGS=1 cargo test -p glovebox-guest --test bindings` renews it.

use std::path::Path;

use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator as _};
use wit_bindgen_rust::{Opts, Ownership};

fn generate(package: &Path) -> String {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(package).unwrap();
    let world = resolve.select_world(&[package], Some("notebook")).unwrap();
    let options = Opts {
        format: true,
        generate_all: true,
        ownership: Ownership::Borrowing { duplicate_if_necessary: true },
        pub_export_macro: true,
        export_macro_name: Some("export_notebook".into()),
        default_bindings_module: Some("glovebox_guest::__private::bindings".into()),
        runtime_path: Some("glovebox_guest::__private::rt".into()),
        ..Opts::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files).unwrap();
    let (_, text) = files.iter().next().unwrap();
    String::from_utf8(text.to_vec()).unwrap()
}

#[test]
fn are_those_of_the_wit_package() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = here.join("src/bindings.rs");
    let generated = generate(&here.join("../wit"));
    if std::env::var_os("UPDATE_BINDINGS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == generated,
        "src/bindings.rs is not current: run this test with UPDATE_BINDINGS=1"
    );
}
