//! Rules that approve under conditions, and what runs say about the rules that approved them.

use std::collections::{BTreeMap, BTreeSet};

use glovebox_contract::name::{AssetName, RunId};
use glovebox_contract::parameter::ParameterValue;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::RevisionStatus;
use glovebox_contract::statement::{
    AllowedValues, AutoApproval, Body, Conditions, Decision, NotebookAsset, Rule, RunRequest,
    RunStart,
};

use crate::support::{
    NOW, Room, add_notebook, add_table, flights, hourly, name, notebook, parse, reason, table,
};

fn rule(id: &str, conditions: Conditions) -> Body {
    let (author, runner) = (Some(parse("partner")), parse("weather"));
    Body::Rule(Rule::Add(AutoApproval { author, conditions, id: parse(id), runner }))
}

fn runs(most: u64) -> Conditions {
    Conditions { max_runs: Some(most), ..Conditions::default() }
}

fn until(expires: u64) -> Conditions {
    Conditions { expires: Some(expires), ..Conditions::default() }
}

fn not_grown() -> Conditions {
    Conditions { capabilities_not_grown: true, ..Conditions::default() }
}

fn same_outputs() -> Conditions {
    Conditions { outputs_unchanged: true, ..Conditions::default() }
}

fn only(parameter: &str, least: Option<&str>, most: Option<&str>, choices: &[&str]) -> Conditions {
    let text = |text: &str| text.to_owned();
    let allowed = AllowedValues {
        choices: choices.iter().copied().map(text).collect(),
        maximum: most.map(text),
        minimum: least.map(text),
    };
    let parameters = BTreeMap::from([(parse(parameter), allowed)]);
    Conditions { parameters, ..Conditions::default() }
}

/// A room with both tables and these rules of the airline, where the partner has added the
/// notebook and the weather agency, which runs it, has approved it.
fn with_rules(rules: &[(&str, Conditions)]) -> Room {
    let mut room = Room::accepted();
    room.says("airline", add_table(flights()));
    room.says("weather", add_table(hourly()));
    for (id, conditions) in rules {
        room.says("airline", rule(id, conditions.clone()));
    }
    room.says("partner", add_notebook(notebook("1.0.0")));
    room.review("weather", Decision::Approve);
    room
}

/// Whether the newest version waits for the airline alone or for nobody.
fn waits(room: &Room) -> bool {
    match room.state.statuses(&name(), room.now).unwrap().pop().unwrap() {
        RevisionStatus::Approved => false,
        RevisionStatus::Waiting { missing } => missing.contains(&parse("airline")),
        other => panic!("{other:?}"),
    }
}

fn request(room: &mut Room, min_group: Option<i64>) -> Result<RunId, (ReasonCode, String)> {
    let value = min_group.map(|value| (parse("min_group"), ParameterValue::Int64(value)));
    let request = RunRequest {
        notebook: name(),
        parameters: value.into_iter().collect(),
        revision: room.revision(),
    };
    match room.tries("weather", Body::RunRequest(request)) {
        Ok(applied) => Ok(RunId::of_request(&applied.digest)),
        Err(refusal) => Err((refusal.reason(), refusal.detail().to_owned())),
    }
}

fn start(room: &mut Room, run: &RunId) {
    let start = room.start(run);
    room.says("host", Body::RunStart(start));
}

fn finish(room: &mut Room, run: &RunId) -> Option<ReasonCode> {
    let receipt = room.receipt(run);
    reason(room.tries("host", Body::RunReceipt(Box::new(receipt))))
}

/// The rules of the airline by which a run started.
fn used(room: &Room, run: &RunId) -> Vec<String> {
    let rules = room.state.run(run).unwrap().rules();
    assert!(rules.keys().all(|party| party.as_str() == "airline"), "{rules:?}");
    rules.values().flatten().map(AssetName::to_string).collect()
}

