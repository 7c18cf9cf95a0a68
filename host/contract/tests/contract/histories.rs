//! Any history of a room: what is refused changes nothing, what was taken can be replayed, and who
//! approves is what the log says, computed a second time in the plainest way.

use std::collections::{BTreeMap, BTreeSet};

use glovebox_contract::bundle::replay;
use glovebox_contract::digest::{Blake3Digest, Sha256Digest};
use glovebox_contract::name::{Alias, AssetName, RunId};
use glovebox_contract::parameter::ParameterValue;
use glovebox_contract::state::RevisionStatus;
use glovebox_contract::statement::{
    AllowedValues, AssetStatement, AutoApproval, Body, Cancel, Conditions, Decision, Delete,
    Deprecate, Grant, NotebookAsset, Recipient, Review, Rule, RunRequest, Share, Shared,
    SharedRead, Statement,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::{Room, add_notebook, add_table, flights, hourly, name, notebook, parse};

/// The newest version, where a number is asked for.
const NEWEST: u8 = 9;

const PARTIES: [&str; 3] = ["airline", "weather", "partner"];

/// Something that a party may try; numbers choose among few things, so that histories meet.
#[derive(Debug, Clone)]
enum Act {
    Notebook { version: u8, runners: BTreeSet<&'static str>, hidden: bool, rows: u64 },
    DeleteNotebook,
    Table { name: &'static str },
    DeleteTable { name: &'static str },
    Rule { id: u8, author: Option<&'static str>, runner: &'static str, condition: u8 },
    RemoveRule { id: u8 },
    Review { version: u8, decision: Decision },
    Deprecate { version: u8, after: Option<u64> },
    Request { min_group: i64 },
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

/// A version of a notebook, most often as good as those before it.
fn notebooks() -> impl Strategy<Value = Act> {
    let runners = prop_oneof![
        4 => Just(BTreeSet::from(["weather"])),
        1 => proptest::collection::btree_set(party(), 1..3),
    ];
    (0..3_u8, runners, proptest::bool::weighted(0.2), select(vec![1000, 1000, 500])).prop_map(
        |(version, runners, hidden, rows)| Act::Notebook { version, runners, hidden, rows },
    )
}

fn rules() -> impl Strategy<Value = Act> {
    let runner = prop_oneof![4 => Just("weather"), 1 => party()];
    let author = prop_oneof![2 => Just(None), 1 => party().prop_map(Some)];
    (0..2_u8, author, runner, 0..8_u8).prop_map(|(id, author, runner, condition)| Act::Rule {
        id,
        author,
        runner,
        condition,
    })
}

fn reviews() -> impl Strategy<Value = Act> {
    let decision = prop_oneof![
        6 => Just(Decision::Approve),
        1 => Just(Decision::Reject),
        1 => Just(Decision::Revoke),
    ];
    let version = prop_oneof![2 => Just(NEWEST), 1 => 0..3_u8];
    (version, decision).prop_map(|(version, decision)| Act::Review { version, decision })
}

fn requests() -> impl Strategy<Value = Act> {
    select(vec![30, 60]).prop_map(|min_group| Act::Request { min_group })
}

/// What decides about runs: offers, approvals and rules, and what they are for.
fn governing() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => notebooks(),
        10 => rules(),
        1 => (0..2_u8).prop_map(|id| Act::RemoveRule { id }),
        10 => reviews(),
        1 => (0..3_u8, proptest::option::of(0..10_u64))
            .prop_map(|(version, after)| Act::Deprecate { version, after }),
        14 => requests(),
        10 => Just(Act::Start),
        5 => Just(Act::Finish),
        1 => Just(Act::DeleteNotebook),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        20 => governing(),
        1 => table_name().prop_map(|name| Act::Table { name }),
        1 => table_name().prop_map(|name| Act::DeleteTable { name }),
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

/// Who says such a thing when all goes well; `party` where more than one may.
fn usual(act: &Act, party: &'static str) -> &'static str {
    match act {
        Act::Notebook { .. } | Act::DeleteNotebook | Act::Deprecate { .. } => "partner",
        Act::Table { name: "airline.flights" } | Act::DeleteTable { name: "airline.flights" } => {
            "airline"
        }
        Act::Table { .. } | Act::DeleteTable { .. } | Act::Request { .. } | Act::Cancel => {
            "weather"
        }
        Act::Rule { .. } | Act::Review { .. } if party == "partner" => "airline",
        _ => party,
    }
}

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(number: u8) -> T {
    parse(&format!("n{number}"))
}

/// Conditions of which some are met often and some are not.
fn conditions(number: u8, now: u64) -> Conditions {
    let any = Conditions::default();
    match number {
        0 => Conditions { capabilities_not_grown: true, ..any },
        1 => Conditions { outputs_unchanged: true, ..any },
        2 => Conditions { expires: Some(now + 6), ..any },
        3 => Conditions { max_runs: Some(1), ..any },
        4 => {
            let minimum = Some("40".to_owned());
            let allowed = AllowedValues { minimum, ..AllowedValues::default() };
            Conditions { parameters: BTreeMap::from([(parse("min_group"), allowed)]), ..any }
        }
        _ => any,
    }
}

fn last_run(room: &Room) -> Option<RunId> {
    room.state.runs().last().map(|run| *run.id())
}

/// Digest of the revision of the newest version with this number.
fn revision_of(room: &Room, version: u8) -> Option<Blake3Digest> {
    let notebook = room.state.notebook(&name()).ok()?;
    let number = format!("{version}.0.0");
    let mut versions = notebook.versions().iter().rev();
    let wanted = |number_of: &str| version == NEWEST || number_of == number;
    versions.find(|v| wanted(&v.asset().manifest.version))?.revision_digest().copied()
}

/// What is said, by the party or by the host; nothing when there is nothing to say it of.
fn body(room: &Room, act: &Act) -> Option<Body> {
    Some(match act {
        Act::Notebook { version, runners, hidden, rows } => {
            let mut asset = NotebookAsset {
                hidden: *hidden,
                runners: runners.iter().map(|alias| parse(alias)).collect(),
                ..notebook(&format!("{version}.0.0"))
            };
            asset.manifest.outputs.values_mut().for_each(|output| output.max_rows = Some(*rows));
            add_notebook(asset)
        }
        Act::DeleteNotebook => Body::Delete(Delete::Notebook { notebook: name() }),
        Act::Table { name: "airline.flights" } => add_table(flights()),
        Act::Table { .. } => add_table(hourly()),
        Act::DeleteTable { name } => Body::Delete(Delete::Table { table: parse(name) }),
        Act::Rule { id: number, author, runner, condition } => {
            let author = author.map(parse);
            let conditions = conditions(*condition, room.now);
            let (id, runner) = (id(*number), parse(runner));
            Body::Rule(Rule::Add(AutoApproval { author, conditions, id, runner }))
        }
        Act::RemoveRule { id: number } => Body::Rule(Rule::Remove { id: id(*number) }),
        Act::Review { version, decision } => Body::Review(Review {
            comment: String::new(),
            decision: *decision,
            notebook: name(),
            revision: revision_of(room, *version)?,
        }),
        Act::Deprecate { version, after } => Body::Deprecate(Deprecate {
            notebook: name(),
            note: String::new(),
            revision: revision_of(room, *version)?,
            until: after.map(|after| room.now + after),
        }),
        Act::Request { min_group } => {
            let latest = room.state.notebook(&name()).ok()?.latest()?;
            let revision = *latest.revision_digest()?;
            let value = ParameterValue::Int64(*min_group);
            let parameters = BTreeMap::from([(parse("min_group"), value)]);
            Body::RunRequest(RunRequest { notebook: name(), parameters, revision })
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

/// A rule as the log has it.
struct Ruled {
    position: usize,
    rule: AutoApproval,
    /// Run-starts that name it.
    runs: u64,
}

/// What a party thinks, by the log alone.
struct Mind {
    /// Its last decision about the revision in question.
    decision: Option<bool>,
    rules: BTreeMap<AssetName, Ruled>,
    /// What it approved and did not take back, each with its place in the log.
    reviewed: Vec<(usize, Blake3Digest)>,
}

/// Reads the log for `party`, and for a revision.
fn mind(seen: &Seen, party: &Alias, revision: &Blake3Digest) -> Mind {
    let mut mind = Mind { decision: None, rules: BTreeMap::new(), reviewed: Vec::new() };
    for (position, (_, statement)) in seen.log.iter().enumerate() {
        let own = statement.party == *party;
        match &statement.body {
            // A notebook that is deleted loses its reviews.
            Body::Delete(Delete::Notebook { .. }) => {
                mind.decision = None;
                mind.reviewed.clear();
            }
            Body::Review(review) if own => {
                let approves = review.decision == Decision::Approve;
                if review.revision == *revision {
                    mind.decision = Some(approves);
                }
                mind.reviewed.retain(|(_, reviewed)| *reviewed != review.revision);
                if approves {
                    mind.reviewed.push((position, review.revision));
                }
            }
            Body::Rule(Rule::Add(rule)) if own => {
                let rule = rule.clone();
                mind.rules.insert(rule.id.clone(), Ruled { position, rule, runs: 0 });
            }
            Body::Rule(Rule::Remove { id }) if own => {
                mind.rules.remove(id);
            }
            Body::RunStart(start) => {
                for id in start.rules.get(party).into_iter().flatten() {
                    mind.rules.get_mut(id).expect("a rule that is used is there").runs += 1;
                }
            }
            _ => {}
        }
    }
    mind
}

/// The log as it can be read, and what every revision that was ever in the room is of.
#[derive(Default)]
struct Seen {
    log: Vec<(Blake3Digest, Statement)>,
    revisions: BTreeMap<Blake3Digest, NotebookAsset>,
}

impl Seen {
    fn update(&mut self, room: &Room) {
        for entry in &room.entries[self.log.len()..] {
            self.log.push((entry.digest(), entry.unverified().unwrap()));
        }
        let Ok(notebook) = room.state.notebook(&name()) else { return };
        for version in notebook.versions() {
            if let Some(digest) = version.revision_digest() {
                self.revisions.insert(*digest, version.asset().clone());
            }
        }
    }

    /// Where the statement with this digest stands.
    fn place(&self, statement: &Blake3Digest) -> usize {
        self.log.iter().position(|(digest, _)| digest == statement).unwrap()
    }

    /// Who added a notebook with the statement at this place, and what.
    fn added(&self, place: usize) -> (&Alias, &NotebookAsset) {
        let statement = &self.log[place].1;
        let Body::Asset(AssetStatement::Notebook(asset)) = &statement.body else { panic!() };
        (&statement.party, asset)
    }
}

/// Whether a rule speaks for a version: `asset`, which the statement at `added` of the log added.
fn speaks(ruled: &Ruled, mind: &Mind, asset: &NotebookAsset, added: usize, seen: &Seen) -> bool {
    let rows = |asset: &NotebookAsset| {
        asset.manifest.outputs.values().map(|output| output.max_rows.unwrap()).collect::<Vec<_>>()
    };
    let before = mind.reviewed.iter().rfind(|(position, _)| *position < added);
    let before = before.map(|(_, digest)| &seen.revisions[digest]);
    let conditions = &ruled.rule.conditions;
    let no_more = before.is_some_and(|before| {
        (before.hidden || !asset.hidden)
            && asset.runners.is_subset(&before.runners)
            && rows(asset) <= rows(before)
    });
    let same_outputs = before.is_some_and(|before| rows(asset) == rows(before));
    ruled.position < added
        && (!conditions.capabilities_not_grown || no_more)
        && (!conditions.outputs_unchanged || same_outputs)
}

/// The rules of a party that cover an author and a runner at `now`: those without a number of runs
/// first.
fn covering<'a>(mind: &'a Mind, author: &Alias, runner: &Alias, now: u64) -> Vec<&'a Ruled> {
    let covers = |ruled: &&Ruled| {
        ruled.rule.runner == *runner && ruled.rule.author.as_ref().is_none_or(|of| of == author)
    };
    let stands = |ruled: &&Ruled| {
        let conditions = &ruled.rule.conditions;
        conditions.expires.is_none_or(|expires| now < expires)
            && conditions.max_runs.is_none_or(|most| ruled.runs < most)
    };
    let mut rules: Vec<_> = mind.rules.values().filter(covers).filter(stands).collect();
    rules.sort_by_key(|ruled| (ruled.rule.conditions.max_runs.is_some(), ruled.rule.id.clone()));
    rules
}

/// What a party thinks of the version that the statement at `added` of the log added, by the log
/// alone: `Some(true)` is for it, `Some(false)` against it. Notebooks here use no libraries, so one
/// author wrote it all.
fn stance(
    room: &Room,
    party: &Alias,
    added: usize,
    revision: &Blake3Digest,
    seen: &Seen,
) -> Option<bool> {
    let (author, asset) = seen.added(added);
    let mind = mind(seen, party, revision);
    let covers = |runner: &Alias| {
        let rules = covering(&mind, author, runner, room.now);
        rules.into_iter().any(|ruled| speaks(ruled, &mind, asset, added, seen))
    };
    let stands = author == party || asset.runners.iter().all(covers);
    mind.decision.or(stands.then_some(true))
}

/// When the author said that the version ends.
fn end(seen: &Seen, added: usize, revision: &Blake3Digest) -> Option<u64> {
    let later = seen.log.iter().skip(added).rev().map(|(_, statement)| &statement.body);
    let mut said = later.filter_map(|body| match body {
        Body::Deprecate(deprecate) if deprecate.revision == *revision => Some(deprecate.until),
        _ => None,
    });
    said.next().flatten()
}

/// Where all versions stand is what the log says.
fn check_approvals(room: &Room, seen: &Seen) {
    let Ok(notebook) = room.state.notebook(&name()) else { return };
    let statuses = room.state.statuses(&name(), room.now).unwrap();
    for (version, status) in notebook.versions().iter().zip(statuses) {
        let Some(revision) = version.revision_digest() else { continue };
        let position = seen.place(version.statement());
        let of = |wanted: Option<bool>| -> BTreeSet<Alias> {
            let aliases = room.state.members().map(|member| member.alias());
            let those = |alias: &&Alias| stance(room, alias, position, revision, seen) == wanted;
            aliases.filter(those).cloned().collect()
        };
        let (against, missing) = (of(Some(false)), of(None));
        let expected = if !against.is_empty() {
            RevisionStatus::Rejected { by: against }
        } else if !missing.is_empty() {
            RevisionStatus::Waiting { missing }
        } else {
            match end(seen, position, revision) {
                Some(since) if since <= room.now => RevisionStatus::Superseded { since },
                _ => RevisionStatus::Approved,
            }
        };
        assert_eq!(status, expected);
    }
}

/// The rules by which a run with this parameter is approved, by the log alone; none when it is not.
fn approving(
    room: &Room,
    revision: &Blake3Digest,
    runner: &Alias,
    min_group: i64,
    seen: &Seen,
) -> Option<BTreeMap<Alias, BTreeSet<AssetName>>> {
    let notebook = room.state.notebook(&name()).ok()?;
    let added = seen.place(notebook.version(revision)?.statement());
    let (author, asset) = seen.added(added);
    let takes = |ruled: &&Ruled| ruled.rule.conditions.parameters.is_empty() || min_group >= 40;
    let mut used = BTreeMap::new();
    for member in room.state.members().map(|member| member.alias()) {
        let mind = mind(seen, member, revision);
        if mind.decision.is_some() || member == author {
            continue;
        }
        let mut rules = covering(&mind, author, runner, room.now).into_iter();
        let rule = rules.find(|rule| speaks(rule, &mind, asset, added, seen) && takes(rule))?;
        used.insert(member.clone(), BTreeSet::from([rule.rule.id.clone()]));
    }
    let status = room.state.status(&name(), revision, room.now).ok()?;
    let runs = status == RevisionStatus::Approved && asset.runners.contains(runner);
    runs.then_some(used)
}

/// Whether a request is taken, and by which rules a run starts, is what the log says.
fn check_run(room: &Room, party: &str, body: &Body, seen: &Seen) -> Option<bool> {
    match body {
        Body::RunRequest(request) => {
            let ParameterValue::Int64(min_group) = request.parameters.values().next()? else {
                panic!()
            };
            let used = approving(room, &request.revision, &parse(party), *min_group, seen);
            Some(used.is_some())
        }
        Body::RunStart(start) => {
            let run = room.state.run(&start.run).unwrap();
            let ParameterValue::Int64(min_group) = run.parameters().values().next()? else {
                panic!()
            };
            let used = approving(room, run.revision(), run.runner(), *min_group, seen);
            assert_eq!(used.as_ref(), Some(&start.rules));
            None
        }
        _ => None,
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

/// Everything is tried, and nothing comes of it but what the log says.
fn play(acts: Vec<(&'static str, bool, Act)>) -> Result<(), TestCaseError> {
    let mut room = Room::accepted();
    room.says("airline", add_table(flights()));
    room.says("weather", add_table(hourly()));
    let mut seen = Seen::default();
    seen.update(&room);
    for (party, as_usual, act) in acts {
        let Some(body) = body(&room, &act) else { continue };
        let party = if as_usual { usual(&act, party) } else { party };
        let speaker = if is_of_host(&body) { "host" } else { party };
        let before = format!("{:?}", room.state);
        let expected = check_run(&room, speaker, &body, &seen);
        let result = room.tries(speaker, body);
        if result.is_err() {
            prop_assert_eq!(before, format!("{:?}", room.state));
        }
        if let Some(expected) = expected {
            prop_assert_eq!(result.is_ok(), expected, "{:?}", result);
        }
        seen.update(&room);
        check_approvals(&room, &seen);
        check_sharing(&room);
    }
    let replayed = replay(&room.entries).map_err(|(at, why)| format!("{at}: {why}")).unwrap();
    prop_assert_eq!(format!("{:?}", replayed.state), format!("{:?}", room.state));
    Ok(())
}

fn acts(act: impl Strategy<Value = Act>) -> impl Strategy<Value = Vec<(&'static str, bool, Act)>> {
    vec((party(), proptest::bool::weighted(0.85), act), 1..50)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_state_is_what_the_log_says(acts in acts(act())) {
        play(acts)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn runs_are_approved_by_what_the_log_says(acts in acts(governing())) {
        play(acts)?;
    }
}
