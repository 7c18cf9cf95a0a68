use glovebox_contract::reason::ReasonCode;

use super::*;
use crate::admission::{admit, served_interfaces};
use crate::interfaces::{NOTEBOOK, SERVED, SQL_NOTEBOOK};
use crate::testing::{Journal, grants, guest, limits};

/// Runs a component with all interfaces granted.
fn run(component: &[u8]) -> (Result<(), RunError>, Vec<String>) {
    admit(component, &served_interfaces(), &limits()).unwrap();
    run_granted(component, SERVED)
}

fn run_granted(component: &[u8], interfaces: &[&str]) -> (Result<(), RunError>, Vec<String>) {
    let engine = Engine::new().unwrap();
    let code = engine.compile(component).unwrap();
    // SAFETY: the engine made this machine code two lines above.
    let compiled = unsafe { engine.load(&code) }.unwrap();
    let journal = Journal::default();
    let result = run_notebook(&engine, &compiled, &grants(interfaces), journal.services());
    (result, journal.lines())
}

fn check(uses: &[&str], code: &str, expect: Result<(), (ReasonCode, &str)>) -> Vec<String> {
    let (result, journal) = run(&guest(uses, code));
    match (result, expect) {
        (Ok(()), Ok(())) => {}
        (Err(error), Err((reason, detail))) => {
            assert_eq!(error.reason(), reason, "{error}");
            assert!(error.detail().contains(detail), "{error}");
        }
        (result, expect) => panic!("{result:?}, expected {expect:?}"),
    }
    journal
}

/// A guest that calls `script` with a text and returns what the host says.
fn script(text: &str) -> String {
    format!(
        r#"(data (i32.const 100) "{text}")
        (func (export "glovebox:guest/run@0.1.0#run") (result i32)
            (call $script (i32.const 100) (i32.const {}) (i32.const 0))
            (i32.const 0))"#,
        text.len()
    )
}

/// A guest whose `run` is `code`; it must leave an address on the stack.
fn body(code: &str) -> String {
    format!(
        r#"(func (export "glovebox:guest/run@0.1.0#run") (result i32) (local $batch i32) {code})"#
    )
}

const OPEN_RESULT: &str = "(call $open (i32.const 5000) (i32.const 6) (i32.const 0))";
const QUERY: &str =
    "(call $query (i32.const 5030) (i32.const 6) (i32.const 0) (i32.const 0) (i32.const 32))
    (call $next (i32.load (i32.const 36)) (i32.const 64))
    (local.set $batch (i32.load (i32.const 72)))";

#[test]
fn a_script_runs_and_writes_its_output() {
    let journal = check(&["script"], &script("write"), Ok(()));
    let write = "write result 2 Utf8View Int64";
    assert_eq!(journal, ["script write", "open result", write, "finish result"]);
}

#[test]
fn a_script_that_breaks_a_rule_fails_with_that_reason() {
    let fails = |text: &str, reason, detail: &str| {
        check(&["script"], &script(text), Err((reason, detail)));
    };
    fails("write undeclared", ReasonCode::OutputNotDeclared, "output `other` is not declared");
    fails("write twice", ReasonCode::OutputClosed, "output `result` was opened before");
    fails("write late", ReasonCode::OutputClosed, "output `result` is not open");
    fails("write too many", ReasonCode::OutputRows, "more than 4 rows");
    fails("write wrong", ReasonCode::OutputSchema, "1 columns where 2 are declared");
    fails("write swapped", ReasonCode::OutputSchema, "column `n` where `origin` is declared");
    fails("refused", ReasonCode::SqlRefused, "EXPLAIN is not allowed");
    fails("corrupt", ReasonCode::InputCorrupt, "air.flights is damaged");
    fails("nothing", ReasonCode::OutputUnfinished, "output `result` was not finished");
    fails("panic", ReasonCode::Internal, "the host panicked");
}

#[test]
fn a_notebook_passes_a_query_to_an_output_without_touching_it() {
    let code = body(&format!(
        "{QUERY} {OPEN_RESULT}
        (call $write (i32.load (i32.const 4)) (local.get $batch) (i32.const 96))
        (call $finish (i32.load (i32.const 4)) (i32.const 128))
        (global.get $ok)"
    ));
    let journal = check(&["query", "next", "open", "write", "finish"], &code, Ok(()));
    assert_eq!(
        journal,
        ["query SELECT []", "open result", "write result 2 Utf8View Int64", "finish result"]
    );
}

