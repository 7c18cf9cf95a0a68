//! `glovebox fleet publish`: a version of a notebook, in every room.

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, anyhow, bail};
use glovebox_build::BuildOptions;
use glovebox_contract::statement::NotebookAsset;
use glovebox_fleet::{
    Customer, Cutover, FleetError, Journal, Offer, Offered, Outcome, Published, RollOut,
};
use serde_json::{Value, json};

use super::{Work, count, exit, failure, print_failures};
use crate::arguments::Publish;
use crate::commands::notebook::bound;
use crate::context::{self, Context};
use crate::terminal::{self, plain, print_json};

type Results = Vec<Result<Published, FleetError>>;

pub(super) fn run(context: &Context, publish: &Publish) -> Result<ExitCode> {
    let mut offer = offer(context, publish)?;
    let mut journal = Journal::open(&publish.rooms.registry.registry)?;
    let work = Work::on(context, &publish.rooms)?;
    let rollout = begin(publish, &mut journal, &offer, work.customers.len())?;
    offer.asset.cutover = rollout.cutover;
    if let Some(before) = rollout.before.filter(|_| !publish.dry_run) {
        context
            .hint(format!("roll-out {} goes on; it had reached {before} before", rollout.number));
    }
    let (customers, quiet) = (work.customers(), context.quiet());
    let bar = terminal::spinner(quiet, format!("publishing in {}", count(customers.len())));
    let broken = Mutex::new(None);
    let done = |customer: &Customer, result: &Result<Published, FleetError>| {
        bar.set_message(format!("{}: {}", customer.name, word(result)));
        let reason = result.as_ref().err().map(|error| error.reason().unwrap_or(UNKNOWN));
        if !publish.dry_run
            && let Err(error) = journal.note(&rollout, &customer.name, word(result), reason)
        {
            broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    };
    let results =
        glovebox_fleet::publish(&work.hosts, &customers, &offer, publish.rooms.parallel, &done);
    bar.finish_and_clear();
    let failed = results.iter().filter(|result| result.is_err()).count();
    if failed == 0 && !publish.dry_run {
        journal.end(&rollout)?;
    }
    report(context, (&offer, &rollout), &customers, &results)?;
    if let Some(error) = broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error).context("the rooms have it, but the journal does not");
    }
    Ok(exit(failed))
}

/// What the journal has for a failure that has no public reason.
const UNKNOWN: glovebox_contract::reason::ReasonCode =
    glovebox_contract::reason::ReasonCode::Internal;

fn word(result: &Result<Published, FleetError>) -> &'static str {
    result.as_ref().map_or("failed", |published| published.outcome.as_str())
}

/// The notebook, read or built.
fn offer(context: &Context, publish: &Publish) -> Result<Offer> {
    let file = publish.notebook.display();
    let component = component(context, &publish.notebook, publish.hidden)?;
    let inspection = glovebox_sandbox::inspect(&component)
        .with_context(|| format!("{file} is not a component that a room takes"))?;
    let manifest = inspection
        .manifest
        .ok_or_else(|| anyhow!("{file} has no manifest: build it with `glovebox build`"))?;
    if let Some(wanted) = publish.version.as_ref().filter(|wanted| **wanted != manifest.version) {
        bail!(
            "{file} is version {} of {}, not {}",
            plain(&manifest.version),
            manifest.name,
            plain(wanted)
        );
    }
    let asset = NotebookAsset {
        bindings: bound(&publish.bindings)?,
        component: inspection.digest,
        component_bytes: component.len() as u64,
        cutover: None,
        hidden: inspection.source.is_empty(),
        interfaces: inspection.imports,
        manifest,
        runners: publish.runners.iter().cloned().collect(),
    };
    Ok(Offer {
        runners: asset.runners.clone(),
        asset,
        component,
        downgrade: publish.downgrade,
        dry_run: publish.dry_run,
    })
}

