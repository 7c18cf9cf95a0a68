//! `glovebox fleet status`: how far each room is.

use std::process::ExitCode;

use anyhow::Result;
use glovebox_fleet::{Customer, CustomerStatus, NotebookStatus, RoomStatus, Standing};
use serde_json::{Value, json};

use super::{Work, count, exit, failure, print_failures};
use crate::arguments::Rooms;
use crate::context::Context;
use crate::terminal::{self, plain, print_json};

pub(super) fn run(context: &Context, rooms: &Rooms, days: u64) -> Result<ExitCode> {
    let work = Work::on(context, rooms)?;
    let customers = work.customers();
    let bar = terminal::spinner(context.quiet(), format!("asking {}", count(customers.len())));
    let status = glovebox_fleet::status(&work.hosts, &customers, days, rooms.parallel);
    bar.finish_and_clear();
    let failed = status.iter().filter(|status| status.room.is_err()).count();
    let shown = customers.iter().zip(&status);
    if context.json() {
        let shown = shown.map(|(customer, status)| as_json(customer, status, days));
        let rooms: Vec<_> = shown.collect();
        print_json(&json!({ "days": days, "failed": failed, "rooms": rooms }))?;
        return Ok(exit(failed));
    }
    let rows: Vec<_> =
        shown.clone().flat_map(|(customer, status)| rows(customer, status, days)).collect();
    let header =
        ["customer", "notebook", "version", "standing", "last run", "failures", "last active"];
    println!("{}", terminal::table(&header, &["failures"], rows));
    print_failures(shown.filter_map(|(customer, s)| Some((*customer, s.room.as_ref().err()?))));
    summary(context, &work, &status, days);
    Ok(exit(failed))
}

fn as_json(customer: &Customer, status: &CustomerStatus, days: u64) -> Value {
    match &status.room {
        Ok(room) => {
            let mut shown = json!(room);
            if let Some(fields) = shown.as_object_mut() {
                fields.insert("customer".into(), json!(customer.name));
                fields.insert("silent".into(), json!(room.idle_days >= days));
            }
            shown
        }
        Err(error) => failure(customer, error),
    }
}

/// A row for each notebook; the room's own figures stand in the first.
fn rows(customer: &Customer, status: &CustomerStatus, days: u64) -> Vec<[String; 7]> {
    let row = |words: [&str; 6]| {
        let [a, b, c, d, e, f] = words.map(ToOwned::to_owned);
        [customer.name.to_string(), a, b, c, d, e, f]
    };
    let room = match &status.room {
        Ok(room) => room,
        Err(_) => return vec![row(["", "", "NOT SEEN, see below", "", "", ""])],
    };
    let run = room.last_run.as_ref().map_or_else(
        || "none".into(),
        |run| match run.reason {
            Some(reason) => format!("{} {} ({reason})", terminal::time(run.at), run.outcome),
            None => format!("{} {}", terminal::time(run.at), run.outcome),
        },
    );
    let failures = room.failures.to_string();
    let active = active(room, days);
    let of_room = [run.as_str(), failures.as_str(), active.as_str()];
    if room.notebooks.is_empty() {
        let [run, failures, active] = of_room;
        let parties = of_parties(room);
        let parties = parties.trim_start_matches("; ");
        return vec![row(["none", "", parties, run, failures, active])];
    }
    let notebooks = room.notebooks.iter().enumerate().map(|(index, notebook)| {
        let [run, failures, active] = if index == 0 { of_room } else { ["", "", ""] };
        let version = plain(&notebook.version);
        let stands = format!(
            "{}{}",
            stands(notebook),
            if index == 0 { of_parties(room) } else { String::new() }
        );
        row([notebook.name.as_str(), &version, &stands, run, failures, active])
    });
    notebooks.collect()
}

fn stands(notebook: &NotebookStatus) -> String {
    let missing: Vec<_> = notebook.missing.iter().map(ToString::to_string).collect();
    let missing = missing.join(", ");
    let mut words = match notebook.standing {
        Standing::Approved => "approved".into(),
        Standing::Waiting => format!("waits for {missing}"),
        Standing::Rejected => format!("REJECTED by {missing}"),
        Standing::Superseded => "superseded".into(),
        Standing::DoesNotFit => "does not fit the room's tables".to_owned(),
    };
    if let Some(running) = &notebook.running {
        words += &format!("; {} runs", plain(running));
    }
    if notebook.paused {
        words += "; PAUSED";
    }
    words
}

/// What keeps the room as a whole from running.
fn of_parties(room: &RoomStatus) -> String {
    let missing: Vec<_> = room.not_accepted.iter().map(ToString::to_string).collect();
    let mut words = String::new();
    if !missing.is_empty() {
        words = format!("; room not accepted by {}", missing.join(", "));
    }
    if room.paused {
        words += "; room PAUSED";
    }
    words
}

fn active(room: &RoomStatus, days: u64) -> String {
    let silent = if room.idle_days >= days { ", SILENT" } else { "" };
    match (room.active_at, room.idle_days) {
        (None, 0) => format!("never{silent}"),
        (None, idle) => format!("never, for {idle} days{silent}"),
        (Some(_), 0) => format!("today{silent}"),
        (Some(_), 1) => format!("1 day ago{silent}"),
        (Some(_), idle) => format!("{idle} days ago{silent}"),
    }
}

fn summary(context: &Context, work: &Work, status: &[CustomerStatus], days: u64) {
    let rooms: Vec<&RoomStatus> = status.iter().filter_map(|s| s.room.as_ref().ok()).collect();
    let notebooks = || rooms.iter().flat_map(|room| &room.notebooks);
    let standing = |standing| notebooks().filter(|n| n.standing == standing).count();
    println!(
        "{} of {}: {} approved, {} waiting, {} rejected; {} failed runs in {days} days; {} silent",
        count(rooms.len()),
        status.len(),
        standing(Standing::Approved),
        standing(Standing::Waiting),
        standing(Standing::Rejected),
        rooms.iter().map(|room| room.failures).sum::<usize>(),
        rooms.iter().filter(|room| room.idle_days >= days).count(),
    );
    if rooms.len() < status.len() {
        context.hint(format!(
            "`glovebox fleet create TEMPLATE` makes rooms for customers of {} that have none",
            work.path().display()
        ));
    }
}
