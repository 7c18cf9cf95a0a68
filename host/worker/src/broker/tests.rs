use std::io::{Read as _, Write as _};
use std::thread;
use std::time::Instant;

use glovebox_contract::parameter::ParameterValue;
use glovebox_contract::reason::ReasonCode;
use glovebox_job::broker::{self as wire, BrokerAnswer, BrokerRequest};
use glovebox_query::{Comparison, Condition};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// Reads a request; none at the end of the socket.
fn request(socket: &mut UnixStream) -> Option<BrokerRequest> {
    let mut length = [0; 4];
    socket.read_exact(&mut length).ok()?;
    let mut text = vec![0; u32::from_be_bytes(length) as usize];
    socket.read_exact(&mut text).expect("a request");
    Some(serde_json::from_slice(&text).expect("a request"))
}

fn answer(socket: &mut UnixStream, answer: &BrokerAnswer, bytes: &[u8]) {
    let head = wire::encode(answer, wire::MAX_ANSWER_BYTES).expect("a head");
    // A worker that closed the socket is none of this one's business.
    let _ = socket.write_all(&head).and_then(|()| socket.write_all(bytes));
}

/// A broker behind `lines` sockets; each is served by a thread with `serve`.
fn broker_with(
    lines: usize,
    patience: Duration,
    serve: impl Fn(&mut UnixStream, BrokerRequest) + Copy + Send + 'static,
) -> SocketBroker {
    let sockets = (0..lines).map(|_| {
        let (host, worker) = UnixStream::pair().expect("a socket");
        thread::spawn(move || {
            let mut host = host;
            while let Some(asked) = request(&mut host) {
                serve(&mut host, asked);
            }
        });
        worker
    });
    SocketBroker::new(sockets.collect(), patience)
}

const FILE: FileNumber = FileNumber { table: 1, file: 2 };

/// Pieces of the file, each from its first byte to that after its last.
fn ranges(broker: &SocketBroker, pieces: &[(u64, u64)]) -> Result<Vec<u8>, BrokerFailure> {
    let pieces = pieces.iter().map(|(from, to)| *from..*to).collect();
    broker.ranges(FILE, pieces).blocking_recv().expect("an answer")
}

fn scan(table: u32) -> RowScan {
    RowScan { table, columns: vec![0], conditions: Vec::new(), limit: None }
}

