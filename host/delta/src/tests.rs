//! Tables, from their events to what a reader of the directory sees.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Schema;
use deltalake_core::DeltaTableBuilder;
use glovebox_contract::column::Column;
use glovebox_contract::digest::Blake3Digest;
use parquet::arrow::ArrowWriter;
use url::Url;

use crate::{Change, DeltaError, Event, History, Mode, ReadError, Removal, Write, sync};

/// A directory of published files and of one table.
struct World {
    directory: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn table(&self) -> PathBuf {
        self.directory.path().join("table")
    }

    /// Publishes a file with the numbers in the column `n`.
    fn publish(&self, name: &str, numbers: &[i64]) -> PathBuf {
        let column: ArrayRef = Arc::new(Int64Array::from(numbers.to_vec()));
        self.write(name, &[("n", column)])
    }

    fn write(&self, name: &str, columns: &[(&str, ArrayRef)]) -> PathBuf {
        let path = self.directory.path().join(name);
        let batch = RecordBatch::try_from_iter(columns.iter().cloned()).unwrap();
        let schema: Arc<Schema> = batch.schema();
        let mut writer =
            ArrowWriter::try_new(fs::File::create(&path).unwrap(), schema, None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        path
    }

    fn sync(&self, events: &[Event]) -> Result<History, DeltaError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(sync(&self.table(), events))
    }

    /// The bytes of the log, and the names of the files, of the table.
    fn contents(&self) -> (Vec<Vec<u8>>, Vec<String>) {
        let list = |path: &Path| {
            let mut names: Vec<_> =
                fs::read_dir(path).unwrap().map(|e| e.unwrap().path()).collect();
            names.sort();
            names
        };
        let log = list(&self.table().join("_delta_log"));
        let log = log.into_iter().map(|path| fs::read(path).unwrap()).collect();
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        let files = list(&self.table()).iter().map(name).filter(|n| n != "_delta_log").collect();
        (log, files)
    }

    /// Rows as another implementation counts them: version, number of files, columns.
    fn read_with_deltalake(&self) -> (u64, usize, Vec<String>) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let url = Url::from_directory_path(self.table()).unwrap();
            let table = DeltaTableBuilder::from_url(url).unwrap().load().await.unwrap();
            let state = table.snapshot().unwrap();
            let columns = state.schema().fields().map(|field| field.name().clone()).collect();
            (state.version(), table.get_file_uris().unwrap().count(), columns)
        })
    }
}

fn id(name: &str) -> Blake3Digest {
    Blake3Digest::of(name.as_bytes())
}

fn columns(text: &str) -> Vec<Column> {
    let column = |part: &str| {
        let (name, kind) = part.split_once(' ').unwrap();
        Column { name: name.into(), nullable: true, column_type: kind.parse().unwrap() }
    };
    text.split("; ").map(column).collect()
}

fn write(name: &str, mode: Mode, files: &[PathBuf], at: u64) -> Event {
    let columns = columns("n int64");
    Event::Write(Write {
        id: id(name),
        columns,
        files: files.to_vec(),
        link: true,
        mode,
        committed_at: at,
    })
}

fn removal(name: &str, of: &str, at: u64) -> Event {
    Event::Removal(Removal { id: id(name), of: id(of), committed_at: at })
}

fn with_columns(event: Event, text: &str) -> Event {
    match event {
        Event::Write(write) => Event::Write(Write { columns: columns(text), ..write }),
        other => other,
    }
}

fn files_at(history: &History, version: u64) -> Result<Vec<Blake3Digest>, ReadError> {
    let snapshot = history.snapshot(version)?;
    Ok(snapshot.files.iter().map(|file| file.write).collect())
}

