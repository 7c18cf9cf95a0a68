//! Scores of customers, for notebooks and for SQL.

use glovebox_guest::{Batch, Error, Result, columns, export, library};

export!(Scoring, "acme:scoring/score@1.0.0");

/// The library to notebooks.
struct Scoring;

impl score::Guest for Scoring {
    fn score(customers: &Batch) -> Result<Batch, Error> {
        let (recency, spend) = (customers.column("recency")?, customers.column("spend")?);
        let scores: Vec<Option<f64>> = recency
            .int64()?
            .iter()
            .zip(spend.float64()?.iter())
            .map(|(recency, spend)| Some(functions::score(recency?, spend?)))
            .collect();
        Batch::from_columns(columns! { "score" => scores })
    }

    fn count(customers: &Batch) -> u64 {
        customers.num_rows() as u64
    }

    fn pass(customers: Batch) -> Batch {
        customers
    }
}

/// The library to SQL.
#[library]
pub mod functions {
    use glovebox_guest::{Batches, Float64Column, Result, Row, State, bail};

    /// How likely a customer is to buy again.
    #[scalar_function]
    pub fn score(recency: i64, spend: f64) -> f64 {
        spend.sqrt() / (1.0 + recency as f64 / 30.0)
    }

    /// The score in words. Customers without a score have a tier, too.
    #[scalar_function]
    pub fn tier(score: Option<f64>) -> &'static str {
        match score {
            None => "unknown",
            Some(score) if score >= 10.0 => "gold",
            Some(_) => "plain",
        }
    }

    /// Refuses what is negative.
    #[scalar_function]
    pub fn checked(amount: i64) -> Result<i64> {
        if amount < 0 {
            bail!("secret formula: {amount} is negative");
        }
        Ok(amount)
    }

    /// Letters in upper case; none gives none.
    #[scalar_function(stable)]
    pub fn shout(text: &str) -> Option<String> {
        (!text.is_empty()).then(|| text.to_uppercase())
    }

    /// Shares of a total, over whole columns.
    #[scalar_function]
    pub fn halves(values: &Float64Column) -> Vec<f64> {
        values.iter().map(|value| value.unwrap_or_default() / 2.0).collect()
    }

    /// A mean with weights.
    #[derive(Default, State)]
    pub struct WeightedMean {
        sum: f64,
        weight: f64,
    }

    /// The mean of values with weights; null without weight.
    #[aggregate_function]
    impl WeightedMean {
        pub fn update(&mut self, value: f64, weight: f64) {
            self.sum += value * weight;
            self.weight += weight;
        }

        pub fn merge(&mut self, other: Self) {
            self.sum += other.sum;
            self.weight += other.weight;
        }

        pub fn finish(&self) -> Option<f64> {
            (self.weight > 0.0).then(|| self.sum / self.weight)
        }
    }

    /// A number and its square.
    #[derive(Row)]
    pub struct Square {
        n: i64,
        square: i64,
    }

    /// The first `count` squares.
    #[table_function]
    pub fn squares(count: i64) -> Result<Box<dyn Iterator<Item = Square>>> {
        if count < 0 {
            bail!("a negative number of squares");
        }
        Ok(Box::new((0..count).map(|n| Square { n, square: n * n })))
    }

    /// One sum for each batch that was read.
    #[derive(Row)]
    pub struct Sum {
        sum: i64,
    }

    /// Sums of `n`, `step` at a time.
    #[table_function(input("n int64"))]
    pub fn sums(rows: Batches, step: i64) -> Result<Vec<Sum>> {
        let mut all = Vec::new();
        for batch in rows {
            all.extend(batch?.column("n")?.int64()?.iter().flatten());
        }
        let step = usize::try_from(step)?.max(1);
        Ok(all.chunks(step).map(|part| Sum { sum: part.iter().sum() }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::score::Guest as _;
    use super::*;

    #[test]
    fn a_library_is_ordinary_code() {
        assert_eq!(functions::score(30, 16.0), 2.0);
        assert_eq!(functions::tier(None), "unknown");
        let customers = Batch::from_columns(columns! {
            "recency" => vec![Some(30_i64), None],
            "spend" => vec![16.0, 9.0],
        });
        let scores = Scoring::score(&customers.unwrap()).unwrap();
        let scores: Vec<_> = scores.column("score").unwrap().float64().unwrap().iter().collect();
        assert_eq!(scores, [Some(2.0), None]);
        let mut mean = functions::WeightedMean::default();
        mean.update(1.0, 3.0);
        mean.update(5.0, 1.0);
        assert_eq!(mean.finish(), Some(2.0));
    }
}
