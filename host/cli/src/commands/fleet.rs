//! `glovebox fleet`: one notebook, a room with each customer.

mod publish;
mod rooms;
mod status;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use glovebox_client::Options;
use glovebox_contract::key::PrivateKey;
use glovebox_fleet::{Customer, FleetError, Hosts, Registry};
use serde_json::{Value, json};

use crate::arguments::{Fleet, RegistryFile, Rooms};
use crate::context::{self, Context};
use crate::terminal::{self, plain, print_json};

pub(crate) fn run(context: &Context, command: &Fleet) -> Result<ExitCode> {
    match command {
        Fleet::Init { registry } => init(context, registry)?,
        Fleet::Add(new) => rooms::add(context, new)?,
        Fleet::List { registry } => list(context, &Registry::read(&registry.registry)?)?,
        Fleet::Create { template, rooms } => return rooms::create(context, template, rooms),
        Fleet::Publish(publish) => return publish::run(context, publish),
        Fleet::Status { rooms, days } => return status::run(context, rooms, *days),
    }
    Ok(ExitCode::SUCCESS)
}

fn init(context: &Context, RegistryFile { registry }: &RegistryFile) -> Result<()> {
    Registry::init(registry, context.host_url())?;
    if context.json() {
        return print_json(&json!({ "registry": registry }));
    }
    println!("{} is an empty registry", registry.display());
    context.hint("`glovebox fleet add CUSTOMER` adds a customer, or write it by hand");
    Ok(())
}

fn list(context: &Context, registry: &Registry) -> Result<()> {
    let customers = registry.customers();
    let host = |customer: &Customer| {
        customer.host.clone().or_else(|| context.host_url().map(ToOwned::to_owned))
    };
    if context.json() {
        let shown = customers.iter().map(|customer| {
            json!({
                "customer": customer.name,
                "host": host(customer),
                "room": customer.room,
                "runners": customer.runners,
                "bindings": customer.bindings,
            })
        });
        return print_json(&shown.collect::<Vec<_>>());
    }
    let rows = customers.iter().map(|customer| {
        let runners: Vec<_> = customer.runners.iter().map(ToString::to_string).collect();
        [
            customer.name.to_string(),
            host(customer).unwrap_or_else(|| "–".into()),
            customer.room.map_or_else(|| "none yet".into(), |room| room.to_string()),
            runners.join(", "),
        ]
    });
    println!("{}", terminal::table(&["customer", "host", "room", "runners"], &[], rows));
    Ok(())
}

/// What a command on rooms works with.
struct Work {
    registry: Registry,
    customers: Vec<Customer>,
    hosts: Hosts,
    key: PrivateKey,
}

impl Work {
    fn on(context: &Context, rooms: &Rooms) -> Result<Self> {
        let registry = Registry::read(&rooms.registry.registry)?;
        let customers = registry.chosen(&rooms.only)?.into_iter().cloned().collect();
        let key = context::read_key(&rooms.signer.key)?;
        let patience = Duration::from_secs(rooms.patience.seconds());
        let options = Options { patience, ..context.client_options() };
        let hosts = Hosts::new(key.clone(), options, context.host_url().map(ToOwned::to_owned));
        Ok(Self { registry, customers, hosts, key })
    }

    fn customers(&self) -> Vec<&Customer> {
        self.customers.iter().collect()
    }

    fn path(&self) -> &Path {
        self.registry.path()
    }
}

/// Why a room could not be dealt with, on one line.
fn why(error: &FleetError) -> String {
    let mut text = plain(&error.to_string());
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let words = plain(&next.to_string());
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = next.source();
    }
    match error.reason().map(|reason| format!("({reason})")) {
        Some(reason) if !text.contains(&reason) => format!("{text} {reason}"),
        _ => text,
    }
}

/// The same for machines.
fn failure(customer: &Customer, error: &FleetError) -> Value {
    json!({
        "customer": customer.name,
        "error": why(error),
        "reason": error.reason().map(|reason| reason.as_str()),
    })
}

/// What does not fit into a table.
fn print_failures<'a>(failures: impl Iterator<Item = (&'a Customer, &'a FleetError)>) {
    for (customer, error) in failures {
        println!("{}: {}", customer.name, why(error));
    }
}

fn exit(failed: usize) -> ExitCode {
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// `1 room`, `2 rooms`.
fn count(rooms: usize) -> String {
    if rooms == 1 { "1 room".into() } else { format!("{rooms} rooms") }
}
