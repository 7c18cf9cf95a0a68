//! Tests of what a room's state looks like over REST. The room is the one of the contract's tests:
//! an airline and a weather agency with tables, a partner with a notebook, the agency runs it.

use glovebox_contract::name::Alias;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::receipt::Outcome;
use glovebox_contract::state::RoomState;
use glovebox_contract::statement::{
    AutoApproval, Body, Cancel, Conditions, Decision, Delete, Refused, Rule,
};
use serde_json::{Value, json};

use crate::assets::tests::{notebook, table};
use crate::call::without_nulls;
use crate::runs::tests::{job_of, rendered as run_of_job, run_of, task_run_of};
use crate::world::{self, Room, parse};

fn alias(text: &str) -> Alias {
    parse(text)
}

fn newest(state: &RoomState, now: u64) -> Value {
    let notebook_state = state.notebook(&world::name()).unwrap();
    without_nulls(notebook(state, notebook_state, notebook_state.latest().unwrap(), now))
}

#[test]
fn a_table_shows_its_columns_and_its_local_name_to_its_owner_only() {
    let room = Room::with_notebook();
    let asset = room.state.table(&parse("airline.flights")).unwrap();
    let own = without_nulls(table(&room.state, "airline.default.flights", asset, Some("main.a.f")));
    assert_eq!(own["name"], "airline.default.flights");
    assert_eq!(own["clean_room_name"], "delays");
    assert_eq!(own["table_local_details"], json!({ "local_name": "main.a.f" }));
    assert_eq!(own["table"]["columns"][1]["type_text"], "double");
    let theirs = without_nulls(table(&room.state, "airline.flights", asset, None));
    assert_eq!(theirs.get("table_local_details"), None);
    assert_eq!(theirs["owner_collaborator_alias"], "airline");
}

#[test]
fn a_notebook_goes_from_pending_to_approved_by_its_reviews() {
    let mut room = Room::with_notebook();
    let waiting = newest(&room.state, room.now);
    assert_eq!(waiting["status"], "ACTIVE");
    assert_eq!(waiting["notebook"]["etag"], room.revision().to_string());
    assert_eq!(waiting["notebook"]["review_state"], "PENDING");
    assert_eq!(waiting["notebook"]["reviews"], json!([]));
    assert_eq!(waiting["notebook"]["runner_collaborator_aliases"], json!(["weather"]));

    room.review("airline", Decision::Approve);
    room.review("weather", Decision::Approve);
    let approved = newest(&room.state, room.now);
    assert_eq!(approved["notebook"]["review_state"], "APPROVED");
    assert_eq!(approved["notebook"]["reviews"].as_array().unwrap().len(), 2);

    room.review("airline", Decision::Reject);
    let rejected = newest(&room.state, room.now);
    assert_eq!(rejected["notebook"]["review_state"], "REJECTED");
    let reviews = rejected["notebook"]["reviews"].as_array().unwrap();
    let of_airline: Vec<&Value> = reviews
        .iter()
        .filter(|review| review["reviewer_collaborator_alias"] == "airline")
        .map(|review| &review["review_state"])
        .collect();
    assert_eq!(of_airline, ["REJECTED"]);
}

#[test]
fn an_approval_by_rule_says_so() {
    let mut room = Room::with_notebook();
    let rule = AutoApproval {
        author: Some(alias("partner")),
        conditions: Conditions::default(),
        id: parse("trusted"),
        runner: alias("weather"),
    };
    room.says("airline", Body::Rule(Rule::Add(rule)));
    room.says("partner", world::add_notebook(world::notebook("1.1.0")));
    room.review("weather", Decision::Approve);
    let shown = newest(&room.state, room.now);
    assert_eq!(shown["notebook"]["review_state"], "APPROVED");
    let reviews = shown["notebook"]["reviews"].as_array().unwrap();
    let by_rule: Vec<&Value> =
        reviews.iter().filter(|review| review.get("review_sub_reason").is_some()).collect();
    assert_eq!(by_rule.len(), 1);
    assert_eq!(by_rule[0]["review_sub_reason"], "AUTO_APPROVED");
    assert_eq!(by_rule[0]["auto_approval_rule_id"], "trusted");
    assert_eq!(by_rule[0]["reviewer_collaborator_alias"], "airline");
}

#[test]
fn a_notebook_without_its_tables_has_nothing_to_review() {
    let mut room = Room::with_notebook();
    room.says("airline", Body::Delete(Delete::Table { table: parse("airline.flights") }));
    let shown = newest(&room.state, room.now);
    assert_eq!(shown["status"], "PENDING");
    assert_eq!(shown["notebook"].get("etag"), None);
}

