//! Runs that their runner takes back.

use std::time::{Duration, Instant};

use glovebox_contract::name::RunId;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::{Body, Cancel};
use glovebox_room::run::{RunObserver, RunStage};

use crate::world::{Wishes, World, last_entries, outcome, request, sign};

/// Cancels the only run of the room, as another process would.
fn cancel(world: &World, alias: &str) -> Result<(), ReasonCode> {
    let mut room = world.room();
    let run = *room.state().runs().next_back().unwrap().id();
    let envelope = sign(&room, alias, Body::Cancel(Cancel { run }));
    room.submit(&envelope).map(drop).map_err(|error| error.reason())
}

/// Acts when the run comes to a stage.
struct At<'a>(RunStage, &'a mut dyn FnMut());

impl RunObserver for At<'_> {
    fn stage(&mut self, stage: RunStage) {
        if stage == self.0 {
            (self.1)();
        }
    }
}

#[test]
fn a_cancelled_run_ends_soon_with_a_receipt_that_says_so() {
    let world = World::ready(&Wishes::default());
    let mut act = || {
        assert_eq!(cancel(&world, "airline"), Err(ReasonCode::NotPermitted), "the runner alone");
        cancel(&world, "weather").unwrap();
    };
    let started = Instant::now();
    // The worker sleeps for ten minutes, its deadline is 20 seconds.
    let ended = world.run_watched("hang", &mut At(RunStage::Running, &mut act));
    assert_eq!(outcome(&ended), "failed cancelled");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(last_entries(&world.room(), 4), ["run-start", "refused", "cancel", "run-receipt"]);
    assert_eq!(cancel(&world, "weather"), Err(ReasonCode::AlreadyExists), "it has ended");
    assert_eq!(outcome(&world.run("succeed")), "succeeded");
}

#[test]
fn a_cancel_keeps_the_outputs_of_a_finished_worker_back() {
    let world = World::ready(&Wishes::default());
    let mut act = || cancel(&world, "weather").unwrap();
    let ended = world.run_watched("succeed", &mut At(RunStage::Publishing, &mut act));
    assert_eq!(outcome(&ended), "failed cancelled");
    let outputs = world.room_directory().join("outputs");
    assert_eq!(std::fs::read_dir(outputs).unwrap().count(), 0);
}

#[test]
fn a_cancelled_run_does_not_start() {
    let world = World::ready(&Wishes::default());
    let mut act = || cancel(&world, "weather").unwrap();
    let ended = world.run_watched("succeed", &mut At(RunStage::ReadingInputs, &mut act));
    assert_eq!(outcome(&ended), "refused cancelled");
    assert_eq!(last_entries(&world.room(), 3), ["run-request", "cancel", "refused"]);
}

/// Lets the run start, or not, after an act.
struct Gate<'a> {
    act: &'a mut dyn FnMut(&RunId),
    answer: Result<(), ReasonCode>,
    seen: Vec<RunStage>,
}

impl RunObserver for Gate<'_> {
    fn waits(&self) -> bool {
        true
    }

    fn admit(&mut self, run: &RunId) -> Result<(), ReasonCode> {
        assert!(self.seen.is_empty());
        (self.act)(run);
        self.answer
    }

    fn stage(&mut self, stage: RunStage) {
        self.seen.push(stage);
    }
}

#[test]
fn a_waiting_run_is_in_the_log_and_starts_when_it_is_let() {
    let check = |cancels: bool, answer: Result<(), ReasonCode>, expect: &str| {
        let world = World::ready(&Wishes::default());
        let mut act = |run: &RunId| {
            let room = world.room();
            assert_eq!(last_entries(&room, 1), ["run-request"]);
            assert!(!room.state().run(run).unwrap().has_ended());
            if cancels {
                cancel(&world, "weather").unwrap();
            }
        };
        let mut gate = Gate { act: &mut act, answer, seen: Vec::new() };
        let ended = world.run_watched("succeed", &mut gate);
        assert_eq!(outcome(&ended), expect);
        assert_eq!(gate.seen.is_empty(), expect != "succeeded");
        let staging = world.room_directory().join("staging");
        assert_eq!(std::fs::read_dir(staging).unwrap().count(), 0);
    };
    check(false, Ok(()), "succeeded");
    check(true, Ok(()), "refused cancelled");
    check(false, Err(ReasonCode::Unavailable), "refused unavailable");
    // Whoever let it wait may have noticed first.
    check(true, Err(ReasonCode::Cancelled), "refused cancelled");
}

#[test]
fn a_request_that_comes_again_is_found_with_its_run() {
    let world = World::ready(&Wishes::default());
    let mut room = world.room();
    let envelope = request(&room, "weather", "succeed");
    assert_eq!(room.run_of_request(&envelope).unwrap(), None);
    let run = RunId::of_request(&envelope.digest());
    let mut act = |started: &RunId| {
        assert_eq!(*started, run);
        assert_eq!(world.room().run_of_request(&envelope).unwrap(), Some(run));
    };
    let mut gate = Gate { act: &mut act, answer: Ok(()), seen: Vec::new() };
    world.room().run(&world.settings, &envelope, &mut gate).unwrap();
    // Known to a value that has not seen it yet.
    assert_eq!(room.run_of_request(&envelope).unwrap(), Some(run));
    assert_eq!(room.run_of_request(&request(&room, "weather", "log")).unwrap(), None);
}
