//! A host that stops: what runs may end, what waits is told, and nothing is lost or doubled.

use std::time::{Duration, Instant};

use glovebox_api::path::{self, RoomPart};
use glovebox_api::wire::StartedRun;
use glovebox_contract::digest::ContentDigest;
use glovebox_contract::receipt::Outcome;
use glovebox_contract::state::{RoomState, RunStatus};
use glovebox_contract::statement::{Body, Cancel};
use glovebox_room::Home;

use crate::world::World;

fn state(home: &std::path::Path) -> RoomState {
    Home::open(home).unwrap().room("lab").unwrap().state().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_end_before_the_host_does_and_waiting_ones_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let home = root.path().join("home");
    let mut world = World::start_at(&home, |config| {
        config.limits.runs_per_room = 1;
        config.limits.grace = Duration::from_secs(2);
    })
    .await;
    let room = world.ready().await;
    let weather = world.party("weather");
    let running = weather.run(&room, "hang").await;
    for _ in 0..100 {
        if weather.state(&room).await.run(&running).unwrap().start().is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let request = weather.run_request(&room, "succeed").await;
    let waiting: StartedRun = weather.ask_to_run(&room, &request).await.json(202);
    let began = Instant::now();
    world.stop().await;
    assert!((1500..8000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    let left = state(&home);
    let refused =
        RunStatus::Refused { reason: glovebox_contract::reason::ReasonCode::HostRestarted };
    assert_eq!(*left.run(&waiting.run).unwrap().status(), refused);
    // This process is alive, and with it the thread of the run that hangs: the home says so.
    assert_eq!(*left.run(&running).unwrap().status(), RunStatus::Started);

    // The next host: the same request is the same run, which has ended.
    let world = World::start_at(&home, |_| {}).await;
    let weather = world.party("weather");
    let again: StartedRun = weather.ask_to_run(&room, &request).await.json(202);
    assert_eq!(again.run, waiting.run);
    let run = weather.run(&room, "succeed").await;
    assert_eq!(weather.end_of(&room, &run).await, "succeeded");
    weather.say(&room, Body::Cancel(Cancel { run: running })).await;
    assert_eq!(weather.end_of(&room, &running).await, "failed cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stops_takes_no_runs_and_says_that_it_stops() {
    let root = tempfile::tempdir().unwrap();
    let home = root.path().join("home");
    let mut world = World::start_at(&home, |config| {
        config.limits.grace = Duration::from_secs(20);
    })
    .await;
    let room = world.ready().await;
    let weather = world.party("weather");
    // A connection that is there already is still answered while the host waits for a run.
    let run = weather.run(&room, "guest-error").await;
    world.ask_to_stop();
    world.stop().await;
    let left = state(&home);
    match left.run(&run).unwrap().status() {
        RunStatus::Ended { receipt, .. } => {
            assert!(matches!(receipt.outcome, Outcome::Failed { .. }), "{:?}", receipt.outcome);
        }
        other => panic!("the run had time to end: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_and_rooms_outlive_the_host() {
    let root = tempfile::tempdir().unwrap();
    let home = root.path().join("home");
    let bytes = vec![7; 1000];
    let digest = ContentDigest::of(&bytes);
    let (room, key) = {
        let mut world = World::start_at(&home, |_| {}).await;
        let room = world.room().await;
        let answer = world.party("airline").chunk(&digest, 0, 1000, &bytes[..400]).await;
        assert_eq!(answer.status, 204);
        world.stop().await;
        (room, world.host_key)
    };
    let world = World::start_at(&home, |_| {}).await;
    assert_eq!(world.host_key, key);
    let airline = world.party("airline");
    let answer = airline.chunk(&digest, 400, 1000, &bytes[400..]).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    let log = airline.get(&path::room(&room, RoomPart::Log)).await;
    assert_eq!(log.status, 200);
}
