//! Private libraries and their functions, from the partner's crate to the notebook's output.

use crate::support::{Done, Stage, guest, repository};

/// Customers in a CSV file: some lack a recency or a spend.
fn customers() -> String {
    let mut text = String::from("customer,recency,spend\n");
    for customer in 0..20_000_u32 {
        let recency = if customer % 11 == 0 { String::new() } else { (customer % 365).to_string() };
        let spend = if customer % 7 == 0 { String::new() } else { format!("{}.25", customer % 900) };
        text += &format!("{customer},{recency},{spend}\n");
    }
    text
}

/// A room of an advertiser with data and a notebook, and a partner with a library.
fn stage() -> Stage {
    let stage = Stage::new();
    stage.room("lab", &["nike", "acme"], "");
    stage.write("customers.csv", customers());
    stage.run("table add lab nike.customers --from customers.csv --as nike.key").ok();
    stage
}

/// Builds a package of `tests/guests`, hidden, as `NAME.wasm`.
fn hidden(stage: &Stage, package: &str, name: &str) {
    let path = repository().join("tests/guests").join(package);
    stage.run(&format!("build {} --hidden -o {name}.wasm", path.display())).ok();
}

fn sql(stage: &Stage, name: &str, columns: &str, query: &str) -> Done {
    let library = query.split('.').next().unwrap_or_default().split(' ').next_back().unwrap_or_default();
    let text = format!(
        "/* glovebox notebook\nname = \"{name}\"\nversion = \"1.0.0\"\n\
         [inputs.\"nike.customers\"]\n\
         columns = {{ customer = \"int64\", recency = \"int64\", spend = \"float64\" }}\n\
         [libraries]\n{library} = {{}}\n\
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
fn run(stage: &Stage, name: &str, columns: &str, query: &str) -> Done {
    sql(stage, name, columns, query).ok();
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
    run(&stage, "tiers", columns, query).ok();
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
