//! `glovebox fleet add` and `create`: customers and their rooms.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use glovebox_client::Client;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::key::{PrivateKey, PublicKey};
use glovebox_contract::name::RoomId;
use glovebox_contract::statement::{Body, Statement};
use glovebox_fleet::{Created, Founding, Journal, NewCustomer, Registry};
use serde_json::json;

use super::{Work, count, exit, failure, why};
use crate::arguments::{AddCustomer, BindingOption, Rooms};
use crate::context::{self, Context};
use crate::room_file;
use crate::terminal::print_json;

pub(super) fn add(context: &Context, new: &AddCustomer) -> Result<()> {
    let mut registry = Registry::read(&new.registry.registry)?;
    let _alone = Journal::open(registry.path())?;
    let bind = new.bindings.iter().map(|binding| match binding {
        BindingOption::Table { input, table } => (input.to_string(), table.to_string()),
        BindingOption::Column { input, column, is } => (format!("{input}.{column}"), is.clone()),
    });
    let customer = NewCustomer {
        name: new.name.clone(),
        host: new.at.clone(),
        room: new.room.as_deref().map(|room| find(context, &registry, new, room)).transpose()?,
        runners: new.runners.clone(),
        bind: bind.collect(),
        values: new.values.iter().cloned().collect(),
    };
    registry.add(&customer)?;
    if context.json() {
        return print_json(&json!({ "customer": new.name, "room": customer.room }));
    }
    println!("{} is a customer in {}", new.name, registry.path().display());
    Ok(())
}

/// The id of a room: as it is said, or as the host says for the fleet's owner.
fn find(context: &Context, registry: &Registry, new: &AddCustomer, room: &str) -> Result<RoomId> {
    if let Ok(id) = room.parse() {
        return Ok(id);
    }
    // Of those on the usual host there may be none yet, so it is asked for by name here.
    let others = registry.customers().iter().find_map(|customer| customer.host.as_deref());
    let url = new.at.as_deref().or(context.host_url()).or(others);
    let url = url.context("say where the room is: `--at URL` or `--host URL`")?;
    let key = new.key.as_deref().ok_or_else(|| {
        anyhow!("a room is found by its name for its parties only: say who you are with `--as KEY`")
    })?;
    let client = Client::connect(url, &context.client_options())
        .with_context(|| format!("no connection to {url}"))?;
    Ok(*client.party(context::read_key(key)?).room(room)?.id())
}

pub(super) fn create(context: &Context, template: &Path, rooms: &Rooms) -> Result<ExitCode> {
    let text = std::fs::read_to_string(template)
        .with_context(|| format!("cannot read the template {}", template.display()))?;
    // Locked before the registry is read: another command may just be writing rooms to it.
    let journal = Journal::open(&rooms.registry.registry)?;
    let mut work = Work::on(context, rooms)?;
    let key = &work.key;
    let sign =
        |file: &str, host: &PublicKey| -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
            Ok(creation(file, host, key)?)
        };
    let founding = Founding { template: &text, sign: &sign };
    let customers: Vec<_> = work.customers.iter().collect();
    let created = glovebox_fleet::create(
        &work.hosts,
        &mut work.registry,
        &customers,
        &founding,
        &journal,
        rooms.parallel,
    )?;
    let failed = created.iter().filter(|created| created.is_err()).count();
    let new = created.iter().flatten().filter(|created| created.new).count();
    let results = customers.iter().zip(&created);
    if context.json() {
        let shown = results.map(|(customer, created)| match created {
            Ok(Created { room, new }) => {
                json!({ "customer": customer.name, "room": room, "new": new })
            }
            Err(error) => failure(customer, error),
        });
        let shown: Vec<_> = shown.collect();
        print_json(&json!({ "created": new, "failed": failed, "rooms": shown }))?;
        return Ok(exit(failed));
    }
    for (customer, created) in results {
        match created {
            Ok(Created { room, new: true }) => println!("{}: {room}", customer.name),
            Ok(_) => {}
            Err(error) => eprintln!("{}: {}", customer.name, why(error)),
        }
    }
    println!("{} created, {} had one, {failed} failed", count(new), created.len() - new - failed);
    if failed > 0 {
        context.hint("say the same again: whoever has a room gets no second one");
    }
    Ok(exit(failed))
}

/// The statement that creates a room.
fn creation(file: &str, host: &PublicKey, key: &PrivateKey) -> Result<Envelope> {
    let now = context::now();
    let document = room_file::parse(file, &key.public(), *host, now, context::nonce()?)?;
    let statement = Statement {
        party: document.creator.clone(),
        body: Body::Room(document),
        issued_at: now,
        room: None,
        sequence: 1,
    };
    Ok(Envelope::sign(&statement, key)?)
}
