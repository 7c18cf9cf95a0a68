//! What runs cost, and who pays.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::StatementError;
use crate::name::Alias;
use crate::receipt::Receipt;

/// How many of the smallest amount make one unit of a currency.
const NANOS: u128 = 1_000_000_000;

/// Most digits before the point of an amount.
const MAX_DIGITS: usize = 12;

const BYTES_PER_GIB: u128 = 1 << 30;

const MILLISECONDS_PER_SECOND: u128 = 1000;

/// What runs cost in a room. Parties agree to it when they accept the room; what a run cost follows
/// from its receipt, so everyone computes the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Billing {
    /// The currency: three capital letters, as in ISO 4217.
    pub currency: String,
    /// The collaborator that pays for every run; the runner of each when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<Alias>,
    /// Prices.
    #[serde(default, skip_serializing_if = "Prices::are_none")]
    pub prices: Prices,
}

/// Prices in the currency of the room; what has none is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Prices {
    /// Of a second of processor time.
    #[serde(skip_serializing_if = "Amount::is_zero")]
    pub cpu_second: Amount,
    /// Of a GiB (2³⁰ bytes) that was read.
    #[serde(skip_serializing_if = "Amount::is_zero")]
    pub gib_in: Amount,
    /// Of a GiB that was written to outputs.
    #[serde(skip_serializing_if = "Amount::is_zero")]
    pub gib_out: Amount,
    /// Of a second with a GiB of memory: the most at one time, from start to end.
    #[serde(skip_serializing_if = "Amount::is_zero")]
    pub gib_second: Amount,
}

/// An amount of money: a decimal number with at most nine places, written as text, `0.000012`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(into = "String", try_from = "String")]
pub struct Amount(u128);

/// Why a text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an amount is a decimal number such as 0.25, with at most nine places and no sign")]
pub struct AmountError(());

impl Billing {
    /// Who pays for a run that `runner` asked for.
    pub fn payer_of<'a>(&'a self, runner: &'a Alias) -> &'a Alias {
        self.payer.as_ref().unwrap_or(runner)
    }

    /// What a run cost that ended with this receipt, whether it succeeded or not, rounded to the
    /// ninth place. Usage in receipts is rounded up to powers of two, and so it is charged.
    pub fn cost(&self, receipt: &Receipt) -> Amount {
        let Prices { cpu_second, gib_in, gib_out, gib_second } = self.prices;
        let usage = &receipt.usage;
        let product = |factors: [u128; 3]| {
            factors.into_iter().fold(1, |product: u128, factor| product.saturating_mul(factor))
        };
        // All in the same unit: nanos, times milliseconds of a second, times bytes of a GiB.
        let parts = [
            product([usage.cpu_ms.into(), BYTES_PER_GIB, cpu_second.0]),
            product([usage.memory_bytes.into(), usage.wall_ms.into(), gib_second.0]),
            product([receipt.bytes_in().into(), MILLISECONDS_PER_SECOND, gib_in.0]),
            product([receipt.bytes_out().into(), MILLISECONDS_PER_SECOND, gib_out.0]),
        ];
        let unit = BYTES_PER_GIB * MILLISECONDS_PER_SECOND;
        let sum = parts.into_iter().fold(unit / 2, u128::saturating_add);
        Amount(sum / unit)
    }

    pub(super) fn validate(&self, aliases: &BTreeSet<&Alias>) -> Result<(), StatementError> {
        let error = |why: &str| Err(StatementError::new("billing", why));
        if self.currency.len() != 3 || !self.currency.bytes().all(|b| b.is_ascii_uppercase()) {
            return error("the currency is three capital letters, as EUR");
        }
        if self.payer.as_ref().is_some_and(|payer| !aliases.contains(payer)) {
            return error("the payer is not among the collaborators");
        }
        Ok(())
    }
}

impl Prices {
    /// Whether everything is free.
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Amount {
    /// In billionths of the currency's unit.
    pub fn nanos(&self) -> u128 {
        self.0
    }

    /// Whether it is nothing.
    pub fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, MAX_DIGITS) || !digits(places, 9) {
            return Err(AmountError(()));
        }
        let read = |text: &str| text.parse::<u128>().map_err(|_| AmountError(()));
        let nanos = read(&format!("{places:0<9}"))?;
        Ok(Self(read(whole)?.saturating_mul(NANOS).saturating_add(nanos)))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, nanos) = (self.0 / NANOS, self.0 % NANOS);
        if nanos == 0 {
            return f.pad(&whole.to_string());
        }
        let places = format!("{nanos:09}");
        f.pad(&format!("{whole}.{}", places.trim_end_matches('0')))
    }
}

impl From<Amount> for String {
    fn from(amount: Amount) -> Self {
        amount.to_string()
    }
}

impl TryFrom<String> for Amount {
    type Error = AmountError;

    fn try_from(text: String) -> Result<Self, AmountError> {
        text.parse()
    }
}
