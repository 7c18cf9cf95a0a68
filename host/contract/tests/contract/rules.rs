//! Rules by which a party approves what others add later.

use std::collections::BTreeSet;

use glovebox_contract::digest::ContentDigest;
use glovebox_contract::library::LibraryRequirement;
use glovebox_contract::manifest::{ComponentKind, Manifest};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::RevisionStatus;
use glovebox_contract::statement::{
    AssetStatement, AutoApproval, Body, Conditions, Decision, Delete, LibraryAsset, NotebookAsset,
    Rule,
};

use crate::support::{
    Room, add_notebook, add_table, flights, hourly, manifest, name, notebook, parse, reason, table,
};

fn auto(id: &str, author: Option<&str>, runner: &str) -> AutoApproval {
    let (author, conditions) = (author.map(parse), Conditions::default());
    AutoApproval { author, conditions, id: parse(id), runner: parse(runner) }
}

fn add_rule(id: &str, author: Option<&str>, runner: &str) -> Body {
    Body::Rule(Rule::Add(auto(id, author, runner)))
}

fn remove_rule(id: &str) -> Body {
    Body::Rule(Rule::Remove { id: parse(id) })
}

/// An accepted room with both tables and no notebook.
fn with_tables() -> Room {
    let mut room = Room::accepted();
    room.says("airline", add_table(flights()));
    room.says("weather", add_table(hourly()));
    room
}

/// The same, where the airline approves by rule what the partner adds for the weather agency, and
/// the partner has added it.
fn with_rule() -> Room {
    let mut room = with_tables();
    room.says("airline", add_rule("trusted", Some("partner"), "weather"));
    room.says("partner", add_notebook(notebook("1.0.0")));
    room
}

/// Whose approval the newest revision waits for.
fn missing(room: &Room) -> Vec<String> {
    let statuses = room.state.statuses(&name(), room.now).unwrap();
    match statuses.last().unwrap() {
        RevisionStatus::Approved => Vec::new(),
        RevisionStatus::Waiting { missing } => missing.iter().map(ToString::to_string).collect(),
        other => vec![format!("{other:?}")],
    }
}

fn may_run(room: &Room) -> Option<ReasonCode> {
    let revision = room.revision();
    reason(room.state.approved(&name(), Some(&revision), &parse("weather"), room.now))
}

/// The approvals by rule of the newest revision: who, by which.
fn by_rule(room: &Room) -> Vec<(String, String)> {
    let reviews = room.state.reviews(&name(), &room.revision(), room.now).unwrap();
    let by_rule = reviews.into_iter().filter(|review| review.auto_approved.is_some());
    by_rule.map(|r| (r.party.to_string(), r.auto_approved.unwrap().to_string())).collect()
}

fn with_runners(version: &str, runners: &[&str]) -> NotebookAsset {
    NotebookAsset {
        runners: runners.iter().map(|alias| parse(alias)).collect(),
        ..notebook(version)
    }
}

#[test]
fn a_rule_approves_what_is_added_after_it() {
    let mut room = with_rule();
    assert_eq!(missing(&room), ["weather"]);
    assert_eq!(by_rule(&room), [("airline".to_owned(), "trusted".to_owned())]);
    assert_eq!(may_run(&room), Some(ReasonCode::NotApproved));
    room.review("weather", Decision::Approve);
    assert_eq!(may_run(&room), None);
    let run = room.request();
    room.says("weather", run);
    // Versions that follow need no review of the airline either.
    room.says("partner", add_notebook(notebook("1.1.0")));
    assert_eq!(missing(&room), ["weather"]);
    let reviews = room.state.reviews(&name(), &room.revision(), room.now).unwrap();
    assert_eq!(reviews.len(), 1);
    assert_eq!((reviews[0].decision, reviews[0].comment.as_str()), (Decision::Approve, ""));
    // A record of its own is no signed review.
    let revision = room.revision();
    assert_eq!(room.state.notebook(&name()).unwrap().reviews(&revision), []);
}

#[test]
fn a_rule_does_not_approve_what_was_there_before_it() {
    let mut room = Room::with_notebook();
    room.says("airline", add_rule("trusted", Some("partner"), "weather"));
    room.says("weather", add_rule("trusted", None, "weather"));
    assert_eq!(missing(&room), ["airline", "weather"]);
    // Nor when the same version gets another revision, for a table has changed.
    let encoded = [("origin", "large_utf8"), ("dep_delay", "float64")];
    room.says("airline", add_table(table("airline.flights", &encoded)));
    assert_eq!(missing(&room), ["airline", "weather"]);
    // The same revision, added again with a cutover date, is added after it.
    room.says("airline", add_table(flights()));
    let again = NotebookAsset { cutover: Some(room.now + 5), ..notebook("1.0.0") };
    room.says("partner", add_notebook(again));
    assert_eq!(missing(&room), [""; 0]);
}

