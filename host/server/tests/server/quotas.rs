//! What one party may use: runs at once, runs a day, processor time a day. And how much goes on in
//! one room at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use glovebox_api::path::{self, RoomPart};
use glovebox_api::wire::{RunProgress, RunStage, Taken};
use glovebox_contract::name::{RoomId, RunId};
use glovebox_contract::state::RunStatus;
use glovebox_contract::statement::{AssetStatement, Body, Cancel, Decision, Review};
use glovebox_room::clock::{Clock, SystemClock};
use serde_json::json;

use crate::fake_worker::FakeComponent;
use crate::world::{NOTEBOOK, Party, World, notebook};

const DAY: u64 = 86_400;

/// The machine's clock, so many seconds ahead.
#[derive(Clone, Default)]
struct Ahead(Arc<AtomicU64>);

impl Clock for Ahead {
    fn unix_micros(&self) -> u64 {
        SystemClock.unix_micros() + self.0.load(Ordering::SeqCst) * 1_000_000
    }
}

/// How many runs of a room wait, go on and have ended, as the log says.
async fn counts(party: &Party<'_>, room: &RoomId) -> (usize, usize, usize) {
    let state = party.state(room).await;
    let of = |is: fn(&RunStatus) -> bool| state.runs().filter(|run| is(run.status())).count();
    (
        of(|status| matches!(status, RunStatus::Requested)),
        of(|status| matches!(status, RunStatus::Started)),
        of(|status| !matches!(status, RunStatus::Requested | RunStatus::Started)),
    )
}

