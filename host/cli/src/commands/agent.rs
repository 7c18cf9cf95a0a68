//! `glovebox agent`: a party's standing orders.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use glovebox_agent::{Book, Bound, Cause, Config, Occurrence, Orders, Outcome, Stage, SystemClock};
use serde_json::json;

use crate::arguments::{Agent, RunAgent};
use crate::commands::serve::{block_on, print_line, start_log, told_to_stop};
use crate::context::{self, Context, read_key};
use crate::terminal::{self, print_json};

/// How many times at which an order falls due are listed.
const LISTED: usize = 3;

pub(crate) fn run(context: &Context, agent: &Agent) -> Result<ExitCode> {
    match agent {
        Agent::Run(run) => serve(context, run)?,
        Agent::Template => print!("{}", glovebox_agent::TEMPLATE),
        Agent::Check(file) => check(context, &Orders::read(&file.orders)?)?,
        Agent::Status { state, limit } => {
            status(context, &directory(context, state.as_ref()), *limit)?;
        }
        Agent::Test(file) => return test(context, &Orders::read(&file.orders)?),
        Agent::Token => token(context)?,
        Agent::Secret { output } => secret(output)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn directory(context: &Context, state: Option<&PathBuf>) -> PathBuf {
    state.map_or_else(|| context.home_path().join("agent"), PathBuf::clone)
}

fn serve(context: &Context, run: &RunAgent) -> Result<()> {
    let Some(host) = context.host_url() else {
        bail!("an agent needs `--host URL`: it keeps a key, the host keeps the rooms");
    };
    if !run.listen.ip().is_loopback() && !run.plain_http {
        bail!(
            "{} is in the network, where others may read the tokens of triggers: listen at \
             127.0.0.1 behind a proxy with TLS, or say `--plain-http`",
            run.listen
        );
    }
    let orders = Orders::read(&run.file.orders)?;
    start_log(run.log_format)?;
    let key = read_key(&run.key)?;
    let public_key = key.public();
    let (json, count) = (context.json(), orders.orders.len());
    let config = Config {
        listen: (!orders.triggers.is_empty()).then_some(run.listen),
        orders,
        key,
        host: host.to_owned(),
        options: context.client_options(),
        state: directory(context, run.state.as_ref()),
        clock: Arc::new(SystemClock),
        bound: Some(Box::new(move |Bound { address }| {
            print_line(&if json {
                json!({ "address": address, "orders": count, "public_key": public_key }).to_string()
            } else {
                let triggers = address.map(|address| format!(", takes triggers at {address}"));
                let triggers = triggers.unwrap_or_default();
                format!(
                    "carries out {count} orders of the party with the key {public_key}{triggers}"
                )
            });
        })),
    };
    block_on(async { Ok(glovebox_agent::serve(config, told_to_stop()?).await?) })
}

fn check(context: &Context, orders: &Orders) -> Result<()> {
    let now = context::now();
    if context.json() {
        let orders_json = orders.orders.values().map(|order| {
            json!({
                "name": order.name,
                "room": order.room,
                "notebook": order.notebook,
                "after": order.after,
                "next": order.next(now, LISTED),
            })
        });
        return print_json(&json!({
            "orders": orders_json.collect::<Vec<_>>(),
            "triggers": orders.triggers.keys().collect::<Vec<_>>(),
            "alerts": orders.alerts.keys().collect::<Vec<_>>(),
            "rooms": orders.rooms(),
        }));
    }
    let triggers = |name: &glovebox_contract::name::AssetName| {
        let of_order = orders.triggers.values().filter(|trigger| trigger.order == *name);
        of_order.map(|trigger| format!("on trigger {}", trigger.name)).collect::<Vec<_>>()
    };
    let rows = orders.orders.values().map(|order| {
        let after = order.after.iter().map(|before| format!("after {before}"));
        let next = order.next(now, LISTED).into_iter().map(terminal::time);
        let when: Vec<String> = next.chain(after).chain(triggers(&order.name)).collect();
        let runs = format!("{} in {}", order.notebook, order.room);
        [order.name.to_string(), runs, when.join(", ")]
    });
    println!("{}", terminal::table(&["order", "runs", "when"], &[], rows));
    let rows = orders.alerts.values().map(|alert| {
        let kinds: Vec<_> = alert.on.iter().map(ToString::to_string).collect();
        [alert.name.to_string(), alert.endpoint(), kinds.join(", ")]
    });
    println!("\n{}", terminal::table(&["alert", "goes to", "on"], &[], rows));
    Ok(())
}

fn status(context: &Context, state: &Path, limit: usize) -> Result<()> {
    let Some(book) = glovebox_agent::read_book(state)? else {
        bail!("no agent has worked with {}", state.display());
    };
    let shown = newest(&book, limit);
    if context.json() {
        let occurrences: Vec<_> = shown.iter().map(|(id, known)| listed(*id, known)).collect();
        return print_json(&json!({ "occurrences": occurrences, "rooms": book.rooms }));
    }
    let rows = shown.into_iter().map(|(_, occurrence)| {
        [
            occurrence.order.to_string(),
            terminal::time(occurrence.due),
            cause(&occurrence.cause).to_owned(),
            stage(occurrence),
            occurrence.run().map(ToString::to_string).unwrap_or_default(),
        ]
    });
    println!("{}", terminal::table(&["order", "due", "by", "stands", "run"], &[], rows));
    Ok(())
}

/// The newest occurrences of each order, oldest first.
fn newest(book: &Book, limit: usize) -> Vec<(u64, &Occurrence)> {
    let mut names: Vec<_> = book.occurrences.values().map(|occurrence| &occurrence.order).collect();
    names.sort();
    names.dedup();
    let mut shown: Vec<_> =
        names.into_iter().flat_map(|name| book.of(name).rev().take(limit)).collect();
    shown.sort_by_key(|(id, _)| *id);
    shown
}

fn listed(id: u64, occurrence: &Occurrence) -> serde_json::Value {
    let not_before = match occurrence.stage {
        Stage::Waiting { not_before } => Some(not_before),
        _ => None,
    };
    json!({
        "id": id,
        "order": occurrence.order,
        "due": occurrence.due,
        "cause": occurrence.cause,
        "failures": occurrence.failures,
        "last_failure": occurrence.last_failure,
        "not_before": not_before,
        "outcome": occurrence.outcome(),
        "run": occurrence.run(),
    })
}

fn cause(cause: &Cause) -> &str {
    match cause {
        Cause::Clock => "clock",
        Cause::CatchUp => "clock, late",
        Cause::After => "orders before it",
        Cause::Trigger { trigger, .. } => trigger.as_str(),
    }
}

fn stage(occurrence: &Occurrence) -> String {
    match &occurrence.stage {
        Stage::Waiting { not_before } => match occurrence.last_failure {
            Some(reason) => format!("{reason}; again at {}", terminal::time(*not_before)),
            None => "waits".into(),
        },
        Stage::Asked { .. } => "asked for".into(),
        Stage::Done { outcome, .. } => match outcome {
            Outcome::Succeeded => "succeeded".into(),
            Outcome::Failed { reason } => format!("failed: {reason}"),
            Outcome::Skipped => "left out".into(),
        },
    }
}

fn test(context: &Context, orders: &Orders) -> Result<ExitCode> {
    let tried = glovebox_agent::try_alerts(orders, &SystemClock)?;
    let all = tried.values().all(|taken| *taken);
    if context.json() {
        print_json(&tried)?;
    } else {
        for (name, taken) in &tried {
            println!("{name}: {}", if *taken { "taken" } else { "not taken" });
        }
    }
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn token(context: &Context) -> Result<()> {
    let (token, digest) = glovebox_agent::new_token().context("cannot make a token")?;
    if context.json() {
        return print_json(&json!({ "token": token, "token_sha256": digest }));
    }
    println!("token        {token}");
    println!("token_sha256 {digest}");
    context.hint("the token is for who asks; the digest stands in the orders");
    Ok(())
}

fn secret(file: &Path) -> Result<()> {
    let secret = glovebox_agent::new_webhook_secret().context("cannot make a secret")?;
    let mut created = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("cannot make the file {}", file.display()))?;
    writeln!(created, "{secret}")?;
    created.sync_all()?;
    println!("a new secret is in {}; whoever checks the webhooks needs it as well", file.display());
    Ok(())
}
