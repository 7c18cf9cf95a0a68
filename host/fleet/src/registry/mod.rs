//! The registry: which customer has which room, where, and what is called how there.

mod edit;
mod placeholders;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use glovebox_contract::name::{Alias, AssetName, RoomId, TableName};
use glovebox_contract::statement::TableBinding;
use serde::Deserialize;
use toml::Spanned;

pub use edit::NewCustomer;

use crate::error::{FleetError, Result, Trying as _};
use crate::files;
use placeholders::fill;

/// What `glovebox fleet init` writes.
pub const TEMPLATE: &str = r#"# The rooms of a fleet: one notebook family, a room with each customer.

[defaults]                          # what holds where a customer says nothing else
# host = "https://rooms.example.org"
runners = ["${customer}"]           # aliases of those who may run what is published; `${customer}`
                                    # is the customer's name, `${word}` what `values` has for it

[defaults.bind]                     # as `glovebox notebook add --bind`
# "shop.sales" = "${customer}.sales"
# "shop.sales.total" = "amount"

# [[customers]]
# name = "acme"
# room = "blake3:…"                 # `glovebox fleet create` makes it and writes this line
# host = "https://rooms.acme.example"
# runners = ["acme"]
# bind = { "shop.sales" = "acme.orders" }
# values = { key = "ed25519:…" }    # for `${key}` in the template of `glovebox fleet create`
"#;

/// Most customers of a fleet.
const MAX_CUSTOMERS: usize = 100_000;

/// The customers of a fleet, as a file says.
#[derive(Debug, Clone)]
pub struct Registry {
    path: PathBuf,
    customers: Vec<Customer>,
}

/// A customer: a room of the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// What the fleet calls it.
    pub name: AssetName,
    /// Where its room is.
    pub host: Option<String>,
    /// Its room, once there is one.
    pub room: Option<RoomId>,
    /// Who may run what is published.
    pub runners: BTreeSet<Alias>,
    /// What the notebook's inputs are in its room.
    pub bindings: BTreeMap<TableName, TableBinding>,
    values: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RegistryFile {
    #[serde(default)]
    defaults: Defaults,
    #[serde(default)]
    customers: Vec<Entry>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Defaults {
    bind: BTreeMap<String, String>,
    host: Option<String>,
    runners: Vec<String>,
}

/// A customer as the file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: Spanned<AssetName>,
    host: Option<String>,
    room: Option<RoomId>,
    runners: Option<Vec<String>>,
    #[serde(default)]
    bind: BTreeMap<String, String>,
    #[serde(default)]
    values: BTreeMap<String, String>,
}

impl Registry {
    /// Reads a registry.
    ///
    /// # Errors
    /// When it cannot be read, and with what is wrong with it.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_text(path)?;
        let customers = parse(&text)
            .map_err(|why| FleetError::file(path.display().to_string(), why.trim_end()))?;
        Ok(Self { path: path.to_owned(), customers })
    }

    /// Writes an empty registry for rooms on `host`; there must be no such file yet.
    ///
    /// # Errors
    /// When there is one, or it cannot be written.
    pub fn init(path: &Path, host: Option<&str>) -> Result<()> {
        let text = match host {
            // A JSON text is one of TOML, too.
            Some(host) => TEMPLATE.replace(
                "# host = \"https://rooms.example.org\"\n",
                &format!("host = {}\n", serde_json::Value::from(host)),
            ),
            None => TEMPLATE.to_owned(),
        };
        files::write_new(path, text.as_bytes()).trying(|| format!("write `{}`", path.display()))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The customers, in the order of the file.
    pub fn customers(&self) -> &[Customer] {
        &self.customers
    }

    /// The customers with these names, or all when there are none.
    ///
    /// # Errors
    /// With a name that no customer has.
    pub fn chosen(&self, names: &[AssetName]) -> Result<Vec<&Customer>> {
        let known = |name: &AssetName| self.customers.iter().any(|customer| customer.name == *name);
        match names.iter().find(|name| !known(name)) {
            Some(name) => Err(FleetError::file(self.path.display().to_string(), no_customer(name))),
            None => Ok(self
                .customers
                .iter()
                .filter(|customer| names.is_empty() || names.contains(&customer.name))
                .collect()),
        }
    }
}

