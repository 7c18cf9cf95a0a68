//! What a supervisor's scenario does to three banks.

mod vasicek;

use std::collections::BTreeMap;

use glovebox_guest::{Result, Room, Row, bail, notebook};
use vasicek::Shock;

const BANKS: [&str; 3] = ["north", "south", "east"];

#[derive(Row)]
struct Bank {
    bank: &'static str,
    loans: i64,
    expected_loss: f64,
    stressed_loss: f64,
    ratio_before: f64,
    ratio_after: f64,
    passes: bool,
}

#[derive(Row)]
struct Sector {
    bank: &'static str,
    sector: String,
    loans: i64,
    exposure: f64,
    loss_rate: f64,
}

/// Sums over the loans of a bank in one sector.
#[derive(Debug, Default, Clone, Copy)]
struct Losses {
    loans: i64,
    exposure: f64,
    expected: f64,
    stressed: f64,
}

#[notebook]
fn run(room: &Room) -> Result<()> {
    let min_loans: i64 = room.parameter("min_loans")?;
    let hurdle: f64 = room.parameter("hurdle")?;
    let scenario = scenario(room)?;
    let (mut banks, mut sectors) = (Vec::new(), Vec::new());
    for bank in BANKS {
        let losses = losses(room, bank, &scenario)?;
        let (cet1, weighted_assets) = capital(room, bank)?;
        let stressed_loss: f64 = losses.values().map(|sums| sums.stressed).sum();
        let ratio_after = (cet1 - stressed_loss) / weighted_assets;
        banks.push(Bank {
            bank,
            loans: losses.values().map(|sums| sums.loans).sum(),
            expected_loss: losses.values().map(|sums| sums.expected).sum(),
            stressed_loss,
            ratio_before: cet1 / weighted_assets,
            ratio_after,
            passes: ratio_after >= hurdle,
        });
        sectors.extend(losses.into_iter().filter(|(_, sums)| sums.loans >= min_loans).map(
            |(sector, sums)| Sector {
                bank,
                sector,
                loans: sums.loans,
                exposure: sums.exposure,
                loss_rate: sums.stressed / sums.exposure,
            },
        ));
    }
    let mut output = room.output("banks")?;
    output.write_rows(&banks)?;
    output.finish()?;
    let mut output = room.output("sectors")?;
    output.write_rows(&sectors)?;
    output.finish()?;
    Ok(())
}

/// The shock to each sector.
fn scenario(room: &Room) -> Result<BTreeMap<String, Shock>> {
    let mut shocks = BTreeMap::new();
    for batch in room.table("supervisor.scenario")?.scan().batches()? {
        let batch = batch?;
        let sectors = batch.column("sector")?.utf8()?;
        let correlation = batch.column("asset_correlation")?.float64()?;
        let quantile = batch.column("factor_quantile")?.float64()?;
        let add_on = batch.column("lgd_add_on")?.float64()?;
        for (row, sector) in sectors.iter().enumerate() {
            let Some(sector) = sector else { continue };
            let shock = Shock {
                asset_correlation: correlation.values()[row],
                factor_quantile: quantile.values()[row],
                lgd_add_on: add_on.values()[row],
            };
            shocks.insert(sector.to_owned(), shock);
        }
    }
    Ok(shocks)
}

/// The losses of a bank in each sector. The order makes the sums the same in every run.
fn losses(
    room: &Room,
    bank: &str,
    scenario: &BTreeMap<String, Shock>,
) -> Result<BTreeMap<String, Losses>> {
    let mut losses: BTreeMap<String, Losses> = BTreeMap::new();
    let loans = format!("SELECT sector, exposure, pd, lgd FROM {bank}.loans ORDER BY loan_id");
    for batch in room.query(&loans, &[])? {
        let batch = batch?;
        let sectors = batch.column("sector")?.utf8()?;
        let exposures = batch.column("exposure")?.float64()?;
        let default = batch.column("pd")?.float64()?;
        let given_default = batch.column("lgd")?.float64()?;
        for (row, sector) in sectors.iter().enumerate() {
            let sector = sector.unwrap_or_default();
            let Some(shock) = scenario.get(sector) else {
                bail!("the scenario has no row for a sector of {bank}");
            };
            let (exposure, pd, lgd) =
                (exposures.values()[row], default.values()[row], given_default.values()[row]);
            let sums = losses.entry(sector.to_owned()).or_default();
            sums.loans += 1;
            sums.exposure += exposure;
            sums.expected += exposure * pd * lgd;
            sums.stressed +=
                exposure * shock.default_probability(pd) * shock.loss_given_default(lgd);
        }
    }
    Ok(losses)
}

/// Capital and risk-weighted assets of a bank.
fn capital(room: &Room, bank: &str) -> Result<(f64, f64)> {
    let mut capital = None;
    for batch in room.table(&format!("{bank}.capital"))?.scan().batches()? {
        let batch = batch?;
        let (cet1, weighted) =
            (batch.column("cet1")?.float64()?, batch.column("weighted_assets")?.float64()?);
        for row in 0..batch.num_rows() {
            capital = Some((cet1.values()[row], weighted.values()[row]));
        }
    }
    match capital {
        Some(capital) => Ok(capital),
        None => bail!("{bank} offers no row of capital"),
    }
}

#[cfg(test)]
mod tests;
