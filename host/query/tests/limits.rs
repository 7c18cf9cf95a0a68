//! Memory and scratch limits end a query with their reason.

#[expect(dead_code, reason = "other tests use the rest")]
mod common;

use common::{query, reason, session};
use glovebox_query::SessionSettings;

const HUGE_SORT: &str = "SELECT a.carrier, b.dest, a.distance, b.time_hour
    FROM airline.flights a JOIN airline.flights b ON a.origin = b.origin AND b.distance > 2500
    ORDER BY b.time_hour, a.distance";

#[test]
fn too_little_memory_is_a_memory_limit() {
    let mut session = session(SessionSettings { memory_bytes: 3 << 20, ..Default::default() });
    assert_eq!(reason(query(&mut session, HUGE_SORT)), "memory-limit");
    assert_eq!(reason(query(&mut session, "SELECT 1")), "ok");
}

#[test]
fn sorts_spill_into_the_scratch_folder_and_nowhere_else() {
    let scratch = tempfile::tempdir().unwrap();
    let mut session = session(SessionSettings {
        memory_bytes: 96 << 20,
        scratch: Some(scratch.path().to_owned()),
        scratch_bytes: 1 << 30,
        ..Default::default()
    });
    let batches = query(&mut session, HUGE_SORT).unwrap();
    let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
    assert!(rows > 1_000_000, "{rows}");
    drop(session);
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn too_little_scratch_is_a_scratch_limit() {
    let scratch = tempfile::tempdir().unwrap();
    let mut session = session(SessionSettings {
        memory_bytes: 24 << 20,
        scratch: Some(scratch.path().to_owned()),
        scratch_bytes: 1 << 20,
        ..Default::default()
    });
    assert_eq!(reason(query(&mut session, HUGE_SORT)), "scratch-limit");
}

#[test]
fn a_dropped_stream_stops_its_query() {
    use glovebox_sandbox::services::QueryEngine;
    let mut session = session(SessionSettings::default());
    let endless = "SELECT a.carrier FROM airline.flights a, airline.flights b, airline.flights c";
    for _ in 0..3 {
        let mut stream = session.query(endless, &[]).unwrap();
        assert!(stream.next().unwrap().is_some());
    }
    assert_eq!(reason(query(&mut session, "SELECT 1")), "ok");
}
