//! Default in a bad year, by the one-factor model of Vasicek that the Basel formula is made of.

use statrs::distribution::{ContinuousCDF, Normal};

/// What the scenario says about a sector.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shock {
    pub(crate) asset_correlation: f64,
    /// How bad the year is: 0.999 is the worst of a thousand.
    pub(crate) factor_quantile: f64,
    pub(crate) lgd_add_on: f64,
}

impl Shock {
    /// The probability of default given the year.
    pub(crate) fn default_probability(&self, pd: f64) -> f64 {
        if pd <= 0.0 || pd >= 1.0 {
            return pd.clamp(0.0, 1.0);
        }
        let normal = Normal::standard();
        let factor = normal.inverse_cdf(self.factor_quantile);
        let threshold = normal.inverse_cdf(pd) + self.asset_correlation.sqrt() * factor;
        normal.cdf(threshold / (1.0 - self.asset_correlation).sqrt())
    }

    /// The share of an exposure that is lost when its debtor defaults.
    pub(crate) fn loss_given_default(&self, lgd: f64) -> f64 {
        (lgd + self.lgd_add_on).min(1.0)
    }
}
