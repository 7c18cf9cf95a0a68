use std::io::{Read as _, Write as _};
use std::time::Duration;

use arrow::ipc::reader::StreamReader;
use glovebox_job::broker::{BrokerRequest, MAX_REQUEST_BYTES};
use glovebox_room::remote::Credential;

use super::*;
use crate::table::Opened;

/// The worker's end of a socket.
struct Worker(StdUnixStream);

impl Worker {
    fn ask(&mut self, request: &BrokerRequest) -> BrokerAnswer {
        let frame = encode(request, MAX_REQUEST_BYTES).unwrap();
        self.0.write_all(&frame).unwrap();
        self.answer()
    }

    fn answer(&mut self) -> BrokerAnswer {
        let length = self.bytes(4);
        let length = u32::from_be_bytes(length.try_into().unwrap());
        serde_json::from_slice(&self.bytes(length.try_into().unwrap())).unwrap()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The first of all batches, the rows of all, and what came behind.
    fn scan(
        &mut self,
        columns: &[u32],
        limit: Option<u64>,
    ) -> (Option<RecordBatch>, usize, BrokerAnswer) {
        let columns = columns.to_vec();
        let request = BrokerRequest::Rows { table: 1, columns, filters: vec![], limit };
        let (mut answer, mut first, mut rows) = (self.ask(&request), None, 0);
        while let BrokerAnswer::Batch { bytes } = answer {
            let stream = self.bytes(bytes.try_into().unwrap());
            let mut reader = StreamReader::try_new(stream.as_slice(), None).unwrap();
            let batch = reader.next().unwrap().unwrap();
            assert!(reader.next().is_none());
            rows += batch.num_rows();
            first.get_or_insert(batch);
            answer = self.answer();
        }
        (first, rows, answer)
    }
}

fn serving(sockets: usize) -> (Served, Vec<Worker>) {
    let engine = Arc::new(Engine::start().unwrap());
    let credential = Credential::new([("key".into(), "secret-key-1".into())].into());
    let tables = [fixture::files(&[10, 1 << 20]), fixture::rows()].map(|open| {
        let table = "airline.flights".parse().unwrap();
        Arc::new(Shared { table, open, credential: Some(credential.clone()) })
    });
    let (ours, theirs): (Vec<_>, Vec<_>) =
        (0..sockets).map(|_| StdUnixStream::pair().unwrap()).unzip();
    for socket in &theirs {
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    }
    let served = serve(engine, tables.to_vec(), ours).unwrap();
    (served, theirs.into_iter().map(Worker).collect())
}

fn ranges(file: u32, ranges: &[(u64, u64)]) -> BrokerRequest {
    BrokerRequest::Ranges { table: 0, file, ranges: ranges.to_vec() }
}

#[test]
fn pieces_deleted_rows_and_batches_go_to_the_worker() {
    let (served, mut workers) = serving(1);
    let worker = &mut workers[0];
    let answer = worker.ask(&ranges(0, &[(8, 10), (1, 1), (0, 3)]));
    assert_eq!(answer, BrokerAnswer::Bytes { lengths: vec![2, 0, 3] });
    assert_eq!(worker.bytes(5), [8, 9, 0, 1, 2]);
    assert_eq!(worker.ask(&ranges(0, &[])), BrokerAnswer::Bytes { lengths: vec![] });

    let answer = worker.ask(&BrokerRequest::DeletedRows { table: 0, file: 0 });
    assert_eq!(answer, BrokerAnswer::DeletedRows { count: 2 });
    assert_eq!(worker.bytes(16), [1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(served.bytes(), 21);

    let (first, rows, end) = worker.scan(&[1, 0], None);
    let names =
        first.unwrap().schema().fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
    assert_eq!(
        (names.as_slice(), rows, end),
        (["text".into(), "number".into()].as_slice(), 100, BrokerAnswer::End)
    );
    let (first, rows, end) = worker.scan(&[], None);
    assert_eq!((first.unwrap().num_columns(), rows, end), (0, 100, BrokerAnswer::End));
    assert_eq!(served.failure(), None);
}

#[test]
fn a_failure_is_kept_without_secrets_and_the_worker_learns_its_reason() {
    let (served, mut workers) = serving(2);
    let reason = ReasonCode::SourceDenied;
    assert_eq!(workers[0].ask(&ranges(0, &[(7, 8)])), BrokerAnswer::Failed { reason });
    let (_, rows, end) = workers[1].scan(&[0], Some(77));
    assert_eq!((rows, end), (50, BrokerAnswer::Failed { reason: ReasonCode::SourceUnavailable }));
    let detail = "table airline.flights: GET https://h/x?[…] by […]".to_owned();
    assert_eq!(served.failure(), Some((reason, detail)), "the first of both");
    // The socket is as good as before.
    let answer = workers[0].ask(&ranges(0, &[(0, 1)]));
    assert_eq!(answer, BrokerAnswer::Bytes { lengths: vec![1] });
    assert_eq!(served.check_unchanged().unwrap_err().reason(), ReasonCode::InputChanged);
}

#[test]
fn a_worker_that_asks_for_anything_else_gets_nothing() {
    let check = |bytes: &[u8]| {
        let (served, mut workers) = serving(1);
        let mut worker = workers.remove(0);
        worker.0.write_all(bytes).unwrap();
        let reason = ReasonCode::WorkerProtocol;
        assert_eq!(worker.answer(), BrokerAnswer::Failed { reason });
        assert_eq!(served.failure().unwrap().0, reason);
        let rest = worker.0.read(&mut [0; 1]).unwrap();
        assert_eq!(rest, 0, "nothing that it says can be understood any more");
    };
    check(b"\xff\xff\xff\xff");
    check(b"\0\0\0\x02{}");
    check(b"\0\0\0\x10{\"ask\":\"files\" }");

    let (served, mut workers) = serving(1);
    let worker = &mut workers[0];
    let reason = ReasonCode::WorkerProtocol;
    for request in [ranges(2, &[(0, 1)]), ranges(0, &[(0, 11)])] {
        assert_eq!(worker.ask(&request), BrokerAnswer::Failed { reason });
    }
    assert_eq!(served.bytes(), 0);
}

#[test]
fn a_worker_that_hangs_up_is_no_failure() {
    let (served, mut workers) = serving(2);
    let request = BrokerRequest::Rows { table: 1, columns: vec![0], filters: vec![], limit: None };
    assert!(matches!(workers[0].ask(&request), BrokerAnswer::Batch { .. }));
    drop(workers.remove(0));
    // More than a socket holds, and nobody reads it.
    let mut other = workers.remove(0);
    let frame = encode(&ranges(1, &[(8, 1 << 20)]), MAX_REQUEST_BYTES).unwrap();
    other.0.write_all(&frame).unwrap();
    let mut first = [0; 1];
    other.0.read_exact(&mut first).unwrap();
    drop(other);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(served.failure(), None);
}

#[test]
fn a_reader_that_panics_is_a_failure_of_its_table() {
    let (served, mut workers) = serving(1);
    let frame = encode(&ranges(0, &[(5, 6)]), MAX_REQUEST_BYTES).unwrap();
    workers[0].0.write_all(&frame).unwrap();
    assert_eq!(workers[0].0.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(served.failure().unwrap().0, ReasonCode::InputUnreadable);
}

#[test]
fn what_is_no_longer_served_ends() {
    let (served, mut workers) = serving(1);
    assert_eq!(workers[0].ask(&ranges(0, &[])), BrokerAnswer::Bytes { lengths: vec![] });
    drop(served);
    assert_eq!(workers[0].0.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_worker_is_told_names_in_files_and_the_types_agreed_on() {
    use glovebox_contract::column::ColumnType;
    use glovebox_job::job::TableRows;
    use glovebox_room::remote::BrokeredTable as _;

    let engine = Arc::new(Engine::start().unwrap());
    let opened = |open| {
        let table = "airline.flights".parse().unwrap();
        let shared = Arc::new(Shared { table, open, credential: None });
        Opened { shared, engine: Arc::clone(&engine) }
    };
    let table = opened(fixture::files(&[5, 6]));
    assert_eq!((table.columns(), table.files(), table.bytes()), (None, 2, 11));
    let TableRows::Brokered(files) = table.rows(3, &[]) else { panic!("no files") };
    assert_eq!((files.table, files.file_columns.len()), (3, 0));
    assert_eq!(files.partition_columns, [fixture::column("year", ColumnType::Int64)]);

    let agreed = [
        fixture::column("a", ColumnType::Utf8),
        fixture::column("year", ColumnType::Utf8),
        fixture::column("b", ColumnType::Boolean),
    ];
    let TableRows::Brokered(files) = table.rows(0, &agreed) else { panic!("no files") };
    let columns =
        [fixture::column("col-a", ColumnType::Utf8), fixture::column("b", ColumnType::Boolean)];
    assert_eq!(files.file_columns, columns);
    assert_eq!(files.partition_columns, [fixture::column("year", ColumnType::Utf8)]);
    assert_eq!(files.files[1].partition, [Some("1".to_owned())]);
    assert!(files.files[0].has_deleted_rows && !files.files[1].has_deleted_rows);
    assert_eq!(table.check_unchanged().unwrap_err().reason(), ReasonCode::InputChanged);

    let table = opened(fixture::rows());
    assert_eq!(table.columns().map(|columns| columns.len()), Some(2));
    let TableRows::Foreign(foreign) = table.rows(4, &agreed) else { panic!("no database") };
    assert_eq!((foreign.table, foreign.columns.len()), (4, 2));
}
