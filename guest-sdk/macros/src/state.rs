//! `#[derive(State)]`: the fields of an aggregate's state as columns.

use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields};

pub(crate) fn expand(input: &DeriveInput) -> Result<Tokens, Error> {
    let fields = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) if !fields.named.is_empty() => &fields.named,
            _ => return Err(Error::new_spanned(&input.ident, "a state has named fields")),
        },
        _ => return Err(Error::new_spanned(&input.ident, "a state is a struct")),
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(&input.generics, "a state is not generic"));
    }
    let name = &input.ident;
    let (idents, types): (Vec<_>, Vec<_>) =
        fields.iter().map(|field| (&field.ident, &field.ty)).unzip();
    let names = idents.iter().map(|ident| {
        let ident = ident.as_ref().map(ToString::to_string).unwrap_or_default();
        ident.trim_start_matches("r#").to_owned()
    });
    let indices = 0..idents.len();
    let field = quote!(::glovebox_guest::functions::StateField);
    Ok(quote! {
        impl ::glovebox_guest::functions::State for #name {
            const FIELDS: &'static [::glovebox_guest::functions::Declared] = &[#(
                ::glovebox_guest::functions::Declared {
                    name: #names,
                    data_type: <#types as #field>::DATA_TYPE,
                    nullable: <#types as #field>::NULLABLE,
                }
            ),*];

            fn columns(states: &[Self]) -> ::std::vec::Vec<::glovebox_guest::Column> {
                ::std::vec![#(
                    <#types as #field>::column(states.iter().map(|state| &state.#idents))
                ),*]
            }

            fn read(
                columns: &[::glovebox_guest::Column],
            ) -> ::glovebox_guest::Result<::std::vec::Vec<Self>> {
                #(
                    let mut #idents = ::glovebox_guest::functions::state_column::<#types>(
                        columns, #indices,
                    )?;
                )*
                let mut states = ::std::vec::Vec::new();
                loop {
                    states.push(Self {
                        #(#idents: match #idents.next() {
                            ::core::option::Option::Some(value) => value,
                            ::core::option::Option::None => return ::core::result::Result::Ok(states),
                        }),*
                    });
                }
            }
        }
    })
}
