//! Private libraries and their functions, from the partner's crate to the notebook's output.

use crate::support::{Done, Stage, guest, repository};

/// Customers in a CSV file: some lack a recency or a spend.
fn customers() -> String {
    let mut text = String::from("customer,recency,spend\n");
    for customer in 0..20_000_u32 {
        let recency = if customer % 11 == 0 { String::new() } else { (customer % 365).to_string() };
        let spend =
            if customer % 7 == 0 { String::new() } else { format!("{}.25", customer % 900) };
        text += &format!("{customer},{recency},{spend}\n");
    }
    text
}

/// A room of an advertiser with data and a notebook, and a partner with a library.
fn stage() -> Stage {
    stage_with("")
}

fn stage_with(settings: &str) -> Stage {
    let stage = Stage::new();
    stage.room("lab", &["nike", "acme"], settings);
    stage.write("customers.csv", customers());
    stage.run("table add lab nike.customers --from customers.csv --as nike.key").ok();
    stage
}

/// Builds a package of `tests/guests`, hidden, as `NAME.wasm`.
fn hidden(stage: &Stage, package: &str, name: &str) {
    let path = repository().join("tests/guests").join(package);
    stage.run(&format!("build {} --hidden -o {name}.wasm", path.display())).ok();
}

/// Builds an SQL notebook that needs `library`, which may say which digest it wants.
fn sql(stage: &Stage, name: &str, library: &str, columns: &str, query: &str) -> Done {
    let text = format!(
        "/* glovebox notebook\nname = \"{name}\"\nversion = \"1.0.0\"\n\
         [inputs.\"nike.customers\"]\n\
         columns = {{ customer = \"int64\", recency = \"int64\", spend = \"float64\" }}\n\
         [libraries]\n{library}\n\
         [outputs.result]\ncolumns = [{columns}]\n*/\n\
         CREATE TABLE output.result AS SELECT {query};\n"
    );
    stage.write(&format!("{name}.sql"), text);
    stage.run(&format!("build {name}.sql -o {name}.wasm"))
}

fn approve(stage: &Stage, notebook: &str) {
    let digest = stage.revision("lab", notebook);
    for party in ["nike", "acme"] {
        // Whoever need not approve says so; the run tells whether enough did.
        drop(stage.run(&format!("review lab {notebook} --approve {digest} --as {party}.key")));
    }
}

/// Adds an SQL notebook of nike, has it approved and runs it.
fn run(stage: &Stage, name: &str, library: &str, columns: &str, query: &str) -> Done {
    sql(stage, name, &format!("{library} = {{}}"), columns, query).ok();
    stage.run(&format!("notebook add lab {name}.wasm --runner nike --as nike.key")).ok();
    approve(stage, name);
    stage.run(&format!("run lab {name} --as nike.key"))
}

fn exported(stage: &Stage, output: &str) -> String {
    drop(std::fs::remove_file(stage.path("result.csv")));
    stage.run(&format!("output export lab latest {output} -o result.csv --as nike.key")).ok();
    std::fs::read_to_string(stage.path("result.csv")).expect("the output")
}

#[test]
fn a_hidden_library_is_called_from_sql_and_from_a_notebook() {
    let stage = stage();
    hidden(&stage, "scoring", "scoring");
    stage.run("library add lab scoring.wasm --as acme.key").ok();

    let columns = r#""tier utf8", "customers int64", "best float64""#;
    let query = "scoring.tier(scoring.score(recency, spend)) AS tier, count(*) AS customers, \
                 max(scoring.score(recency, spend)) AS best FROM nike.customers GROUP BY 1";
    run(&stage, "tiers", "scoring", columns, query).ok();
    let found = exported(&stage, "result");
    assert_eq!(found, expected_tiers(), "{found}");

    std::fs::copy(guest("tests/guests/asks-scoring"), stage.path("asks.wasm")).expect("a copy");
    stage.run("notebook add lab asks.wasm --runner nike --as nike.key").ok();
    approve(&stage, "asks-scoring");
    stage.run("run lab asks-scoring --as nike.key").ok();
    let scores = exported(&stage, "scores");
    let (rows, best) = native_scores();
    let found: Vec<f64> = scores.lines().skip(1).filter_map(|line| line.parse().ok()).collect();
    assert_eq!(found.len(), rows);
    assert_eq!(found.iter().copied().fold(f64::MIN, f64::max), best);
}

