use glovebox_guest::columns;
use glovebox_guest::mock::MockRoom;

use super::run;
use super::vasicek::Shock;

fn shock(factor_quantile: f64) -> Shock {
    Shock { asset_correlation: 0.2, factor_quantile, lgd_add_on: 0.1 }
}

#[track_caller]
fn close(got: f64, expect: f64) {
    assert!((got - expect).abs() < 1e-8 * expect.abs().max(1.0), "{got} is not {expect}");
}

#[test]
fn a_bad_year_is_the_formula_of_basel() {
    // statrs is right to ten digits. Python: NormalDist().cdf((NormalDist().inv_cdf(0.01) + sqrt(0.2) * NormalDist().inv_cdf(0.999)) / sqrt(0.8))
    close(shock(0.999).default_probability(0.01), 0.145_525_266_131_071_36);
    assert_eq!(shock(0.999).default_probability(0.0), 0.0);
    assert_eq!(shock(0.999).default_probability(1.0), 1.0);
    assert!(shock(0.5).default_probability(0.01) < 0.01, "a usual year is better than the mean");
    assert_eq!(shock(0.5).loss_given_default(0.95), 1.0);
}

fn room(sector: &'static str) -> MockRoom {
    let mut room = MockRoom::new().parameter("min_loans", 2).parameter("hurdle", 0.08).table(
        "supervisor.scenario",
        columns! {
            "sector" => vec!["energy"],
            "asset_correlation" => vec![0.2],
            "factor_quantile" => vec![0.999],
            "lgd_add_on" => vec![0.1],
        },
    );
    for bank in super::BANKS {
        room = room
            .query(
                &format!("SELECT sector, exposure, pd, lgd FROM {bank}.loans ORDER BY loan_id"),
                columns! {
                    "sector" => vec![sector, sector],
                    "exposure" => vec![100.0, 300.0],
                    "pd" => vec![0.01, 0.01],
                    "lgd" => vec![0.4, 0.4],
                },
            )
            .table(
                &format!("{bank}.capital"),
                columns! { "cet1" => vec![60.0], "weighted_assets" => vec![400.0] },
            );
    }
    room.output(
        "banks",
        &[
            ("bank", "utf8 not null"),
            ("loans", "int64 not null"),
            ("expected_loss", "float64 not null"),
            ("stressed_loss", "float64 not null"),
            ("ratio_before", "float64 not null"),
            ("ratio_after", "float64 not null"),
            ("passes", "boolean not null"),
        ],
    )
    .output(
        "sectors",
        &[
            ("bank", "utf8 not null"),
            ("sector", "utf8 not null"),
            ("loans", "int64 not null"),
            ("exposure", "float64 not null"),
            ("loss_rate", "float64 not null"),
        ],
    )
}

#[test]
fn losses_are_summed_and_taken_from_capital() {
    let done = room("energy").run(run).expect("a run");
    let loss = 400.0 * 0.145_525_266_131_071_36 * 0.5;
    close(done.output("banks").column("stressed_loss").float64().unwrap().values()[0], loss);
    close(
        done.output("banks").column("ratio_after").float64().unwrap().values()[2],
        (60.0 - loss) / 400.0,
    );
    assert_eq!(done.output("sectors").column("loans").int64().unwrap().values(), [2, 2, 2]);
}

#[test]
fn a_sector_that_the_scenario_forgot_is_an_error_and_not_a_zero() {
    assert!(room("shipping").run(run).is_err());
}
