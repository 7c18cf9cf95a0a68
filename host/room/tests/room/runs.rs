//! Runs, good and bad, from request to receipt.

use std::fs;

use glovebox_contract::media::MediaType;
use glovebox_contract::name::RunId;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::{Body, LogReaders, Pause};
use glovebox_job::event::LogLevel;
use glovebox_room::run::{RunObserver, RunStage};

use crate::world::{Wishes, World, last_entries, last_refusal, outcome, read, request, sign};

fn is_empty(world: &World, directory: &str) -> bool {
    fs::read_dir(world.room_directory().join(directory)).unwrap().next().is_none()
}

#[test]
fn a_run_ends_with_a_receipt_and_its_outputs() {
    let world = World::ready(&Wishes::default());
    let ended = world.run("succeed").unwrap();
    let mut room = world.room();
    assert_eq!(last_entries(&room, 3), ["run-request", "run-start", "run-receipt"]);
    assert!(is_empty(&world, "staging"));
    let opened = read(&mut room, "weather", &ended.run).unwrap();
    let content = std::io::read_to_string(&opened.file).unwrap();
    assert_eq!(content, format!("output of {}", ended.receipt.computation));
    assert_eq!(opened.output.rows, 3);
    assert_eq!(last_entries(&room, 1), ["output-read"]);
    let again = world.run("succeed").unwrap();
    assert_ne!(again.run, ended.run);
    assert_eq!(again.receipt.outcome, ended.receipt.outcome, "same inputs, same outputs");
}

#[test]
fn a_run_that_fails_has_a_receipt_with_a_public_reason_and_no_outputs() {
    let world = World::ready(&Wishes::default());
    let impatient =
        World::ready(&Wishes { limits: |limits| limits.wall_seconds = 2, ..Wishes::default() });
    let check_in = |world: &World, behaviour: &str, expect: &str| {
        let ended = world.run(behaviour);
        assert_eq!(outcome(&ended), expect, "{behaviour}");
        let run = ended.unwrap().run;
        let mut room = world.room();
        assert_eq!(last_entries(&room, 3), ["run-request", "run-start", "run-receipt"]);
        assert!(is_empty(world, "staging"), "{behaviour}");
        assert!(is_empty(world, "outputs"), "{behaviour}");
        let error = read(&mut room, "weather", &run).unwrap_err();
        assert_eq!(error.reason(), ReasonCode::NotFound);
        assert_eq!(last_refusal(&room), (ReasonCode::NotFound, Some("weather".into())));
    };
    let check = |behaviour: &str, expect: &str| check_in(&world, behaviour, expect);
    check_in(&impatient, "hang", "failed deadline");
    check("guest-error", "failed guest-error");
    check("die", "failed worker-died");
    check("die-talking", "failed worker-died");
    check("rows", "failed worker-protocol");
    check("bytes", "failed worker-protocol");
    check("too-large", "failed output-bytes");
    check("undeclared", "failed worker-protocol");
    check("missing", "failed worker-protocol");
    check("nonsense", "failed worker-protocol");
    // And the home is as good as before.
    assert_eq!(outcome(&world.run("succeed")), "succeeded");
}

#[test]
fn the_words_of_a_run_are_for_its_author() {
    let check = |log_readers: LogReaders, reader: &str, expect: bool| {
        let world = World::ready(&Wishes { log_readers, ..Wishes::default() });
        let run = world.run("guest-error").unwrap().run;
        let text = world.room().run_text(&run, &reader.parse().unwrap());
        match text {
            Ok(text) if expect => assert_eq!(text.detail.as_deref(), Some("no such month: 13")),
            Err(error) if !expect => assert!(
                [ReasonCode::NotPermitted, ReasonCode::NotFound].contains(&error.reason()),
                "{error}"
            ),
            other => panic!("{reader}: {other:?}"),
        }
    };
    check(LogReaders::Author, "airline", true);
    check(LogReaders::Author, "weather", false);
    check(LogReaders::Author, "mallory", false);
    check(LogReaders::All, "weather", true);
    check(LogReaders::All, "mallory", false);
}

#[test]
fn what_a_dying_process_said_is_for_the_operator_only() {
    let world = World::ready(&Wishes { log_readers: LogReaders::All, ..Wishes::default() });
    let run = world.run("die-talking").unwrap().run;
    let room = world.room();
    let text = room.run_text(&run, &"airline".parse().unwrap()).unwrap();
    assert_eq!(text.detail, None);
    let detail = room.operator_detail(&run).unwrap().unwrap();
    assert!(detail.contains("JFK,1234"), "{detail}");
}

#[derive(Default)]
struct Recorder(Vec<String>);

impl RunObserver for Recorder {
    fn stage(&mut self, stage: RunStage) {
        self.0.push(format!("{stage:?}"));
    }

    fn progress(&mut self, done: u64, total: Option<u64>) {
        self.0.push(format!("{done} of {total:?}"));
    }

    fn log(&mut self, level: LogLevel, message: &str) {
        self.0.push(format!("{}: {message}", level.as_str()));
    }
}

