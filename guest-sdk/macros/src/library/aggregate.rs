//! Aggregate functions: three methods of a state.

use proc_macro2::TokenStream as Tokens;
use quote::{ToTokens, quote};
use syn::{Error, ItemImpl};

use super::parts::{Parts, arguments, declared, documentation, fixed, returned};
use super::scalar::{Reading, reading};
use super::{Found, Options};

pub(super) fn aggregate(block: &ItemImpl, options: &Options) -> Result<Found, Error> {
    const METHODS: &str = "an aggregate has `fn update(&mut self, …)`, \
                           `fn merge(&mut self, other: Self)` and `fn finish(&self) -> …`";
    let state = &block.self_ty;
    let method = |name: &str| {
        block.items.iter().find_map(|item| match item {
            syn::ImplItem::Fn(method) if method.sig.ident == name => Some(&method.sig),
            _ => None,
        })
    };
    let (Some(update), Some(_), Some(finish)) =
        (method("update"), method("merge"), method("finish"))
    else {
        return Err(Error::new_spanned(state, METHODS));
    };
    let arguments = arguments(update)?;
    if arguments.is_empty() {
        return Err(Error::new_spanned(update, "an aggregate takes at least one argument"));
    }
    let output = fixed(&returned(finish)?);
    let name = options.name.clone().unwrap_or_else(|| snake_case(&state.to_token_stream()));
    let Reading { columns, read, at } = reading(&arguments);
    let returns = quote! {
        <<#output as ::glovebox_guest::functions::Outcome>::Value
            as ::glovebox_guest::functions::Returned>
    };
    let returns = declared(&name, &quote!(#returns::DATA_TYPE), &quote!(#returns::NULLABLE));
    let declaration = Parts {
        kind: "aggregate",
        name,
        description: documentation(&block.attrs),
        arguments: columns,
        input: quote!(::core::option::Option::None),
        returns: quote!(&[#returns]),
        state: quote!(<#state as ::glovebox_guest::functions::State>::FIELDS),
        stable: false,
    }
    .declaration();
    let code = quote! {
        ::glovebox_guest::functions::AggregateFunction {
            declaration: #declaration,
            create: || ::std::boxed::Box::new(::glovebox_guest::functions::GroupsOf::<#state> {
                states: ::std::vec::Vec::new(),
                update: |states, columns, groups| {
                    let rows = groups.len();
                    #read
                    for (row, group) in groups.iter().enumerate() {
                        let state = &mut states[*group as usize];
                        ::glovebox_guest::functions::Outcome::outcome(state.update(#(#at),*))?;
                    }
                    Ok(())
                },
                merge: |state, other| {
                    ::glovebox_guest::functions::Outcome::outcome(state.merge(other))
                },
                finish: |states| {
                    ::glovebox_guest::functions::rows(states.len(), |row| states[row].finish())
                },
            }),
        }
    };
    Ok(Found { kind: "aggregate", declaration, code })
}

pub(super) fn snake_case(name: &Tokens) -> String {
    let mut snake = String::new();
    for character in name.to_string().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_') {
        if character.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}
