//! The expert's training method. The hospital's notebook calls it with a cohort; it keeps nothing
//! between calls, and has no way to send anything anywhere.

mod newton;

use glovebox_guest::{
    Batch, Batches, Context as _, Error, Float64Column, Result, bail, columns, export,
};
use statrs::distribution::{ContinuousCDF as _, Normal};

use crate::newton::{Fit, fit, sigmoid};

export!(Training, "lab:training/logistic@1.0.0");

const OUTCOME: &str = "outcome";
const INTERCEPT: &str = "intercept";

/// The library to notebooks.
struct Training;

impl logistic::Guest for Training {
    fn train(cohort: Batches) -> Result<Batch, Error> {
        let mut terms = vec![INTERCEPT.to_owned()];
        terms.extend(
            cohort.fields().iter().map(|field| field.name.clone()).filter(|name| name != OUTCOME),
        );
        let (mut points, mut outcomes) = (Vec::new(), Vec::new());
        for batch in cohort {
            let batch = batch?;
            let outcome = batch.column(OUTCOME)?;
            outcomes.extend(outcome.boolean()?.iter().map(|value| value == Some(true)));
            append_points(&batch, &terms, &mut points)?;
        }
        let Fit { weights, variances } =
            fit(&points, &outcomes).context("the cohort does not tell the terms apart")?;
        let errors: Vec<f64> = variances.iter().map(|variance| variance.sqrt()).collect();
        let normal = Normal::standard();
        let p_values: Vec<f64> = weights
            .iter()
            .zip(&errors)
            .map(|(weight, error)| 2.0 * normal.sf((weight / error).abs()))
            .collect();
        Batch::from_columns(columns! {
            "term" => terms,
            "weight" => weights,
            "standard_error" => errors,
            "p_value" => p_values,
        })
    }

    fn risk(patients: &Batch, model: &Batch) -> Result<Batch, Error> {
        let terms = model.column("term")?;
        let terms: Vec<String> = terms.utf8()?.iter().flatten().map(str::to_owned).collect();
        let weights = model.column("weight")?.float64()?.values().to_vec();
        let mut points = Vec::new();
        append_points(patients, &terms, &mut points)?;
        let risks: Vec<f64> =
            points.iter().map(|point| sigmoid(newton::dot(point, &weights))).collect();
        Batch::from_columns(columns! { "risk" => risks })
    }
}

/// The terms of each row of `batch`.
fn append_points(batch: &Batch, terms: &[String], points: &mut Vec<Vec<f64>>) -> Result<()> {
    let columns = terms
        .iter()
        .filter(|term| *term != INTERCEPT)
        .map(|term| Ok(batch.column(term)?.float64()?.clone()))
        .collect::<Result<Vec<Float64Column>>>()?;
    for row in 0..batch.num_rows() {
        let mut point = vec![1.0];
        for column in &columns {
            let Some(value) = column.get(row) else { bail!("a patient lacks a value") };
            point.push(value);
        }
        points.push(point);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::logistic::Guest as _;
    use super::*;

    #[test]
    fn risk_follows_the_model() -> Result<()> {
        let model = Batch::from_columns(columns! {
            "term" => vec!["intercept", "age"],
            "weight" => vec![-1.0, 0.5],
        })?;
        let patients = Batch::from_columns(columns! { "age" => vec![2.0, 4.0] })?;
        let risk = Training::risk(&patients, &model)?;
        let risk = risk.column("risk")?.float64()?.values().to_vec();
        assert_eq!(risk, [0.5, sigmoid(1.0)]);
        let incomplete = Batch::from_columns(columns! { "age" => vec![Some(2.0), None] })?;
        assert!(Training::risk(&incomplete, &model).is_err());
        Ok(())
    }
}