#[test]
fn a_rule_for_some_runs_is_used_up_by_their_starts() {
    let mut room = with_rules(&[("few", runs(2))]);
    let [first, second, third] = [(); 3].map(|()| request(&mut room, None).unwrap());
    assert_eq!(used(&room, &first), [""; 0], "it has not started");
    start(&mut room, &first);
    assert_eq!(finish(&mut room, &first), None);
    start(&mut room, &second);
    assert_eq!(
        (used(&room, &first), used(&room, &second)),
        (vec!["few".into()], vec!["few".into()])
    );
    let rule = room.state.rules().next().unwrap();
    assert_eq!((rule.runs, rule.is_used_up()), (2, true));
    // A third run that was asked for before does not start, and no other can be asked for.
    assert!(waits(&room));
    let refused = room.state.grants_for(&third, room.now);
    assert_eq!(reason(refused), Some(ReasonCode::NotApproved));
    assert_eq!(request(&mut room, None).unwrap_err().0, ReasonCode::NotApproved);
    // The second ends well: it was the last one that was approved.
    assert_eq!(finish(&mut room, &second), None);
    // The signature of the airline helps, and uses nothing.
    room.review("airline", Decision::Approve);
    start(&mut room, &third);
    assert_eq!(used(&room, &third), [""; 0]);
}

#[test]
fn the_same_rule_again_counts_anew_for_what_comes_after_it() {
    let mut room = with_rules(&[("one", runs(1))]);
    let again = rule("one", runs(1));
    let result = room.tries("airline", again.clone());
    assert_eq!(reason(result), Some(ReasonCode::AlreadyExists));
    let run = request(&mut room, None).unwrap();
    start(&mut room, &run);
    room.says("airline", again);
    assert_eq!(room.state.rules().next().unwrap().runs, 0);
    assert!(waits(&room));
    // The run that started by the rule before it does not stand any more.
    assert_eq!(finish(&mut room, &run), Some(ReasonCode::NotApproved));
    room.says("partner", add_notebook(notebook("1.0.1")));
    assert!(!waits(&room));
}

#[test]
fn a_rule_without_a_number_of_runs_is_taken_first() {
    let mut room = with_rules(&[("a", runs(1)), ("b", Conditions::default())]);
    for _ in 0..2 {
        let run = request(&mut room, None).unwrap();
        start(&mut room, &run);
        assert_eq!(used(&room, &run), ["b"]);
    }
    room.says("airline", Body::Rule(Rule::Remove { id: parse("b") }));
    let run = request(&mut room, None).unwrap();
    start(&mut room, &run);
    assert_eq!(used(&room, &run), ["a"]);
    assert_eq!(request(&mut room, None).unwrap_err().0, ReasonCode::NotApproved);
}

#[test]
fn a_rule_that_expires_starts_nothing_from_then_on() {
    let expires = NOW + 100;
    let mut room = with_rules(&[("soon", until(expires))]);
    let [started, waiting] = [(); 2].map(|()| request(&mut room, None).unwrap());
    start(&mut room, &started);
    room.now = expires - 1;
    assert!(!waits(&room));
    assert_eq!(reason(room.state.grants_for(&waiting, room.now)), None);
    room.now = expires;
    assert!(waits(&room));
    assert_eq!(reason(room.state.grants_for(&waiting, room.now)), Some(ReasonCode::NotApproved));
    assert_eq!(request(&mut room, None).unwrap_err().0, ReasonCode::NotApproved);
    assert_eq!(finish(&mut room, &started), None);
    assert_eq!(room.state.reviews(&name(), &room.revision(), room.now).unwrap().len(), 1);
    // Nobody adds a rule that has expired already.
    let late = room.tries("airline", rule("late", until(expires)));
    assert_eq!(reason(late), Some(ReasonCode::NotPermitted));
}

