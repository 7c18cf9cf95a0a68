//! Table functions: parameters and perhaps a table, rows out.

use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{Error, ItemFn, LitStr, Type};

use super::parts::{Parts, arguments, declared, documentation, fixed, plain_name, returned};
use super::{Found, Options};

pub(super) fn table(function: &ItemFn, options: &Options) -> Result<Found, Error> {
    let (ident, signature) = (&function.sig.ident, &function.sig);
    let output = fixed(&returned(signature)?);
    let name = options.name.clone().unwrap_or_else(|| plain_name(ident));
    let (mut columns, mut values, mut reads) = (Tokens::new(), Vec::new(), false);
    for (name, ty) in arguments(signature)? {
        if is_batches(&ty) {
            reads = true;
            values.push(quote!(::glovebox_guest::functions::input(input.take())?));
            continue;
        }
        let parameter = quote!(<#ty as ::glovebox_guest::functions::Parameter>);
        columns.extend(declared(
            &name,
            &quote!(#parameter::DATA_TYPE),
            &quote!(#parameter::NULLABLE),
        ));
        values
            .push(quote!(::glovebox_guest::functions::parameter::<#ty>(#name, parameters.next())?));
    }
    if reads == options.input.is_empty() {
        let message = "a table function that takes `Batches` declares their columns, and only \
                       such a one: `#[table_function(input(\"name type\", …))]`";
        return Err(Error::new_spanned(signature, message));
    }
    let input = input_columns(&options.input)?;
    let row = quote!(<#output as ::glovebox_guest::functions::ReturnsTable>::Row);
    let declaration = Parts {
        kind: "table",
        name,
        description: documentation(&function.attrs),
        arguments: columns,
        input: if reads { quote!(Some(&[#input])) } else { quote!(None) },
        returns: quote!(<#row as ::glovebox_guest::Row>::FIELDS),
        state: quote!(&[]),
        stable: options.stable,
    }
    .declaration();
    let unused = (!reads).then(|| quote!(let _ = &mut input;));
    let code = quote! {
        ::glovebox_guest::functions::TableFunction {
            declaration: #declaration,
            invoke: |parameters, mut input| {
                let mut parameters = parameters.into_iter();
                let _ = &mut parameters;
                #unused
                ::glovebox_guest::functions::ReturnsTable::table(#ident(#(#values),*))
            },
        }
    };
    Ok(Found { kind: "table", declaration, code })
}

pub(super) fn is_batches(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    path.path.segments.last().is_some_and(|last| last.ident == "Batches")
}

/// Columns written as in a manifest: `name type [not null]`.
pub(super) fn input_columns(columns: &[LitStr]) -> Result<Tokens, Error> {
    let mut tokens = Tokens::new();
    for column in columns {
        let text = column.value();
        let (name, data_type) = text
            .trim()
            .split_once(' ')
            .ok_or_else(|| Error::new_spanned(column, "write \"name type\""))?;
        let (data_type, nullable) = match data_type.trim().strip_suffix(" not null") {
            Some(data_type) => (data_type.trim(), false),
            None => (data_type.trim(), true),
        };
        tokens.extend(declared(name, &quote!(#data_type), &quote!(#nullable)));
    }
    Ok(tokens)
}