#[test]
fn versions_follow_the_events_and_come_back_after_the_directory_is_lost() {
    let world = World::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| world.publish(name, &[1, 2, 3]));
    let events = [
        write("a", Mode::Append, &[a], 1000),
        write("b", Mode::Append, &[b], 2000),
        // The clock of the host went back.
        write("c", Mode::Replace, &[c], 1500),
    ];
    // One by one, and again each time.
    for count in 0..=events.len() {
        for _ in 0..2 {
            let history = world.sync(&events[..count]).unwrap();
            assert_eq!(history.latest(), (count as u64).checked_sub(1));
        }
    }
    let history = world.sync(&events).unwrap();
    assert_eq!(files_at(&history, 0), Ok(vec![id("a")]));
    assert_eq!(files_at(&history, 1), Ok(vec![id("a"), id("b")]));
    assert_eq!(files_at(&history, 2), Ok(vec![id("c")]));
    assert_eq!(files_at(&history, 3), Err(ReadError::NoVersion { version: 3, latest: 2 }));

    // Time goes on, whatever the clock says.
    assert_eq!(history.version_at(999_999), Err(ReadError::TooEarly));
    assert_eq!(history.version_at(1_000_000), Ok(0));
    assert_eq!(history.version_at(2_000_000), Ok(1));
    assert_eq!(history.version_at(2_000_001), Ok(2));
    assert_eq!(history.version_at(i64::MAX), Ok(2));
    assert_eq!(history.version_from(0), Some(0));
    assert_eq!(history.version_from(1_000_001), Some(1));
    assert_eq!(history.version_from(2_000_002), None);

    assert_eq!(world.read_with_deltalake(), (2, 1, vec!["n".to_owned()]));
    let before = world.contents();
    fs::remove_dir_all(world.table()).unwrap();
    assert_eq!(world.sync(&events).unwrap().commits(), history.commits());
    assert_eq!(world.contents(), before);
}

#[test]
fn what_a_crash_leaves_is_cleaned_up() {
    let world = World::new();
    let [a, b] = ["a", "b"].map(|name| world.publish(name, &[1]));
    let events =
        [write("a", Mode::Append, &[a], 1), write("b", Mode::Append, std::slice::from_ref(&b), 2)];
    world.sync(&events[..1]).unwrap();
    // Killed after the file was placed and before the commit.
    fs::hard_link(&b, world.table().join(format!("{}-0.parquet", id("b").to_hex()))).unwrap();
    fs::write(world.table().join("unfinished"), "half a cop").unwrap();
    assert_eq!(world.sync(&events[..1]).unwrap().latest(), Some(0));
    assert_eq!(world.contents().1.len(), 1);
    world.sync(&events).unwrap();
    let whole = world.contents();

    // What power cuts and hands do to a log; each time the whole comes back.
    let last = world.table().join("_delta_log/00000000000000000001.json");
    let first = world.table().join("_delta_log/00000000000000000000.json");
    let text = fs::read_to_string(&last).unwrap();
    let damages: [&dyn Fn(); 6] = [
        &|| fs::write(&last, "").unwrap(),
        &|| fs::write(&last, &text[..text.len() / 2]).unwrap(),
        &|| fs::write(&last, text.replace("gloveboxStatement", "other")).unwrap(),
        &|| fs::write(&first, "not json").unwrap(),
        &|| fs::remove_file(&first).unwrap(),
        // A version more than there were statements.
        &|| fs::write(world.table().join("_delta_log/00000000000000000002.json"), &text).unwrap(),
    ];
    for (index, damage) in damages.iter().enumerate() {
        damage();
        assert_eq!(world.sync(&events).unwrap().latest(), Some(1), "damage {index}");
        assert_eq!(world.contents(), whole, "damage {index}");
    }
}

#[test]
fn a_file_that_may_not_be_linked_is_copied() {
    use std::os::unix::fs::MetadataExt as _;
    for (link, links) in [(true, 2), (false, 1)] {
        let world = World::new();
        let file = world.publish("a", &[1]);
        let Event::Write(event) = write("a", Mode::Append, std::slice::from_ref(&file), 1) else {
            panic!("a write");
        };
        let history = world.sync(&[Event::Write(Write { link, ..event })]).unwrap();
        let placed = world.table().join(&history.snapshot(0).unwrap().files[0].name);
        assert_eq!(fs::metadata(&file).unwrap().nlink(), links);
        assert_eq!(fs::read(placed).unwrap(), fs::read(&file).unwrap());
    }
}

