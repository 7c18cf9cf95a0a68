use glovebox_guest::mock::{MockRoom, MockRun};
use glovebox_guest::{Column, Result, columns};

use super::{JOINED, run};

/// Viewers of whom those with many hours of nature are customers, but for every tenth.
fn train(viewers: u32, min_seeds: i64) -> Result<MockRun> {
    let number = |factor: u32, modulus: u32| -> Column {
        (0..viewers).map(|row| f64::from(row * factor % modulus)).collect()
    };
    let is_seed: Column = (0..viewers).map(|row| (row * 7 % 20 > 14) != (row % 10 == 3)).collect();
    MockRoom::new()
        .parameter("min_seeds", min_seeds)
        .query(
            JOINED,
            columns! {
                "nature_hours" => number(7, 20),
                "sport_hours" => number(11, 23),
                "drama_hours" => number(5, 13),
                "evening_share" => number(3, 11),
                "tenure_months" => number(13, 17),
                "is_seed" => is_seed,
            },
        )
        .output("model", &[("term", "utf8 not null"), ("weight", "float64 not null")])
        .output(
            "quality",
            &[
                ("viewers", "int64 not null"),
                ("seeds", "int64 not null"),
                ("auc", "float64 not null"),
            ],
        )
        .run(run)
}

#[test]
fn finds_what_draws_customers() -> Result<()> {
    let run = train(1000, 50)?;
    let model = run.output("model");
    let terms: Vec<_> = model.column("term").utf8()?.iter().flatten().map(str::to_owned).collect();
    let weights = model.column("weight").float64()?.values().to_vec();
    let weight = |name: &str| terms.iter().position(|term| term == name).map(|at| weights[at]);
    assert!(weight("nature_hours").is_some_and(|weight| weight > 0.1), "{terms:?} {weights:?}");
    assert!(
        weight("sport_hours").is_some_and(|weight| weight.abs() < 0.1),
        "{terms:?} {weights:?}"
    );
    assert!(run.output("quality").column("auc").float64()?.values()[0] > 0.8);
    Ok(())
}

#[test]
fn learns_from_nobody_when_they_are_few() {
    assert!(train(1000, 10_000).is_err());
}
