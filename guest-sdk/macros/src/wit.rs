//! `export!` and `import!`: bindings of interfaces between libraries and notebooks.

use std::path::{Path, PathBuf};

use proc_macro2::{Span, TokenStream as Tokens};
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, LitStr, Token};
use wit_bindgen_core::wit_parser::{PackageId, Resolve};
use wit_bindgen_core::{Files, WorldGenerator as _};
use wit_bindgen_rust::{Opts, WithOption};

/// The package `glovebox:guest`, so that nobody has to copy it.
const GUEST: [(&str, &str); 4] = [
    ("types.wit", include_str!("../../wit/types.wit")),
    ("data.wit", include_str!("../../wit/data.wit")),
    ("capabilities.wit", include_str!("../../wit/capabilities.wit")),
    ("worlds.wit", include_str!("../../wit/worlds.wit")),
];

/// `Type, "package:name/interface@1.0.0", … , path = "wit"`, the type in `export!` only.
pub(crate) struct Call {
    implementor: Option<Ident>,
    interfaces: Vec<LitStr>,
    path: String,
}

impl Parse for Call {
    fn parse(input: ParseStream<'_>) -> Result<Self, Error> {
        let mut call = Self { implementor: None, interfaces: Vec::new(), path: "wit".into() };
        while !input.is_empty() {
            if input.peek(LitStr) {
                call.interfaces.push(input.parse()?);
            } else {
                let word: Ident = input.parse()?;
                if word == "path" && input.peek(Token![=]) {
                    input.parse::<Token![=]>()?;
                    call.path = input.parse::<LitStr>()?.value();
                } else {
                    call.implementor = Some(word);
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(call)
    }
}

/// Which side of an interface this component is on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Export,
    Import,
}

pub(crate) fn expand(call: &Call, side: Side) -> Result<Tokens, Error> {
    const EXPORT: &str = "write `export!(Type, \"package:name/interface@1.0.0\")`";
    const IMPORT: &str = "write `import!(\"package:name/interface@1.0.0\")`";
    let shape = if side == Side::Export { EXPORT } else { IMPORT };
    if call.interfaces.is_empty() || call.implementor.is_some() != (side == Side::Export) {
        return Err(Error::new(Span::call_site(), shape));
    }
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let (bindings, files) = generate(call, side, &root.join(&call.path))
        .map_err(|error| Error::new(call.interfaces[0].span(), error))?;
    let bindings: Tokens = bindings.parse()?;
    let module = format_ident!("{}", if side == Side::Export { "exported" } else { "imported" });
    let interfaces =
        call.interfaces.iter().map(|name| interface(name, side)).collect::<Result<Vec<_>, _>>()?;
    let export = call.implementor.as_ref().map(|implementor| {
        quote! {
            #[cfg(target_arch = "wasm32")]
            #module::export_interfaces!(#implementor with_types_in #module);
        }
    });
    Ok(quote! {
        #[allow(dead_code, unused_imports, clippy::all, reason = "generated")]
        mod #module {
            #bindings
            // A change of these files is a change of the source.
            #(const _: &[u8] = include_bytes!(#files);)*
        }
        #(pub use #module::#interfaces;)*
        #export
    })
}

/// The module of an interface in generated bindings.
fn interface(name: &LitStr, side: Side) -> Result<Tokens, Error> {
    let text = name.value();
    let path = text.split('@').next().unwrap_or_default();
    let parts: Vec<_> = path
        .split([':', '/'])
        .map(|part| syn::parse_str::<Ident>(&part.replace('-', "_")))
        .collect::<Result<_, _>>()
        .map_err(|_| {
            Error::new_spanned(name, "an interface is named as package:name/interface@1.0.0")
        })?;
    Ok(if side == Side::Export { quote!(exports::#(#parts)::*) } else { quote!(#(#parts)::*) })
}

fn generate(call: &Call, side: Side, path: &Path) -> Result<(String, Vec<String>), String> {
    let (mut resolve, files) = packages(path)?;
    let direction = if side == Side::Export { "export" } else { "import" };
    let items: String =
        call.interfaces.iter().map(|name| format!("  {direction} {};\n", name.value())).collect();
    let world = format!("package glovebox:generated;\nworld generated {{\n{items}}}\n");
    let package =
        resolve.push_str("generated.wit", &world).map_err(|error| format!("{error:#}"))?;
    let world = resolve
        .select_world(&[package], Some("generated"))
        .map_err(|error| format!("{error:#}"))?;
    let with = [("types", "::glovebox_guest::wit::types"), ("data", "::glovebox_guest::wit::data")];
    let options = Opts {
        export_macro_name: Some("export_interfaces".into()),
        generate_all: true,
        pub_export_macro: true,
        runtime_path: Some("::glovebox_guest::__private::rt".into()),
        // Interfaces of one package in two calls have sections of their own.
        type_section_suffix: Some(format!("{direction}-{}", call.interfaces[0].value())),
        with: with
            .map(|(name, path)| {
                (format!("glovebox:guest/{name}@0.1.0"), WithOption::Path(path.into()))
            })
            .into(),
        ..Opts::default()
    };
    let mut made = Files::default();
    options
        .build()
        .generate(&mut resolve, world, &mut made)
        .map_err(|error| format!("{error:#}"))?;
    let text = made.iter().next().map(|(_, text)| String::from_utf8_lossy(text).into_owned());
    Ok((text.unwrap_or_default(), files))
}

/// The packages in `path`, with `glovebox:guest` unless they bring it along.
fn packages(path: &Path) -> Result<(Resolve, Vec<String>), String> {
    let read = |mut resolve: Resolve| {
        let pushed = resolve.push_path(path).map_err(|error| format!("{error:#}"));
        pushed.map(|(_, sources)| {
            let files = sources.paths().map(|path| path.display().to_string()).collect();
            (resolve, files)
        })
    };
    let mut resolve = Resolve::default();
    guest(&mut resolve)?;
    read(resolve).or_else(|error| read(Resolve::default()).map_err(|_| error))
}

fn guest(resolve: &mut Resolve) -> Result<PackageId, String> {
    let mut sources = wit_bindgen_core::wit_parser::SourceMap::default();
    for (path, text) in GUEST {
        sources.push_str(path, text);
    }
    let group = sources.parse().map_err(|(_, error)| error.to_string())?;
    resolve.push_group(group).map_err(|error| error.to_string())
}