#[test]
fn what_expired_is_neither_there_nor_shown() {
    let world = World::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| world.publish(name, &[1, 2]));
    let mut events = vec![
        write("a", Mode::Append, std::slice::from_ref(&a), 1),
        write("b", Mode::Append, &[b], 2),
        write("c", Mode::Append, &[c], 3),
    ];
    world.sync(&events).unwrap();
    let named = |name: &str| format!("{}-0.parquet", id(name).to_hex());
    assert!(world.table().join(named("a")).exists());

    events.push(removal("expiry", "a", 4));
    fs::remove_file(a).unwrap();
    let history = world.sync(&events).unwrap();
    assert!(!world.table().join(named("a")).exists());
    assert!(history.file(&named("a")).is_none());
    assert!(history.file(&named("b")).is_some());
    assert_eq!(files_at(&history, 0), Err(ReadError::Gone { version: 0 }));
    assert_eq!(files_at(&history, 2), Err(ReadError::Gone { version: 2 }));
    assert_eq!(files_at(&history, 3), Ok(vec![id("b"), id("c")]));
    // Changes that would tell the rows that are gone are not told; the removal is no change.
    assert_eq!(history.changes(0, 3), Err(ReadError::Gone { version: 0 }));
    assert_eq!(history.changes(1, 3).unwrap().len(), 3);
    assert_eq!(history.changes(3, 1), Err(ReadError::Reversed { start: 3, end: 1 }));
    assert_eq!(history.changes(1, 4), Err(ReadError::NoVersion { version: 4, latest: 3 }));
    assert_eq!(world.read_with_deltalake(), (3, 2, vec!["n".to_owned()]));

    // Made again without the file that is gone: the same versions, the same answers.
    fs::remove_dir_all(world.table()).unwrap();
    let again = world.sync(&events).unwrap();
    assert_eq!(again.commits().len(), 4);
    assert_eq!(again.commits()[0].change, Change::Gone { replace: false });
    for version in 0..4 {
        assert_eq!(files_at(&again, version), files_at(&history, version), "{version}");
        let times = |history: &History| history.commits()[version as usize].timestamp;
        assert_eq!(times(&again), times(&history));
    }
    // A removal of what is not there any more makes no version.
    let only = [
        write("x", Mode::Replace, &[], 1),
        write("y", Mode::Replace, &[], 2),
        removal("late", "x", 3),
    ];
    assert_eq!(world.sync(&only).unwrap().latest(), Some(1));
}

