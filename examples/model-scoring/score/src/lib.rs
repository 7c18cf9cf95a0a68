//! Runs a network that comes as a file over a table.

use glovebox_guest::{Batch, Context as _, Error, Result, Room, Row, bail, notebook};
use rten::{Model, ModelOptions, op_registry};
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;

const TABLE: &str = "clinic.biopsies";
const VOLUME: &str = "vendor.model";
const NETWORK: &str = "tumour.onnx";

/// From here on a biopsy should be looked at first.
const SUSPECT: f64 = 0.5;

/// In the order of the network's inputs.
const FEATURES: [&str; 30] = [
    "mean_radius",
    "mean_texture",
    "mean_perimeter",
    "mean_area",
    "mean_smoothness",
    "mean_compactness",
    "mean_concavity",
    "mean_concave_points",
    "mean_symmetry",
    "mean_fractal_dimension",
    "error_radius",
    "error_texture",
    "error_perimeter",
    "error_area",
    "error_smoothness",
    "error_compactness",
    "error_concavity",
    "error_concave_points",
    "error_symmetry",
    "error_fractal_dimension",
    "worst_radius",
    "worst_texture",
    "worst_perimeter",
    "worst_area",
    "worst_smoothness",
    "worst_compactness",
    "worst_concavity",
    "worst_concave_points",
    "worst_symmetry",
    "worst_fractal_dimension",
];

#[derive(Row)]
struct Score {
    biopsy: String,
    probability: f64,
    suspect: bool,
}

#[notebook]
fn run(room: &Room) -> Result<()> {
    let model = load(room.volume(VOLUME)?.read(NETWORK)?)?;
    let mut output = room.output("scores")?;
    for batch in room.table(TABLE)?.scan().batches()? {
        output.write_rows(&score(&model, &batch?)?)?;
    }
    output.finish()?;
    Ok(())
}

/// Only the operators that such a network needs are linked.
fn load(network: Vec<u8>) -> Result<Model> {
    ModelOptions::with_ops(op_registry!(Div, Gemm, Relu, Sigmoid, Sub))
        .load(network)
        .map_err(Error::new)
        .context("the network cannot be read")
}

fn score(model: &Model, batch: &Batch) -> Result<Vec<Score>> {
    let biopsies = batch.column("biopsy")?;
    let mut values = vec![0.0_f32; batch.num_rows() * FEATURES.len()];
    for (place, feature) in FEATURES.into_iter().enumerate() {
        let column = batch.column(feature)?.float64()?.clone();
        for (row, value) in column.iter().enumerate() {
            let Some(value) = value else { bail!("a biopsy lacks {feature}") };
            values[row * FEATURES.len() + place] = value as f32;
        }
    }
    let input = NdTensor::from_data([batch.num_rows(), FEATURES.len()], values);
    let output = model.run_one(input.view().into(), None).map_err(Error::new)?;
    let output: NdTensor<f32, 2> = output.try_into().map_err(Error::new)?;
    if output.shape() != [batch.num_rows(), 1] {
        bail!("the network gives {:?} for {} biopsies", output.shape(), batch.num_rows());
    }
    let biopsies = biopsies.utf8()?;
    let scores = biopsies.iter().zip(output.iter()).map(|(biopsy, probability)| Score {
        biopsy: biopsy.unwrap_or_default().into(),
        probability: f64::from(*probability),
        suspect: f64::from(*probability) >= SUSPECT,
    });
    Ok(scores.collect())
}

#[cfg(test)]
mod tests {
    use glovebox_guest::Column;

    use super::*;

    #[test]
    fn a_biopsy_far_out_is_suspect_and_one_far_in_is_not() -> Result<()> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../model/tumour.onnx");
        let model = load(std::fs::read(path).map_err(Error::new)?)?;
        let typical = [
            14.1, 19.2, 91.9, 654.0, 0.096, 0.104, 0.088, 0.048, 0.181, 0.063, 0.4, 1.2, 2.9, 40.0,
            0.007, 0.025, 0.032, 0.012, 0.02, 0.004, 16.3, 25.7, 107.0, 880.0, 0.132, 0.254, 0.272,
            0.115, 0.29, 0.084,
        ];
        let columns = FEATURES.into_iter().zip(typical).map(|(name, value)| {
            let around: Column = vec![value * 0.6, value * 1.7].into();
            (name, around)
        });
        let biopsy: Column = vec!["small", "large"].into();
        let batch = Batch::from_columns([("biopsy", biopsy)].into_iter().chain(columns))?;
        let suspect: Vec<_> = score(&model, &batch)?.iter().map(|score| score.suspect).collect();
        assert_eq!(suspect, [false, true]);
        Ok(())
    }

    #[test]
    fn what_is_no_network_is_an_error() {
        assert!(load(b"not a network".to_vec()).is_err());
    }
}