/// The buffers that `columns` puts into guest memory are what `from-columns` takes.
#[test]
fn columns_cross_into_the_guest_and_back() {
    let code = body(&format!(
        "{QUERY} {OPEN_RESULT}
        (i32.store (i32.const 204) (i32.const 1))
        (call $columns (local.get $batch) (i32.const 200) (i32.const 2) (i32.const 96))
        (call $from-columns (call $reader-schema (i32.load (i32.const 36)))
            (call $num-rows (local.get $batch))
            (i32.load (i32.const 100)) (i32.load (i32.const 104))
            (i32.load (i32.const 108)) (i32.load (i32.const 112)) (i32.const 128))
        (call $write (i32.load (i32.const 4)) (i32.load (i32.const 132)) (i32.const 160))
        (call $finish (i32.load (i32.const 4)) (i32.const 224))
        (i32.const 160)"
    ));
    let uses = [
        "query",
        "next",
        "open",
        "write",
        "finish",
        "columns",
        "from-columns",
        "reader-schema",
        "num-rows",
    ];
    let journal = check(&uses, &code, Ok(()));
    assert!(journal.contains(&"write result 2 Utf8View Int64".into()), "{journal:?}");
}

#[test]
fn a_guest_makes_a_batch_of_its_own_and_lies_are_refused() {
    // Fields at 200: origin utf8, n int64. Nodes at 240: 1 row each. Buffers at 280: none, two
    // offsets at 400, the text at 420; none, one number at 440.
    let code = |rows: u32, offset: u32, numbers: u32| {
        body(&format!(
            r#"{OPEN_RESULT}
            (i32.store (i32.const 200) (i32.const 5050)) (i32.store (i32.const 204) (i32.const 6))
            (i32.store (i32.const 208) (i32.const 5070)) (i32.store (i32.const 212) (i32.const 4))
            (i32.store (i32.const 220) (i32.const 5060)) (i32.store (i32.const 224) (i32.const 1))
            (i32.store (i32.const 228) (i32.const 5080)) (i32.store (i32.const 232) (i32.const 5))
            (i64.store (i32.const 240) (i64.const 1)) (i64.store (i32.const 256) (i64.const 1))
            (i32.store (i32.const 288) (i32.const 400)) (i32.store (i32.const 292) (i32.const 8))
            (i32.store (i32.const 296) (i32.const 5050)) (i32.store (i32.const 300) (i32.const 6))
            (i32.store (i32.const 312) (i32.const 440)) (i32.store (i32.const 316) (i32.const {numbers}))
            (i32.store (i32.const 404) (i32.const {offset}))
            (call $create-schema (i32.const 200) (i32.const 2) (i32.const 32))
            (call $from-columns (i32.load (i32.const 36)) (i64.const {rows})
                (i32.const 240) (i32.const 2) (i32.const 280) (i32.const 5) (i32.const 64))
            (if (i32.load8_u (i32.const 64)) (then (return (i32.const 64))))
            (call $write (i32.load (i32.const 4)) (i32.load (i32.const 68)) (i32.const 96))
            (call $finish (i32.load (i32.const 4)) (i32.const 128))
            (i32.const 96)"#
        ))
    };
    let uses = ["open", "write", "finish", "create-schema", "from-columns"];
    let invalid = |detail| Err((ReasonCode::InvalidArgument, detail));
    check(&uses, &code(1, 6, 8), Ok(()));
    check(&uses, &code(2, 6, 8), invalid("column `origin`: 1 values where 2 are expected"));
    check(&uses, &code(1, 7, 8), invalid("column `origin`: the buffers do not hold a valid array"));
    check(&uses, &code(1, 6, 7), invalid("column `n`: a values buffer of 7 bytes; 8 are needed"));
}

#[test]
fn traps_end_the_run_with_their_reason() {
    let trap = ReasonCode::GuestTrap;
    check(&[], &body("unreachable"), Err((trap, "unreachable")));
    check(&[], &body("(i32.load (i32.const -4))"), Err((trap, "out of bounds")));
    check(&[], &body("(i32.div_s (i32.const 1) (i32.const 0))"), Err((trap, "divide by zero")));
    let recursion = format!("(func $deeper (call $deeper)) {}", body("(call $deeper) unreachable"));
    check(&[], &recursion, Err((ReasonCode::StackOverflow, "call stack exhausted")));
    check(&[], &body("(i32.const -8)"), Err((trap, "")));
}

