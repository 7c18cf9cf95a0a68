//! Trains the expert's model on the hospital's discharges, and applies it.
//!
//! The host prepares the cohort, the library learns; this notebook hands one to the other.

use glovebox_guest::{Result, Room, Scalar, columns, import, notebook};

import!("lab:training/logistic@1.0.0", path = "../training/wit");

const TERMS: &str = "
    CAST(age AS DOUBLE) AS age, CAST(female AS DOUBLE) AS female,
    CAST(prior_admissions AS DOUBLE) AS prior_admissions, CAST(stay_days AS DOUBLE) AS stay_days,
    CAST(chronic AS DOUBLE) AS chronic, creatinine, CAST(to_home AS DOUBLE) AS to_home";

// The order makes the sums, and so the model, the same in every run.
fn discharges(what: &str, of_fold: &str) -> String {
    format!(
        "SELECT {what}, {TERMS} FROM hospital.discharges WHERE fold {of_fold} $1 ORDER BY patient"
    )
}

#[notebook]
fn run(room: &Room) -> Result<()> {
    let fold: i64 = room.parameter("test_fold")?;
    let fold = [Scalar::from(fold)];
    let cohort = room.query(&discharges("readmitted = 1 AS outcome", "<>"), &fold)?;
    let model = logistic::train(cohort)?;
    let mut output = room.output("model")?;
    output.write_batch(&model)?;
    output.finish()?;

    let mut output = room.output("risks")?;
    let others = discharges("patient, readmitted = 1 AS readmitted", "=");
    for patients in room.query(&others, &fold)? {
        let patients = patients?;
        let risk = logistic::risk(&patients, &model)?;
        output.write(columns! {
            "patient" => patients.column("patient")?,
            "risk" => risk.column("risk")?,
            "readmitted" => patients.column("readmitted")?,
        })?;
    }
    output.finish()?;
    Ok(())
}
