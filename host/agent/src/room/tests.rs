use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::key::PrivateKey;
use glovebox_contract::name::{RoomId, RunId};
use glovebox_contract::statement::{Body, RunRequest, Statement};

use super::*;
use crate::alerts::Alerts;
use crate::book::{Occurrence, Outcome};
use crate::desk::Standing;
use crate::outbox::Outbox;
use crate::planner;
use crate::watch::News;

const START: u64 = 1_357_862_400;

fn room() -> RoomId {
    RoomId(Blake3Digest::from_bytes([7; 32]))
}

struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A host as an agent sees it: requests by their numbers, each good once.
#[derive(Default)]
struct FakeHost {
    /// The number of the party's next statement.
    next: u64,
    runs: BTreeMap<RunId, Standing>,
    /// What becomes of runs when they are asked for.
    outcomes: Vec<Standing>,
    /// How the next sends go wrong, before or after the host took the request.
    away: Vec<Away>,
    refuses: Option<ReasonCode>,
}

#[derive(Clone, Copy, PartialEq)]
enum Away {
    Before,
    After,
}

#[derive(Clone)]
struct FakeDesk(std::rc::Rc<RefCell<FakeHost>>);

impl FakeDesk {
    fn new() -> Self {
        Self(std::rc::Rc::new(RefCell::new(FakeHost { next: 1, ..FakeHost::default() })))
    }

    /// Another program of the party signs something.
    fn other_statement(&self) {
        self.0.borrow_mut().next += 1;
    }

    fn runs(&self) -> usize {
        self.0.borrow().runs.len()
    }
}

impl Desk for FakeDesk {
    fn wait(&mut self, _: Duration) -> Result<(), Problem> {
        Ok(())
    }

    fn draw_up(
        &self,
        order: &Order,
        _: &BTreeMap<String, String>,
    ) -> Result<(Envelope, RunId), Problem> {
        if let Some(reason) = self.0.borrow().refuses {
            return Err(Problem::Refused { reason, what: "no".into() });
        }
        let revision = Blake3Digest::from_bytes([1; 32]);
        let notebook = order.notebook.clone();
        let statement = Statement {
            body: Body::RunRequest(RunRequest { notebook, parameters: BTreeMap::new(), revision }),
            issued_at: START,
            party: "airline".parse().unwrap(),
            room: Some(room()),
            sequence: self.0.borrow().next,
        };
        let envelope = Envelope::sign(&statement, &PrivateKey::from_seed(&[1; 32])).unwrap();
        let run = RunId::of_request(&envelope.digest());
        Ok((envelope, run))
    }

    fn is_for(&self, request: &Envelope) -> bool {
        request.unverified().unwrap().room == Some(room())
    }

    fn send(&mut self, request: &Envelope) -> Result<(), Problem> {
        let mut host = self.0.borrow_mut();
        let away = host.away.pop();
        if away == Some(Away::Before) {
            return Err(Problem::Away("no answer".into()));
        }
        let run = RunId::of_request(&request.digest());
        let sequence = request.unverified().unwrap().sequence;
        if !host.runs.contains_key(&run) {
            if sequence != host.next {
                let reason = ReasonCode::Replayed;
                return Err(Problem::Refused { reason, what: "its number is used".into() });
            }
            host.next += 1;
            let outcome = host.outcomes.pop().unwrap_or(Standing::Going);
            host.runs.insert(run, outcome);
        }
        match away {
            Some(_) => Err(Problem::Away("the answer was lost".into())),
            None => Ok(()),
        }
    }

    fn standing(&self, run: &RunId) -> Standing {
        self.0.borrow().runs.get(run).copied().unwrap_or(Standing::Unknown)
    }

    fn may_come(&self, request: &Envelope) -> bool {
        request.unverified().unwrap().sequence >= self.0.borrow().next
    }

    fn news(&self, _: &str, _: Option<&RoomRecord>, now: u64) -> Result<News, Problem> {
        let record = RoomRecord {
            id: room(),
            entries: 0,
            active: now,
            forked: false,
            approvals: std::collections::BTreeSet::new(),
        };
        Ok(News { events: Vec::new(), record })
    }
}