/// The bytes of a component, which are read, or built from its source.
fn component(context: &Context, source: &Path, hidden: bool) -> Result<Vec<u8>> {
    /// How a WebAssembly file begins.
    const MAGIC: &[u8] = b"\0asm";
    let file = source.display();
    if source.is_file() {
        let bytes = std::fs::read(source).with_context(|| format!("cannot read {file}"))?;
        if bytes.starts_with(MAGIC) {
            return Ok(bytes);
        }
    }
    let bar = terminal::spinner(context.quiet(), format!("building {file}"));
    let options = BuildOptions { hidden, ..BuildOptions::default() };
    let built = glovebox_build::build(source, &options, &mut |step| {
        bar.set_message(terminal::plain(step));
    });
    bar.finish_and_clear();
    Ok(built.with_context(|| format!("cannot build {file}"))?.bytes().to_vec())
}

/// Begins or goes on, with the date that the roll-out has.
fn begin(publish: &Publish, journal: &mut Journal, offer: &Offer, rooms: usize) -> Result<RollOut> {
    let cutover = publish
        .cutover
        .as_ref()
        .map(|said| Cutover { at: said.moment.from(context::now()), said: said.said.clone() });
    if publish.dry_run {
        let cutover = cutover.map(|cutover| cutover.at);
        return Ok(RollOut { number: 0, cutover, before: None });
    }
    let manifest = &offer.asset.manifest;
    let offered = Offered {
        notebook: manifest.name.clone(),
        version: manifest.version.clone(),
        component: offer.asset.component,
    };
    Ok(journal.begin(&offered, cutover.as_ref(), rooms)?)
}

fn report(
    context: &Context,
    (offer, rollout): (&Offer, &RollOut),
    customers: &[&Customer],
    results: &Results,
) -> Result<()> {
    let of = |outcome| {
        let done = results.iter().flatten().filter(move |done| done.outcome == outcome);
        done.count()
    };
    let (published, there) = (of(Outcome::Published), of(Outcome::AlreadyThere));
    let would = of(Outcome::WouldPublish);
    let failed = results.len() - published - there - would;
    let approved = results.iter().flatten().filter(|done| done.approved).count();
    let manifest = &offer.asset.manifest;
    let rooms = customers.iter().zip(results);
    if context.json() {
        return print_json(&json!({
            "notebook": manifest.name,
            "version": manifest.version,
            "component": offer.asset.component,
            "rollout": (!offer.dry_run).then_some(rollout.number),
            "cutover": rollout.cutover,
            "published": published,
            "already_there": there,
            "would_publish": would,
            "failed": failed,
            "approved": approved,
            "rooms": rooms.map(|(customer, result)| as_json(customer, result)).collect::<Vec<_>>(),
        }));
    }
    let rows = rooms.clone().map(|(customer, result)| match result {
        Ok(done) => [customer.name.to_string(), done.outcome.as_str().into(), stands(done)],
        Err(_) => [customer.name.to_string(), "FAILED".into(), "see below".into()],
    });
    println!("{}", terminal::table(&["customer", "outcome", "standing"], &[], rows));
    print_failures(
        rooms.filter_map(|(customer, result)| Some((*customer, result.as_ref().err()?))),
    );
    println!(
        "{} {}: {published} published, {there} had it, {failed} failed{}; {approved} approved",
        manifest.name,
        plain(&manifest.version),
        if offer.dry_run { format!(", {would} would get it") } else { String::new() },
    );
    if failed > 0 && !offer.dry_run {
        context.hint("say the same again: rooms that have it are left alone");
    }
    Ok(())
}

fn as_json(customer: &Customer, result: &Result<Published, FleetError>) -> Value {
    match result {
        Ok(done) => json!({
            "customer": customer.name,
            "room": customer.room,
            "outcome": done.outcome,
            "revision": done.revision,
            "does_not_fit": done.does_not_fit,
            "approved": done.approved,
            "missing": done.missing,
        }),
        Err(error) => failure(customer, error),
    }
}

fn stands(done: &Published) -> String {
    let missing: Vec<_> = done.missing.iter().map(ToString::to_string).collect();
    match &done.does_not_fit {
        Some(why) => format!("does not fit the room's tables: {}", plain(why)),
        None if done.outcome == Outcome::WouldPublish => String::new(),
        None if done.approved => "approved".into(),
        None => format!("waits for {}", missing.join(", ")),
    }
}
