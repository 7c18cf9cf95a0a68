//! `#[library]`: finds the functions of a module and writes what exports and declares them.

mod aggregate;
mod parts;
mod scalar;
mod table;

use proc_macro2::TokenStream as Tokens;
use quote::{ToTokens, format_ident, quote};
use syn::{Error, Item, ItemMod, LitStr};

use self::aggregate::aggregate;
use self::parts::take;
use self::scalar::scalar;
use self::table::table;

const SHAPE: &str = "write `#[library] mod functions { … }` with functions inside";

/// What stands in the brackets of a function's attribute.
#[derive(Default)]
struct Options {
    name: Option<String>,
    stable: bool,
    input: Vec<LitStr>,
}

/// A function found in the module, in the parts of its expansion.
struct Found {
    kind: &'static str,
    declaration: Tokens,
    code: Tokens,
}

/// Expands the module, or says what is wrong in it.
pub(crate) fn expand(arguments: &Tokens, mut module: ItemMod) -> Result<Tokens, Error> {
    if !arguments.is_empty() {
        return Err(Error::new_spanned(arguments, "`#[library]` takes no arguments"));
    }
    let Some((_, items)) = &mut module.content else {
        return Err(Error::new_spanned(&module.ident, SHAPE));
    };
    let mut found = Vec::new();
    for item in items.iter_mut() {
        match item {
            Item::Fn(function) => {
                if let Some(options) = take(&mut function.attrs, "scalar_function")? {
                    found.push(scalar(function, &options)?);
                } else if let Some(options) = take(&mut function.attrs, "table_function")? {
                    found.push(table(function, &options)?);
                }
            }
            Item::Impl(block) => {
                if let Some(options) = take(&mut block.attrs, "aggregate_function")? {
                    found.push(aggregate(block, &options)?);
                }
            }
            _ => {}
        }
    }
    if found.is_empty() {
        let message = "a library offers functions: mark them with `#[scalar_function]`, \
                       `#[aggregate_function]` or `#[table_function]`";
        return Err(Error::new_spanned(&module.ident, message));
    }
    items.push(Item::Verbatim(offers(&found)));
    Ok(module.into_token_stream())
}

/// Everything behind the functions themselves.
fn offers(found: &[Found]) -> Tokens {
    let of = |kind: &str| -> Vec<&Tokens> {
        found.iter().filter(|found| found.kind == kind).map(|found| &found.code).collect()
    };
    let (scalars, aggregates, tables) = (of("scalar"), of("aggregate"), of("table"));
    let export = |any: bool, name: &str, types: &str| {
        let (name, types) = (format_ident!("{name}"), format_ident!("{types}"));
        any.then(|| {
            quote! {
                ::glovebox_guest::__private::#name!(
                    Exported with_types_in ::glovebox_guest::__private::#types
                );
            }
        })
    };
    let scalar = export(!scalars.is_empty(), "export_scalar_functions", "scalar");
    let aggregate = export(!aggregates.is_empty(), "export_aggregate_functions", "aggregate");
    let table = export(!tables.is_empty(), "export_table_functions", "table");
    let sections = found.iter().map(|found| {
        let declaration = &found.declaration;
        quote! {
            const _: () = {
                const DECLARATION: ::glovebox_guest::functions::Declaration = #declaration;
                #[used]
                #[unsafe(link_section = "glovebox:functions")]
                static SECTION: [u8; ::glovebox_guest::functions::json_len(&DECLARATION)] =
                    ::glovebox_guest::functions::json(&DECLARATION);
            };
        }
    });
    quote! {
        /// The functions of this module, as a host finds them.
        pub struct Functions;

        impl ::glovebox_guest::functions::Offers for Functions {
            const SCALARS: &'static [::glovebox_guest::functions::ScalarFunction] = &[#(#scalars),*];
            const AGGREGATES: &'static [::glovebox_guest::functions::AggregateFunction] =
                &[#(#aggregates),*];
            const TABLES: &'static [::glovebox_guest::functions::TableFunction] = &[#(#tables),*];
        }

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Exported = ::glovebox_guest::functions::Exported<Functions>;
            #scalar
            #aggregate
            #table
            #(#sections)*
        };
    }
}
