//! Every story in `examples/` is played, as anyone would: with one command.

#[expect(dead_code, reason = "the stories need a stage and a command only")]
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;

use support::{Done, Stage, build_directory, repository};

/// One test a folder, so that a story that does not hold is named.
macro_rules! stories {
    ($($test:ident: $folder:literal,)*) => {
        const STORIES: &[&str] = &[$($folder),*];
        $(#[test]
        fn $test() {
            holds($folder);
        })*
    };
}

stories! {
    audience_overlap: "audience-overlap",
    campaign_measurement: "campaign-measurement",
    card_partner_matching: "card-partner-matching",
    cohort_counts: "cohort-counts",
    ehr_readmission: "ehr-readmission",
    flights_weather: "flights-weather",
    fraud_consortium: "fraud-consortium",
    identity_graph: "identity-graph",
    lender_matching: "lender-matching",
    lookalike_model: "lookalike-model",
    model_scoring: "model-scoring",
    population_health: "population-health",
    regulatory_stress_test: "regulatory-stress-test",
    retail_media_hub: "retail-media-hub",
    try_before_you_buy: "try-before-you-buy",
}

fn play(stage: &Stage, arguments: &[&str]) -> Done {
    run(stage, &[&["play"], arguments].concat())
}

fn run(stage: &Stage, arguments: &[&str]) -> Done {
    let output = stage
        .command(arguments)
        .env("GLOVEBOX_BUILD_DIRECTORY", build_directory())
        .output()
        .expect("the glovebox binary");
    (arguments.join(" "), output).into()
}

#[track_caller]
fn holds(folder: &str) {
    let stage = Stage::new();
    let path = repository().join("examples").join(folder);
    let done = play(&stage, &[&path.display().to_string(), "--directory", "story"]).ok();
    assert!(done.stdout.contains("the story holds"), "{done}");
}

#[test]
fn every_folder_of_examples_is_a_story_that_is_played() {
    let folders: BTreeSet<String> = std::fs::read_dir(repository().join("examples"))
        .expect("examples")
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let played: BTreeSet<String> = STORIES.iter().map(|folder| (*folder).to_owned()).collect();
    assert_eq!(folders, played);
}

#[test]
fn the_demo_plays_what_the_program_carries() {
    let stage = Stage::new();
    let done = run(&stage, &["demo"]).ok();
    assert!(done.stdout.contains("the story holds"), "{done}");
    assert!(stage.path("glovebox-demo/room.bundle").exists());
}

#[test]
fn the_index_names_every_story() {
    let index = std::fs::read_to_string(repository().join("examples/README.md")).expect("an index");
    for folder in STORIES {
        assert!(
            index.contains(&format!("| [{folder}]({folder}) |")),
            "{folder} is not in the index"
        );
        let readme = repository().join("examples").join(folder).join("README.md");
        let text = std::fs::read_to_string(readme).expect("a README");
        assert!(text.contains(&format!("glovebox play examples/{folder}")), "{folder}/README.md");
    }
}

/// A story that is played as it stands, but for one change to its description.
#[track_caller]
fn check_changed(from: &str, to: &str, expect: &str) {
    let stage = Stage::new();
    let source = repository().join("examples/audience-overlap");
    for folder in ["", "data", "expected"] {
        std::fs::create_dir_all(stage.path("changed").join(folder)).expect("a folder");
        for entry in
            std::fs::read_dir(source.join(folder)).expect("a folder").filter_map(Result::ok)
        {
            if entry.path().is_file() {
                let to = stage.path("changed").join(folder).join(entry.file_name());
                std::fs::copy(entry.path(), to).expect("a copy");
            }
        }
    }
    let story = std::fs::read_to_string(stage.path("changed/story.toml")).expect("a story");
    assert!(story.contains(from), "the story has no {from}");
    stage.write("changed/story.toml", story.replacen(from, to, 1));
    let done = play(&stage, &["changed"]);
    assert_eq!(done.code, Some(1), "{done}");
    assert!(done.stdout.contains(expect) || done.stderr.contains(expect), "no `{expect}`: {done}");
}

#[test]
fn a_story_that_does_not_hold_fails() {
    check_changed("\"expected/segments.csv\"", "\"expected/overlap.csv\"", "1 of 6 checks differ");
    check_changed("\"parameter-invalid\"", "\"not-a-runner\"", "1 of 6 checks differ");
    check_changed(
        "outputs.segments",
        "unreadable_by = [\"news\"]\noutputs.segments",
        "it did not fail",
    );
    check_changed("--param k=5", "--param k=25", "it did not fail");
    check_changed("approve = \"audience-overlap\"\n", "", "not-approved");
    check_changed("outputs.overlap", "outptus.overlap", "unknown field `outptus`");
    check_changed("table add {room}", "table add {rom}", "`{rom}` is none of");
    check_changed("expected/overlap.csv", "expected/none.csv", "expected/none.csv");
}

#[test]
fn a_folder_without_a_story_is_refused() {
    let stage = Stage::new();
    std::fs::create_dir(stage.path("empty")).expect("a folder");
    let done = play(&stage, &["empty"]);
    assert_eq!(done.code, Some(1), "{done}");
    assert!(done.stderr.contains("story.toml"), "{done}");
}

#[test]
fn only_a_directory_that_a_story_made_is_made_anew() {
    let stage = Stage::new();
    stage.write("precious", "");
    let story = repository().join("examples/audience-overlap").display().to_string();
    let done = play(&stage, &[&story, "--directory", "."]);
    assert_eq!(done.code, Some(1), "{done}");
    assert!(stage.path("precious").exists());
}
