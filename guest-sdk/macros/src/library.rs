//! `#[library]`: finds the functions of a module and writes what exports and declares them.

use proc_macro2::TokenStream as Tokens;
use quote::{ToTokens, format_ident, quote};
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, GenericArgument, Ident, Item, ItemFn, ItemImpl,
    ItemMod, Lifetime, Lit, LitStr, Pat, PathArguments, ReturnType, Signature, Token, Type,
};

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

fn take(attributes: &mut Vec<Attribute>, name: &str) -> Result<Option<Options>, Error> {
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
fn arguments(signature: &Signature) -> Result<Vec<(String, Type)>, Error> {
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

fn returned(signature: &Signature) -> Result<Type, Error> {
    match &signature.output {
        ReturnType::Type(_, returned) => Ok((**returned).clone()),
        ReturnType::Default => Err(Error::new_spanned(signature, "a function returns something")),
    }
}

fn plain_name(ident: &Ident) -> String {
    ident.to_string().trim_start_matches("r#").trim_start_matches('_').to_owned()
}

/// The type with every reference made `'static`, for constants.
fn fixed(ty: &Type) -> Type {
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
fn is_column(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else { return false };
    let Type::Path(path) = &*reference.elem else { return false };
    path.path.segments.last().is_some_and(|last| last.ident.to_string().ends_with("Column"))
}

fn documentation(attributes: &[Attribute]) -> String {
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

struct Parts {
    kind: &'static str,
    name: String,
    description: String,
    arguments: Tokens,
    input: Tokens,
    returns: Tokens,
    state: Tokens,
    stable: bool,
}

impl Parts {
    fn declaration(&self) -> Tokens {
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

fn declared(name: &str, data_type: &Tokens, nullable: &Tokens) -> Tokens {
    quote! {
        ::glovebox_guest::functions::Declared {
            name: #name,
            data_type: #data_type,
            nullable: #nullable,
        },
    }
}

fn scalar(function: &ItemFn, options: &Options) -> Result<Found, Error> {
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

type Arguments = [(String, Type)];

/// Declared columns, the trait of the returned type, the body.
fn vectorised_parts(
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

fn row_wise_parts(
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
struct Reading {
    /// Declared columns.
    columns: Tokens,
    /// Statements in front of the loop.
    read: Tokens,
    /// An expression for each argument in row `row`.
    at: Vec<Tokens>,
}

fn reading(arguments: &Arguments) -> Reading {
    let (mut columns, mut read, mut at) = (Tokens::new(), Tokens::new(), Vec::new());
    for (index, (name, ty)) in arguments.iter().enumerate() {
        let (view, slots) = (format_ident!("view_{index}"), format_ident!("slots_{index}"));
        let fixed = fixed(ty);
        let constant = quote!(<#fixed as ::glovebox_guest::functions::Argument<'static>>);
        columns.extend(declared(name, &quote!(#constant::DATA_TYPE), &quote!(#constant::NULLABLE)));
        let argument = quote!(<#ty as ::glovebox_guest::functions::Argument<'_>>);
        read.extend(quote! {
            let #view = ::glovebox_guest::functions::argument::<#constant::View>(columns, #index)?;
            let #slots = #argument::slots(&#view);
        });
        at.push(quote!(#argument::at(&#slots, row)));
    }
    Reading { columns, read, at }
}

fn aggregate(block: &ItemImpl, options: &Options) -> Result<Found, Error> {
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

fn snake_case(name: &Tokens) -> String {
    let mut snake = String::new();
    for character in name.to_string().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_') {
        if character.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

fn table(function: &ItemFn, options: &Options) -> Result<Found, Error> {
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

fn is_batches(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    path.path.segments.last().is_some_and(|last| last.ident == "Batches")
}

/// Columns written as in a manifest: `name type [not null]`.
fn input_columns(columns: &[LitStr]) -> Result<Tokens, Error> {
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
