//! Scores of the library `scoring`, doubled.

use glovebox_guest::{import, library};

import!("acme:scoring/score@1.0.0");

/// The library to SQL.
#[library]
pub mod functions {
    use glovebox_guest::{Batch, Float64Column, Int64Column, Result, columns};

    use super::score;

    /// Twice the score of `scoring`.
    #[scalar_function]
    pub fn boosted(recency: &Int64Column, spend: &Float64Column) -> Result<Vec<Option<f64>>> {
        let recency: Vec<Option<i64>> = recency.iter().collect();
        let spend: Vec<Option<f64>> = spend.iter().collect();
        let customers = Batch::from_columns(columns! { "recency" => recency, "spend" => spend })?;
        let scores = score::score(&customers)?.column("score")?.float64()?;
        Ok(scores.iter().map(|score| score.map(|score| score * 2.0)).collect())
    }
}
