//! `glovebox room show`: a room as its log says it is.

mod json;

use anyhow::Result;
use glovebox_contract::column::Column;
use glovebox_contract::library::{FunctionDeclaration, FunctionKind};
use glovebox_contract::state::{
    Deprecation, Notebook, ReviewRecord, RevisionStatus, RoomState, Version,
};
use glovebox_contract::statement::{Amount, Billing, TableBinding};
use serde_json::Value;

use crate::commands::{keys, rule, share};
use crate::context::{self, Context};
use crate::terminal::{self, plain, print_json};

pub(super) fn show(context: &Context, state: &RoomState) -> Result<()> {
    if context.json() {
        return print_json(&json::room(state));
    }
    let document = state.document();
    println!("{} {}", document.name, state.id());
    println!("region {}, host key {}", plain(&document.region), document.host_key);
    println!(
        "outputs are read by {}, kept for {} days; logs are read by {}",
        word(&document.outputs.readers),
        document.outputs.time_to_live_days,
        word(&document.log_readers),
    );
    if let Some(provider) = &document.package_provider {
        println!("packaged: {provider} brings the code, hidden, and never reads what comes out");
    }
    if let Some(billing) = &document.billing {
        println!("{}", billed(billing));
    }
    if let Some(pause) = state.pause() {
        println!("PAUSED by {}: {}", pause.by(), plain(pause.comment()));
    }
    show_members(state);
    show_tables(state);
    show_volumes(state);
    show_libraries(state);
    println!("\nNotebooks");
    for notebook in state.notebooks() {
        show_notebook(state, notebook);
    }
    show_all("Rules", rule::sentences(state));
    show_all("Shared", share::lines(state, context::now()));
    Ok(())
}

/// `airline pays for every run in EUR: 0.00002 a second of processor time, …`
fn billed(billing: &Billing) -> String {
    let payer = billing.payer.as_ref().map_or("the runner", |payer| payer.as_str());
    let prices = &billing.prices;
    let prices: Vec<_> = [
        (prices.cpu_second, "a second of processor time"),
        (prices.gib_second, "a second with a GiB of memory"),
        (prices.gib_in, "a GiB read"),
        (prices.gib_out, "a GiB written"),
    ]
    .into_iter()
    .filter(|(price, _)| !price.is_zero())
    .map(|(price, what): (Amount, _)| format!("{price} {what}"))
    .collect();
    let prices = if prices.is_empty() { "nothing".to_owned() } else { prices.join(", ") };
    format!("{payer} pays for every run, in {}: {prices}", billing.currency)
}

/// A heading and its lines, when there are any.
fn show_all(heading: &str, lines: Vec<String>) {
    if lines.is_empty() {
        return;
    }
    println!("\n{heading}");
    for line in lines {
        println!("  {line}");
    }
}

fn show_members(state: &RoomState) {
    println!("\nCollaborators");
    let members = state.members().map(|member| {
        let accepted = if member.has_accepted() { "accepted" } else { "not yet" };
        [
            member.alias().to_string(),
            member.organisation().to_owned(),
            accepted.to_owned(),
            member.public_key().to_string(),
        ]
    });
    println!("{}", terminal::table(&["alias", "organisation", "room", "public key"], &[], members));
}

fn show_tables(state: &RoomState) {
    println!("\nTables");
    for table in state.tables() {
        println!("  {}: {}", table.name, plain(&terminal::columns(&table.columns)));
        if !table.description.is_empty() {
            println!("    {}", plain(&table.description));
        }
        if let Some(definition) = &table.view {
            println!("    a view, made by the query {definition}");
        }
        if let Some(output) = &table.output {
            println!("    the newest output {output} that {} may read", table.name.schema());
        }
        for (column, declared) in &table.join_keys {
            println!("    {}: {}", plain(column), keys::described(declared));
        }
    }
}

fn show_volumes(state: &RoomState) {
    if state.volumes().next().is_none() {
        return;
    }
    println!("\nVolumes");
    for volume in state.volumes() {
        println!("  {}", volume.name);
        if !volume.description.is_empty() {
            println!("    {}", plain(&volume.description));
        }
        for (path, file) in &volume.files {
            println!("    {} {} ({})", file.digest, plain(path), terminal::bytes(file.bytes));
        }
    }
}

fn show_libraries(state: &RoomState) {
    if state.libraries().next().is_none() {
        return;
    }
    println!("\nLibraries");
    for library in state.libraries() {
        let asset = library.asset();
        let manifest = &asset.manifest;
        let hidden = if asset.hidden { ", source hidden" } else { "" };
        let version = plain(&manifest.version);
        println!("  {} {version} by {}{hidden}", manifest.name, library.owner());
        println!("    component {}", asset.component);
        if !manifest.description.is_empty() {
            println!("    {}", plain(&manifest.description));
        }
        for interface in &asset.exports {
            println!("    offers {}", plain(interface));
        }
        for (name, function) in &manifest.functions {
            println!("    offers {}.{name}{}", manifest.name, plain(&signature(function)));
        }
        for name in manifest.libraries.keys() {
            println!("    needs the library {name}");
        }
    }
}