/// An agent, as often as it is started again with the same directory.
struct World {
    directory: tempfile::TempDir,
    orders: Arc<Orders>,
    clock: Hand,
    desk: FakeDesk,
}

impl World {
    fn new(options: &str) -> Self {
        let text = format!(
            "[[orders]]\nname = \"hourly\"\nroom = \"r\"\nnotebook = \"n\"\ncron = \"0 * * * *\"\n\
             {options}\n"
        );
        let orders = Arc::new(Orders::parse(&text, Path::new(".")).unwrap());
        let directory = tempfile::tempdir().unwrap();
        let clock = Hand(AtomicU64::new(START));
        let world = Self { directory, orders, clock, desk: FakeDesk::new() };
        world.at(0);
        world
    }

    fn store(&self) -> Store {
        let outbox = Arc::new(Outbox::open(self.directory.path()));
        let alerts = Alerts::new(Arc::clone(&self.orders), outbox);
        Store::open(self.directory.path(), alerts).unwrap()
    }

    /// One step of an agent that was just started, as if the one before had been killed.
    fn at(&self, seconds: u64) {
        self.clock.0.store(START + seconds, Ordering::SeqCst);
        let store = self.store();
        let now = self.clock.now();
        store.change(|book| ((), planner::plan(&self.orders, book, now))).unwrap();
        let worker =
            RoomWorker { name: "r", orders: &self.orders, store: &store, clock: &self.clock };
        match worker.step(&mut self.desk.clone()) {
            Ok(()) | Err(Stop::Room(Problem::Away(_))) => {}
            Err(other) => panic!("{other}"),
        }
    }

    fn last(&self) -> Occurrence {
        self.store().look(|book| book.occurrences.values().last().cloned().unwrap())
    }

    /// Ends the run that goes on.
    fn end_going(&self, outcome: Standing) {
        for standing in self.desk.0.borrow_mut().runs.values_mut() {
            if *standing == Standing::Going {
                *standing = outcome;
            }
        }
    }

    fn end(&self, outcome: Standing) {
        for standing in self.desk.0.borrow_mut().runs.values_mut() {
            *standing = outcome;
        }
    }
}

#[test]
fn a_time_is_one_run_however_often_the_agent_dies() {
    let check = |away: &[Away]| {
        let world = World::new("");
        world.desk.0.borrow_mut().away = away.to_vec();
        for second in 3600..3610 {
            world.at(second);
        }
        assert_eq!(world.desk.runs(), 1);
        world.end(Standing::Succeeded);
        world.at(3611);
        assert_eq!(world.last().outcome(), Some(Outcome::Succeeded));
        world.at(3612);
        assert_eq!(world.desk.runs(), 1);
    };
    check(&[]);
    check(&[Away::Before]);
    check(&[Away::After]);
    check(&[Away::Before, Away::After, Away::After, Away::Before]);
}

#[test]
fn a_request_that_was_overtaken_is_signed_again_and_no_other_is() {
    let check = |away: Away, runs: usize| {
        let world = World::new("");
        world.desk.0.borrow_mut().away = vec![away];
        world.at(3600);
        let first = world.last().run().copied().unwrap();
        world.desk.other_statement();
        world.at(3601);
        world.at(3602);
        assert_eq!(world.desk.runs(), runs);
        let second = world.last().run().copied().unwrap();
        // The first request came, though its answer was lost: it stays the one.
        assert_eq!(first == second, away == Away::After);
    };
    check(Away::Before, 1);
    check(Away::After, 1);
}

#[test]
fn a_failure_that_may_pass_is_tried_again_and_another_is_not() {
    let check = |reason: ReasonCode, runs: usize, outcome: Option<Outcome>| {
        let world = World::new("retries = 2\npause = \"10s\"");
        world.desk.0.borrow_mut().outcomes = vec![Standing::Failed(reason); 10];
        for second in 3600..3700 {
            world.at(second);
        }
        assert_eq!(world.desk.runs(), runs, "{reason}");
        assert_eq!(world.last().outcome(), outcome, "{reason}");
    };
    for reason in [ReasonCode::SourceUnavailable, ReasonCode::HostRestarted] {
        check(reason, 3, Some(Outcome::Failed { reason }));
    }
    for reason in [ReasonCode::GuestError, ReasonCode::Cancelled, ReasonCode::SourceDenied] {
        check(reason, 1, Some(Outcome::Failed { reason }));
    }
}

