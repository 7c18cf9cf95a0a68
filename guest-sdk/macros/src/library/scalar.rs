//! Scalar functions: a loop over rows, or whole columns.

use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::{Error, Ident, ItemFn, Type};

use super::parts::{
    Parts, arguments, declared, documentation, fixed, is_column, plain_name, returned,
};
use super::{Found, Options};

pub(super) fn scalar(function: &ItemFn, options: &Options) -> Result<Found, Error> {
    let (ident, signature) = (&function.sig.ident, &function.sig);
    let arguments = arguments(signature)?;
    let output = fixed(&returned(signature)?);
    let name = options.name.clone().unwrap_or_else(|| plain_name(ident));
    let vectorised = arguments.iter().any(|(_, ty)| is_column(ty));
    if let Some((_, odd)) = arguments.iter().find(|(_, ty)| is_column(ty) != vectorised) {
        return Err(Error::new_spanned(odd, "either all arguments are columns or none is"));
    }
    let value = quote!(<#output as ::glovebox_guest::functions::Outcome>::Value);
    let (columns, returns, body) = if vectorised {
        vectorised_parts(ident, &arguments, &value)
    } else {
        row_wise_parts(ident, &arguments, &value)
    };
    let returns = declared(&name, &quote!(#returns::DATA_TYPE), &quote!(#returns::NULLABLE));
    let declaration = Parts {
        kind: "scalar",
        name,
        description: documentation(&function.attrs),
        arguments: columns,
        input: quote!(::core::option::Option::None),
        returns: quote!(&[#returns]),
        state: quote!(&[]),
        stable: options.stable,
    }
    .declaration();
    let code = quote! {
        ::glovebox_guest::functions::ScalarFunction {
            declaration: #declaration,
            evaluate: |columns, rows| { #body },
        }
    };
    Ok(Found { kind: "scalar", declaration, code })
}

pub(super) type Arguments = [(String, Type)];

/// Declared columns, the trait of the returned type, the body.
pub(super) fn vectorised_parts(
    ident: &Ident,
    arguments: &Arguments,
    value: &Tokens,
) -> (Tokens, Tokens, Tokens) {
    let mut columns = Tokens::new();
    let mut views = Vec::new();
    for (index, (name, ty)) in arguments.iter().enumerate() {
        let Type::Reference(reference) = ty else { continue };
        let view = &reference.elem;
        let data_type = quote!(<#view as ::glovebox_guest::functions::ColumnArgument>::DATA_TYPE);
        columns.extend(declared(name, &data_type, &quote!(true)));
        views.push(quote!(&::glovebox_guest::functions::argument::<#view>(columns, #index)?));
    }
    let returns = quote!(<#value as ::glovebox_guest::functions::ReturnedColumn>);
    let body = quote!(::glovebox_guest::functions::vector(rows, #ident(#(#views),*)));
    (columns, returns, body)
}

pub(super) fn row_wise_parts(
    ident: &Ident,
    arguments: &Arguments,
    value: &Tokens,
) -> (Tokens, Tokens, Tokens) {
    let Reading { columns, read, at } = reading(arguments);
    let returns = quote!(<#value as ::glovebox_guest::functions::Returned>);
    let body = quote! {
        #read
        ::glovebox_guest::functions::rows(rows, |row| #ident(#(#at),*))
    };
    (columns, returns, body)
}

/// How a loop over rows reads arguments.
pub(super) struct Reading {
    /// Declared columns.
    pub(super) columns: Tokens,
    /// Statements in front of the loop.
    pub(super) read: Tokens,
    /// An expression for each argument in row `row`.
    pub(super) at: Vec<Tokens>,
}

pub(super) fn reading(arguments: &Arguments) -> Reading {
    let (mut columns, mut read, mut at) = (Tokens::new(), Tokens::new(), Vec::new());
    for (index, (name, ty)) in arguments.iter().enumerate() {
        let (view, slots) = (format_ident!("view_{index}"), format_ident!("slots_{index}"));
        let fixed = fixed(ty);
        let constant = quote!(<#fixed as ::glovebox_guest::functions::Argument<'static>>);
        columns.extend(declared(name, &quote!(#constant::DATA_TYPE), &quote!(#constant::NULLABLE)));
        let argument = quote!(<#ty as ::glovebox_guest::functions::Argument<'_>>);
        read.extend(quote! {
            let #view = ::glovebox_guest::functions::argument::<#constant::View>(columns, #index)?;
            let #slots = #argument::first(#argument::slots(&#view), rows);
        });
        at.push(quote!(#argument::at(&#slots, row)));
    }
    Reading { columns, read, at }
}