#[test]
fn a_guest_that_takes_all_memory_and_gives_up_hit_the_memory_limit() {
    let greedy = "(loop $more
            (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        unreachable";
    check(&[], &body(greedy), Err((ReasonCode::MemoryLimit, "unreachable")));
}

#[test]
fn handles_are_the_guests_own_or_nothing() {
    let trap = |detail| Err((ReasonCode::GuestTrap, detail));
    let forged = body("(drop (call $num-rows (i32.const 77))) (global.get $ok)");
    check(&["num-rows"], &forged, trap("unknown handle index 77"));
    let dropped = body(&format!(
        "{QUERY} (call $drop-batch (local.get $batch))
        (drop (call $num-rows (local.get $batch))) (global.get $ok)"
    ));
    check(&["query", "next", "drop-batch", "num-rows"], &dropped, trap("unknown handle index"));
    let foreign = body(&format!(
        "{OPEN_RESULT} (drop (call $num-rows (i32.load (i32.const 4)))) (global.get $ok)"
    ));
    check(&["open", "num-rows"], &foreign, trap("handle index"));
    let finished = body(&format!(
        "{QUERY} {OPEN_RESULT} (call $finish (i32.load (i32.const 4)) (i32.const 128))
        (call $write (i32.load (i32.const 4)) (local.get $batch) (i32.const 96))
        (global.get $ok)"
    ));
    check(&["query", "next", "open", "finish", "write"], &finished, trap("handle index"));
    let twice = body(&format!(
        "{OPEN_RESULT} (call $finish (i32.load (i32.const 4)) (i32.const 128))
        (call $finish (i32.load (i32.const 4)) (i32.const 128)) (global.get $ok)"
    ));
    check(&["open", "finish"], &twice, trap("unknown handle index"));
}

#[test]
fn a_broken_rule_fails_the_run_even_when_the_guest_ignores_it() {
    let undeclared =
        body("(call $open (i32.const 5040) (i32.const 5) (i32.const 0)) (global.get $ok)");
    check(&["open"], &undeclared, Err((ReasonCode::OutputNotDeclared, "`other` is not declared")));
    let unfinished = body(&format!("{OPEN_RESULT} (global.get $ok)"));
    check(&["open"], &unfinished, Err((ReasonCode::OutputUnfinished, "`result`")));
    let dropped = body(&format!(
        "{OPEN_RESULT} (call $drop-output (i32.load (i32.const 4))) (global.get $ok)"
    ));
    check(&["open", "drop-output"], &dropped, Err((ReasonCode::OutputUnfinished, "`result`")));
    let again = body(&format!(
        "{OPEN_RESULT} (call $finish (i32.load (i32.const 4)) (i32.const 128))
        {OPEN_RESULT} (global.get $ok)"
    ));
    check(&["open", "finish"], &again, Err((ReasonCode::OutputClosed, "was opened before")));
    let damaged = body(
        "(call $query (i32.const 5110) (i32.const 7) (i32.const 0) (i32.const 0) (i32.const 32))
        (global.get $ok)",
    );
    check(&["query"], &damaged, Err((ReasonCode::InputCorrupt, "air.flights is damaged")));
}

#[test]
fn an_error_of_the_guest_is_its_own_unless_it_repeats_the_hosts() {
    let own = body(
        "(i32.store8 (i32.const 0) (i32.const 1))
        (i32.store (i32.const 8) (i32.const 5090)) (i32.store (i32.const 12) (i32.const 11))
        (i32.const 0)",
    );
    check(&[], &own, Err((ReasonCode::GuestError, "no luck\u{fffd}[2J")));
    let repeated = body(
        "(call $query (i32.const 5120) (i32.const 7) (i32.const 0) (i32.const 0) (i32.const 32))
        (i32.const 32)",
    );
    check(&["query"], &repeated, Err((ReasonCode::SqlRefused, "EXPLAIN is not allowed")));
    let table =
        body("(call $open-table (i32.const 5040) (i32.const 5) (i32.const 0)) (i32.const 0)");
    check(&["open-table"], &table, Err((ReasonCode::TableNotGranted, "`other` is not granted")));
    let parameter =
        body("(call $parameter (i32.const 5060) (i32.const 1) (i32.const 0)) (i32.const 0)");
    // Here the answer is `result<scalar, error>`, whose error lies elsewhere than in `run`'s.
    let (result, _) = run(&guest(&["parameter"], &parameter));
    assert!(result.is_err());
}

#[test]
fn log_lines_are_cleaned_cut_and_capped() {
    let code = body(
        "(call $log (i32.const 1) (i32.const 5090) (i32.const 11))
        (call $log (i32.const 3) (i32.const 4096) (i32.const 200))
        (call $log (i32.const 3) (i32.const 5090) (i32.const 7))
        unreachable",
    );
    let journal = check(&["log"], &code, Err((ReasonCode::GuestTrap, "")));
    assert_eq!(
        journal,
        ["log Info no luck\u{fffd}[2J", "log Warn the log limit is reached; the rest is dropped"]
    );
}

#[test]
fn one_call_cannot_carry_more_than_a_batch() {
    let code = body(
        "(drop (memory.grow (i32.const 64)))
        (call $log (i32.const 1) (i32.const 0) (i32.const 4000000)) (global.get $ok)",
    );
    check(&["log"], &code, Err((ReasonCode::GuestTrap, "fuel")));
}

#[test]
fn handles_run_out_before_memory_does() {
    let code = body(&format!(
        "{QUERY} (loop $more
            (call $slice (local.get $batch) (i64.const 0) (i64.const 1) (i32.const 96))
            (br_if $more (i32.eqz (i32.load8_u (i32.const 96)))))
        (i32.const 96)"
    ));
    let expect = Err((ReasonCode::MemoryLimit, "more than 4096 open handles"));
    check(&["query", "next", "slice"], &code, expect);
}