#[test]
fn retries_wait_longer_each_time() {
    let world = World::new("retries = 3\npause = \"10s\"");
    world.desk.0.borrow_mut().outcomes = vec![
        Standing::Succeeded,
        Standing::Failed(ReasonCode::WorkerDied),
        Standing::Failed(ReasonCode::WorkerDied),
    ];
    let mut asked = Vec::new();
    for second in 3600..3640 {
        let before = world.desk.runs();
        world.at(second);
        if world.desk.runs() > before {
            asked.push(second - 3600);
        }
    }
    // What became of a run shows in the step after the one that asked for it.
    assert_eq!(asked, [0, 11, 32]);
    assert_eq!(world.last().outcome(), Some(Outcome::Succeeded));
    assert_eq!(world.last().failures, 2);
}

#[test]
fn what_the_room_does_not_allow_is_not_even_asked_for() {
    let world = World::new("");
    world.desk.0.borrow_mut().refuses = Some(ReasonCode::NotApproved);
    world.at(3600);
    world.at(3601);
    let reason = ReasonCode::NotApproved;
    assert_eq!(world.last().outcome(), Some(Outcome::Failed { reason }));
    assert_eq!(world.desk.0.borrow().next, 1);
}

#[test]
fn a_host_that_stays_away_is_given_up_in_the_end() {
    let world = World::new("give_up = \"1h\"");
    world.desk.0.borrow_mut().away = vec![Away::Before; 1000];
    world.at(3600);
    world.at(3601);
    assert!(!world.last().is_done());
    world.at(3600 + 3599);
    assert!(!world.last().is_done());
    world.at(3600 + 3601);
    let first = world.store().look(|book| book.occurrences.values().next().cloned().unwrap());
    let reason = ReasonCode::Unavailable;
    assert_eq!(first.outcome(), Some(Outcome::Failed { reason }));
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[test]
fn whatever_goes_wrong_each_attempt_is_one_run() {
    for seed in 0..12 {
        let mut dice = Dice(seed);
        let overlap = ["skip", "queue"][usize::try_from(dice.throw(2)).unwrap()];
        let world = World::new(&format!("retries = 2\npause = \"5s\"\noverlap = \"{overlap}\""));
        let mut second = 3590;
        for _ in 0..60 {
            second += dice.throw(300);
            match dice.throw(8) {
                0 => world.desk.other_statement(),
                1 => world.desk.0.borrow_mut().away.push(Away::Before),
                2 => world.desk.0.borrow_mut().away.push(Away::After),
                3 => world.end_going(Standing::Succeeded),
                4 => world.end_going(Standing::Failed(ReasonCode::WorkerDied)),
                5 => world.end_going(Standing::Failed(ReasonCode::GuestError)),
                _ => {}
            }
            world.at(second);
            let going = |desk: &FakeDesk| {
                let host = desk.0.borrow();
                host.runs.values().filter(|standing| **standing == Standing::Going).count()
            };
            assert!(going(&world.desk) <= 1, "seed {seed}: two at once");
        }
        // Everything ends when nothing goes wrong any more.
        world.desk.0.borrow_mut().away.clear();
        for step in 0..30 {
            world.end_going(Standing::Succeeded);
            world.at(second + step);
        }
        let known: Vec<_> = world.store().look(|book| book.occurrences.values().cloned().collect());
        let attempts: u32 = known
            .iter()
            .map(|occurrence| match occurrence.outcome() {
                Some(Outcome::Succeeded) => occurrence.failures + 1,
                Some(Outcome::Failed { .. }) => occurrence.failures,
                Some(Outcome::Skipped) => 0,
                None => panic!("seed {seed}: {occurrence:?} does not end"),
            })
            .sum();
        assert_eq!(world.desk.runs(), attempts as usize, "seed {seed}");
        let mut dues: Vec<_> = known.iter().map(|occurrence| occurrence.due).collect();
        dues.dedup();
        assert_eq!(dues.len(), known.len(), "seed {seed}: a time was noted twice");
    }
}
