//! A party's standing orders: a file in TOML, every setting of which stands in [`TEMPLATE`].

mod alert;
mod order;
mod read;
mod timing;
mod trigger;
mod values;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;

use glovebox_contract::name::AssetName;

pub use alert::Alert;
pub use order::{CatchUp, Order, Overlap};
pub(crate) use timing::Timing;
pub use trigger::Trigger;
pub(crate) use values::fill;

use crate::error::{AgentError, Context as _, Result};
use crate::files;

/// Standing orders to begin with: every setting, with what it means. Those that need a secret are
/// switched off.
pub const TEMPLATE: &str = include_str!("template.toml");

/// More than standing orders need.
const MAX_BYTES: u64 = 1 << 20;

/// Most orders, triggers and alerts, each.
const MAX_ENTRIES: usize = 1000;

/// What a party wants done.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    /// What to run, by name.
    pub orders: BTreeMap<AssetName, Order>,
    /// What may ask for a run from outside, by name.
    pub triggers: BTreeMap<AssetName, Trigger>,
    /// Whom to tell what, by name.
    pub alerts: BTreeMap<AssetName, Alert>,
    /// Rooms to watch besides those of orders and alerts.
    pub watch: BTreeSet<String>,
}

impl Orders {
    /// Reads the file at `path`. Paths in it are relative to its directory.
    ///
    /// # Errors
    /// When it cannot be read, or says something that makes no sense.
    pub fn read(path: &Path) -> Result<Self> {
        let reading = || format!("read the standing orders in `{}`", path.display());
        let bytes = files::read(path, MAX_BYTES).trying(reading)?;
        let bytes = bytes
            .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound))
            .trying(reading)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| AgentError::orders(path.display().to_string(), "it is not text"))?;
        Self::parse(&text, path.parent().unwrap_or_else(|| Path::new(".")))
    }

    /// Reads `text`, in which paths are relative to `directory`.
    ///
    /// # Errors
    /// As [`Orders::read`].
    pub fn parse(text: &str, directory: &Path) -> Result<Self> {
        let orders = read::read(text, directory)?;
        orders.check_references()?;
        order::check_no_cycle(&orders.orders)?;
        Ok(orders)
    }

    /// Every room that is named.
    pub fn rooms(&self) -> BTreeSet<&str> {
        let of_orders = self.orders.values().map(|order| order.room.as_str());
        let of_alerts = self.alerts.values().flat_map(|alert| &alert.rooms).map(String::as_str);
        of_orders.chain(of_alerts).chain(self.watch.iter().map(String::as_str)).collect()
    }

    fn check_references(&self) -> Result<()> {
        for (name, order) in &self.orders {
            for before in &order.after {
                if before == name {
                    return Err(AgentError::orders(at_order(name), "it comes after itself"));
                }
                self.known(before, || at_order(name))?;
            }
        }
        for (name, trigger) in &self.triggers {
            self.known(&trigger.order, || format!("trigger `{name}`"))?;
        }
        Ok(())
    }

    fn known(&self, order: &AssetName, at: impl FnOnce() -> String) -> Result<()> {
        if self.orders.contains_key(order) {
            return Ok(());
        }
        Err(AgentError::orders(at(), format!("there is no order `{order}`")))
    }
}

fn at_order(name: &AssetName) -> String {
    format!("order `{name}`")
}

#[cfg(test)]
mod tests;
