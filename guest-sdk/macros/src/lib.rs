//! Macros of the crate `glovebox-guest`, which documents them.

mod library;
mod state;
#[cfg(feature = "wit")]
mod wit;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, FnArg, ItemFn, ReturnType, parse_macro_input};

/// Makes a function the entry point of a notebook.
///
/// The function takes `&Room` and returns `glovebox_guest::Result<()>`. It stays an ordinary
/// function, so that a test can call it with a mock room. The documentation of
/// `glovebox-guest` begins with an example.
#[proc_macro_attribute]
pub fn notebook(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    match check_notebook(&arguments.into(), &function) {
        Ok(()) => entry_point(&function).into(),
        // The function stays, so that this error is the only one.
        Err(error) => {
            let error = error.to_compile_error();
            quote!(#error #[allow(dead_code, reason = "its attribute is wrong")] #function).into()
        }
    }
}

fn check_notebook(arguments: &Tokens, function: &ItemFn) -> Result<(), Error> {
    const SHAPE: &str = "write `fn run(room: &Room) -> Result<()>`";
    let signature = &function.sig;
    if !arguments.is_empty() {
        let message = "`#[notebook]` takes no arguments: the manifest stands in Cargo.toml under \
                       [package.metadata.glovebox]";
        return Err(Error::new_spanned(arguments, message));
    }
    if let Some(token) = &signature.asyncness {
        let message = format!("a notebook is not async: {SHAPE}");
        return Err(Error::new_spanned(token, message));
    }
    if !signature.generics.params.is_empty() {
        let message = format!("a notebook is not generic: {SHAPE}");
        return Err(Error::new_spanned(&signature.generics, message));
    }
    let mut inputs = signature.inputs.iter();
    match (inputs.next(), inputs.next()) {
        (Some(FnArg::Typed(room)), None) if matches!(*room.ty, syn::Type::Reference(_)) => {}
        (Some(_), Some(second)) => {
            let message = format!("a notebook takes its room and nothing else: {SHAPE}");
            return Err(Error::new_spanned(second, message));
        }
        _ => {
            let message = format!("a notebook takes a reference to its room: {SHAPE}");
            return Err(Error::new(signature.paren_token.span.join(), message));
        }
    }
    if matches!(signature.output, ReturnType::Default) {
        let message = format!("a notebook returns a result: {SHAPE}");
        return Err(Error::new_spanned(signature, message));
    }
    Ok(())
}

fn entry_point(function: &ItemFn) -> Tokens {
    let name = &function.sig.ident;
    quote! {
        #function

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Notebook;

            impl ::glovebox_guest::__private::Guest for Notebook {
                fn run() -> ::core::result::Result<(), ::glovebox_guest::__private::Error> {
                    ::glovebox_guest::__private::run(#name)
                }
            }

            ::glovebox_guest::__private::export_notebook!(
                Notebook with_types_in ::glovebox_guest::__private::bindings
            );
        };

        // Natively nothing but tests calls the function.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn(&::glovebox_guest::Room) -> ::glovebox_guest::Result<()> = #name;
    }
}

/// Makes the marked functions of a module callable from SQL.
///
/// - `#[scalar_function]` on `fn score(recency: i64, spend: f64) -> f64` makes a function of rows.
///   Arguments are booleans, numbers, texts (`&str`, `String`), bytes or `Date`; the result is null
///   where one of them is. An `Option` sees nulls, or returns them; a `Result` fails the query. With
///   arguments such as `&Float64Column` the function gets whole columns and returns one, or a `Vec`.
/// - `#[aggregate_function]` on an `impl` block with `update`, `merge` and `finish` of a struct that
///   has `#[derive(Default, State)]` makes a function of groups. Its name is the struct's in
///   snake_case.
/// - `#[table_function]` on a function of parameters that returns `Vec<R>` with `R: Row` makes a
///   table; with `input("name type", …)` and an argument of type `Batches` it also reads one.
///
/// All take `name = "…"`; scalar and table functions take `stable`, for results that may change from
/// statement to statement. The documentation's first paragraph goes into the manifest.
#[proc_macro_attribute]
pub fn library(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let module = parse_macro_input!(item as syn::ItemMod);
    let kept = quote!(#module);
    library::expand(&arguments.into(), module)
        .unwrap_or_else(|error| {
            let error = error.to_compile_error();
            quote!(#error #[allow(dead_code, reason = "its attribute is wrong")] #kept)
        })
        .into()
}

fn outside(what: &str) -> TokenStream {
    let message = format!("`#[{what}]` stands inside of a module with `#[library]`");
    Error::new(proc_macro2::Span::call_site(), message).to_compile_error().into()
}

/// Marks a scalar function inside of a module with `#[library]`.
#[proc_macro_attribute]
pub fn scalar_function(_: TokenStream, _: TokenStream) -> TokenStream {
    outside("scalar_function")
}

/// Marks an aggregate function inside of a module with `#[library]`.
#[proc_macro_attribute]
pub fn aggregate_function(_: TokenStream, _: TokenStream) -> TokenStream {
    outside("aggregate_function")
}

/// Marks a table function inside of a module with `#[library]`.
#[proc_macro_attribute]
pub fn table_function(_: TokenStream, _: TokenStream) -> TokenStream {
    outside("table_function")
}

/// Exports interfaces of the party's own WIT package, which lies in the folder `wit`.
///
/// `export!(Scoring, "acme:scoring/score@1.0.0")` makes a module `score` with a trait `Guest` that
/// the type `Scoring` implements: `&Batch`, `Batch`, `Batches` and `Error` of this crate stand for
/// the types of `glovebox:guest`. `path = "…"` names another folder.
#[cfg(feature = "wit")]
#[proc_macro]
pub fn export(input: TokenStream) -> TokenStream {
    let call = parse_macro_input!(input as wit::Call);
    wit::expand(&call, wit::Side::Export).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Imports interfaces of private libraries, which the manifest names under `libraries`.
///
/// `import!("acme:scoring/score@1.0.0")` makes a module `score` with the interface's functions; the
/// types are as in `export!`. The interface's WIT lies in the folder `wit`, or in `path = "…"`.
#[cfg(feature = "wit")]
#[proc_macro]
pub fn import(input: TokenStream) -> TokenStream {
    let call = parse_macro_input!(input as wit::Call);
    wit::expand(&call, wit::Side::Import).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Makes a struct the state of an aggregate function: every field becomes a column.
#[proc_macro_derive(State)]
pub fn derive_state(item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as DeriveInput);
    state::expand(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Makes a struct a row of a table: every field becomes the column of its name.
///
/// Fields are booleans, integers, floats, texts (`String` or `&str`), byte strings (`Vec<u8>`), or
/// options of these where a row may lack a value. `#[row(name = "class")]` gives a column another
/// name than its field.
#[proc_macro_derive(Row, attributes(row))]
pub fn derive_row(item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as DeriveInput);
    row(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

fn row(input: &DeriveInput) -> Result<Tokens, Error> {
    let fields = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) if !fields.named.is_empty() => &fields.named,
            _ => return Err(Error::new_spanned(&input.ident, "a row has named fields")),
        },
        _ => return Err(Error::new_spanned(&input.ident, "a row is a struct")),
    };
    let types = fields
        .iter()
        .map(|field| {
            let (name, cell) = (column_name(field)?, &field.ty);
            let cell = quote!(<#cell as ::glovebox_guest::Cell>);
            Ok(quote! {
                ::glovebox_guest::functions::Declared {
                    name: #name,
                    data_type: #cell::DATA_TYPE,
                    nullable: #cell::NULLABLE,
                }
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let columns = fields
        .iter()
        .map(|field| {
            let (ident, cell) = (&field.ident, &field.ty);
            let name = column_name(field)?;
            Ok(quote! {
                (#name, <#cell as ::glovebox_guest::Cell>::column(rows.iter().map(|row| &row.#ident)))
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        impl #generics ::glovebox_guest::Row for #name #arguments #bounds {
            const FIELDS: &'static [::glovebox_guest::functions::Declared] = &[#(#types),*];

            fn columns(rows: &[Self]) -> ::std::vec::Vec<(&'static str, ::glovebox_guest::Column)> {
                ::std::vec![#(#columns),*]
            }
        }
    })
}

fn column_name(field: &syn::Field) -> Result<String, Error> {
    let ident = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut name = ident.trim_start_matches("r#").to_owned();
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("row")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("name") {
                return Err(meta.error("expected `name = \"…\"`"));
            }
            name = meta.value()?.parse::<syn::LitStr>()?.value();
            Ok(())
        })?;
    }
    Ok(name)
}

#[cfg(test)]
mod tests;
