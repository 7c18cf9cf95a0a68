use std::sync::Arc;

use super::*;
use crate::orders::Orders;
use crate::outbox::Outbox;

fn store(directory: &Path) -> Result<Store> {
    let outbox = Arc::new(Outbox::open(directory));
    Store::open(directory, Alerts::new(Arc::new(Orders::default()), outbox))
}

fn occurrence(order: &str, due: u64, stage: Stage) -> Occurrence {
    Occurrence {
        cause: Cause::Clock,
        due,
        failures: 0,
        given: BTreeMap::new(),
        last_failure: None,
        noted: due,
        order: order.parse().unwrap(),
        stage,
    }
}

fn done(at: u64) -> Stage {
    Stage::Done { at, outcome: Outcome::Succeeded, run: None }
}

#[test]
fn what_was_changed_is_there_after_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let first = store(directory.path()).unwrap();
    let id = first
        .change(|book| (book.note(occurrence("a", 7, Stage::Waiting { not_before: 7 })), vec![]))
        .unwrap();
    // The process dies here; what an unfinished write left does not matter.
    std::fs::write(directory.path().join("book.json.tmp"), "{").unwrap();
    drop(first);
    let second = store(directory.path()).unwrap();
    let next = second.change(|book| (book.note(occurrence("a", 8, done(9))), vec![])).unwrap();
    assert!(next > id);
    let name = "a".parse().unwrap();
    second.look(|book| {
        assert_eq!(
            book.of(&name).map(|(_, occurrence)| occurrence.due).collect::<Vec<_>>(),
            [7, 8]
        );
        assert_eq!(book.open(&name).map(|(id, _)| id), Some(id));
    });
}

#[test]
fn a_change_that_cannot_be_written_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path()).unwrap();
    // A directory is in the way of the file.
    std::fs::create_dir(directory.path().join("book.json.tmp")).unwrap();
    let noted = store.change(|book| (book.note(occurrence("a", 7, done(7))), vec![]));
    assert!(noted.is_err());
    assert!(store.look(|book| book.occurrences.is_empty()));
}

#[test]
fn what_is_long_over_is_forgotten_and_what_is_open_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path()).unwrap();
    let open = || Stage::Waiting { not_before: 0 };
    store
        .change(|book| {
            book.note(occurrence("a", 0, open()));
            book.note(occurrence("b", 1, done(1)));
            (2..2 + REMEMBERED as u64 + 50).for_each(|due| {
                book.note(occurrence("a", due, done(due)));
            });
            ((), vec![])
        })
        .unwrap();
    store.look(|book| {
        let kept = |name: &str| book.of(&name.parse().unwrap()).count();
        assert_eq!((kept("a"), kept("b")), (REMEMBERED + 1, 1));
        assert_eq!(book.open(&"a".parse().unwrap()).map(|(id, _)| id), Some(0));
    });
}

#[test]
fn another_layout_is_not_guessed_at() {
    let directory = tempfile::tempdir().unwrap();
    let check = |text: &str, why: &str| {
        std::fs::write(directory.path().join(FILE), text).unwrap();
        let error = store(directory.path()).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    };
    let empty = |version: u32| {
        format!(r#"{{"version":{version},"next":0,"occurrences":{{}},"orders":{{}},"rooms":{{}}}}"#)
    };
    check("", "not what an agent");
    check("{}", "missing field");
    check(&empty(2), "layout 2");
    check(&empty(1).replace("next", "then"), "unknown field");
    std::fs::write(directory.path().join(FILE), empty(1)).unwrap();
    assert!(store(directory.path()).is_ok());
}
