//! Learns what tells a shop's best customers from other viewers.
//!
//! The host joins, this notebook learns. Weights leave for the features as they are, so that
//! whoever scores needs nothing else.

mod ranking;

use glovebox_guest::{Context as _, Error, Result, Room, Row, bail, notebook};
use smartcore::linalg::basic::arrays::Array;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::logistic_regression::{LogisticRegression, LogisticRegressionParameters};

const FEATURES: [&str; 5] =
    ["nature_hours", "sport_hours", "drama_hours", "evening_share", "tenure_months"];

/// Keeps weights small where the data says little.
const PENALTY: f64 = 1.0;

// The order makes the sums, and so the outputs, the same in every run.
const JOINED: &str = "
    SELECT
        v.nature_hours, v.sport_hours, v.drama_hours, v.evening_share,
        CAST(v.tenure_months AS DOUBLE) AS tenure_months,
        s.email_sha256 IS NOT NULL AS is_seed
    FROM stream.viewers AS v
    LEFT JOIN (SELECT DISTINCT email_sha256 FROM shop.best_customers) AS s
        ON s.email_sha256 = v.email_sha256
    ORDER BY v.email_sha256";

#[derive(Row)]
struct Weight {
    term: String,
    weight: f64,
}

#[derive(Row)]
struct Quality {
    viewers: i64,
    seeds: i64,
    auc: f64,
}

/// One row a viewer.
#[derive(Default)]
struct Examples {
    features: Vec<[f64; FEATURES.len()]>,
    is_seed: Vec<u32>,
}

#[notebook]
fn run(room: &Room) -> Result<()> {
    let examples = read(room)?;
    let seeds: u32 = examples.is_seed.iter().sum();
    if i64::from(seeds) < room.parameter("min_seeds")? {
        bail!("too few of the customers are viewers to learn from");
    }
    let (scaled, means, scales) = standardise(&examples.features);
    let (weights, intercept) = fit(&scaled, &examples.is_seed)?;

    let scores: Vec<f64> = scaled.iter().map(|row| intercept + dot(row, &weights)).collect();
    let quality = Quality {
        viewers: examples.features.len() as i64,
        seeds: seeds.into(),
        auc: ranking::auc(&scores, &examples.is_seed),
    };

    let mut model = vec![Weight { term: "intercept".into(), weight: intercept }];
    for (index, term) in FEATURES.into_iter().enumerate() {
        let weight = weights[index] / scales[index];
        model[0].weight -= weight * means[index];
        model.push(Weight { term: term.into(), weight });
    }
    model.sort_by(|left, right| left.term.cmp(&right.term));
    let mut output = room.output("model")?;
    output.write_rows(&model)?;
    output.finish()?;
    let mut output = room.output("quality")?;
    output.write_rows(&[quality])?;
    output.finish()?;
    Ok(())
}

fn read(room: &Room) -> Result<Examples> {
    let mut examples = Examples::default();
    for batch in room.query(JOINED, &[])? {
        let batch = batch?;
        let mut columns = Vec::new();
        for name in FEATURES {
            columns.push(batch.column(name)?.float64()?.clone());
        }
        let is_seed = batch.column("is_seed")?.boolean()?.clone();
        for row in 0..batch.num_rows() {
            examples.features.push(std::array::from_fn(|index| columns[index].values()[row]));
            examples.is_seed.push(is_seed.get(row).unwrap_or_default().into());
        }
    }
    Ok(examples)
}

type Features = [f64; FEATURES.len()];

/// Rows with mean 0 and deviation 1 in every column, with the means and deviations that they had.
fn standardise(rows: &[Features]) -> (Vec<Features>, Features, Features) {
    let count = rows.len() as f64;
    let means: Features =
        std::array::from_fn(|index| rows.iter().map(|row| row[index]).sum::<f64>() / count);
    let scales: Features = std::array::from_fn(|index| {
        let squares = rows.iter().map(|row| (row[index] - means[index]).powi(2)).sum::<f64>();
        (squares / count).sqrt().max(f64::MIN_POSITIVE)
    });
    let scaled = rows
        .iter()
        .map(|row| std::array::from_fn(|index| (row[index] - means[index]) / scales[index]))
        .collect();
    (scaled, means, scales)
}

fn fit(rows: &[Features], is_seed: &[u32]) -> Result<(Vec<f64>, f64)> {
    let values = rows.as_flattened().to_vec();
    let matrix = DenseMatrix::new(rows.len(), FEATURES.len(), values, false)
        .map_err(|error| Error::new(error.to_string()))?;
    let settings = LogisticRegressionParameters::default().with_alpha(PENALTY);
    let fitted = LogisticRegression::fit(&matrix, &is_seed.to_vec(), settings)
        .map_err(|error| Error::new(error.to_string()))
        .context("the regression did not fit")?;
    let weights = (0..FEATURES.len()).map(|index| *fitted.coefficients().get((0, index)));
    Ok((weights.collect(), *fitted.intercept().get((0, 0))))
}

fn dot(row: &Features, weights: &[f64]) -> f64 {
    row.iter().zip(weights).map(|(value, weight)| value * weight).sum()
}

#[cfg(test)]
mod tests;
