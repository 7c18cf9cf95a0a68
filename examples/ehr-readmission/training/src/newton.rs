//! Maximum likelihood by Newton's method.

use glovebox_guest::{Error, Result, bail};
use smartcore::linalg::basic::arrays::Array;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linalg::traits::cholesky::CholeskyDecomposable;

/// Steps after which a fit is given up; a sound cohort takes less than ten.
const MOST_STEPS: usize = 50;

/// Inflation of a variance from which on terms cannot be told apart.
const MOST_BLURRED: f64 = 1e10;

/// Step below which a fit is done.
const SMALL: f64 = 1e-11;

/// Weights with their variances.
#[derive(Debug)]
pub struct Fit {
    pub weights: Vec<f64>,
    pub variances: Vec<f64>,
}

pub fn sigmoid(value: f64) -> f64 {
    1.0 / (1.0 + (-value).exp())
}

pub fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

/// Fits the odds of `outcomes` to `points`, each of which begins with a 1 for the intercept.
///
/// # Errors
/// When the points do not tell the terms apart, or tell outcomes apart too well.
pub fn fit(points: &[Vec<f64>], outcomes: &[bool]) -> Result<Fit> {
    let Some(size) = points.first().map(Vec::len) else { bail!("there is nobody to learn from") };
    let mut weights = vec![0.0; size];
    for _ in 0..MOST_STEPS {
        let mut gradient = vec![0.0; size];
        let mut information = vec![0.0; size * size];
        for (point, outcome) in points.iter().zip(outcomes) {
            let chance = sigmoid(dot(point, &weights));
            let missed = f64::from(u8::from(*outcome)) - chance;
            for (row, value) in point.iter().enumerate() {
                gradient[row] += missed * value;
                for (column, other) in point.iter().enumerate() {
                    information[row * size + column] += chance * (1.0 - chance) * value * other;
                }
            }
        }
        let covariance = inverse(information, size)?;
        let step: Vec<f64> = covariance.chunks(size).map(|row| dot(row, &gradient)).collect();
        weights.iter_mut().zip(&step).for_each(|(weight, step)| *weight += step);
        if step.iter().all(|step| step.abs() < SMALL) {
            let variances = (0..size).map(|index| covariance[index * size + index]).collect();
            return Ok(Fit { weights, variances });
        }
    }
    bail!("no maximum was found")
}

/// The inverse of a symmetric, positive matrix, in rows.
fn inverse(values: Vec<f64>, size: usize) -> Result<Vec<f64>> {
    let diagonal: Vec<f64> = (0..size).map(|index| values[index * size + index]).collect();
    let failed = |error: smartcore::error::Failed| Error::new(error.to_string());
    let identity: Vec<f64> =
        (0..size * size).map(|index| f64::from(u8::from(index % (size + 1) == 0))).collect();
    let matrix = DenseMatrix::new(size, size, values, false).map_err(failed)?;
    let identity = DenseMatrix::new(size, size, identity, false).map_err(failed)?;
    let inverse = matrix.cholesky_solve_mut(identity).map_err(failed)?;
    // By how much the other terms blur each one; rounding makes it huge where it should be infinite.
    let blurred = |index: usize| diagonal[index] * *inverse.get((index, index));
    if !(0..size).all(|index| blurred(index) < MOST_BLURRED) {
        bail!("two terms say the same");
    }
    Ok((0..size * size).map(|index| *inverse.get((index / size, index % size))).collect())
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn a_table_of_four_cells_has_a_known_answer() {
        // 30 of 100 without, 60 of 100 with: the weight is the logarithm of the odds ratio.
        let mut points = Vec::new();
        let mut outcomes = Vec::new();
        for (with, happened, count) in
            [(0.0, true, 30), (0.0, false, 70), (1.0, true, 60), (1.0, false, 40)]
        {
            for _ in 0..count {
                points.push(vec![1.0, with]);
                outcomes.push(happened);
            }
        }
        let fit = fit(&points, &outcomes).expect("a fit");
        let odds = (60.0_f64 / 40.0 / (30.0 / 70.0)).ln();
        let variance = 1.0 / 30.0 + 1.0 / 70.0 + 1.0 / 60.0 + 1.0 / 40.0;
        assert!((fit.weights[1] - odds).abs() < 1e-9, "{fit:?}");
        assert!((fit.variances[1] - variance).abs() < 1e-9, "{fit:?}");
    }

    #[test]
    fn what_has_no_answer_is_an_error() {
        assert!(fit(&[], &[]).is_err());
        let same = vec![vec![1.0, 2.0]; 10];
        let outcomes: Vec<_> = (0..10).map(|index| index % 2 == 0).collect();
        assert!(fit(&same, &outcomes).is_err(), "two terms that say the same");
        let apart: Vec<_> = (0..10).map(|index| vec![1.0, f64::from(index)]).collect();
        let outcomes: Vec<_> = (0..10).map(|index| index >= 5).collect();
        assert!(fit(&apart, &outcomes).is_err(), "outcomes that are told apart entirely");
    }
}
