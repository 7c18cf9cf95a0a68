//! Any history of a room: what is refused changes nothing, what was taken can be replayed, and who
//! approves is what the log says, computed a second time in the plainest way.

use std::collections::{BTreeMap, BTreeSet};

use glovebox_contract::bundle::replay;
use glovebox_contract::digest::{Blake3Digest, Sha256Digest};
use glovebox_contract::name::{Alias, AssetName, RunId};
use glovebox_contract::state::RevisionStatus;
use glovebox_contract::statement::{
    AssetStatement, AutoApproval, Body, Cancel, Decision, Delete, Grant, NotebookAsset, Recipient,
    Review, Rule, Share, Shared, SharedRead,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::{Room, add_notebook, add_table, flights, hourly, name, notebook, parse};

const PARTIES: [&str; 3] = ["airline", "weather", "partner"];

/// Something that a party may try; numbers choose among few things, so that histories meet.
#[derive(Debug, Clone)]
enum Act {
    Notebook { version: u8, runners: BTreeSet<&'static str> },
    DeleteNotebook,
    Table { name: &'static str },
    DeleteTable { name: &'static str },
    Rule { id: u8, author: Option<&'static str>, runner: &'static str },
    RemoveRule { id: u8 },
    Review { version: u8, decision: Decision },
    Request,
    Start,
    Finish,
    Cancel,
    Recipient { id: u8, token: u8, grace: bool },
    Grant { id: u8, table: Option<&'static str> },
    Revoke { id: u8, whole: bool },
    Read { owner: &'static str, id: u8, table: bool },
}

fn party() -> impl Strategy<Value = &'static str> {
    select(&PARTIES[..])
}

fn table_name() -> impl Strategy<Value = &'static str> {
    select(vec!["airline.flights", "weather.hourly"])
}

fn act() -> impl Strategy<Value = Act> {
    let decision = select(vec![Decision::Approve, Decision::Reject, Decision::Revoke]);
    prop_oneof![
        3 => (0..3_u8, proptest::collection::btree_set(party(), 1..3))
            .prop_map(|(version, runners)| Act::Notebook { version, runners }),
        1 => Just(Act::DeleteNotebook),
        1 => table_name().prop_map(|name| Act::Table { name }),
        1 => table_name().prop_map(|name| Act::DeleteTable { name }),
        4 => (0..2_u8, proptest::option::of(party()), party())
            .prop_map(|(id, author, runner)| Act::Rule { id, author, runner }),
        2 => (0..2_u8).prop_map(|id| Act::RemoveRule { id }),
        4 => (0..3_u8, decision).prop_map(|(version, decision)| Act::Review { version, decision }),
        2 => Just(Act::Request),
        2 => Just(Act::Start),
        2 => Just(Act::Finish),
        1 => Just(Act::Cancel),
        2 => (0..2_u8, 0..6_u8, any::<bool>())
            .prop_map(|(id, token, grace)| Act::Recipient { id, token, grace }),
        2 => (0..2_u8, proptest::option::of(table_name()))
            .prop_map(|(id, table)| Act::Grant { id, table }),
        1 => (0..2_u8, any::<bool>()).prop_map(|(id, whole)| Act::Revoke { id, whole }),
        2 => (party(), 0..2_u8, any::<bool>())
            .prop_map(|(owner, id, table)| Act::Read { owner, id, table }),
    ]
}

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(number: u8) -> T {
    parse(&format!("n{number}"))
}

fn last_run(room: &Room) -> Option<RunId> {
    room.state.runs().last().map(|run| *run.id())
}

/// Digest of the revision of the newest version with this number.
fn revision_of(room: &Room, version: u8) -> Option<Blake3Digest> {
    let notebook = room.state.notebook(&name()).ok()?;
    let number = format!("{version}.0.0");
    let mut versions = notebook.versions().iter().rev();
    versions.find(|v| v.asset().manifest.version == number)?.revision_digest().copied()
}

/// What is said, by the party or by the host; nothing when there is nothing to say it of.
fn body(room: &Room, act: &Act) -> Option<Body> {
    Some(match act {
        Act::Notebook { version, runners } => add_notebook(NotebookAsset {
            runners: runners.iter().map(|alias| parse(alias)).collect(),
            ..notebook(&format!("{version}.0.0"))
        }),
        Act::DeleteNotebook => Body::Delete(Delete::Notebook { notebook: name() }),
        Act::Table { name: "airline.flights" } => add_table(flights()),
        Act::Table { .. } => add_table(hourly()),
        Act::DeleteTable { name } => Body::Delete(Delete::Table { table: parse(name) }),
        Act::Rule { id: number, author, runner } => {
            let author = author.map(parse);
            Body::Rule(Rule::Add(AutoApproval { author, id: id(*number), runner: parse(runner) }))
        }
        Act::RemoveRule { id: number } => Body::Rule(Rule::Remove { id: id(*number) }),
        Act::Review { version, decision } => Body::Review(Review {
            comment: String::new(),
            decision: *decision,
            notebook: name(),
            revision: revision_of(room, *version)?,
        }),
        Act::Request => {
            let latest = room.state.notebook(&name()).ok()?.latest()?;
            latest.revision_digest()?;
            room.request()
        }
        Act::Start => {
            let run = last_run(room)?;
            room.state.grants_for(&run, room.now).ok()?;
            Body::RunStart(room.start(&run))
        }
        Act::Finish => {
            let run = last_run(room)?;
            room.state.run(&run).ok()?.start_digest()?;
            Body::RunReceipt(Box::new(room.receipt(&run)))
        }
        Act::Cancel => Body::Cancel(Cancel { run: last_run(room)? }),
        Act::Recipient { id: number, token, grace } => Body::Share(Share::Recipient(Recipient {
            expires: room.now + 40,
            name: id(*number),
            previous_until: grace.then_some(room.now + 5),
            token: Sha256Digest::of(&[*token]),
        })),
        Act::Grant { id: number, table } => Body::Share(Share::Grant(Grant {
            recipient: id(*number),
            share: parse("s"),
            until: None,
            what: match table {
                Some(table) => Shared::Table { table: parse(table) },
                None => Shared::Output { notebook: name(), output: None },
            },
        })),
        Act::Revoke { id: number, whole } => Body::Share(Share::Revoke {
            recipient: id(*number),
            share: (!whole).then(|| parse("s")),
        }),
        Act::Read { owner, id: number, table } => Body::SharedRead(SharedRead {
            owner: parse(owner),
            recipient: id(*number),
            share: parse("s"),
            version: 0,
            what: if *table { "weather.hourly" } else { "delay-by-wind.delay_by_wind" }.into(),
        }),
    })
}

/// Whether the host says it.
fn is_of_host(body: &Body) -> bool {
    matches!(body, Body::RunStart(_) | Body::RunReceipt(_) | Body::SharedRead(_))
}

/// What a party thinks of the version that the statement at `added` of the log added, by the log
/// alone: `Some(true)` is for it, `Some(false)` against it. Notebooks here use no libraries, so one
/// author wrote it all.
fn stance(room: &Room, party: &Alias, added: usize, revision: &Blake3Digest) -> Option<bool> {
    let log: Vec<_> = room.entries.iter().map(|entry| entry.unverified().unwrap()).collect();
    let Body::Asset(AssetStatement::Notebook(asset)) = &log[added].body else { panic!() };
    let author = &log[added].party;
    let mut decision = None;
    let mut rules: BTreeMap<AssetName, (usize, &AutoApproval)> = BTreeMap::new();
    for (position, statement) in log.iter().enumerate() {
        match &statement.body {
            // A notebook that is deleted loses its reviews.
            Body::Delete(Delete::Notebook { .. }) => decision = None,
            Body::Review(review) if review.revision == *revision && statement.party == *party => {
                decision = Some(review.decision == Decision::Approve);
            }
            Body::Rule(Rule::Add(rule)) if statement.party == *party => {
                rules.insert(rule.id.clone(), (position, rule));
            }
            Body::Rule(Rule::Remove { id }) if statement.party == *party => {
                rules.remove(id);
            }
            _ => {}
        }
    }
    let covers = |runner: &Alias| {
        rules.values().any(|(position, rule)| {
            *position < added
                && rule.runner == *runner
                && rule.author.as_ref().is_none_or(|of| of == author)
        })
    };
    let stands = author == party || asset.runners.iter().all(covers);
    decision.or(stands.then_some(true))
}

/// Where all versions stand is what the log says.
fn check_approvals(room: &Room) {
    let Ok(notebook) = room.state.notebook(&name()) else { return };
    let statuses = room.state.statuses(&name(), room.now).unwrap();
    for (version, status) in notebook.versions().iter().zip(statuses) {
        let Some(revision) = version.revision_digest() else { continue };
        let position = room.entries.iter().position(|entry| entry.digest() == *version.statement());
        let of = |wanted: Option<bool>| -> BTreeSet<Alias> {
            let aliases = room.state.members().map(|member| member.alias());
            let those = |alias: &&Alias| stance(room, alias, position.unwrap(), revision) == wanted;
            aliases.filter(those).cloned().collect()
        };
        let (against, missing) = (of(Some(false)), of(None));
        let expected = if !against.is_empty() {
            RevisionStatus::Rejected { by: against }
        } else if !missing.is_empty() {
            RevisionStatus::Waiting { missing }
        } else {
            RevisionStatus::Approved
        };
        assert_eq!(status, expected);
    }
}

fn check_sharing(room: &Room) {
    let now = room.now;
    for token in 0..6_u8 {
        let holders =
            room.state.recipients().filter(|r| r.has_token(&Sha256Digest::of(&[token]), now));
        assert!(holders.count() <= 1, "two recipients hold token {token}");
    }
    for recipient in room.state.recipients() {
        for grant in recipient.grants() {
            if let Shared::Table { table } = &grant.what {
                assert_eq!(table.schema(), recipient.owner().as_str());
                assert!(room.state.table(table).is_some(), "{table} is shared and gone");
            }
            for (run, _, _) in room.state.shared_outputs(recipient.owner(), &grant.what, now) {
                assert_eq!(run.runner(), recipient.owner());
                assert!(!run.cancelled() && run.has_ended());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_state_is_what_the_log_says(acts in vec((party(), act()), 1..40)) {
        let mut room = Room::accepted();
        room.says("airline", add_table(flights()));
        room.says("weather", add_table(hourly()));
        for (party, act) in acts {
            let Some(body) = body(&room, &act) else { continue };
            let speaker = if is_of_host(&body) { "host" } else { party };
            let before = format!("{:?}", room.state);
            if room.tries(speaker, body).is_err() {
                prop_assert_eq!(before, format!("{:?}", room.state));
            }
            check_approvals(&room);
            check_sharing(&room);
        }
        let replayed = replay(&room.entries).map_err(|(at, why)| format!("{at}: {why}")).unwrap();
        prop_assert_eq!(format!("{:?}", replayed.state), format!("{:?}", room.state));
    }
}