#[test]
fn a_schema_may_change_with_a_replacement_only() {
    let world = World::new();
    let one = world.publish("one", &[1]);
    let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let two = world.write("two", &[("s", text)]);
    let events = [
        write("a", Mode::Append, std::slice::from_ref(&one), 1),
        with_columns(write("b", Mode::Append, std::slice::from_ref(&two), 2), "s utf8"),
        write("c", Mode::Append, std::slice::from_ref(&one), 3),
        with_columns(write("d", Mode::Replace, std::slice::from_ref(&two), 4), "s utf8"),
        with_columns(write("e", Mode::Replace, &[one], 5), "n time32(ms)"),
        with_columns(write("f", Mode::Replace, &[two], 6), "s utf8; t timestamp(us)"),
    ];
    let history = world.sync(&events).unwrap();
    let reason = |version| match files_at(&history, version) {
        Err(ReadError::Refused { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(files_at(&history, 0), Ok(vec![id("a")]));
    assert!(reason(1).contains("has other columns"));
    // A hole stays a hole until all is replaced.
    assert!(reason(2).contains("has other columns"));
    assert_eq!(files_at(&history, 3), Ok(vec![id("d")]));
    assert!(reason(4).contains("column `n`: Delta has no time of day"));
    assert!(matches!(history.changes(3, 5), Err(ReadError::Refused { version: 4, .. })));
    let last = history.snapshot(5).unwrap();
    assert_eq!(last.protocol.reader_features, Some(vec!["timestampNtz".to_owned()]));
    let schemas: Vec<bool> = history.commits().iter().map(|c| c.metadata.is_some()).collect();
    assert_eq!(schemas, [true, false, false, true, false, true]);
    let ids: Vec<String> =
        (0..6).map(|version| history.schema(version).unwrap().metadata.id.clone()).collect();
    assert!(ids.iter().all(|one| *one == ids[0]), "{ids:?}");
    assert_eq!(world.read_with_deltalake().0, 5);

    // The very first may be what Delta cannot have.
    let world = World::new();
    let history = world.sync(&events[4..]).unwrap();
    assert!(history.schema(0).unwrap().metadata.schema_string.contains("\"fields\":[]"));
    assert_eq!(files_at(&history, 1), Ok(vec![id("f")]));
}

#[test]
fn figures_are_bounds_or_missing() {
    let world = World::new();
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(-7), None, Some(1 << 60)]));
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.5, f64::NAN, -0.5]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a\"b"), Some("z"), None]));
    let nulls: ArrayRef = Arc::new(Int64Array::from(vec![None, None, None]));
    let path = world.write("x", &[("n", numbers), ("f\"", floats), ("s", texts), ("o", nulls)]);
    let stats = crate::stats::of_file(&fs::File::open(&path).unwrap()).unwrap();
    assert_eq!(
        stats,
        r#"{"numRecords":3,"minValues":{"n":-7,"f\"":-0.5,"s":"a\"b"},"maxValues":{"n":1152921504606846976,"s":"z"},"nullCount":{"n":1,"f\"":0,"s":1,"o":3}}"#
    );

    // Files that are no Parquet, or lie about their footers.
    let bytes = fs::read(&path).unwrap();
    let mut long = bytes.clone();
    let at = long.len() - 8;
    long[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    for bad in [&b""[..], b"PAR1", &bytes[..bytes.len() - 1], &long, &[0; 64]] {
        fs::write(&path, bad).unwrap();
        assert_eq!(crate::stats::of_file(&fs::File::open(&path).unwrap()), None);
    }
}

#[test]
fn times_and_decimals_are_bounds_too() {
    use arrow::array::{Date32Array, Decimal128Array, TimestampMicrosecondArray, UInt64Array};
    let world = World::new();
    let decimal = |values: Vec<i128>| {
        Arc::new(Decimal128Array::from(values).with_precision_and_scale(38, 2).unwrap())
    };
    let stamps = vec![-1_500, 1_700_000_000_000_001];
    let path = world.write(
        "x",
        &[
            ("d", Arc::new(Date32Array::from(vec![0, 19_000]))),
            ("m", decimal(vec![-5, 12_345_678_901_234_567_890_123])),
            ("t", Arc::new(TimestampMicrosecondArray::from(stamps.clone()))),
            ("z", Arc::new(TimestampMicrosecondArray::from(stamps).with_timezone("UTC"))),
            ("u", Arc::new(UInt64Array::from(vec![1, u64::MAX]))),
            ("far", Arc::new(Date32Array::from(vec![-4_000_000, 4_000_000]))),
        ],
    );
    let stats = crate::stats::of_file(&fs::File::open(&path).unwrap()).unwrap();
    assert_eq!(
        stats,
        r#"{"numRecords":2,"minValues":{"d":"1970-01-01","m":-0.05,"t":"1969-12-31T23:59:59.998","z":"1969-12-31T23:59:59.998Z","u":1},"maxValues":{"d":"2022-01-08","m":123456789012345678901.23,"t":"2023-11-14T22:13:20.001","z":"2023-11-14T22:13:20.001Z","u":18446744073709551615},"nullCount":{"d":0,"m":0,"t":0,"z":0,"u":0,"far":0}}"#
    );
}