#[test]
fn a_run_goes_through_the_states_that_the_client_polls_for() {
    let (mut room, run) = Room::requested();
    let state_of = |room: &Room| run_of(&room.state, &run)["state"].clone();
    assert_eq!(state_of(&room)["life_cycle_state"], "QUEUED");
    assert_eq!(run_of(&room.state, &run)["status"]["state"], "QUEUED");
    let start = room.start(&run);
    room.says("host", Body::RunStart(start));
    assert_eq!(state_of(&room)["life_cycle_state"], "RUNNING");
    let mut cancelled = room.clone();
    let mut failed = room.clone();

    let receipt = room.receipt(&run);
    room.says("host", Body::RunReceipt(Box::new(receipt)));
    let ended = run_of(&room.state, &run);
    assert_eq!(ended["state"]["life_cycle_state"], "TERMINATED");
    assert_eq!(ended["state"]["result_state"], "SUCCESS");
    assert_eq!(ended["status"]["termination_details"]["code"], "SUCCESS");
    assert_eq!(ended["tasks"][0]["run_id"], ended["run_id"]);
    assert_eq!(ended["tasks"][0]["state"], ended["state"]);
    assert_eq!(ended["tasks"][0]["task_key"], "only");

    let ends_with = |room: &mut Room, reason| {
        let receipt = room.receipt(&run);
        let receipt =
            glovebox_contract::receipt::Receipt { outcome: Outcome::Failed { reason }, ..receipt };
        room.says("host", Body::RunReceipt(Box::new(receipt)));
    };
    ends_with(&mut failed, ReasonCode::HostRestarted);
    let failed = run_of(&failed.state, &run)["state"].clone();
    assert_eq!(failed["result_state"], "FAILED");
    assert_eq!(failed["state_message"], "the run failed: host-restarted");

    cancelled.says("weather", Body::Cancel(Cancel { run }));
    assert_eq!(state_of(&cancelled)["life_cycle_state"], "TERMINATING");
    ends_with(&mut cancelled, ReasonCode::WorkerDied);
    let state = run_of(&cancelled.state, &run)["state"].clone();
    assert_eq!(state["result_state"], "CANCELED");
    assert_eq!(state["user_cancelled_or_timedout"], true);
}

#[test]
fn a_refused_run_ends_and_says_why() {
    let (mut room, run) = Room::requested();
    room.says(
        "host",
        Body::Refused(Refused {
            party: Some(alias("weather")),
            reason: ReasonCode::InputUnreadable,
            run: Some(run),
            statement: None,
            what: "run-request".into(),
        }),
    );
    let state = run_of(&room.state, &run)["state"].clone();
    assert_eq!(state["life_cycle_state"], "TERMINATED");
    assert_eq!(state["state_message"], "the run was refused: input-unreadable");
}

#[test]
fn lists_tell_each_party_what_it_may_know() {
    let (room, run) = Room::finished();
    let runner = task_run_of(&room.state, &run, &alias("weather"), room.now, false);
    let schema = runner["output_info"]["output_schema_name"].as_str().unwrap();
    assert_eq!(schema, format!("run_{run}"));
    assert_eq!(runner["task_run_state"]["result_state"], "SUCCESS");
    assert_eq!(runner["analysis_details"]["etag"], room.revision().to_string());
    let own = &runner["collaborator_job_run_info"];
    assert_eq!(own["collaborator_job_run_id"], run_of(&room.state, &run)["run_id"]);

    let other = task_run_of(&room.state, &run, &alias("airline"), room.now, false);
    assert_eq!(other.get("output_info"), None);
    assert_eq!(other["collaborator_job_run_info"], json!({ "collaborator_alias": "weather" }));

    let old = task_run_of(&room.state, &run, &alias("weather"), room.now, true);
    assert_eq!(old["notebook_name"], "delay-by-wind");
    assert_eq!(old["output_schema_name"], schema);
    let expired = room.now + 31 * 86_400;
    let gone = task_run_of(&room.state, &run, &alias("weather"), expired, true);
    assert_eq!(gone.get("output_schema_name"), None);
}

#[test]
fn a_request_that_is_not_in_the_log_is_being_sent_or_lost() {
    let room = Room::approved();
    let (_, run) = Room::requested();
    let shown = |failure| run_of_job(&job_of(&run, failure), &room.state)["state"].clone();
    assert_eq!(shown(None)["life_cycle_state"], "PENDING");
    let lost = shown(Some("the host never took it"));
    assert_eq!(lost["result_state"], "FAILED");
    assert_eq!(lost["state_message"], "the host never took it");
}