async fn until(party: &Party<'_>, room: &RoomId, expect: (usize, usize, usize)) {
    let mut found = (0, 0, 0);
    for _ in 0..400 {
        found = counts(party, room).await;
        if found == expect {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waiting, running, ended: {found:?}, not {expect:?}");
}

async fn cancel(party: &Party<'_>, room: &RoomId, run: RunId) {
    party.say(room, Body::Cancel(Cancel { run })).await;
}

/// A room in which both parties may run the notebook.
async fn with_two_runners(world: &World) -> RoomId {
    let room = world.ready().await;
    let component = FakeComponent::new(NOTEBOOK).to_bytes();
    let Body::Asset(AssetStatement::Notebook(mut asset)) = notebook(&component) else {
        panic!("a notebook")
    };
    asset.runners.insert("airline".parse().unwrap());
    let airline = world.party("airline");
    airline.upload(&component).await;
    let body = Body::Asset(AssetStatement::Notebook(asset));
    let statement = airline.statement(&room, body).await;
    let target = path::room(&room, RoomPart::Notebooks);
    airline.post_json(&target, &json!({ "statement": statement })).await.json::<Taken>(200);
    let weather = world.party("weather");
    let review = Review {
        comment: String::new(),
        decision: Decision::Approve,
        notebook: NOTEBOOK.parse().unwrap(),
        revision: weather.revision(&room).await,
    };
    weather.say(&room, Body::Review(review)).await;
    room
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_runs_of_a_room_go_on_at_once_and_the_next_ones_wait() {
    let world = World::start().await;
    let room = world.ready().await;
    let weather = world.party("weather");
    let mut runs = Vec::new();
    for _ in 0..12 {
        runs.push(weather.run(&room, "hang").await);
    }
    until(&weather, &room, (2, 10, 0)).await;
    let progress: RunProgress = weather.get(&path::run(&room, &runs[11])).await.json(200);
    assert_eq!(progress, RunProgress { ahead: Some(1), ..RunProgress::default() });
    let progress: RunProgress = weather.get(&path::run(&room, &runs[0])).await.json(200);
    assert_eq!((progress.ahead, progress.stage), (None, Some(RunStage::Running)));
    // Who ends makes place for who waits, in the order of asking.
    cancel(&weather, &room, runs[3]).await;
    until(&weather, &room, (1, 10, 1)).await;
    assert!(weather.state(&room).await.run(&runs[10]).unwrap().start().is_some());
    for run in [11, 0, 1, 2, 4, 5, 6, 7, 8, 9, 10] {
        cancel(&weather, &room, runs[run]).await;
    }
    until(&weather, &room, (0, 0, 12)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_waits_for_its_own_runs_and_holds_up_nobody() {
    let world = World::start_with(|config| {
        config.limits.runs_per_room = 2;
        config.limits.party.runs_at_once = Some(1);
    })
    .await;
    let room = with_two_runners(&world).await;
    let (airline, weather) = (world.party("airline"), world.party("weather"));
    let first = weather.run(&room, "hang").await;
    let second = weather.run(&room, "succeed").await;
    let third = weather.run(&room, "succeed").await;
    until(&weather, &room, (2, 1, 0)).await;
    // The second place of the room is the other party's.
    let other = airline.run(&room, "succeed").await;
    assert_eq!(airline.end_of(&room, &other).await, "succeeded");
    assert_eq!(counts(&weather, &room).await, (2, 1, 1));
    cancel(&weather, &room, third).await;
    assert_eq!(weather.end_of(&room, &third).await, "refused cancelled");
    cancel(&weather, &room, first).await;
    assert_eq!(weather.end_of(&room, &second).await, "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_does_not_fill_the_queue_of_a_room() {
    let world = World::start_with(|config| {
        config.limits.runs_per_room = 1;
        config.limits.waiting_runs_per_room = 4;
        config.limits.party.waiting_runs_per_room = Some(2);
    })
    .await;
    let room = with_two_runners(&world).await;
    let (airline, weather) = (world.party("airline"), world.party("weather"));
    let first = weather.run(&room, "hang").await;
    until(&weather, &room, (0, 1, 0)).await;
    for _ in 0..2 {
        weather.run(&room, "succeed").await;
    }
    let request = weather.run_request(&room, "succeed").await;
    assert_eq!(weather.ask_to_run(&room, &request).await.error(), "429 rate-limited");
    let other = airline.run(&room, "succeed").await;
    cancel(&weather, &room, first).await;
    assert_eq!(airline.end_of(&room, &other).await, "succeeded");
    until(&weather, &room, (0, 0, 4)).await;
    let later = weather.run(&room, "succeed").await;
    assert_eq!(weather.end_of(&room, &later).await, "succeeded", "the queue has room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_a_day_are_counted_in_all_rooms_and_by_the_next_host_too() {
    let root = tempfile::tempdir().unwrap();
    let home = root.path().join("home");
    let ahead = Ahead::default();
    let start = async || {
        let clock = ahead.clone();
        World::start_at(&home, move |config| {
            config.limits.party.runs_per_day = Some(3);
            config.clock = Arc::new(clock);
        })
        .await
    };
    let mut world = start().await;
    let room = with_two_runners(&world).await;
    let weather = world.party("weather");
    for _ in 0..2 {
        let run = weather.run(&room, "succeed").await;
        assert_eq!(weather.end_of(&room, &run).await, "succeeded");
    }
    // A run that was let in counts before the log has its start, and a refused one never does.
    let third = weather.run(&room, "hang").await;
    for _ in 0..2 {
        let run = weather.run(&room, "succeed").await;
        assert_eq!(weather.end_of(&room, &run).await, "refused policy-limit");
    }
    let airline = world.party("airline");
    let run = airline.run(&room, "succeed").await;
    assert_eq!(airline.end_of(&room, &run).await, "succeeded", "it is another party's quota");
    cancel(&weather, &room, third).await;
    assert_eq!(weather.end_of(&room, &third).await, "failed cancelled");
    // The same key in another room is the same party.
    let second = world.ready_called("second").await;
    let run = weather.run(&second, "succeed").await;
    assert_eq!(weather.end_of(&second, &run).await, "refused policy-limit");

    world.stop().await;
    let mut world = start().await;
    let weather = world.party("weather");
    let run = weather.run(&room, "succeed").await;
    assert_eq!(weather.end_of(&room, &run).await, "refused policy-limit");
    ahead.0.store(DAY + 60, Ordering::SeqCst);
    world.ahead = DAY + 60;
    let weather = world.party("weather");
    for room in [&second, &room] {
        let run = weather.run(room, "succeed").await;
        assert_eq!(weather.end_of(room, &run).await, "succeeded", "another day");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_run_of_a_day_is_not_taken_twice() {
    let world = World::start_with(|config| config.limits.party.runs_per_day = Some(1)).await;
    let room = world.ready().await;
    let other = world.ready_called("other").await;
    let weather = world.party("weather");
    let requests = [&room, &other].map(|room| weather.run_request(room, "hang"));
    let requests = futures::future::join_all(requests).await;
    let asks = [(&room, &requests[0]), (&other, &requests[1])]
        .map(|(room, request)| weather.ask_to_run(room, request));
    for answer in futures::future::join_all(asks).await {
        assert_eq!(answer.status, 202, "{}", answer.text());
    }
    let runs = requests.iter().map(|request| RunId::of_request(&request.digest()));
    let runs: Vec<_> = runs.zip([&room, &other]).collect();
    let mut started = 0;
    for _ in 0..400 {
        let [one, two] = [counts(&weather, &room).await, counts(&weather, &other).await];
        started = one.1 + two.1;
        if one.0 + two.0 == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(started, 1);
    for (run, room) in runs {
        let ended = weather.state(room).await.run(&run).unwrap().has_ended();
        if !ended {
            cancel(&weather, room, run).await;
            assert_eq!(weather.end_of(room, &run).await, "failed cancelled");
        } else {
            assert_eq!(weather.end_of(room, &run).await, "refused policy-limit");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processor_time_is_what_receipts_say() {
    let world = World::start_with(|config| config.limits.party.cpu_seconds_per_day = Some(1)).await;
    let room = world.ready().await;
    let weather = world.party("weather");
    // The fake worker says 5 ms and 900 ms, which receipts round up to 8 and 1024.
    for behaviour in ["succeed", "busy"] {
        let run = weather.run(&room, behaviour).await;
        assert_eq!(weather.end_of(&room, &run).await, "succeeded");
    }
    let state = weather.state(&room).await;
    let used: Vec<_> = state.runs().map(|run| run.receipt().unwrap().usage.cpu_ms).collect();
    assert_eq!(used, [8, 1024]);
    let run = weather.run(&room, "succeed").await;
    assert_eq!(weather.end_of(&room, &run).await, "refused policy-limit");
}
