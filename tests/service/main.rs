//! The service as its users meet it: real servers, real clients, each party in a process of its own.
//!
//! Each test plays one file of `python/` with pytest, in a network namespace of its own. The clients
//! are the released ones, in a virtual environment that the first test makes; what they need is in
//! `python/requirements.txt`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// Where guests of all tests share what cargo compiles for them.
fn build_directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest-builds")
}

/// What is installed, with exact versions.
const REQUIREMENTS: &str = include_str!("python/requirements.txt");

fn stories() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/service/python")
}

/// The virtual environment with the clients, made once and kept beside what cargo builds.
fn python() -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = MAKING.lock();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-clients");
    let installed = directory.join("installed.txt");
    let python = directory.join("bin/python");
    if std::fs::read_to_string(&installed).is_ok_and(|text| text == REQUIREMENTS) {
        return python;
    }
    // A half-made one is no use to anybody.
    if directory.exists() {
        std::fs::remove_dir_all(&directory).expect("the old virtual environment");
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&directory), "python3 with venv");
    let requirements = stories().join("requirements.txt");
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    run(pip.arg(requirements), "the Python clients, from PyPI");
    std::fs::write(installed, REQUIREMENTS).expect("a note of what is installed");
    python
}

#[track_caller]
fn run(command: &mut Command, what: &str) {
    let done = command.output().unwrap_or_else(|error| panic!("{what} is needed: {error}"));
    assert!(
        done.status.success(),
        "{what}: {command:?}\n{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
}

/// `unshare` into a network of one's own; a user who is not root becomes it in a user namespace.
fn own_network() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount"]);
    if !nix::unistd::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command
}

#[track_caller]
fn play(story: &str) {
    let python = python();
    let cache = tempfile::tempdir().expect("a directory");
    let mut command = own_network();
    command
        .arg(python)
        .args(["-m", "pytest", "--quiet", "--exitfirst", "-p", "no:cacheprovider"])
        .arg("--basetemp")
        .arg(cache.path().join("stories"))
        .arg(stories().join(story))
        .current_dir(cache.path())
        .env("GLOVEBOX", env!("CARGO_BIN_EXE_glovebox"))
        .env("GLOVEBOX_BUILD_DIRECTORY", build_directory())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env_remove("RUSTFLAGS");
    run(&mut command, story);
}

#[test]
fn two_parties_work_through_the_released_databricks_sdk() {
    play("test_databricks_sdk.py");
}

#[test]
fn outputs_reach_the_released_delta_sharing_clients() {
    play("test_delta_sharing.py");
}

#[test]
fn every_command_works_over_the_network() {
    play("test_network.py");
}

#[test]
fn a_packaged_room_hides_its_code_and_keeps_its_outputs() {
    play("test_packaged_room.py");
}

#[test]
fn the_gateway_speaks_the_rest_of_the_rest_interface() {
    play("test_gateway_details.py");
}

#[test]
fn people_read_and_run_on_the_gateways_pages() {
    play("test_page.py");
}

#[test]
fn no_request_makes_the_host_fail() {
    play("test_openapi.py");
}

#[test]
fn tables_stay_where_they_live() {
    play("test_sources.py");
}

#[test]
fn a_fleet_of_fifty_rooms() {
    play("test_fleet.py");
}

#[test]
fn one_query_says_who_ran_what_on_whose_data() {
    play("test_audit.py");
}

#[test]
fn an_agent_does_everything_once() {
    play("test_agent.py");
}
