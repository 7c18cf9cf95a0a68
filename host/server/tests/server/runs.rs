//! Runs: in turn, neither lost nor doubled.

use std::time::Duration;

use glovebox_api::path;
use glovebox_api::wire::{RunProgress, RunStage, StartedRun};
use glovebox_contract::name::RunId;
use glovebox_contract::statement::{Body, Cancel, Kind};

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_is_the_same_run() {
    let world = World::start().await;
    let room = world.ready().await;
    let weather = world.party("weather");
    let request = weather.run_request(&room, "succeed").await;
    let asks = (0..6).map(|_| weather.ask_to_run(&room, &request));
    for answer in futures::future::join_all(asks).await {
        let started: StartedRun = answer.json(202);
        assert_eq!(started.run, RunId::of_request(&request.digest()));
    }
    let run = RunId::of_request(&request.digest());
    assert_eq!(weather.end_of(&room, &run).await, "succeeded");
    let again: StartedRun = weather.ask_to_run(&room, &request).await.json(202);
    assert_eq!(again.run, run);
    let log = weather.log(&room).await.entries;
    let kinds = log.iter().map(|entry| entry.unverified().unwrap().body.kind());
    let count = |kind| kinds.clone().filter(|found| *found == kind).count();
    assert_eq!(count(Kind::RunRequest), 1);
    assert_eq!(count(Kind::RunReceipt), 1);
    assert_eq!(count(Kind::Refused), 0);
    // Not the runner's to ask again.
    assert_eq!(
        world.party("airline").ask_to_run(&room, &request).await.error(),
        "403 not-permitted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_take_turns_and_may_be_cancelled_while_they_wait() {
    let world = World::start_with(|config| {
        config.limits.runs_per_room = 1;
        config.limits.waiting_runs_per_room = 3;
    })
    .await;
    let room = world.ready().await;
    let weather = world.party("weather");
    let first = weather.run(&room, "hang").await;
    until_stage(&world, &room, &first, Some(RunStage::Running)).await;
    let second = weather.run(&room, "succeed").await;
    let third = weather.run(&room, "succeed").await;
    let fourth = weather.run(&room, "succeed").await;
    // Three wait; a fifth is not taken, and its request is good for later.
    let fifth = weather.run_request(&room, "succeed").await;
    let answer = weather.ask_to_run(&room, &fifth).await;
    assert_eq!(answer.error(), "429 rate-limited");
    assert!(answer.headers.contains_key("retry-after"));
    let metrics = world.unsigned("GET", path::METRICS).await.text();
    for line in ["glovebox_runs_running 1", "glovebox_runs_queued 3"] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
    }
    until_stage(&world, &room, &second, None).await;

    weather.say(&room, Body::Cancel(Cancel { run: third })).await;
    assert_eq!(weather.end_of(&room, &third).await, "refused cancelled");
    weather.say(&room, Body::Cancel(Cancel { run: first })).await;
    assert_eq!(weather.end_of(&room, &first).await, "failed cancelled");
    assert_eq!(weather.end_of(&room, &second).await, "succeeded");
    assert_eq!(weather.end_of(&room, &fourth).await, "succeeded");
    // In the order of asking.
    let state = weather.state(&room).await;
    let started = |run| state.run(run).unwrap().receipt().unwrap().finished_at;
    assert!(started(&second) <= started(&fourth));
}

async fn until_stage(
    world: &World,
    room: &glovebox_contract::name::RoomId,
    run: &RunId,
    wanted: Option<RunStage>,
) {
    for _ in 0..200 {
        let progress: RunProgress =
            world.party("weather").get(&path::run(room, run)).await.json(200);
        if progress.stage == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("run {run} does not come to {wanted:?}");
}