/// A library whose manifest differs in one byte, which no code reads.
fn changed(stage: &Stage, from: &str, to: &str) {
    let bytes = std::fs::read(stage.path(format!("{from}.wasm"))).expect("a component");
    let manifest = bytes.windows(17).rposition(|part| part == b"glovebox:manifest");
    let (code, manifest) = bytes.split_at(manifest.expect("a manifest"));
    let text = String::from_utf8_lossy(manifest).into_owned();
    let altered = text.replacen("A private library", "A private librarY", 1);
    let altered = altered.replacen("A library that uses", "A library that useS", 1);
    assert_ne!(altered, text);
    stage.write(&format!("{to}.wasm"), [code, altered.as_bytes()].concat());
}

#[test]
fn a_changed_byte_in_a_library_stops_every_notebook_that_uses_it() {
    let stage = stage();
    hidden(&stage, "scoring", "scoring");
    hidden(&stage, "boosting", "boosting");
    stage.run("library add lab boosting.wasm --as acme.key").refused("not-found");
    stage.run("library add lab scoring.wasm --as acme.key").ok();
    stage.run("library add lab boosting.wasm --as acme.key").ok();
    stage.run("library add lab scoring.wasm --as nike.key").refused("not-permitted");

    let column = "\"best float64\"";
    let direct = "max(scoring.score(recency, spend)) AS best FROM nike.customers";
    run(&stage, "direct", "scoring", column, direct).ok();
    let through = "max(boosting.boosted(recency, spend)) AS best FROM nike.customers";
    run(&stage, "through", "boosting", column, through).ok();
    let best: f64 = exported(&stage, "result").lines().nth(1).expect("a row").parse().expect("it");
    assert_eq!(best, 2.0 * native_scores().1);

    changed(&stage, "scoring", "scoring-2");
    stage.run("library add lab scoring-2.wasm --as acme.key").ok();
    for notebook in ["direct", "through"] {
        stage.run(&format!("run lab {notebook} --as nike.key")).refused("not-approved");
        approve(&stage, notebook);
        stage.run(&format!("run lab {notebook} --as nike.key")).ok();
    }
    // A change of the library between them concerns only the notebook above it.
    changed(&stage, "boosting", "boosting-2");
    stage.run("library add lab boosting-2.wasm --as acme.key").ok();
    stage.run("run lab direct --as nike.key").ok();
    stage.run("run lab through --as nike.key").refused("not-approved");
}

#[test]
fn a_library_that_does_not_fit_is_refused_when_it_is_added_or_asked_for() {
    let stage = stage();
    let column = "\"score float64\"";
    let query = "scoring.score(recency, spend) AS score FROM nike.customers";
    sql(&stage, "unpinned", "scoring = {}", column, query).ok();
    let add = |notebook: &str| {
        stage.run(&format!("notebook add lab {notebook}.wasm --runner nike --as nike.key"))
    };
    add("unpinned").refused("not-found");

    hidden(&stage, "scoring", "scoring");
    stage.run("library add lab scoring.wasm --as acme.key").ok();
    add("unpinned").ok();
    let zeros = "0".repeat(64);
    let pin =
        format!("scoring.digest = {{ blake3 = \"blake3:{zeros}\", sha256 = \"sha256:{zeros}\" }}");
    sql(&stage, "pinned", &pin, column, query).ok();
    add("pinned").refused("library-mismatch");

    // Unknown to the header, to the room, and to the library.
    let unknown = sql(
        &stage,
        "unknown",
        "scoring = {}",
        column,
        "other.f(recency) AS score FROM nike.customers",
    );
    assert_eq!(unknown.code, Some(1), "{unknown}");
    assert!(unknown.stderr.contains("library `other` is not declared in the header"), "{unknown}");
    let query = "scoring.nothing(recency) AS score FROM nike.customers";
    run(&stage, "nothing", "scoring", column, query).refused("sql-refused");

    // The same interface with another type in one function.
    std::fs::copy(guest("tests/guests/asks-scoring"), stage.path("asks.wasm")).expect("a copy");
    add("asks").ok();
    hidden(&stage, "scoring-other", "other");
    stage.run("library add lab other.wasm --as acme.key").ok();
    stage
        .run("notebook add lab asks.wasm --runner nike --runner acme --as nike.key")
        .refused("library-mismatch");

    hidden(&stage, "nosy-library", "nosy");
    let refused = stage.run("library add lab nosy.wasm --as acme.key");
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(refused.stderr.contains("glovebox:guest/tables@0.1.0"), "{refused}");
}

