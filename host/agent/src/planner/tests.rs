use std::path::Path;

use super::*;

/// 2013-01-11T00:00:00Z.
const DAY: u64 = 1_357_862_400;

const TEXT: &str = r#"
[[orders]]
name = "hourly"
room = "r"
notebook = "n"
cron = "0 * * * *"
OPTIONS
[[orders]]
name = "other"
room = "r"
notebook = "n"
cron = "30 * * * *"
[[orders]]
name = "report"
room = "r"
notebook = "n"
after = ["hourly", "other"]
"#;

fn orders(options: &str) -> Orders {
    Orders::parse(&TEXT.replace("OPTIONS", options), Path::new(".")).unwrap()
}

fn dues(book: &Book, order: &str) -> Vec<u64> {
    book.of(&order.parse().unwrap()).map(|(_, occurrence)| occurrence.due).collect()
}

/// Ends what is open.
fn end(book: &mut Book, order: &str, outcome: Outcome) {
    for occurrence in book.occurrences.values_mut() {
        if occurrence.order.as_str() == order && !occurrence.is_done() {
            occurrence.stage = Stage::Done { at: 0, outcome, run: None };
        }
    }
}

#[test]
fn a_time_is_noted_once() {
    let (orders, mut book) = (orders(""), Book::default());
    // A new order has missed nothing.
    assert_eq!(plan(&orders, &mut book, DAY), []);
    assert_eq!(dues(&book, "hourly"), [0_u64; 0]);
    for now in [DAY + 3599, DAY + 3600, DAY + 3600, DAY + 3601, DAY + 3659, DAY + 3661] {
        assert_eq!(plan(&orders, &mut book, now), []);
    }
    assert_eq!(dues(&book, "hourly"), [DAY + 3600]);
    // The clock is set back: what was noted is not noted again.
    plan(&orders, &mut book, DAY + 3500);
    plan(&orders, &mut book, DAY + 3605);
    assert_eq!(dues(&book, "hourly"), [DAY + 3600]);
}

#[test]
fn what_overlaps_is_left_out_or_waits() {
    let check = |options: &str, told: usize, waiting: usize| {
        let (orders, mut book) = (orders(options), Book::default());
        let hours = |count: u64| DAY + count * 3600;
        plan(&orders, &mut book, DAY);
        assert_eq!(plan(&orders, &mut book, hours(1)), []);
        let events = plan(&orders, &mut book, hours(2));
        let skipped: Vec<_> = events.iter().map(|event| event.kind).collect();
        assert_eq!(skipped, vec![EventKind::OrderSkipped; told], "{options}");
        let name = "hourly".parse().unwrap();
        let open = book.of(&name).filter(|(_, occurrence)| !occurrence.is_done());
        assert_eq!(open.count(), waiting, "{options}");
        end(&mut book, "hourly", Outcome::Succeeded);
        assert_eq!(plan(&orders, &mut book, hours(3)), [], "{options}");
    };
    check("", 1, 1);
    check("overlap = \"skip\"", 1, 1);
    check("overlap = \"queue\"", 0, 2);
}

#[test]
fn a_queue_has_an_end() {
    let (orders, mut book) = (orders("overlap = \"queue\""), Book::default());
    plan(&orders, &mut book, DAY);
    let told: usize = (1..150).map(|hour| plan(&orders, &mut book, DAY + hour * 3600).len()).sum();
    assert_eq!(told, 149 - MAX_QUEUE);
}

#[test]
fn what_was_missed_is_made_up_for_once_or_not_at_all() {
    let check = |options: &str, after: u64, expect: &[(u64, Cause)]| {
        let (orders, mut book) = (orders(options), Book::default());
        plan(&orders, &mut book, DAY);
        plan(&orders, &mut book, DAY + after);
        plan(&orders, &mut book, DAY + after);
        let name = "hourly".parse().unwrap();
        let noted: Vec<_> = book
            .of(&name)
            .map(|(_, occurrence)| (occurrence.due - DAY, occurrence.cause.clone()))
            .collect();
        assert_eq!(noted, expect, "{options} {after}");
    };
    let last = "catch_up = \"last\"";
    check("", 36_000 + 300, &[]);
    check(last, 36_000 + 300, &[(36_000, Cause::CatchUp)]);
    check("", 36_000 + 30, &[(36_000, Cause::Clock)]);
    check(last, 36_000 + 30, &[(36_000, Cause::Clock)]);
}

#[test]
fn an_order_follows_when_all_before_it_succeeded_anew() {
    let (orders, mut book) = (orders(""), Book::default());
    let at = |book: &mut Book, seconds: u64| plan(&orders, book, DAY + seconds);
    at(&mut book, 0);
    at(&mut book, 1800);
    end(&mut book, "other", Outcome::Succeeded);
    at(&mut book, 3600);
    assert_eq!(dues(&book, "report"), [0_u64; 0], "hourly has not ended");
    end(&mut book, "hourly", Outcome::Succeeded);
    at(&mut book, 3700);
    at(&mut book, 3701);
    // It falls due for the time of the later one.
    assert_eq!(dues(&book, "report"), [DAY + 3600]);
    end(&mut book, "report", Outcome::Succeeded);
    at(&mut book, 5400);
    end(&mut book, "other", Outcome::Succeeded);
    at(&mut book, 7200);
    let failed = Outcome::Failed { reason: glovebox_contract::reason::ReasonCode::GuestError };
    end(&mut book, "hourly", failed);
    at(&mut book, 7300);
    assert_eq!(dues(&book, "report").len(), 1, "hourly failed");
    at(&mut book, 10_800);
    end(&mut book, "hourly", Outcome::Succeeded);
    at(&mut book, 10_900);
    assert_eq!(dues(&book, "report"), [DAY + 3600, DAY + 10_800]);
}

#[test]
fn a_new_order_does_not_answer_what_was_before_it() {
    let mut book = Book::default();
    let name: AssetName = "hourly".parse().unwrap();
    let both = orders("");
    plan(&both, &mut book, DAY);
    for order in ["hourly", "other"] {
        let order = &both.orders[&order.parse().unwrap()];
        let fallen = Fallen { due: DAY, cause: Cause::Clock, given: BTreeMap::new() };
        note(order, &mut book, fallen, DAY).unwrap();
    }
    end(&mut book, "hourly", Outcome::Succeeded);
    end(&mut book, "other", Outcome::Succeeded);
    book.orders.remove(&"report".parse().unwrap());
    plan(&both, &mut book, DAY + 10);
    assert_eq!(dues(&book, "report"), [0_u64; 0]);
    assert_eq!(book.of(&name).count(), 1);
}