/// Another runner uses its rule up while the run runs.
#[test]
fn a_run_ends_well_although_the_rule_of_another_runner_is_used_up() {
    let mut room = with_rules(&[("ours", Conditions::default())]);
    let theirs = AutoApproval {
        author: None,
        conditions: runs(1),
        id: parse("theirs"),
        runner: parse("airline"),
    };
    room.says("airline", Body::Rule(Rule::Add(theirs)));
    let runners = BTreeSet::from([parse("airline"), parse("weather")]);
    room.says("partner", add_notebook(NotebookAsset { runners, ..notebook("1.1.0") }));
    room.review("weather", Decision::Approve);
    let run = request(&mut room, None).unwrap();
    start(&mut room, &run);
    let other = room.request();
    let other = RunId::of_request(&room.says("airline", other).digest);
    start(&mut room, &other);
    let both = (used(&room, &run), used(&room, &other));
    assert_eq!(both, (vec!["ours".into()], vec!["theirs".into()]));
    // A rule that is used up approves nothing, so the revision is approved for nobody.
    assert!(waits(&room));
    assert_eq!(request(&mut room, None).unwrap_err().0, ReasonCode::NotApproved);
    assert_eq!((finish(&mut room, &run), finish(&mut room, &other)), (None, None));
}

#[test]
fn a_removed_rule_ends_its_runs_although_another_is_used_up() {
    let mut room = with_rules(&[("a", runs(1)), ("b", runs(1))]);
    let run = request(&mut room, None).unwrap();
    start(&mut room, &run);
    let other = request(&mut room, None).unwrap();
    start(&mut room, &other);
    assert_eq!((used(&room, &run), used(&room, &other)), (vec!["a".into()], vec!["b".into()]));
    room.says("airline", Body::Rule(Rule::Remove { id: parse("a") }));
    assert_eq!(reason(room.state.publishable(&other)), None);
    assert_eq!(finish(&mut room, &run), Some(ReasonCode::NotApproved));
    assert_eq!(finish(&mut room, &other), None);
}