#[test]
fn a_library_with_other_functions_than_it_says_is_refused() {
    let stage = stage();
    hidden(&stage, "scoring", "scoring");
    let bytes = std::fs::read(stage.path("scoring.wasm")).expect("a component");
    let manifest = bytes.windows(17).rposition(|part| part == b"glovebox:manifest");
    let (code, manifest) = bytes.split_at(manifest.expect("a manifest"));
    let text = String::from_utf8_lossy(manifest).into_owned();
    for (from, to) in [
        (r#""name":"recency","nullable":false"#, r#""name":"rEcency","nullable":false"#),
        (r#""checked":{"#, r#""chEcked":{"#),
        (r#""volatility":"stable""#, r#""volatility":"staBle""#),
    ] {
        let altered = text.replacen(from, to, 1);
        assert_ne!(altered, text, "{from}");
        stage.write("altered.wasm", [code, altered.as_bytes()].concat());
        let refused = stage.run("library add lab altered.wasm --as acme.key");
        assert_eq!(refused.code, Some(1), "{from}: {refused}");
    }
}

#[test]
fn functions_that_break_their_word_end_in_their_reason_and_keep_their_secrets() {
    let limits = "[limits]\nwall_seconds = 12\ncpu_seconds = 6\nmemory_bytes = 268_435_456\n";
    let stage = stage_with(limits);
    hidden(&stage, "bad-functions", "bad");
    stage.run("library add lab bad.wasm --as acme.key").ok();
    for (function, reason) in [
        ("fewer", "function-failed"),
        ("other_type", "function-failed"),
        ("gives_null", "function-failed"),
        ("two_columns", "function-failed"),
        ("fails", "function-failed"),
        ("panics", "function-failed"),
        ("overflows", "stack-overflow"),
        ("grabs", "memory-limit"),
    ] {
        let query = format!("bad.{function}(customer) AS n FROM nike.customers");
        let name = format!("bad-{}", function.replace('_', "-"));
        let done = run(&stage, &name, "bad", "\"n int64\"", &query);
        assert!(done.stderr.contains(&format!("({reason})")), "{function}: {done}");
        assert!(!done.stderr.contains("secret"), "{function}: {done}");
        let log = stage.run("output log lab latest --as nike.key");
        assert!(!log.stdout.contains("secret"), "{function}: {log}");
    }
    let query = "bad.spins(customer) AS n FROM nike.customers";
    let done = run(&stage, "bad-spins", "bad", "\"n int64\"", query);
    let ended = ["(deadline)", "(cpu-limit)"].iter().any(|reason| done.stderr.contains(reason));
    assert!(ended, "{done}");
}

#[test]
fn aggregates_tables_and_nulls_are_as_if_computed_natively() {
    let stage = stage();
    hidden(&stage, "scoring", "scoring");
    stage.run("library add lab scoring.wasm --as acme.key").ok();

    let query = "customer % 3 AS g, scoring.weighted_mean(spend, CAST(recency AS DOUBLE)) AS mean, \
                 scoring.weighted_mean(spend, 1.0) FILTER (WHERE recency > 360) AS late \
                 FROM nike.customers GROUP BY 1";
    let columns = "\"g int64\", \"mean float64\", \"late float64\"";
    run(&stage, "means", "scoring", columns, query).ok();
    assert_eq!(exported(&stage, "result"), expected_means());

    let query = "scoring.weighted_mean(spend, 0.0) AS mean, scoring.shout('') AS nothing, \
                 scoring.shout('loud') AS loud, scoring.halves(4.0) AS two, \
                 scoring.score(CAST(NULL AS BIGINT), 1.0) AS none FROM nike.customers";
    let columns =
        "\"mean float64\", \"nothing utf8\", \"loud utf8\", \"two float64\", \"none float64\"";
    run(&stage, "constants", "scoring", columns, query).ok();
    assert_eq!(exported(&stage, "result"), "mean,nothing,loud,two,none\n,,LOUD,2.0,\n");

    let query = "s.n, s.square FROM scoring.squares(2 + 2) AS s \
                 JOIN nike.customers AS c ON c.customer = s.n WHERE s.n > 1";
    run(&stage, "squares", "scoring", "\"n int64\", \"square int64\"", query).ok();
    assert_eq!(exported(&stage, "result"), "n,square\n2,4\n3,9\n");

    let query = "sum FROM scoring.sums((SELECT customer AS n FROM nike.customers \
                 WHERE customer < 5 ORDER BY customer DESC), 2)";
    run(&stage, "sums", "scoring", "\"sum int64\"", query).ok();
    assert_eq!(exported(&stage, "result"), "sum\n0\n3\n7\n");

    let query = "scoring.checked(customer - 5) AS n FROM nike.customers";
    let done = run(&stage, "negative", "scoring", "\"n int64\"", query).refused("function-failed");
    assert!(!done.stderr.contains("secret"), "{done}");
}

#[test]
fn the_answer_does_not_depend_on_the_number_of_partitions() {
    // A query has a partition for every four threads.
    let answers = ["[limits]\nthreads = 4\n", "[limits]\nthreads = 64\n"].map(|limits| {
        let stage = stage_with(limits);
        hidden(&stage, "scoring", "scoring");
        stage.run("library add lab scoring.wasm --as acme.key").ok();
        let query = "customer, scoring.score(recency, spend) AS score, \
                     scoring.shout(scoring.tier(spend)) AS tier FROM nike.customers";
        let columns = "\"customer int64\", \"score float64\", \"tier utf8\"";
        run(&stage, "rows", "scoring", columns, query).ok();
        let rows = exported(&stage, "result");
        let query = "tier, scoring.weighted_mean(spend, CAST(customer AS DOUBLE)) AS mean \
                     FROM (SELECT scoring.tier(spend) AS tier, spend, customer \
                     FROM nike.customers) GROUP BY tier";
        let columns = "\"tier utf8\", \"mean float64\"";
        run(&stage, "groups", "scoring", columns, query).ok();
        (rows, exported(&stage, "result"))
    });
    assert!(answers[0].0.lines().count() == 20_001, "{}", answers[0].0.len());
    assert!(answers[0] == answers[1], "{}\n{}", answers[0].1, answers[1].1);
}

#[test]
fn the_author_of_a_library_reads_why_its_function_failed() {
    let stage = stage();
    hidden(&stage, "scoring", "scoring");
    stage.run("library add lab scoring.wasm --as nike.key").ok();
    let query = "scoring.checked(customer - 5) AS n FROM nike.customers";
    run(&stage, "negative", "scoring", "\"n int64\"", query).refused("function-failed");
    let log = stage.run("output log lab latest --as nike.key").ok();
    assert!(log.stdout.contains("secret formula: -5 is negative"), "{log}");
}

/// Sum of weighted values and of weights, for each group, in the order of the rows.
fn expected_means() -> String {
    let mut text = String::from("g,mean,late\n");
    for group in 0..3_u32 {
        let (mut sum, mut weight, mut late_sum, mut late) = (0.0, 0.0, 0.0, 0.0);
        for customer in (0..20_000_u32).filter(|customer| customer % 3 == group) {
            if customer % 11 == 0 || customer % 7 == 0 {
                continue;
            }
            let (recency, spend) = (f64::from(customer % 365), f64::from(customer % 900) + 0.25);
            sum += spend * recency;
            weight += recency;
            if recency > 360.0 {
                late_sum += spend;
                late += 1.0;
            }
        }
        text += &format!("{group},{:?},{:?}\n", sum / weight, late_sum / late);
    }
    text
}

fn scores() -> impl Iterator<Item = Option<f64>> {
    (0..20_000_u32).map(|customer| {
        if customer % 11 == 0 || customer % 7 == 0 {
            return None;
        }
        let (recency, spend) = (f64::from(customer % 365), f64::from(customer % 900) + 0.25);
        Some(spend.sqrt() / (1.0 + recency / 30.0))
    })
}

fn native_scores() -> (usize, f64) {
    let some: Vec<f64> = scores().flatten().collect();
    (some.len(), some.iter().copied().fold(f64::MIN, f64::max))
}

fn expected_tiers() -> String {
    let tier = |score: &Option<f64>| match score {
        None => "unknown",
        Some(score) if *score >= 10.0 => "gold",
        Some(_) => "plain",
    };
    let mut text = String::from("tier,customers,best\n");
    for name in ["gold", "plain", "unknown"] {
        let all: Vec<Option<f64>> = scores().filter(|score| tier(score) == name).collect();
        let best = all.iter().flatten().copied().reduce(f64::max);
        let best = best.map(|best| best.to_string()).unwrap_or_default();
        text += &format!("{name},{},{best}\n", all.len());
    }
    text
}
