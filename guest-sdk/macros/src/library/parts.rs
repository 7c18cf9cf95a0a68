//! What all kinds of functions have in common: attributes, signatures, declarations.

use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, GenericArgument, Ident, Lifetime, Lit, LitStr, Pat,
    PathArguments, ReturnType, Signature, Token, Type,
};

use super::Options;

pub(super) fn take(attributes: &mut Vec<Attribute>, name: &str) -> Result<Option<Options>, Error> {
    let is = |attribute: &Attribute| {
        attribute.path().segments.last().is_some_and(|segment| segment.ident == name)
    };
    let Some(index) = attributes.iter().position(is) else { return Ok(None) };
    let attribute = attributes.remove(index);
    let mut options = Options::default();
    if matches!(attribute.meta, syn::Meta::Path(_)) {
        return Ok(Some(options));
    }
    attribute.parse_nested_meta(|meta| {
        if meta.path.is_ident("stable") {
            options.stable = true;
        } else if meta.path.is_ident("name") {
            options.name = Some(meta.value()?.parse::<LitStr>()?.value());
        } else if meta.path.is_ident("input") && name == "table_function" {
            let content;
            syn::parenthesized!(content in meta.input);
            let columns = Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?;
            options.input = columns.into_iter().collect();
        } else {
            return Err(meta
                .error("expected `name = \"…\"`, `stable`, or, of a table function, `input(…)`"));
        }
        Ok(())
    })?;
    Ok(Some(options))
}

/// The arguments of a function: name and type.
pub(super) fn arguments(signature: &Signature) -> Result<Vec<(String, Type)>, Error> {
    let plain = signature.asyncness.is_none() && signature.generics.params.is_empty();
    if !plain {
        return Err(Error::new_spanned(signature, "a function is neither async nor generic"));
    }
    let mut arguments = Vec::new();
    for input in &signature.inputs {
        let FnArg::Typed(typed) = input else { continue };
        let Pat::Ident(name) = &*typed.pat else {
            return Err(Error::new_spanned(&typed.pat, "an argument has a plain name"));
        };
        arguments.push((plain_name(&name.ident), (*typed.ty).clone()));
    }
    Ok(arguments)
}

pub(super) fn returned(signature: &Signature) -> Result<Type, Error> {
    match &signature.output {
        ReturnType::Type(_, returned) => Ok((**returned).clone()),
        ReturnType::Default => Err(Error::new_spanned(signature, "a function returns something")),
    }
}

pub(super) fn plain_name(ident: &Ident) -> String {
    ident.to_string().trim_start_matches("r#").trim_start_matches('_').to_owned()
}

/// The type with every reference made `'static`, for constants.
pub(super) fn fixed(ty: &Type) -> Type {
    let mut ty = ty.clone();
    match &mut ty {
        Type::Reference(reference) => {
            reference.lifetime = Some(Lifetime::new("'static", proc_macro2::Span::call_site()));
        }
        Type::Path(path) => {
            for segment in &mut path.path.segments {
                let PathArguments::AngleBracketed(generics) = &mut segment.arguments else {
                    continue;
                };
                for generic in &mut generics.args {
                    if let GenericArgument::Type(inner) = generic {
                        *inner = fixed(inner);
                    }
                }
            }
        }
        _ => {}
    }
    ty
}

/// Whether the type is a reference to a view such as `Float64Column`.
pub(super) fn is_column(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else { return false };
    let Type::Path(path) = &*reference.elem else { return false };
    path.path.segments.last().is_some_and(|last| last.ident.to_string().ends_with("Column"))
}

pub(super) fn documentation(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    let first: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
    first.join(" ")
}

pub(super) struct Parts {
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) arguments: Tokens,
    pub(super) input: Tokens,
    pub(super) returns: Tokens,
    pub(super) state: Tokens,
    pub(super) stable: bool,
}

impl Parts {
    pub(super) fn declaration(&self) -> Tokens {
        let Self { kind, name, description, arguments, input, returns, state, stable } = self;
        quote! {
            ::glovebox_guest::functions::Declaration {
                kind: #kind,
                name: #name,
                description: #description,
                arguments: &[#arguments],
                input: #input,
                returns: #returns,
                state: #state,
                stable: #stable,
            }
        }
    }
}

pub(super) fn declared(name: &str, data_type: &Tokens, nullable: &Tokens) -> Tokens {
    quote! {
        ::glovebox_guest::functions::Declared {
            name: #name,
            data_type: #data_type,
            nullable: #nullable,
        },
    }
}