#[test]
fn a_rule_covers_one_author_and_one_runner() {
    type Case<'a> = (&'a str, &'a [(Option<&'a str>, &'a str)], &'a [&'a str], bool);
    // Author, rules of the airline, runners of the notebook, whether it approves.
    let cases: [Case<'_>; 13] = [
        ("partner", &[(Some("partner"), "weather")], &["weather"], true),
        ("partner", &[(None, "weather")], &["weather"], true),
        ("weather", &[(None, "weather")], &["weather"], true),
        ("partner", &[(Some("weather"), "weather")], &["weather"], false),
        ("partner", &[(Some("partner"), "partner")], &["weather"], false),
        ("partner", &[(Some("partner"), "airline")], &["weather"], false),
        // Each of several runners needs a rule.
        ("partner", &[(Some("partner"), "weather")], &["weather", "airline"], false),
        ("partner", &[(Some("partner"), "airline")], &["weather", "airline"], false),
        (
            "partner",
            &[(Some("partner"), "weather"), (None, "airline")],
            &["weather", "airline"],
            true,
        ),
        (
            "partner",
            &[(Some("partner"), "weather"), (Some("weather"), "airline")],
            &["weather", "airline"],
            false,
        ),
        ("partner", &[], &["weather"], false),
        // Rules of an author say nothing about its own notebooks, and there they need not.
        ("airline", &[(None, "weather")], &["weather"], true),
        ("airline", &[], &["weather"], true),
    ];
    for (author, rules, runners, expected) in cases {
        let mut room = with_tables();
        for (index, (of, runner)) in rules.iter().enumerate() {
            room.says("airline", add_rule(&format!("rule{index}"), *of, runner));
        }
        room.says(author, add_notebook(with_runners("1.0.0", runners)));
        let waits = missing(&room).contains(&"airline".to_owned());
        assert_eq!(!waits, expected, "{author} {rules:?} {runners:?}");
        let by_rule = by_rule(&room).iter().any(|(party, _)| party == "airline");
        assert_eq!(by_rule, expected && author != "airline", "{author} {rules:?} {runners:?}");
    }
}

#[test]
fn one_partys_rule_speaks_for_that_party_only() {
    let mut room = with_tables();
    room.says("partner", add_rule("mine", Some("weather"), "weather"));
    room.says("weather", add_notebook(notebook("1.0.0")));
    assert_eq!(missing(&room), ["airline"]);
    // Another party can neither remove nor replace it.
    let id = "mine";
    assert_eq!(reason(room.tries("airline", remove_rule(id))), Some(ReasonCode::NotFound));
    room.says("airline", add_rule(id, None, "airline"));
    assert_eq!(missing(&room), ["airline"]);
    let owners: Vec<_> = room.state.rules().map(|rule| rule.owner.to_string()).collect();
    assert_eq!(owners, ["airline", "partner"]);
}

#[test]
fn a_decision_counts_more_than_a_rule() {
    for decision in [Decision::Reject, Decision::Revoke] {
        let mut room = with_rule();
        room.review("weather", Decision::Approve);
        assert_eq!(may_run(&room), None);
        room.review("airline", decision);
        assert_eq!(may_run(&room), Some(ReasonCode::Rejected), "{decision:?}");
        assert_eq!(by_rule(&room), []);
        // Only that revision: the next is approved by the rule again.
        room.says("partner", add_notebook(notebook("1.0.1")));
        assert_eq!(missing(&room), ["weather"], "{decision:?}");
        // Adding the rule again does not take the decision back.
        room.says("airline", add_rule("more", None, "weather"));
        room.says("partner", add_notebook(notebook("1.0.0")));
        assert_eq!(may_run(&room), Some(ReasonCode::Rejected), "{decision:?}");
    }
    let mut room = with_rule();
    room.says("airline", {
        let Body::Review(mut review) = room.review_body(Decision::Comment) else { panic!() };
        review.comment = "seen".into();
        Body::Review(review)
    });
    assert_eq!(missing(&room), ["weather"]);
}

#[test]
fn a_removed_rule_approves_no_longer() {
    let mut room = with_rule();
    room.review("weather", Decision::Approve);
    assert_eq!(may_run(&room), None);
    let mut signed = room.clone();
    room.says("airline", remove_rule("trusted"));
    assert_eq!(missing(&room), ["airline"]);
    assert_eq!(may_run(&room), Some(ReasonCode::NotApproved));
    assert_eq!(room.state.rules().count(), 0);
    assert_eq!(reason(room.tries("airline", remove_rule("trusted"))), Some(ReasonCode::NotFound));
    // The same rule again holds for what comes after it.
    room.says("airline", add_rule("trusted", Some("partner"), "weather"));
    assert_eq!(missing(&room), ["airline"]);
    // A review that the airline has signed besides stays.
    signed.review("airline", Decision::Approve);
    signed.says("airline", remove_rule("trusted"));
    assert_eq!(may_run(&signed), None);
    let revoke = signed.review_body(Decision::Approve);
    assert_eq!(reason(signed.tries("airline", revoke)), Some(ReasonCode::AlreadyExists));
}

#[test]
fn a_run_that_waits_or_runs_ends_with_the_rule() {
    let mut room = with_rule();
    room.review("weather", Decision::Approve);
    let request = room.request();
    let applied = room.says("weather", request);
    let run = glovebox_contract::name::RunId::of_request(&applied.digest);
    let start = room.start(&run);
    let mut waiting = room.clone();
    waiting.says("airline", remove_rule("trusted"));
    let refused = waiting.tries("host", Body::RunStart(start.clone()));
    assert_eq!(reason(refused), Some(ReasonCode::NotApproved));
    room.says("host", Body::RunStart(start));
    room.says("airline", remove_rule("trusted"));
    assert_eq!(reason(room.state.publishable(&run)), Some(ReasonCode::NotApproved));
}

#[test]
fn a_replaced_rule_starts_anew() {
    let mut room = with_rule();
    room.says("airline", add_rule("trusted", None, "weather"));
    assert_eq!(room.state.rules().count(), 1);
    assert_eq!(missing(&room), ["airline", "weather"]);
    room.says("partner", add_notebook(notebook("1.0.1")));
    assert_eq!(missing(&room), ["weather"]);
}

#[test]
fn rules_that_make_no_sense_are_refused() {
    let check = |party: &str, body: Body, expected: Option<ReasonCode>| {
        let mut room = with_rule();
        let before = format!("{:?}", room.state);
        let result = reason(room.tries(party, body));
        assert_eq!(result, expected);
        assert_eq!(result.is_some(), before == format!("{:?}", room.state), "all or nothing");
    };
    check("airline", add_rule("other", Some("partner"), "weather"), None);
    check("airline", add_rule("other", Some("mallory"), "weather"), Some(ReasonCode::NotFound));
    check("airline", add_rule("other", None, "mallory"), Some(ReasonCode::NotFound));
    check("airline", add_rule("other", None, "host"), Some(ReasonCode::NotFound));
    check("airline", add_rule("other", Some("airline"), "weather"), Some(ReasonCode::NotPermitted));
    let same = add_rule("trusted", Some("partner"), "weather");
    check("airline", same, Some(ReasonCode::AlreadyExists));
    check("airline", remove_rule("other"), Some(ReasonCode::NotFound));
    check("host", add_rule("other", None, "weather"), Some(ReasonCode::NotPermitted));
    check("host", remove_rule("trusted"), Some(ReasonCode::NotPermitted));
}

#[test]
fn a_party_has_a_thousand_rules_at_most() {
    let mut room = Room::accepted();
    for number in 0..1000 {
        room.says("airline", add_rule(&format!("r{number}"), None, "weather"));
    }
    let more = add_rule("one-more", None, "weather");
    assert_eq!(reason(room.tries("airline", more.clone())), Some(ReasonCode::PolicyLimit));
    assert_eq!(reason(room.tries("airline", add_rule("r0", None, "partner"))), None);
    assert_eq!(reason(room.tries("weather", more.clone())), None);
    room.says("airline", remove_rule("r0"));
    assert_eq!(reason(room.tries("airline", more)), None);
}

#[test]
fn a_notebook_that_was_deleted_and_added_again_was_added_again() {
    let mut room = Room::with_notebook();
    room.says("airline", add_rule("trusted", Some("partner"), "weather"));
    room.says("partner", Body::Delete(Delete::Notebook { notebook: name() }));
    room.says("partner", add_notebook(notebook("1.0.0")));
    assert_eq!(missing(&room), ["weather"]);
}

const SCORE: &str = "acme:scoring/score@1.0.0";

fn library(content: &str) -> Body {
    Body::Asset(AssetStatement::Library(Box::new(LibraryAsset {
        component: ContentDigest::of(content.as_bytes()),
        component_bytes: 10,
        exports: BTreeSet::from([SCORE.into()]),
        hidden: true,
        interfaces: BTreeSet::new(),
        manifest: Manifest {
            inputs: Default::default(),
            kind: ComponentKind::Library,
            name: parse("scoring"),
            outputs: Default::default(),
            parameters: Default::default(),
            ..manifest()
        },
    })))
}

/// Whoever can replace a library can change what an approved author's notebook does.
#[test]
fn a_library_of_a_party_that_no_rule_covers_is_for_the_party_to_review() {
    let check = |of_library: &str, rules: &[Option<&str>], expected: bool| {
        let mut room = with_tables();
        for (index, author) in rules.iter().enumerate() {
            room.says("airline", add_rule(&format!("rule{index}"), *author, "weather"));
        }
        room.says(of_library, library("first"));
        let mut notebook = notebook("1.0.0");
        notebook.interfaces.insert(SCORE.into());
        let interfaces = BTreeSet::from([SCORE.into()]);
        let requirement = LibraryRequirement { digest: None, interfaces };
        notebook.manifest.libraries.insert(parse("scoring"), requirement);
        room.says("partner", add_notebook(notebook));
        for change in ["first", "another byte"] {
            if change != "first" {
                room.says(of_library, library(change));
            }
            let waits = missing(&room).contains(&"airline".to_owned());
            assert_eq!(!waits, expected, "{of_library} {rules:?} {change}");
        }
    };
    check("partner", &[Some("partner")], true);
    check("weather", &[Some("partner")], false);
    check("weather", &[Some("partner"), Some("weather")], true);
    check("weather", &[None], true);
    check("airline", &[Some("partner")], true);
}
