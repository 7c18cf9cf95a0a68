//! What a library says which functions it has, against what its manifest says.

use std::collections::BTreeMap;

use glovebox_contract::column::Column;
use glovebox_contract::library::{FunctionDeclaration, FunctionKind, Volatility};
use glovebox_contract::name::Identifier;
use wasmtime::component::{ComponentType, Lift};

use super::instance::interface_of;
use super::{Ended, Function, FunctionInstance, schema};
use crate::interfaces::fields::Field;
use crate::services::HostError;

/// Most functions of a library.
const MAX_FUNCTIONS: usize = 1024;

#[derive(Clone, Copy, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "lifting makes them")]
enum WireVolatility {
    #[component(name = "immutable")]
    Immutable,
    #[component(name = "stable")]
    Stable,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct WireScalar {
    name: String,
    arguments: Vec<Field>,
    returns: Field,
    volatility: WireVolatility,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct WireAggregate {
    name: String,
    arguments: Vec<Field>,
    state: Vec<Field>,
    returns: Field,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct WireTable {
    name: String,
    parameters: Vec<Field>,
    input: Option<Vec<Field>>,
    returns: Vec<Field>,
}

/// A function as the library describes it.
pub(super) struct Listed {
    kind: FunctionKind,
    index: u32,
    name: String,
    arguments: Vec<Field>,
    input: Option<Vec<Field>>,
    returns: Vec<Field>,
    state: Vec<Field>,
    volatility: Option<Volatility>,
}

impl FunctionInstance {
    /// All functions of all interfaces.
    pub(super) fn list(&mut self) -> Result<Vec<Listed>, HostError> {
        self.call("list-functions", |instance| {
            let mut all = Vec::new();
            for (index, listed) in instance.list_of::<WireScalar>(FunctionKind::Scalar)? {
                all.push(Listed {
                    kind: FunctionKind::Scalar,
                    index,
                    name: listed.name,
                    arguments: listed.arguments,
                    input: None,
                    returns: vec![listed.returns],
                    state: Vec::new(),
                    volatility: Some(match listed.volatility {
                        WireVolatility::Immutable => Volatility::Immutable,
                        WireVolatility::Stable => Volatility::Stable,
                    }),
                });
            }
            for (index, listed) in instance.list_of::<WireAggregate>(FunctionKind::Aggregate)? {
                all.push(Listed {
                    kind: FunctionKind::Aggregate,
                    index,
                    name: listed.name,
                    arguments: listed.arguments,
                    input: None,
                    returns: vec![listed.returns],
                    state: listed.state,
                    volatility: None,
                });
            }
            for (index, listed) in instance.list_of::<WireTable>(FunctionKind::Table)? {
                all.push(Listed {
                    kind: FunctionKind::Table,
                    index,
                    name: listed.name,
                    arguments: listed.parameters,
                    input: listed.input,
                    returns: listed.returns,
                    state: Vec::new(),
                    volatility: None,
                });
            }
            Ok(all)
        })
    }

    fn list_of<T>(&mut self, kind: FunctionKind) -> Result<Vec<(u32, T)>, Ended>
    where
        T: ComponentType + Lift + 'static,
    {
        let exported = interface_of(kind)
            .and_then(|name| self.instance.get_export_index(&mut self.store, None, name));
        if exported.is_none() {
            return Ok(Vec::new());
        }
        let list = self.export::<(), (Vec<T>,)>(kind, "list-functions")?;
        let (listed,) = list.call(&mut self.store, ())?;
        if listed.len() > MAX_FUNCTIONS {
            return Err(Ended::Wrong(format!("more than {MAX_FUNCTIONS} functions")));
        }
        Ok((0..).zip(listed).collect())
    }
}

/// The declared functions with their places, when the library has exactly these.
pub(super) fn agree(
    declared: &BTreeMap<Identifier, FunctionDeclaration>,
    listed: Vec<Listed>,
) -> Result<BTreeMap<Identifier, Function>, String> {
    let mut functions = BTreeMap::new();
    for listed in listed {
        let shown = listed.name.escape_debug().to_string();
        let Some((name, declaration)) =
            declared.iter().find(|(name, _)| name.as_str() == listed.name)
        else {
            return Err(format!("it has a function `{shown}` that its manifest does not declare"));
        };
        check(declaration, &listed).map_err(|what| {
            format!("function `{shown}` has other {what} than its manifest says")
        })?;
        let function = Function {
            index: listed.index,
            arguments: schema(&declaration.arguments),
            input: declaration.input.as_deref().map(schema),
            returns: schema(&declaration.returns),
            state: schema(&declaration.state),
            declaration: declaration.clone(),
        };
        if functions.insert(name.clone(), function).is_some() {
            return Err(format!("it lists function `{shown}` twice"));
        }
    }
    match declared.keys().find(|name| !functions.contains_key(*name)) {
        None => Ok(functions),
        Some(name) => Err(format!("it lacks the function `{name}` of its manifest")),
    }
}

fn check(declared: &FunctionDeclaration, listed: &Listed) -> Result<(), &'static str> {
    let same = |columns: &[Column], fields: &[Field]| {
        columns.len() == fields.len()
            && columns.iter().zip(fields).all(|(column, field)| field.is(column))
    };
    if declared.kind != listed.kind {
        return Err("a kind");
    }
    if !same(&declared.arguments, &listed.arguments) {
        return Err("arguments");
    }
    if !same(&declared.returns, &listed.returns) {
        return Err("results");
    }
    if !same(&declared.state, &listed.state) {
        return Err("a state");
    }
    let inputs = match (&declared.input, &listed.input) {
        (Some(declared), Some(listed)) => same(declared, listed),
        (None, None) => true,
        _ => false,
    };
    if !inputs {
        return Err("an input");
    }
    if listed.volatility.is_some_and(|volatility| volatility != declared.volatility) {
        return Err("a volatility");
    }
    Ok(())
}