/// Serves a file whose byte at each position is the position, and tables of as many batches as
/// their number.
fn honest(socket: &mut UnixStream, asked: BrokerRequest) {
    match asked {
        BrokerRequest::Ranges { table: 1, file: 2, ranges } => {
            let lengths = ranges.iter().map(|(from, to)| to - from).collect();
            let bytes: Vec<u8> =
                ranges.iter().flat_map(|(from, to)| *from..*to).map(|at| at as u8).collect();
            answer(socket, &BrokerAnswer::Bytes { lengths }, &bytes);
        }
        BrokerRequest::DeletedRows { .. } => {
            let bytes: Vec<u8> = [3_u64, 500].iter().flat_map(|row| row.to_le_bytes()).collect();
            answer(socket, &BrokerAnswer::DeletedRows { count: 2 }, &bytes);
        }
        BrokerRequest::Rows { table, .. } => {
            for batch in 0..table {
                let bytes = vec![batch as u8; 10];
                answer(socket, &BrokerAnswer::Batch { bytes: 10 }, &bytes);
            }
            answer(socket, &BrokerAnswer::End, &[]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_asked_for_comes() {
    let broker = broker_with(2, PATIENCE, honest);
    assert_eq!(ranges(&broker, &[(3, 6), (0, 1)]), Ok(vec![3, 4, 5, 0]));
    assert_eq!(ranges(&broker, &[]), Ok(vec![]));
    let large = ranges(&broker, &[(0, 40_000_000)]).expect("bytes");
    assert!(large.iter().enumerate().all(|(at, byte)| *byte == at as u8));
    assert_eq!(broker.deleted_rows(FILE).blocking_recv().expect("an answer"), Ok(vec![3, 500]));
    let mut rows = broker.rows(scan(5));
    for batch in 0..5 {
        assert_eq!(rows.blocking_recv(), Some(Ok(Rows::Batch(vec![batch; 10]))));
    }
    assert_eq!(rows.blocking_recv(), Some(Ok(Rows::End)));
    assert_eq!(rows.blocking_recv(), None);
}

#[test]
fn many_requests_go_on_at_once_and_none_is_lost() {
    let broker = broker_with(3, PATIENCE, |socket, asked| {
        thread::sleep(Duration::from_millis(20));
        honest(socket, asked);
    });
    let started = Instant::now();
    let asked: Vec<_> = (0..60_u64)
        .map(|at| (at, broker.ranges(FILE, std::iter::once(at..at + 1).collect())))
        .collect();
    for (at, answer) in asked {
        assert_eq!(answer.blocking_recv().expect("an answer"), Ok(vec![at as u8]));
    }
    // 60 × 20 ms one after the other would take 1.2 s.
    assert!(started.elapsed() < Duration::from_millis(1_000), "{:?}", started.elapsed());
}

#[test]
fn what_the_broker_refuses_has_its_reason_and_the_next_request_works() {
    let broker = broker_with(1, PATIENCE, |socket, asked| match asked {
        BrokerRequest::Ranges { ranges, .. } => {
            let reason = match ranges.first() {
                Some((0, _)) => ReasonCode::SourceDenied,
                Some((1, _)) => ReasonCode::InputChanged,
                // Not for a broker to say.
                _ => ReasonCode::NotApproved,
            };
            answer(socket, &BrokerAnswer::Failed { reason }, &[]);
        }
        BrokerRequest::Rows { .. } => {
            answer(socket, &BrokerAnswer::Batch { bytes: 1 }, &[7]);
            let reason = ReasonCode::SourceUnavailable;
            answer(socket, &BrokerAnswer::Failed { reason }, &[]);
        }
        other => honest(socket, other),
    });
    let reason = |first: u64| ranges(&broker, &[(first, first + 1)]).unwrap_err().reason();
    assert_eq!(reason(0), ReasonCode::SourceDenied);
    assert_eq!(reason(1), ReasonCode::InputChanged);
    assert_eq!(reason(2), ReasonCode::Internal);
    let mut rows = broker.rows(scan(1));
    assert_eq!(rows.blocking_recv(), Some(Ok(Rows::Batch(vec![7]))));
    assert_eq!(rows.blocking_recv(), Some(Err(BrokerFailure::GONE)));
    assert_eq!(rows.blocking_recv(), None);
    assert!(broker.deleted_rows(FILE).blocking_recv().expect("an answer").is_ok());
}

#[test]
fn a_broker_that_lies_is_given_up() {
    let check = |serve: fn(&mut UnixStream, BrokerRequest), expect: ReasonCode| {
        let broker = broker_with(1, Duration::from_millis(200), serve);
        assert_eq!(ranges(&broker, &[(0, 4)]).unwrap_err().reason(), expect);
        // Its only socket is given up with it.
        let later = ranges(&broker, &[(0, 4)]).unwrap_err().reason();
        assert_eq!(later, ReasonCode::SourceUnavailable);
    };
    let (astray, gone) = (ReasonCode::Internal, ReasonCode::SourceUnavailable);
    check(|socket, _| answer(socket, &BrokerAnswer::End, &[]), astray);
    check(|socket, _| answer(socket, &BrokerAnswer::Bytes { lengths: vec![5] }, &[0; 5]), astray);
    check(
        |socket, _| answer(socket, &BrokerAnswer::Bytes { lengths: vec![2, 2] }, &[0; 4]),
        astray,
    );
    check(
        |socket, _| answer(socket, &BrokerAnswer::Bytes { lengths: vec![u64::MAX] }, &[]),
        astray,
    );
    check(|socket, _| drop(socket.write_all(b"\xff\xff\xff\xffno length")), astray);
    check(|socket, _| drop(socket.write_all(&[0; 4])), astray);
    check(|socket, _| drop(socket.write_all(b"\0\0\0\x02no")), astray);
    // Cut in the middle, closed, silent.
    check(
        |socket, _| {
            answer(socket, &BrokerAnswer::Bytes { lengths: vec![4] }, &[1, 2]);
            socket.shutdown(std::net::Shutdown::Both).expect("shut down");
        },
        gone,
    );
    check(|socket, _| socket.shutdown(std::net::Shutdown::Both).expect("shut down"), gone);
    check(|_, _| thread::sleep(Duration::from_millis(600)), gone);
    check(|socket, _| answer(socket, &BrokerAnswer::Bytes { lengths: vec![4] }, &[1, 2]), gone);
}

#[test]
fn lies_about_rows_end_the_scan() {
    let check = |serve: fn(&mut UnixStream, BrokerRequest), expect: ReasonCode| {
        let broker = broker_with(1, Duration::from_millis(200), serve);
        let mut rows = broker.rows(scan(1));
        let mut last = None;
        while let Some(next) = rows.blocking_recv() {
            last = Some(next);
        }
        assert_eq!(last.expect("something").unwrap_err().reason(), expect);
    };
    let astray = ReasonCode::Internal;
    check(|socket, _| answer(socket, &BrokerAnswer::Batch { bytes: u64::MAX }, &[]), astray);
    check(|socket, _| answer(socket, &BrokerAnswer::Bytes { lengths: vec![] }, &[]), astray);
    check(
        |socket, _| {
            answer(socket, &BrokerAnswer::Batch { bytes: 2 }, &[0, 1]);
            answer(socket, &BrokerAnswer::DeletedRows { count: 0 }, &[]);
        },
        astray,
    );
    // 200 MB that never come.
    check(
        |socket, _| answer(socket, &BrokerAnswer::Batch { bytes: 200 << 20 }, &[0; 9]),
        ReasonCode::SourceUnavailable,
    );
}

#[test]
fn one_lost_socket_does_not_stop_the_others() {
    let broker = broker_with(3, PATIENCE, |socket, asked| match &asked {
        BrokerRequest::Ranges { ranges, .. } if ranges.first() == Some(&(9, 10)) => {
            drop(socket.shutdown(std::net::Shutdown::Both));
        }
        _ => honest(socket, asked),
    });
    for _ in 0..2 {
        assert_eq!(ranges(&broker, &[(9, 10)]), Err(BrokerFailure::GONE));
        assert_eq!(ranges(&broker, &[(1, 2)]), Ok(vec![1]));
    }
    assert_eq!(ranges(&broker, &[(9, 10)]), Err(BrokerFailure::GONE));
    assert_eq!(ranges(&broker, &[(1, 2)]), Err(BrokerFailure::GONE), "that was the last one");
}

#[test]
fn scans_leave_sockets_to_others_and_too_many_are_refused() {
    let broker = broker_with(4, PATIENCE, honest);
    // Two scans that nobody reads to the end keep their sockets.
    let mut first: Vec<_> = (0..2).map(|_| broker.rows(scan(200))).collect();
    for rows in &mut first {
        assert!(matches!(rows.blocking_recv(), Some(Ok(Rows::Batch(_)))));
    }
    let refused = broker.rows(scan(1)).blocking_recv().expect("an answer");
    assert_eq!(refused, Err(BrokerFailure::CROWDED));
    assert_eq!(ranges(&broker, &[(3, 6)]), Ok(vec![3, 4, 5]), "files are read all the same");
    // Whoever stops reading frees the way for the next.
    drop(first);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut rows = broker.rows(scan(1));
        match rows.blocking_recv().expect("an answer") {
            Ok(Rows::Batch(_)) => break,
            other => assert!(Instant::now() < deadline, "{other:?}"),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn dropped_scans_never_use_up_the_sockets() {
    let broker = broker_with(3, PATIENCE, honest);
    for _ in 0..20 {
        let mut rows = broker.rows(scan(100));
        while rows.blocking_recv() == Some(Err(BrokerFailure::CROWDED)) {
            thread::sleep(Duration::from_millis(5));
            rows = broker.rows(scan(100));
        }
    }
    assert_eq!(ranges(&broker, &[(3, 6)]), Ok(vec![3, 4, 5]));
}

#[test]
fn conditions_reach_the_broker() {
    let broker = broker_with(1, PATIENCE, |socket, asked| {
        let text = serde_json::to_vec(&asked).expect("JSON");
        answer(socket, &BrokerAnswer::Batch { bytes: text.len() as u64 }, &text);
        answer(socket, &BrokerAnswer::End, &[]);
    });
    let compare = |operator| Condition::Compare(1, operator, ParameterValue::Int64(7));
    let scan = RowScan {
        table: 3,
        columns: vec![2, 0],
        conditions: vec![
            Condition::Any(vec![compare(Comparison::Less), Condition::Null(1)]),
            Condition::All(vec![compare(Comparison::NotEqual), Condition::NotNull(2)]),
            Condition::In(2, vec![ParameterValue::Utf8("a".into())]),
        ],
        limit: Some(10),
    };
    let Some(Ok(Rows::Batch(text))) = broker.rows(scan).blocking_recv() else { panic!("no batch") };
    let found: BrokerRequest = serde_json::from_slice(&text).expect("a request");
    let compare =
        |operator| wire::Filter::Compare { column: 1, operator, value: ParameterValue::Int64(7) };
    let filters = vec![
        wire::Filter::Any {
            filters: vec![compare(wire::Comparison::Less), wire::Filter::Null { column: 1 }],
        },
        wire::Filter::All {
            filters: vec![compare(wire::Comparison::NotEqual), wire::Filter::NotNull { column: 2 }],
        },
        wire::Filter::In { column: 2, values: vec![ParameterValue::Utf8("a".into())] },
    ];
    let expect = BrokerRequest::Rows { table: 3, columns: vec![2, 0], filters, limit: Some(10) };
    assert_eq!(found, expect);
}
