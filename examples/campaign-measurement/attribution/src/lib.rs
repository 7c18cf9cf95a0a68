//! The measurement partner's method. It is the partner's capital, so it is built with `--hidden`:
//! the others see which functions there are and of what types, and approve the library's digest.
//!
//! It sees what a query passes in, value by value; it can neither read a table nor write an output.

use glovebox_guest::library;

/// The library to SQL.
#[library]
pub mod functions {
    use glovebox_guest::{Result, State, bail};
    use rust_decimal::Decimal;

    /// Days after which a contact is worth half as much.
    const HALF_LIFE: f64 = 7.0;

    /// What a contact weighs among those that led to an order: the first and the last count double,
    /// and all fade with time.
    #[scalar_function]
    pub fn weight(contact: i64, contacts: i64, days_before: i64) -> Result<f64> {
        if !(1..=contacts).contains(&contact) || days_before < 0 {
            bail!("a contact that does not lead to its order");
        }
        let place = if contact == 1 || contact == contacts { 2.0 } else { 1.0 };
        Ok(place * 0.5_f64.powf(days_before as f64 / HALF_LIFE))
    }

    /// What a customer is worth, in words, from the orders of a year and the days since the last.
    #[scalar_function]
    pub fn worth(orders: i64, recency: i64) -> &'static str {
        let score = (1.0 + orders as f64).ln() * 3.0 - recency as f64 / 45.0;
        match score {
            score if score >= 3.0 => "high",
            score if score >= 0.0 => "middle",
            _ => "low",
        }
    }

    /// Revenue for each unit of spend, in exact decimals: no cent is lost in a sum.
    #[derive(Default, State)]
    pub struct Roas {
        revenue: f64,
        micros: i64,
    }

    /// Revenue in cents over cost in millionths, to four digits; null without cost.
    #[aggregate_function]
    impl Roas {
        pub fn update(&mut self, revenue_cents: f64, cost_micros: i64) {
            self.revenue += revenue_cents;
            self.micros += cost_micros;
        }

        pub fn merge(&mut self, other: Self) {
            self.revenue += other.revenue;
            self.micros += other.micros;
        }

        pub fn finish(&self) -> Option<f64> {
            let cost = Decimal::new(self.micros, 6);
            let revenue = Decimal::new(self.revenue.round() as i64, 2);
            let ratio = revenue.checked_div(cost)?.round_dp(4);
            ratio.to_string().parse().ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::functions::{Roas, weight, worth};

    #[test]
    fn first_and_last_contacts_count_double_and_all_fade() {
        let check = |contact, contacts, days, expect: Option<f64>| {
            assert_eq!(weight(contact, contacts, days).ok(), expect, "{contact} of {contacts}");
        };
        check(1, 1, 0, Some(2.0));
        check(1, 3, 14, Some(0.5));
        check(2, 3, 7, Some(0.5));
        check(3, 3, 0, Some(2.0));
        check(4, 3, 0, None);
        check(1, 1, -1, None);
    }

    #[test]
    fn worth_has_three_words() {
        assert_eq!(worth(12, 10), "high");
        assert_eq!(worth(2, 30), "middle");
        assert_eq!(worth(0, 200), "low");
    }

    #[test]
    fn return_on_spend_is_exact() {
        let mut parts = [Roas::default(), Roas::default()];
        parts[0].update(1000.0, 4_000_000);
        parts[1].update(1000.0, 2_000_000);
        let [mut whole, other] = parts;
        whole.merge(other);
        assert_eq!(whole.finish(), Some(3.3333));
        assert_eq!(Roas::default().finish(), None);
    }
}