#[test]
fn parameters_are_those_that_a_rule_takes() {
    type Case<'a> = (Option<&'a str>, Option<&'a str>, &'a [&'a str], Option<i64>, bool);
    // Bounds and choices, the parameter (50 when nothing is said), whether the run may start.
    let cases: [Case<'_>; 10] = [
        (Some("30"), None, &[], Some(30), true),
        (Some("30"), None, &[], Some(29), false),
        (Some("30"), None, &[], None, true),
        (Some("51"), None, &[], None, false),
        // Numbers are compared as numbers.
        (Some("9"), Some("100"), &[], Some(30), true),
        (None, Some("9"), &[], Some(30), false),
        (None, None, &["30", "40"], Some(40), true),
        (None, None, &["30", "40"], Some(35), false),
        (Some("35"), None, &["30", "40"], Some(30), false),
        (Some("35"), None, &["30", "40"], Some(40), true),
    ];
    for (least, most, choices, value, expected) in cases {
        let mut room = with_rules(&[("some", only("min_group", least, most, choices))]);
        assert!(!waits(&room));
        let result = request(&mut room, value).map_err(|(reason, _)| reason);
        let wanted = if expected { Ok(()) } else { Err(ReasonCode::ParameterInvalid) };
        assert_eq!(result.map(drop), wanted, "{least:?} {most:?} {choices:?} {value:?}");
    }
}

#[test]
fn each_run_is_approved_by_the_rule_that_takes_its_parameters() {
    let (small, large) =
        (only("min_group", None, Some("25"), &[]), only("min_group", Some("40"), None, &[]));
    let mut room = with_rules(&[("large", large), ("small", small)]);
    for (value, expected) in [(Some(22), "small"), (None, "large"), (Some(40), "large")] {
        let run = request(&mut room, value).unwrap();
        start(&mut room, &run);
        assert_eq!(used(&room, &run), [expected]);
    }
    let (refused, why) = request(&mut room, Some(30)).unwrap_err();
    assert_eq!(refused, ReasonCode::ParameterInvalid);
    assert!(why.contains("airline approves this by its rule large only"), "{why}");
    assert!(why.contains("`min_group`") && why.contains("minimum `40`"), "{why}");
    // The airline's signature takes any value.
    room.review("airline", Decision::Approve);
    assert!(request(&mut room, Some(30)).is_ok());
}

#[test]
fn a_run_ends_with_the_rule_that_took_its_parameters() {
    let mut room = with_rules(&[
        ("large", only("min_group", Some("40"), None, &[])),
        ("small", only("min_group", None, Some("25"), &[])),
    ]);
    let run = request(&mut room, Some(22)).unwrap();
    start(&mut room, &run);
    room.says("airline", Body::Rule(Rule::Remove { id: parse("large") }));
    assert_eq!(reason(room.state.publishable(&run)), None);
    room.says("airline", rule("large", only("min_group", Some("40"), None, &[])));
    room.says("airline", Body::Rule(Rule::Remove { id: parse("small") }));
    assert_eq!(finish(&mut room, &run), Some(ReasonCode::NotApproved));
}

#[test]
fn a_rule_about_parameters_that_a_notebook_does_not_have_is_not_for_it() {
    let check = |conditions: Conditions, expected: bool| {
        let room = with_rules(&[("some", conditions.clone())]);
        assert_eq!(!waits(&room), expected, "{conditions}");
    };
    check(only("min_group", Some("30"), None, &[]), true);
    check(only("min_groups", Some("30"), None, &[]), false);
    check(only("min_group", Some("many"), None, &[]), false);
    check(only("min_group", None, None, &["30", "many"]), false);
}

/// Changes of the notebook, and whether a rule still approves it: one that asks for no more than
/// before, and one that asks for the same outputs.
#[test]
fn what_is_no_more_than_before_and_what_has_the_same_outputs() {
    type Change = fn(&mut NotebookAsset);
    let output = "delay_by_wind";
    let cases: [(&str, Change, bool, bool); 17] = [
        ("other code", |_| {}, true, true),
        ("other words", |asset| asset.manifest.description = "Other".into(), true, true),
        ("hidden", |asset| asset.hidden = true, false, true),
        (
            "another import",
            |asset| {
                asset.interfaces.insert("glovebox:guest/context@0.1.0".into());
            },
            false,
            true,
        ),
        ("no import", |asset| asset.interfaces.clear(), true, true),
        (
            "another column",
            |asset| {
                let flights = asset.manifest.inputs.get_mut(&parse("airline.flights")).unwrap();
                flights.columns.insert("tailnum".into(), parse("utf8"));
            },
            false,
            true,
        ),
        (
            "one column less",
            |asset| {
                let flights = asset.manifest.inputs.get_mut(&parse("airline.flights")).unwrap();
                flights.columns.remove("dep_delay");
            },
            true,
            true,
        ),
        (
            "a column in place of another",
            |asset| {
                let columns = BTreeMap::from([("origin".into(), "tailnum".into())]);
                let table = parse("airline.flights");
                let binding = glovebox_contract::statement::TableBinding { columns, table };
                asset.bindings.insert(parse("airline.flights"), binding);
            },
            false,
            true,
        ),
        (
            "another parameter",
            |asset| {
                let declared = asset.manifest.parameters.values().next().unwrap().clone();
                asset.manifest.parameters.insert(parse("other"), declared);
            },
            false,
            true,
        ),
        (
            "a parameter of another type",
            |asset| {
                let declared = asset.manifest.parameters.values_mut().next().unwrap();
                declared.parameter_type = parse_type("utf8");
            },
            false,
            true,
        ),
        (
            "another output",
            |asset| {
                let declared = asset.manifest.outputs.values().next().unwrap().clone();
                asset.manifest.outputs.insert(parse("more"), declared);
            },
            false,
            false,
        ),
        (
            "another column in an output",
            |asset| {
                let declared = asset.manifest.outputs.values_mut().next().unwrap();
                declared.columns.extend(table("x.y", &[("origin", "utf8")]).columns);
            },
            false,
            false,
        ),
        (
            "one column less in an output",
            |asset| {
                asset.manifest.outputs.values_mut().next().unwrap().columns.pop();
            },
            true,
            false,
        ),
        (
            "columns in another order",
            |asset| asset.manifest.outputs.values_mut().next().unwrap().columns.reverse(),
            true,
            false,
        ),
        (
            "more rows",
            |asset| asset.manifest.outputs.values_mut().next().unwrap().max_rows = Some(1001),
            false,
            false,
        ),
        (
            "fewer rows",
            |asset| asset.manifest.outputs.values_mut().next().unwrap().max_rows = Some(999),
            true,
            false,
        ),
        (
            "rows that are added",
            |asset| {
                asset.manifest.outputs.values_mut().next().unwrap().mode =
                    glovebox_contract::manifest::OutputMode::Append;
            },
            true,
            false,
        ),
    ];
    assert!(notebook("1.0.0").manifest.outputs.contains_key(&parse(output)));
    for (what, change, grown_passes, outputs_pass) in cases {
        for (conditions, expected) in [(not_grown(), grown_passes), (same_outputs(), outputs_pass)]
        {
            let mut room = Room::approved();
            room.says("airline", rule("trusted", conditions.clone()));
            let mut asset = notebook("1.1.0");
            change(&mut asset);
            room.says("partner", add_notebook(asset));
            assert_eq!(!waits(&room), expected, "{what}{conditions}");
        }
    }
}

fn parse_type(text: &str) -> glovebox_contract::parameter::ParameterType {
    serde_json::from_value(serde_json::Value::from(text)).unwrap()
}

/// A version with this many rows in its output, so that more rows are more than before.
fn version(number: &str, rows: u64) -> Body {
    let mut asset = notebook(number);
    asset.manifest.outputs.values_mut().next().unwrap().max_rows = Some(rows);
    add_notebook(asset)
}

#[test]
fn what_was_never_reviewed_is_not_compared() {
    // No review at all, nor one after the version was added.
    let mut room = with_rules(&[("trusted", not_grown())]);
    assert!(waits(&room));
    room.review("airline", Decision::Approve);
    room.says("partner", version("1.1.0", 1000));
    assert!(!waits(&room));
    // A second version was there before the first was reviewed.
    let mut room = with_rules(&[("trusted", not_grown())]);
    let first = room.review_body(Decision::Approve);
    room.says("partner", version("1.1.0", 1000));
    room.says("airline", first);
    assert!(waits(&room));
    // Of a notebook that was deleted there is no review any more.
    let mut room = Room::approved();
    room.says("airline", rule("trusted", not_grown()));
    let delete = glovebox_contract::statement::Delete::Notebook { notebook: name() };
    room.says("partner", Body::Delete(delete));
    room.says("partner", version("1.1.0", 1000));
    assert!(waits(&room));
}

#[test]
fn a_version_is_compared_with_what_was_reviewed_not_with_what_a_rule_approved() {
    let mut room = Room::approved();
    room.says("airline", rule("trusted", not_grown()));
    // Less, approved by the rule; then as much as was reviewed; then more.
    for (number, rows, expected) in
        [("1.1.0", 10, true), ("1.2.0", 1000, true), ("1.3.0", 1001, false)]
    {
        room.says("partner", version(number, rows));
        assert_eq!(!waits(&room), expected, "{number}");
    }
    // Reviewed, it is what later ones are compared with.
    room.review("airline", Decision::Approve);
    room.says("partner", version("1.4.0", 1001));
    assert!(!waits(&room));
    // A version that is approved by the rule stays so when less is reviewed after it.
    let kept = room.revision();
    room.says("partner", version("1.5.0", 5));
    room.review("airline", Decision::Approve);
    room.review("weather", Decision::Approve);
    let status = room.state.status(&name(), &kept, room.now).unwrap();
    assert_eq!(status, RevisionStatus::Waiting { missing: BTreeSet::from([parse("weather")]) });
    room.says("partner", version("1.6.0", 6));
    assert!(waits(&room));
}

#[test]
fn a_review_that_was_taken_back_is_no_measure() {
    for back in [Decision::Revoke, Decision::Reject] {
        let mut room = Room::approved();
        room.says("airline", rule("trusted", not_grown()));
        room.says("partner", version("1.1.0", 2000));
        room.review("airline", Decision::Approve);
        let take_back = room.review_body(back);
        room.says("partner", version("1.2.0", 2000));
        assert!(!waits(&room), "{back:?}");
        room.says("airline", take_back);
        // What counts is the review before it.
        assert!(waits(&room), "{back:?}");
        room.says("partner", version("1.3.0", 1000));
        assert!(!waits(&room), "{back:?}");
    }
}

#[test]
fn a_host_cannot_say_that_other_rules_approved() {
    let room = {
        let mut room = with_rules(&[("few", runs(2)), ("none", until(NOW + 1000))]);
        request(&mut room, None).unwrap();
        room
    };
    let run = *room.state.runs().last().unwrap().id();
    let honest = room.start(&run);
    let named = |rules: &[(&str, &[&str])]| {
        let named = rules.iter().map(|(party, rules)| {
            (parse(party), rules.iter().map(|rule| parse(rule)).collect::<BTreeSet<AssetName>>())
        });
        Body::RunStart(RunStart { rules: named.collect(), ..honest.clone() })
    };
    let malformed = Some(ReasonCode::Malformed);
    // What it says, and whether everyone takes it.
    type Named<'a> = &'a [(&'a str, &'a [&'a str])];
    let cases: [(Named<'_>, Option<ReasonCode>); 6] = [
        (&[("airline", &["none"])], None),
        (&[], malformed),
        (&[("airline", &["few"])], malformed),
        (&[("airline", &["few", "none"])], malformed),
        (&[("airline", &["none"]), ("weather", &["none"])], malformed),
        (&[("airline", &[])], malformed),
    ];
    for (rules, expected) in cases {
        let result = reason(room.clone().tries("host", named(rules)));
        assert_eq!(result, expected, "{rules:?}");
    }
}

/// Hosts named no rules before there were conditions, and their logs stay good.
#[test]
fn a_start_need_not_name_rules_without_conditions() {
    let mut room = with_rules(&[("plain", Conditions::default())]);
    let run = request(&mut room, None).unwrap();
    let start = room.start(&run);
    assert_eq!(start.rules.len(), 1);
    let untold = RunStart { rules: BTreeMap::new(), ..start.clone() };
    let bytes = |start: &RunStart| String::from_utf8(canonical(start)).unwrap();
    assert!(bytes(&start).contains(r#""rules":{"airline":["plain"]},"#));
    assert!(!bytes(&untold).contains("rules"));
    let wrong = RunStart {
        rules: BTreeMap::from([(parse("airline"), BTreeSet::from([parse("other")]))]),
        ..start.clone()
    };
    let refused = room.clone().tries("host", Body::RunStart(wrong));
    assert_eq!(reason(refused), Some(ReasonCode::Malformed));
    room.says("host", Body::RunStart(untold));
    assert_eq!(used(&room, &run), ["plain"]);
    assert_eq!(room.state.rules().next().unwrap().runs, 1);
}

fn canonical(start: &RunStart) -> Vec<u8> {
    glovebox_contract::canonical::encode(start).unwrap()
}

#[test]
fn conditions_that_make_no_sense_are_refused() {
    let check = |conditions: Conditions, expected: Option<ReasonCode>| {
        let mut room = Room::accepted();
        let result = reason(room.tries("airline", rule("some", conditions.clone())));
        assert_eq!(result, expected, "{conditions:?}");
    };
    let malformed = Some(ReasonCode::Malformed);
    check(Conditions::default(), None);
    check(runs(1), None);
    check(runs(0), malformed);
    check(until(NOW), Some(ReasonCode::NotPermitted));
    check(until(0), Some(ReasonCode::NotPermitted));
    check(only("min_group", Some("1"), None, &[]), None);
    check(only("min_group", None, None, &[]), malformed);
    check(only("min_group", Some("\u{202e}1"), None, &[]), malformed);
    check(only("min_group", Some(&"1".repeat(5000)), None, &[]), malformed);
    let many = ["12345678"; 513];
    check(only("min_group", None, None, &many), malformed);
    check(only("min_group", None, None, &many[1..]), None);
    let allowed = AllowedValues { minimum: Some("1".into()), ..AllowedValues::default() };
    let parameters = (0..257).map(|number| (parse(&format!("p{number}")), allowed.clone()));
    let parameters: BTreeMap<_, _> = parameters.collect();
    check(Conditions { parameters: parameters.clone(), ..Conditions::default() }, malformed);
    let parameters = parameters.into_iter().skip(1).collect();
    check(Conditions { parameters, ..Conditions::default() }, None);
}
