use glovebox_guest::mock::{MockRoom, MockRun};
use glovebox_guest::{Column, Level, Result, columns};

use super::{JOINED, TERMS, run};

type Flight = (&'static str, f64, [f64; 4]);

fn fit(flights: &[Flight], min_flights: i64) -> Result<MockRun> {
    let column = |pick: fn(&Flight) -> f64| flights.iter().map(pick).collect::<Column>();
    MockRoom::new()
        .parameter("min_flights", min_flights)
        .query(
            JOINED,
            columns! {
                "origin" => flights.iter().map(|flight| flight.0).collect::<Vec<_>>(),
                "dep_delay" => column(|flight| flight.1),
                "temp" => column(|flight| flight.2[0]),
                "wind_speed" => column(|flight| flight.2[1]),
                "precip" => column(|flight| flight.2[2]),
                "visib" => column(|flight| flight.2[3]),
            },
        )
        .output(
            "coefficients",
            &[
                ("origin", "utf8 not null"),
                ("term", "utf8 not null"),
                ("estimate", "float64 not null"),
                ("standard_error", "float64 not null"),
            ],
        )
        .output(
            "fits",
            &[
                ("origin", "utf8 not null"),
                ("flights", "int64 not null"),
                ("r_squared", "float64 not null"),
                ("residual_deviation", "float64 not null"),
            ],
        )
        .run(run)
}

/// Weather that varies in every term, and a delay made of it by `delay`.
fn flights(origin: &'static str, count: u32, delay: fn([f64; 4]) -> f64) -> Vec<Flight> {
    let number = |index: u32, factor: u32, modulus: u32| f64::from(index * factor % modulus);
    (1..=count)
        .map(|index| {
            let weather = [
                number(index, 7, 31),
                number(index, 11, 23),
                number(index, 5, 13),
                number(index, 3, 11),
            ];
            (origin, delay(weather), weather)
        })
        .collect()
}

#[test]
fn finds_the_coefficients_that_made_the_delays() -> Result<()> {
    let flights = flights("JFK", 200, |[t, w, p, v]| 12.0 + 0.5 * t + 2.0 * w + 30.0 * p - 1.5 * v);
    let run = fit(&flights, 100)?;
    let found = run.output("coefficients");
    assert_eq!(found.column("term").utf8()?.iter().flatten().collect::<Vec<_>>(), TERMS);
    for (estimate, expected) in
        found.column("estimate").float64()?.iter().flatten().zip([12.0, 0.5, 2.0, 30.0, -1.5])
    {
        assert!((estimate - expected).abs() < 1e-8, "{estimate} is not {expected}");
    }
    let fits = run.output("fits");
    assert_eq!(fits.column("flights").int64()?.values(), [200]);
    assert!((fits.column("r_squared").float64()?.values()[0] - 1.0).abs() < 1e-9);
    Ok(())
}

#[test]
fn leaves_out_airports_with_few_flights() -> Result<()> {
    let mut all = flights("EWR", 99, |weather| weather[0]);
    all.extend(flights("JFK", 100, |weather| weather[0]));
    let run = fit(&all, 100)?;
    let origins = run.output("fits").column("origin").utf8()?;
    assert_eq!(origins.iter().collect::<Vec<_>>(), [Some("JFK")]);
    assert_eq!(run.logs(), [(Level::Info, "EWR has too few flights to be fitted".into())]);
    Ok(())
}

#[test]
fn leaves_out_airports_whose_weather_is_always_the_same() -> Result<()> {
    let calm: Vec<Flight> = (0..200).map(|index| ("LGA", f64::from(index), [50.0; 4])).collect();
    let run = fit(&calm, 100)?;
    assert_eq!(run.output("fits").num_rows(), 0);
    assert_eq!(run.output("coefficients").num_rows(), 0);
    Ok(())
}