#[test]
fn an_observer_hears_of_stages_and_progress_and_of_log_lines_if_the_runner_may_read_them() {
    let check = |log_readers: LogReaders, behaviour: &str, expect: &[&str]| {
        let world = World::ready(&Wishes { log_readers, ..Wishes::default() });
        let mut recorder = Recorder::default();
        world.run_watched(behaviour, &mut recorder).unwrap();
        assert_eq!(recorder.0, expect);
    };
    check(
        LogReaders::Author,
        "progress",
        &["ReadingInputs", "Running", "1 of Some(2)", "Publishing"],
    );
    check(LogReaders::Author, "log", &["ReadingInputs", "Running", "Publishing"]);
    check(
        LogReaders::All,
        "log",
        &["ReadingInputs", "Running", "info: first", "info: second", "Publishing"],
    );
}

#[test]
fn a_flood_of_log_lines_is_cut_at_the_rooms_limit() {
    let world = World::ready(&Wishes::default());
    let run = world.run("log-flood").unwrap().run;
    let text = world.room().run_text(&run, &"airline".parse().unwrap()).unwrap();
    // 256 bytes hold four lines of 63 and a line end.
    assert_eq!(text.log.len(), 5);
    assert_eq!(text.log[4].message, "16 lines were dropped: the log is full");
    assert_eq!(text.log[4].level, LogLevel::Warn);
}

#[test]
fn what_cells_display_is_kept_for_the_readers_of_the_log_within_its_limit() {
    let world = World::ready(&Wishes::default());
    let run = world.run("display").unwrap().run;
    let text = world.room().run_text(&run, &"airline".parse().unwrap()).unwrap();
    let shown: Vec<_> = text
        .displays
        .iter()
        .map(|display| (display.media_type, str::from_utf8(&display.data).unwrap()))
        .collect();
    assert_eq!(shown, [(MediaType::Plain, "a table"), (MediaType::Html, "<b>")]);
    let error = world.room().run_text(&run, &"weather".parse().unwrap()).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::NotPermitted);

    let run = world.run("display-flood").unwrap().run;
    let text = world.room().run_text(&run, &"airline".parse().unwrap()).unwrap();
    assert_eq!(text.displays.len(), 4);
    assert_eq!(text.log[0].message, "16 lines were dropped: the log is full");
}

#[test]
fn a_request_that_the_room_does_not_allow_is_refused_and_logged() {
    let world = World::ready(&Wishes::default());
    let mut room = world.room();
    // The author is not among the runners.
    let envelope = request(&room, "airline", "succeed");
    let error = room.run(&world.settings, &envelope, &mut ()).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::NotARunner);
    assert_eq!(last_refusal(&room), (ReasonCode::NotARunner, Some("airline".into())));
    assert!(is_empty(&world, "staging"));
    let pause =
        sign(&room, "airline", Body::Pause(Pause { comment: String::new(), notebook: None }));
    let envelope = request(&room, "weather", "succeed");
    room.submit(&pause).unwrap();
    let error = room.run(&world.settings, &envelope, &mut ()).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::Paused);
    assert_eq!(last_refusal(&room), (ReasonCode::Paused, Some("weather".into())));
}

#[test]
fn a_replayed_request_does_not_run_again() {
    let world = World::ready(&Wishes::default());
    let mut room = world.room();
    let envelope = request(&room, "weather", "succeed");
    let ended = room.run(&world.settings, &envelope, &mut ()).unwrap();
    let error = room.run(&world.settings, &envelope, &mut ()).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::Replayed);
    assert_eq!(last_refusal(&room), (ReasonCode::Replayed, Some("weather".into())));
    assert_eq!(ended.run, RunId::of_request(&envelope.digest()));
    assert!(read(&mut room, "weather", &ended.run).is_ok(), "the first run's output stays");
}

/// Acts once the run is under way.
pub(crate) struct During<'a>(pub(crate) &'a mut dyn FnMut());

impl RunObserver for During<'_> {
    fn progress(&mut self, _: u64, _: Option<u64>) {
        (self.0)();
    }
}

#[test]
fn a_pause_during_a_run_gets_in_and_keeps_the_outputs_back() {
    let world = World::ready(&Wishes::default());
    let mut pause = || {
        let mut room = world.room();
        let body = Body::Pause(Pause { comment: String::new(), notebook: None });
        let envelope = sign(&room, "airline", body);
        room.submit(&envelope).unwrap();
    };
    let ended = world.run_watched("progress", &mut During(&mut pause));
    assert_eq!(outcome(&ended), "failed paused");
    assert!(is_empty(&world, "outputs"));
    assert_eq!(last_entries(&world.room(), 3), ["run-start", "pause", "run-receipt"]);
}

#[test]
fn opening_the_room_leaves_a_live_run_alone() {
    let world = World::ready(&Wishes::default());
    let mut look = || {
        let room = world.room();
        assert_eq!(last_entries(&room, 1), ["run-start"]);
    };
    let ended = world.run_watched("progress", &mut During(&mut look));
    assert_eq!(outcome(&ended), "succeeded");
}

#[test]
fn two_runs_at_once_do_not_disturb_each_other() {
    let world = World::ready(&Wishes::default());
    let mut inner = None;
    let mut second = || inner = Some(outcome(&world.run("succeed")));
    let outer = world.run_watched("progress", &mut During(&mut second));
    assert_eq!((outcome(&outer).as_str(), inner.as_deref()), ("succeeded", Some("succeeded")));
    assert!(is_empty(&world, "staging"));
}