impl Customer {
    /// `template` with the customer's name and values in place of `${customer}` and `${…}`.
    ///
    /// # Errors
    /// With a placeholder for which there is no value, or whose value could end the text that it
    /// stands in.
    pub fn fill(&self, template: &str) -> Result<String> {
        fill(template, &self.name, &self.values)
            .map_err(|why| FleetError::file(format!("template for {}", self.name), why))
    }
}

fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).trying(|| format!("read the registry `{}`", path.display()))
}

fn no_customer(name: &AssetName) -> String {
    format!("there is no customer {name}")
}

/// Reads a registry's text.
fn parse(text: &str) -> Result<Vec<Customer>, String> {
    let file = parse_file(text)?;
    if file.customers.len() > MAX_CUSTOMERS {
        return Err(format!("there are more than {MAX_CUSTOMERS} customers"));
    }
    let mut names = BTreeSet::new();
    let mut rooms = BTreeMap::new();
    let mut customers = Vec::new();
    for entry in file.customers {
        let customer = customer(&file.defaults, entry)?;
        if !names.insert(customer.name.clone()) {
            return Err(format!("there are two customers {}", customer.name));
        }
        if let Some(room) = customer.room
            && let Some(other) = rooms.insert(room, customer.name.clone())
        {
            return Err(format!("{other} and {} have the same room", customer.name));
        }
        customers.push(customer);
    }
    Ok(customers)
}

fn parse_file(text: &str) -> Result<RegistryFile, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

/// A customer with the defaults.
fn customer(defaults: &Defaults, entry: Entry) -> Result<Customer, String> {
    let name = entry.name.into_inner();
    let filled = |text: &String| fill(text, &name, &entry.values);
    let runners = entry.runners.as_ref().unwrap_or(&defaults.runners).iter();
    let runners = runners.map(|runner| {
        filled(runner)?.parse::<Alias>().map_err(|error| format!("runner of {name}: {error}"))
    });
    let runners = runners.collect::<Result<_, _>>()?;
    let mut bind = BTreeMap::new();
    for (what, is) in defaults.bind.iter().chain(&entry.bind) {
        bind.insert(what.clone(), filled(is)?);
    }
    let bindings = bindings(&bind).map_err(|why| format!("bind of {name}: {why}"))?;
    let host = entry.host.or_else(|| defaults.host.clone());
    Ok(Customer { bindings, host, room: entry.room, runners, values: entry.values, name })
}

/// `INPUT = TABLE` and `INPUT.COLUMN = COLUMN`. An input of which only columns are bound is the table
/// of its own name.
fn bindings(bind: &BTreeMap<String, String>) -> Result<BTreeMap<TableName, TableBinding>, String> {
    let name = |text: &str| text.parse::<TableName>().map_err(|error| error.to_string());
    let mut tables = BTreeMap::new();
    let mut columns: BTreeMap<TableName, BTreeMap<String, String>> = BTreeMap::new();
    for (what, is) in bind {
        // Aliases and names of tables have no dots, columns may.
        let column = what.match_indices('.').nth(1);
        match column.and_then(|(at, _)| Some((what.get(..at)?, what.get(at + 1..)?))) {
            Some((input, column)) => {
                columns.entry(name(input)?).or_default().insert(column.to_owned(), is.clone());
            }
            None => {
                columns.entry(name(what)?).or_default();
                tables.insert(name(what)?, name(is)?);
            }
        }
    }
    let bound = columns.into_iter().map(|(input, columns)| {
        let table = tables.get(&input).unwrap_or(&input).clone();
        (input, TableBinding { columns, table })
    });
    Ok(bound.collect())
}

#[cfg(test)]
mod tests;
