//! Changes of a registry, which leave its comments and its order alone.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use glovebox_contract::name::{Alias, AssetName, RoomId};
use serde_json::Value;

use super::{Registry, no_customer, parse, parse_file, read_text};
use crate::error::{FleetError, Result, Trying as _};
use crate::files;

/// A customer that is not in the registry yet.
#[derive(Debug, Clone)]
pub struct NewCustomer {
    /// What the fleet calls it.
    pub name: AssetName,
    /// Where its room is, if not where the others are.
    pub host: Option<String>,
    /// Its room, if it has one.
    pub room: Option<RoomId>,
    /// Who may run what is published, if not as for the others.
    pub runners: Vec<Alias>,
    /// `INPUT` and the table, `INPUT.COLUMN` and the column that it is.
    pub bind: BTreeMap<String, String>,
    /// For templates.
    pub values: BTreeMap<String, String>,
}

impl Registry {
    /// Adds a customer to the file.
    ///
    /// # Errors
    /// When there is one of that name, or the registry would make no sense with it.
    pub fn add(&mut self, new: &NewCustomer) -> Result<()> {
        let text = read_text(&self.path)?;
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        self.replace(&format!("{text}{end}{}", written(new)))
    }

    /// Writes down that a customer has this room.
    ///
    /// # Errors
    /// When the file has no such customer (any more), or it has another room.
    pub fn record_room(&mut self, customer: &AssetName, room: &RoomId) -> Result<()> {
        let text = read_text(&self.path)?;
        let edited = with_room(&text, customer, room).map_err(|why| self.error(why))?;
        match edited {
            Some(text) => self.replace(&text),
            None => Ok(()),
        }
    }

    /// Writes `text` if it is a registry.
    fn replace(&mut self, text: &str) -> Result<()> {
        let customers = parse(text).map_err(|why| self.error(why))?;
        let path: &Path = &self.path;
        files::write(path, text.as_bytes()).trying(|| format!("write `{}`", path.display()))?;
        self.customers = customers;
        Ok(())
    }

    fn error(&self, why: impl ToString) -> FleetError {
        FleetError::file(self.path.display().to_string(), why.to_string().trim_end())
    }
}

/// The block of a customer.
fn written(new: &NewCustomer) -> String {
    // A JSON text is one of TOML, too.
    let quoted = |text: &str| Value::from(text).to_string();
    let mut block = format!("\n[[customers]]\nname = {}\n", quoted(new.name.as_str()));
    if let Some(host) = &new.host {
        let _ = writeln!(block, "host = {}", quoted(host));
    }
    if let Some(room) = &new.room {
        let _ = writeln!(block, "room = \"{room}\"");
    }
    if !new.runners.is_empty() {
        let runners: Vec<_> = new.runners.iter().map(|runner| quoted(runner.as_str())).collect();
        let _ = writeln!(block, "runners = [{}]", runners.join(", "));
    }
    for (heading, map) in [("bind", &new.bind), ("values", &new.values)] {
        if !map.is_empty() {
            let pairs: Vec<_> = map
                .iter()
                .map(|(key, value)| format!("{} = {}", quoted(key), quoted(value)))
                .collect();
            let _ = writeln!(block, "{heading} = {{ {} }}", pairs.join(", "));
        }
    }
    block
}

/// The text with a line for the room below the customer's name; none when it says so already.
fn with_room(text: &str, customer: &AssetName, room: &RoomId) -> Result<Option<String>, String> {
    let file = parse_file(text)?;
    let entry = file.customers.iter().find(|entry| entry.name.get_ref() == customer);
    let entry = entry.ok_or_else(|| no_customer(customer))?;
    match &entry.room {
        Some(known) if known == room => return Ok(None),
        Some(_) => return Err(format!("{customer} has another room already")),
        None => {}
    }
    let (before, after) = text
        .split_at_checked(entry.name.span().end)
        .ok_or_else(|| "the name of a customer is not where it is".to_owned())?;
    let line = after.find('\n').unwrap_or(after.len());
    let (rest_of_line, after) = after.split_at_checked(line).unwrap_or((after, ""));
    let edited = format!("{before}{rest_of_line}\nroom = \"{room}\"{after}");
    // An entry that is written on one line has no place for another line.
    let found = parse(&edited)
        .ok()
        .and_then(|customers| customers.into_iter().find(|found| found.name == *customer)?.room);
    if found.as_ref() == Some(room) {
        return Ok(Some(edited));
    }
    Err(format!(
        "write `room = \"{room}\"` to the entry of {customer} by hand: it has no line for it"
    ))
}
