//! Least squares by the normal equations, from sums alone.

/// Sums over observations of `N` terms and a response.
#[derive(Clone, Debug)]
pub(crate) struct NormalEquations<const N: usize> {
    observations: i64,
    terms_by_terms: [[f64; N]; N],
    terms_by_response: [f64; N],
    response: f64,
    response_squared: f64,
}

/// A fitted model.
#[derive(Debug)]
pub(crate) struct Solution<const N: usize> {
    pub(crate) estimates: [f64; N],
    pub(crate) standard_errors: [f64; N],
    /// Share of the response's variance that the terms explain.
    pub(crate) r_squared: f64,
    pub(crate) residual_deviation: f64,
}

impl<const N: usize> Default for NormalEquations<N> {
    fn default() -> Self {
        Self {
            observations: 0,
            terms_by_terms: [[0.0; N]; N],
            terms_by_response: [0.0; N],
            response: 0.0,
            response_squared: 0.0,
        }
    }
}

impl<const N: usize> NormalEquations<N> {
    pub(crate) fn add(&mut self, terms: [f64; N], response: f64) {
        self.observations += 1;
        self.response += response;
        self.response_squared += response * response;
        for row in 0..N {
            self.terms_by_response[row] += terms[row] * response;
            for column in 0..N {
                self.terms_by_terms[row][column] += terms[row] * terms[column];
            }
        }
    }

    pub(crate) fn observations(&self) -> i64 {
        self.observations
    }

    /// The fit; none when the terms depend on each other or there are too few observations.
    pub(crate) fn solve(&self) -> Option<Solution<N>> {
        let inverse = invert(self.terms_by_terms)?;
        let estimates: [f64; N] =
            std::array::from_fn(|row| dot(&inverse[row], &self.terms_by_response));
        let count = self.observations as f64;
        let freedom = count - N as f64;
        let total = self.response_squared - self.response * self.response / count;
        if freedom <= 0.0 || total <= 0.0 {
            return None;
        }
        let unexplained =
            (self.response_squared - dot(&estimates, &self.terms_by_response)).max(0.0);
        let variance = unexplained / freedom;
        Some(Solution {
            estimates,
            standard_errors: std::array::from_fn(|row| (variance * inverse[row][row]).sqrt()),
            r_squared: 1.0 - unexplained / total,
            residual_deviation: variance.sqrt(),
        })
    }
}

fn dot<const N: usize>(left: &[f64; N], right: &[f64; N]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

/// Gauss-Jordan elimination with partial pivoting; none when the matrix is singular.
fn invert<const N: usize>(mut matrix: [[f64; N]; N]) -> Option<[[f64; N]; N]> {
    let largest = matrix.iter().flatten().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let mut inverse: [[f64; N]; N] =
        std::array::from_fn(|row| std::array::from_fn(|column| f64::from(row == column)));
    for column in 0..N {
        let pivot = (column..N)
            .max_by(|a, b| matrix[*a][column].abs().total_cmp(&matrix[*b][column].abs()))?;
        if matrix[pivot][column].abs() <= largest * 1e-12 {
            return None;
        }
        matrix.swap(column, pivot);
        inverse.swap(column, pivot);
        let scale = matrix[column][column];
        for index in 0..N {
            matrix[column][index] /= scale;
            inverse[column][index] /= scale;
        }
        for row in (0..N).filter(|row| *row != column) {
            let factor = matrix[row][column];
            for index in 0..N {
                matrix[row][index] -= factor * matrix[column][index];
                inverse[row][index] -= factor * inverse[column][index];
            }
        }
    }
    Some(inverse)
}