#[test]
fn nothing_is_linked_that_was_not_granted() {
    let uses = guest(&["script"], &script("write"));
    let (result, journal) = run_granted(&uses, NOTEBOOK);
    assert_eq!(result.unwrap_err().reason(), ReasonCode::ImportNotGranted);
    assert!(journal.is_empty());
    assert!(run_granted(&uses, SQL_NOTEBOOK).0.is_ok());
    let (result, _) = run_granted(&uses, &["glovebox:guest/secrets@0.1.0"]);
    let detail = "this host does not serve the interface `glovebox:guest/secrets@0.1.0`";
    assert_eq!(result.unwrap_err().detail(), detail);
}

#[test]
fn a_component_without_run_is_refused() {
    let component = wat::parse_str("(component)").unwrap();
    let (result, _) = run_granted(&component, SERVED);
    assert_eq!(result.unwrap_err().reason(), ReasonCode::ComponentRefused);
}

#[test]
fn a_display_is_kept_whole_or_dropped_with_a_word() {
    let display = |media_type: &str, data: &str| {
        let code = body(&format!(
            r#"(call $display (i32.const 100) (i32.const {}) (i32.const 200) (i32.const {}))
            (global.get $ok)"#,
            media_type.len(),
            wat_length(data),
        ));
        let code = format!(
            r#"(data (i32.const 100) "{media_type}") (data (i32.const 200) "{data}") {code}"#
        );
        let mut journal =
            check(&["display"], &code, Err((ReasonCode::OutputUnfinished, "`result`")));
        assert_eq!(journal.len(), 1, "{journal:?}");
        journal.remove(0)
    };
    assert_eq!(display("text/plain", "a table"), "display text/plain a table");
    assert_eq!(display("text/csv", "a,b\\0d\\0a\\1b[2J"), "display text/csv a,b\n\u{fffd}[2J");
    let png = r"\89PNG\0d\0a\1a\0a";
    assert!(display("image/png", png).starts_with("display image/png "));
    let dropped = "log Warn a display was dropped: ";
    assert_eq!(display("image/png", "<html>"), format!("{dropped}it is not image/png"));
    assert_eq!(display("text/html", r"\ff"), format!("{dropped}it is not text/html"));
    // The limit of the log is 100 bytes here.
    let long = display("text/plain", &"x".repeat(100));
    assert_eq!(long, format!("{dropped}it has 100 bytes; the log limit leaves 100"));
    // Each control character is replaced by three bytes.
    let grown = display("text/plain", &r"\01".repeat(40));
    assert_eq!(grown, format!("{dropped}it has 120 bytes; the log limit leaves 100"));
    let unknown = display("text/x\\1b", "x");
    assert_eq!(unknown, "log Warn the log limit is reached; the rest is dropped");
}

/// Bytes of a string of WebAssembly text with escapes of two hex digits.
fn wat_length(text: &str) -> usize {
    text.len() - 2 * text.matches('\\').count()
}

#[test]
fn a_flood_of_displays_ends_at_the_log_limit() {
    let code = body(
        r#"(local $round i32)
        (loop $again
            (call $display (i32.const 100) (i32.const 10) (i32.const 200) (i32.const 30))
            (local.set $round (i32.add (local.get $round) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $round) (i32.const 10000))))
        (global.get $ok)"#,
    );
    let code = format!(
        r#"(data (i32.const 100) "text/plain")
        (data (i32.const 200) "thirty bytes of harmless text!") {code}"#
    );
    let journal = check(&["display"], &code, Err((ReasonCode::OutputUnfinished, "`result`")));
    // Three times 30 bytes fit in 100; there is no room for a line that says so either.
    let last = journal.last().map(String::as_str);
    assert_eq!(last, Some("log Warn the log limit is reached; the rest is dropped"));
    assert_eq!(journal.len(), 4, "{journal:?}");
}

mod volumes;