/// `(recency int64, spend float64) → float64`.
fn signature(function: &FunctionDeclaration) -> String {
    let list = |columns: &[Column]| terminal::columns(columns);
    let returns = match function.returns.as_slice() {
        [column] if function.kind != FunctionKind::Table => column.column_type.to_string(),
        columns => format!("({})", list(columns)),
    };
    format!("({}) → {returns}", list(&function.arguments))
}

fn show_notebook(state: &RoomState, notebook: &Notebook) {
    println!("  {} by {}", notebook.name(), notebook.author());
    let described = notebook.latest().map(|latest| &latest.asset().manifest.description);
    if let Some(description) = described.filter(|description| !description.is_empty()) {
        println!("    {}", plain(description));
    }
    if let Some(pause) = notebook.pause() {
        println!("    PAUSED by {}: {}", pause.by(), plain(pause.comment()));
    }
    let statuses = state.statuses(notebook.name(), context::now()).unwrap_or_default();
    for (version, status) in notebook.versions().iter().zip(statuses) {
        let asset = version.asset();
        let runners: Vec<_> = asset.runners.iter().map(ToString::to_string).collect();
        let hidden = if asset.hidden { ", source hidden" } else { "" };
        println!(
            "    version {}{hidden}, run by {}",
            plain(&asset.manifest.version),
            runners.join(", ")
        );
        println!("      component {}", asset.component);
        if let Some(cutover) = asset.cutover {
            let time = terminal::time(cutover);
            println!("      cutover   once approved, earlier versions end on {time}");
        }
        if let Some(deprecation) = version.deprecation() {
            println!("      {}", deprecated(deprecation));
        }
        for (input, TableBinding { columns, table }) in &asset.bindings {
            let renamed = columns.iter().map(|(name, is)| format!("{name} is {is}"));
            let renamed = renamed.collect::<Vec<_>>().join(", ");
            let renamed = if renamed.is_empty() { renamed } else { format!(": {renamed}") };
            println!("      binding   {input} is {table}{}", plain(&renamed));
        }
        match version.revision() {
            Ok(revision) => {
                println!("      revision  {}", revision.digest());
                for (name, files) in &revision.revision().volumes {
                    println!("      volume    {name} {files}");
                }
                for (name, library) in &revision.revision().libraries {
                    println!("      library   {name} {}", library.component);
                }
            }
            Err(refusal) => println!("      revision  none: {}", plain(refusal.detail())),
        }
        println!("      {}", status_text(&status));
        for review in reviews(state, notebook, version) {
            let comment = match &review.auto_approved {
                Some(rule) => format!(" by its rule {rule}"),
                None if review.comment.is_empty() => String::new(),
                None => format!(": {}", plain(&review.comment)),
            };
            println!(
                "      {} {} {}{comment}",
                terminal::time(review.at),
                review.party,
                review.decision.verb()
            );
        }
    }
}

/// `DEPRECATED, it ends on 2027-01-31 00:00:00Z: use 2.0.0`
pub(crate) fn deprecated(deprecation: &Deprecation) -> String {
    let mut text = "DEPRECATED".to_owned();
    if let Some(until) = deprecation.until {
        text += &format!(", it ends on {}", terminal::time(until));
    }
    if !deprecation.note.is_empty() {
        text += &format!(": {}", plain(&deprecation.note));
    }
    text
}

/// What the parties said about a version, and which of their rules spoke for them.
fn reviews(state: &RoomState, notebook: &Notebook, version: &Version) -> Vec<ReviewRecord> {
    let digest = version.revision_digest();
    digest
        .and_then(|digest| state.reviews(notebook.name(), digest, context::now()).ok())
        .unwrap_or_default()
}

fn status_text(status: &RevisionStatus) -> String {
    let list = |aliases: &std::collections::BTreeSet<glovebox_contract::name::Alias>| {
        aliases.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    match status {
        RevisionStatus::Approved => "APPROVED".into(),
        RevisionStatus::Waiting { missing } => format!("waits for {}", list(missing)),
        RevisionStatus::Rejected { by } => format!("REJECTED by {}", list(by)),
        RevisionStatus::Superseded { since } => {
            format!("superseded since {}", terminal::time(*since))
        }
        RevisionStatus::Unbound { .. } => "does not fit the room's tables".into(),
    }
}

/// An enum of the contract as the one word it is written with.
fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        other => format!("{other:?}"),
    }
}
