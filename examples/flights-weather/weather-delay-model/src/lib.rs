//! How much of the departure delay does the weather explain?
//!
//! The host joins flights and weather; this notebook fits a linear model for each airport, which
//! SQL is bad at. Rows stay in memory for one batch: only sums are kept.

mod regression;

use std::collections::BTreeMap;

use glovebox_guest::{Result, Room, Row, notebook};
use regression::NormalEquations;

const TERMS: [&str; 5] =
    ["intercept", "temperature_f", "wind_mph", "precipitation_inches", "visibility_miles"];

// The order makes the sums, and so the outputs, the same in every run.
const JOINED: &str = "
    SELECT f.origin, f.dep_delay, w.temp, w.wind_speed, w.precip, w.visib
    FROM airline.flights AS f
    JOIN weather.hourly AS w ON w.origin = f.origin AND w.time_hour = f.time_hour
    WHERE f.dep_delay IS NOT NULL AND w.temp IS NOT NULL AND w.wind_speed IS NOT NULL
        AND w.precip IS NOT NULL AND w.visib IS NOT NULL
    ORDER BY f.origin, f.dep_delay, w.temp, w.wind_speed, w.precip, w.visib";

#[derive(Row)]
struct Coefficient {
    origin: String,
    term: &'static str,
    estimate: f64,
    standard_error: f64,
}

#[derive(Row)]
struct Fit {
    origin: String,
    flights: i64,
    r_squared: f64,
    residual_deviation: f64,
}

#[notebook]
fn run(room: &Room) -> Result<()> {
    let min_flights: i64 = room.parameter("min_flights")?;
    let (mut coefficients, mut fits) = (Vec::new(), Vec::new());
    for (origin, equations) in sums(room)? {
        let flights = equations.observations();
        if flights < min_flights {
            room.info(format_args!("{origin} has too few flights to be fitted"));
            continue;
        }
        let Some(solution) = equations.solve() else {
            room.warn(format_args!("the weather at {origin} does not vary enough"));
            continue;
        };
        for (index, term) in TERMS.into_iter().enumerate() {
            coefficients.push(Coefficient {
                origin: origin.clone(),
                term,
                estimate: solution.estimates[index],
                standard_error: solution.standard_errors[index],
            });
        }
        fits.push(Fit {
            origin,
            flights,
            r_squared: solution.r_squared,
            residual_deviation: solution.residual_deviation,
        });
    }

    let mut output = room.output("coefficients")?;
    output.write_rows(&coefficients)?;
    output.finish()?;
    let mut output = room.output("fits")?;
    output.write_rows(&fits)?;
    output.finish()?;
    Ok(())
}

/// The sums of each airport over all joined rows.
fn sums(room: &Room) -> Result<BTreeMap<String, NormalEquations<5>>> {
    let mut airports: BTreeMap<String, NormalEquations<5>> = BTreeMap::new();
    let mut done = 0;
    for batch in room.query(JOINED, &[])? {
        let batch = batch?;
        let origins = batch.column("origin")?.utf8()?;
        let delay = batch.column("dep_delay")?.float64()?;
        let temperature = batch.column("temp")?.float64()?;
        let wind = batch.column("wind_speed")?.float64()?;
        let precipitation = batch.column("precip")?.float64()?;
        let visibility = batch.column("visib")?.float64()?;
        for (row, origin) in origins.iter().enumerate() {
            let Some(origin) = origin else { continue };
            let terms = [
                1.0,
                temperature.values()[row],
                wind.values()[row],
                precipitation.values()[row],
                visibility.values()[row],
            ];
            if !airports.contains_key(origin) {
                airports.insert(origin.to_owned(), NormalEquations::default());
            }
            if let Some(equations) = airports.get_mut(origin) {
                equations.add(terms, delay.values()[row]);
            }
        }
        done += batch.num_rows() as u64;
        room.progress(done, None);
    }
    Ok(airports)
}

#[cfg(test)]
mod tests;
